"""Every attack on the same answers: what each of a rubric's criteria makes of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlaif.judges import RubricJudge
from rlaif.judges.probes import KINDS, Attacks
from rlaif.progress import Began, nobody
from rlaif.records import (
    Completion,
    CompletionScore,
    ProbeKind,
    ProbeOutcome,
    ProbeTrial,
    Prompt,
)
from rlaif.seeds import numpy_generator
from rlaif.stages.probing import (
    comparison_outcome,
    comparison_probe,
    rating_outcome,
    rating_probe,
    room_to_rise,
    settled_alone,
)
from rlaif.stages.trying import Cost, Tried, timed

WHOLE = ""
Target = tuple[ProbeKind, Prompt, Completion]
Found = tuple[str, ProbeTrial]


@dataclass(frozen=True)
class Attacked:
    """Attacks on answers, and how they fared.

    Attributes:
        answers: How many answers were attacked.
        outcomes: By criterion, and for the whole, which is named by an empty string and comes
            first.
        cost: What judging them took.
    """

    answers: int
    outcomes: dict[str, list[ProbeTrial]]
    cost: Cost


def attack(
    panel: RubricJudge,
    tried: Tried,
    attacks: Attacks,
    count: int,
    seed: int,
    began: Began = nobody,
) -> Attacked:
    """Attack answers in every way; let the panel rate them, and compare them with their originals.

    Args:
        panel: The rubric with its judges.
        tried: What it said of the answers as they are.
        attacks: The words of attacks.
        count: How many answers are attacked; none where the panel asks no judge.
        seed: Source of their draw.
        began: Told of rating and of comparing.
    """
    places = numpy_generator(seed).permutation(len(tried.answers))[: count if panel.jury else 0]
    originals = [tried.answers[place] for place in sorted(places.tolist())]
    targets = [(kind, *item) for item in originals for kind in KINDS]
    outcomes: dict[str, list[ProbeTrial]] = {WHOLE: []}
    outcomes |= {criterion.name: [] for criterion in panel.rubric.criteria}
    alone = settled_alone(panel)
    scores = {s.completion_id: s for s in alone.scores(tried.answers, tried.ratings)}
    began("rating attacks")
    rated, rating_cost = _rate(alone, scores, attacks, targets)
    began("comparing attacks")
    compared, comparing_cost = _compare(alone, attacks, targets)
    for name, outcome in (*rated, *compared):
        outcomes[name].append(outcome)
    return Attacked(len(originals), outcomes, rating_cost + comparing_cost)


def _rate(
    panel: RubricJudge,
    scores: Mapping[str, CompletionScore],
    attacks: Attacks,
    targets: Sequence[Target],
) -> tuple[list[Found], Cost]:
    """Rate attacked answers; under a criterion an outcome is what its own rating gained."""
    items = [(prompt, rating_probe(panel, kind, own, attacks)) for kind, prompt, own in targets]
    judged, cost = timed(panel.rate, items)
    found: list[Found] = []
    for (_, probe), (_, _, own), new in zip(
        items, targets, panel.scores(items, judged), strict=True
    ):
        old = scores[own.id]
        whole = rating_outcome(panel, probe, new, old)
        found.append((WHOLE, ProbeTrial(whole, own.prompt_id, room_to_rise(panel, old))))
        for name, gain in _gains(panel, new, old):
            room = 1.0 - old.parts[name] if name in old.parts else None
            found.append((name, ProbeTrial(_with(whole, gain), own.prompt_id, room)))
    return found, cost


def _gains(
    panel: RubricJudge, new: CompletionScore, old: CompletionScore
) -> Iterator[tuple[str, float | None]]:
    for name in (criterion.name for criterion in panel.rubric.criteria):
        both = name in new.parts and name in old.parts
        yield name, new.parts[name] - old.parts[name] if both else None


def _compare(
    panel: RubricJudge, attacks: Attacks, targets: Sequence[Target]
) -> tuple[list[Found], Cost]:
    """Compare attacked answers with their originals, where the rubric compares at all."""
    if not panel.compares:
        return [], Cost()
    items = [
        (prompt, comparison_probe(panel, kind, own, attacks), own) for kind, prompt, own in targets
    ]
    judged, cost = timed(panel.compare, items)
    preferred = panel.preferences(items, judged)
    found: list[Found] = []
    for (_, probe, own), p_probe, orders in zip(
        items, preferred, panel.orders(items, judged), strict=True
    ):
        whole = comparison_outcome(panel, probe, own, p_probe)
        found.append((WHOLE, ProbeTrial(whole, own.prompt_id)))
        for name, both in orders.items():
            found.append((name, ProbeTrial(_with(whole, both.mean), own.prompt_id)))
    return found, cost


def _with(whole: ProbeOutcome, value: float | None) -> ProbeOutcome:
    """Return an outcome under one criterion, of the attack whose outcome on the whole is known."""
    unscored = None if value is not None else "no verdict under this criterion"
    return whole.model_copy(update={"value": value, "unscored": unscored})
