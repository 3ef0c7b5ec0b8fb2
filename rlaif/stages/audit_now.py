"""An audit outside of any cycle: stored pairs are judged anew, and the judge is tried on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlaif.config import AuditConfig
from rlaif.judges import RubricJudge
from rlaif.judges.panel import ComparedItem
from rlaif.judges.probes import AGAIN, Attacks
from rlaif.progress import Began, nobody
from rlaif.records import AuditReport, Completion, PairVerdict, ProbeOutcome, Prompt, TrialKind
from rlaif.seeds import derive_seed
from rlaif.stages.audit import audit
from rlaif.stages.preferences import by_prompt
from rlaif.stages.probing import (
    again_outcomes,
    again_pair,
    attacked_pairs,
    choose_again,
    choose_originals,
    comparison_outcomes,
    first_pairs,
    rating_outcomes,
    rating_probe,
    trials_of,
)
from rlaif.stages.trying import Cost, Tried, timed, try_panel

Tries = Sequence[tuple[TrialKind, Completion]]


@dataclass(frozen=True)
class Audited:
    """What an audit found.

    Attributes:
        report: The figures, of these pairs and probes alone.
        verdicts: On the pairs.
        probes: How attacks and second askings went.
        cost: What judging took.
    """

    report: AuditReport
    verdicts: list[PairVerdict]
    probes: list[ProbeOutcome]
    cost: Cost


def audit_pairs(
    panel: RubricJudge,
    config: AuditConfig,
    pairs: Sequence[ComparedItem],
    attacks: Attacks,
    seed: int,
    began: Began = nobody,
) -> Audited:
    """Judge pairs, try the judge on an answer of each prompt, and take stock as a cycle does.

    Of each prompt one answer is attacked, one is rated again, and one pair is compared again,
    whatever share of prompts a cycle takes: few pairs would tell too little otherwise.

    Args:
        panel: The rubric with its judges, at least one.
        config: Limits and the level of the intervals.
        pairs: What is judged.
        attacks: The words of attacks.
        seed: Source of the draws.
        began: Told of each step.
    """
    tried = try_panel(panel, (), pairs, began)
    answers = [answer for _, answer in tried.answers]
    prompts = {prompt.id: prompt for prompt, _ in tried.answers}
    attacked = choose_originals(by_prompt(answers), 1.0, derive_seed(seed, "probes"))
    again = choose_again(by_prompt(answers), 1.0, derive_seed(seed, "again"))
    tries: Tries = [*attacked, *((AGAIN, own) for own in again)]
    began("rating probes")
    found, cost = _rate(panel, tried, tries, attacks, prompts)
    if panel.compares:
        began("comparing probes")
        for more, price in (
            _compare(panel, attacked, attacks, prompts),
            _compare_again(panel, tried),
        ):
            found, cost = [*found, *more], cost + price
    report = audit(
        config,
        panel,
        completions=answers,
        scores=list(tried.scores.values()),
        verdicts=tried.verdicts,
        judgements=tried.judgements,
        probes=trials_of(panel, found, {own.id: own.prompt_id for own in answers}, tried.scores),
    )
    return Audited(report, tried.verdicts, found, tried.cost + cost)


def _rate(
    panel: RubricJudge,
    tried: Tried,
    tries: Tries,
    attacks: Attacks,
    prompts: Mapping[str, Prompt],
) -> tuple[list[ProbeOutcome], Cost]:
    items = [
        (prompts[own.prompt_id], rating_probe(panel, kind, own, attacks)) for kind, own in tries
    ]
    judged, cost = timed(panel.rate, items)
    originals = [own for _, own in tries]
    answers = (tried.answers, tried.ratings)
    return rating_outcomes(panel, answers, (items, judged), originals), cost


def _compare(
    panel: RubricJudge, tries: Tries, attacks: Attacks, prompts: Mapping[str, Prompt]
) -> tuple[list[ProbeOutcome], Cost]:
    pairs = attacked_pairs(panel, tries, prompts, attacks)
    judged, cost = timed(panel.compare, pairs)
    return comparison_outcomes(panel, pairs, judged), cost


def _compare_again(panel: RubricJudge, tried: Tried) -> tuple[list[ProbeOutcome], Cost]:
    askings = [(tried.pairs[place], tried.comparisons[place]) for place in first_pairs(tried.pairs)]
    again = [again_pair(item) for item, _ in askings]
    judged, cost = timed(panel.compare, again)
    return again_outcomes(panel, askings, again, judged), cost
