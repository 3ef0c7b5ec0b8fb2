"""A rubric held against humans' labels: is it right, is it steady, can it be talked round?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rlaif.config import AuditConfig
from rlaif.judges import RubricJudge
from rlaif.judges.agreement import (
    CONFIDENCE,
    LengthFigures,
    OrderedPair,
    OrderFigures,
    Proportion,
    length_figures,
    order_figures,
    proportion,
)
from rlaif.judges.panel import ComparedItem, RatedItem
from rlaif.judges.probes import Attacks
from rlaif.judges.shortfalls import advice, cut_share
from rlaif.progress import Began, nobody
from rlaif.records import (
    AuditFigure,
    Completion,
    HumanLabel,
    LabelForm,
    Prompt,
    Record,
    Unscored,
)
from rlaif.sides import ROUNDING, side
from rlaif.stages.attacking import WHOLE, Attacked, attack
from rlaif.stages.audit import probe_figures
from rlaif.stages.calibration import LEVELS, Agreement, Said, agreements, levels_of
from rlaif.stages.human_pairs import compared_pairs
from rlaif.stages.trying import Cost, Tried, try_panel
from rlaif.text import words_of

REASONS = 3
Pair = tuple[str, str]


@dataclass(frozen=True)
class Labelled:
    """What humans said, and of what.

    Attributes:
        labels: Each once.
        prompts: By id.
        answers: By id.
    """

    labels: Sequence[HumanLabel]
    prompts: Mapping[str, Prompt]
    answers: Mapping[str, Completion]

    @property
    def rated(self) -> list[RatedItem]:
        """Every labelled answer with its prompt."""
        ids = {name: x.prompt_id for x in self.labels for name in _ids(x)}
        return [(self.prompts[prompt], self.answers[name]) for name, prompt in ids.items()]

    @property
    def pairs(self) -> list[ComparedItem]:
        """Every pair that humans compared, once, however many of them did."""
        return compared_pairs(self.labels, self.prompts, self.answers)


class Miss(Record):
    """A label with which the judge does not agree.

    A pair whose better answer is the other one for the judge, or neither; a rating that is a whole
    grade or more off; or either, unscored.

    Attributes:
        criterion: What the label is about, empty for the whole.
        form: How it was said.
        human: The rating, or P(first is better).
        judge: The judge's, None where unscored.
        prompt: What was asked.
        first: The answer, or the first of two.
        second: The second of two.
        note: What the human wrote beside it.
    """

    criterion: str
    form: LabelForm
    human: float
    judge: float | None
    prompt: str
    first: str
    second: str | None
    note: str


class CriterionTrial(Record):
    """What is known of a criterion, or of the whole.

    Attributes:
        criterion: Its name, empty for the whole.
        agreements: With the humans, by what their labels are about and by kind.
        order: What the order of two answers does; None where no pair is compared by it. Its
            ``same_position`` is the rate at which the verdict flips when the two are swapped.
        failures: Share of a judge's judgements without a verdict; those of code are not counted.
        reasons: Some reasons for which there is none, be it a judge's or code's.
        probes: How often attacks worked.
    """

    criterion: str
    agreements: tuple[Agreement, ...]
    order: OrderFigures | None
    failures: Proportion
    reasons: tuple[str, ...]
    probes: tuple[AuditFigure, ...]


class RubricTest(Record):
    """A rubric held against humans' labels; intervals are at 95%, prompts being what varies.

    Attributes:
        labels: How many.
        prompts: That they are about.
        answers: That they are about.
        pairs: That they are about.
        parts: The whole, then each criterion.
        length: How far the judge follows length on pairs, beyond what the humans' labels on the
            whole tell of them; in words.
        attacked: How many answers were attacked, in each of the ways.
        misses: Labels with which the judge does not agree, the worst first, the unscored last.
        cost: What it took, attacks and all.
        cut: Share of the judges' critiques that came to their limit of tokens.
        advice: What to do about what the judges' replies often lack.
    """

    labels: int
    prompts: int
    answers: int
    pairs: int
    parts: tuple[CriterionTrial, ...]
    length: LengthFigures
    attacked: int
    misses: tuple[Miss, ...]
    cost: Cost
    cut: Proportion | None = None
    advice: tuple[str, ...] = ()


def hold_against(
    panel: RubricJudge,
    labelled: Labelled,
    config: AuditConfig,
    attacks: Attacks,
    *,
    temperature: float,
    probes: int,
    seed: int,
    began: Began = nobody,
) -> RubricTest:
    """Judge what humans labelled, and the same under attack.

    Args:
        panel: The rubric with its judges.
        labelled: What humans said.
        config: Limits of attacks, and the gain in a rating that shows that one worked.
        attacks: Their words.
        temperature: T in P(first is better) = sigmoid((score1 - score2) / T).
        probes: How many answers are attacked, each in every way; none where no judge is asked.
        seed: Source of their draw.
        began: Told of each step.
    """
    tried = try_panel(panel, labelled.rated, labelled.pairs, began)
    attacked = attack(panel, tried, attacks, probes, seed, began)
    return rubric_test(panel, labelled, tried, attacked, config, temperature)


def rubric_test(
    panel: RubricJudge,
    labelled: Labelled,
    tried: Tried,
    attacked: Attacked,
    config: AuditConfig,
    temperature: float,
) -> RubricTest:
    """Sum up what a panel said of labelled answers.

    Args:
        panel: The rubric with its judges.
        labelled: What humans said.
        tried: What the panel said of it.
        attacked: How attacks fared.
        config: Limits of attacks, and the gain in a rating that shows that one worked.
        temperature: T in P(first is better) = sigmoid((score1 - score2) / T).
    """
    said = said_of(panel, tried, temperature)
    agreed = agreements(labelled.labels, said)
    levels = config.model_copy(update={"confidence": CONFIDENCE})
    return RubricTest(
        labels=len(labelled.labels),
        prompts=len({label.prompt_id for label in labelled.labels}),
        answers=len(tried.answers),
        pairs=len(tried.pairs),
        parts=tuple(
            _part(name, panel, tried, said, agreed, probe_figures(levels, outcomes))
            for name, outcomes in attacked.outcomes.items()
        ),
        length=_length(labelled, said),
        attacked=attacked.answers,
        misses=tuple(_misses(labelled, said)),
        cost=tried.cost + attacked.cost,
        cut=cut_share(tried.judgements, prompts=_prompts(tried)),
        advice=advice(tried.judgements),
    )


def said_of(panel: RubricJudge, tried: Tried, temperature: float) -> Said:
    """Return what a panel said, in the form in which it is held against humans' labels."""
    ids: list[Pair] = [(first.id, second.id) for _, first, second in tried.pairs]
    return Said(
        scores=tried.scores,
        verdicts=dict(zip(ids, tried.verdicts, strict=True)),
        orders=dict(zip(ids, panel.orders(tried.pairs, tried.comparisons), strict=True)),
        levels=levels_of(panel.rubric),
        temperature=temperature,
    )


def _ids(label: HumanLabel) -> tuple[str, ...]:
    return (label.first_id,) if label.second_id is None else (label.first_id, label.second_id)


def _part(
    name: str,
    panel: RubricJudge,
    tried: Tried,
    said: Said,
    agreed: Iterable[Agreement],
    probes: Sequence[AuditFigure],
) -> CriterionTrial:
    asked = {c.name for c in panel.rubric.judge_criteria if name in (WHOLE, c.name)}
    own = [j for j in tried.judgements if name in (WHOLE, j.criterion)]
    judged = [j for j in own if j.criterion in asked]
    prompt_of = _prompts(tried)
    reasons = {j.verdict.reason: None for j in own if isinstance(j.verdict, Unscored)}
    return CriterionTrial(
        criterion=name,
        agreements=tuple(a for a in agreed if a.criterion == name),
        order=_order(name, panel, said, prompt_of),
        failures=proportion(
            [isinstance(j.verdict, Unscored) for j in judged],
            clusters=[prompt_of[j.completion_ids[0]] for j in judged],
        ),
        reasons=tuple(reasons)[:REASONS],
        probes=tuple(probes),
    )


def _prompts(tried: Tried) -> dict[str, str]:
    """Return the prompt id of each answer."""
    answers = [(prompt, answer) for prompt, *both in tried.pairs for answer in both]
    return {answer.id: prompt.id for prompt, answer in (*tried.answers, *answers)}


def _order(
    name: str, panel: RubricJudge, said: Said, prompt_of: Mapping[str, str]
) -> OrderFigures | None:
    if name == WHOLE:
        verdicts = said.verdicts.items() if panel.compares else ()
        own = {ids: OrderedPair(v.p_forward, v.p_backward) for ids, v in verdicts}
    else:
        own = {ids: orders[name] for ids, orders in said.orders.items() if name in orders}
    clusters = [prompt_of[first] for first, _ in own]
    return order_figures(list(own.values()), clusters=clusters) if own else None


def _length(labelled: Labelled, said: Said) -> LengthFigures:
    """Hold length against the judge's verdict on pairs, the humans' on the whole being equal."""
    labels = [x for x in labelled.labels if x.second_id is not None and not x.criterion]
    words = {name: len(words_of(answer.text)) for name, answer in labelled.answers.items()}
    return length_figures(
        [said.of(label, WHOLE) for label in labels],
        [float(words[label.first_id] - words[label.second_id or ""]) for label in labels],
        [label.value for label in labels],
        clusters=[label.prompt_id for label in labels],
    )


def _misses(labelled: Labelled, said: Said) -> list[Miss]:
    heard = [(label, said.of(label, label.criterion)) for label in labelled.labels]
    missed = [(x, judge) for x, judge in heard if judge is None or _apart(x, judge, said)]
    missed.sort(key=lambda each: 1.0 if each[1] is None else -abs(each[0].value - each[1]))
    return [_miss(label, judge, labelled) for label, judge in missed]


def _apart(label: HumanLabel, judge: float, said: Said) -> bool:
    if label.second_id is not None:
        return side(label.value) != 0 and side(label.value) != side(judge)
    grade = 1.0 / (said.levels.get(label.criterion, LEVELS) - 1)
    return abs(label.value - judge) >= grade - ROUNDING


def _miss(label: HumanLabel, judge: float | None, labelled: Labelled) -> Miss:
    second = None if label.second_id is None else labelled.answers[label.second_id].text
    return Miss(
        criterion=label.criterion,
        form=label.form,
        human=label.value,
        judge=judge,
        prompt=labelled.prompts[label.prompt_id].text,
        first=labelled.answers[label.first_id].text,
        second=second,
        note=label.note,
    )
