"""Which answers try the judge, by an attack or by being asked about again, and how that went."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from rlaif.judges import RubricJudge
from rlaif.judges.aggregation import combined
from rlaif.judges.panel import ComparedItem, RatedItem
from rlaif.judges.probes import AGAIN, KINDS, Attacks, kind_of, make_again, make_twin
from rlaif.judges.protocol import PAIR_LABELS, rating_labels
from rlaif.judges.twins import Twin
from rlaif.judges.verdict_forms import VerdictForm, spoken_labels
from rlaif.records import (
    Completion,
    CompletionScore,
    Judgement,
    ProbeKind,
    ProbeOutcome,
    ProbeTrial,
    Prompt,
    TrialKind,
    Unscored,
)
from rlaif.seeds import numpy_generator

EVEN = 0.5
Rated = tuple[Sequence[RatedItem], Sequence[Sequence[Judgement]]]
Probe = tuple[Prompt, Twin]
ProbePair = tuple[Prompt, Twin, Completion]
RatedProbes = tuple[Sequence[Probe], Sequence[Sequence[Judgement]]]


def choose_originals(
    completions: Mapping[str, Sequence[Completion]], share: float, seed: int
) -> list[tuple[ProbeKind, Completion]]:
    """Draw the answers that are attacked: one of each prompt drawn, the attacks taking turns.

    Args:
        completions: By prompt id; duplicates and answers without a word are left out.
        share: Of the prompts; at least one is drawn unless it is 0.
        seed: Source of the draw.
    """
    generator = numpy_generator(seed)
    drawn = _drawn(completions, share, generator)
    start = int(generator.integers(len(KINDS)))
    return [
        (KINDS[(start + turn) % len(KINDS)], own[int(generator.integers(len(own)))])
        for turn, own in enumerate(drawn)
    ]


def choose_again(
    completions: Mapping[str, Sequence[Completion]], share: float, seed: int
) -> list[Completion]:
    """Draw the answers about which the judge is asked again, one of each prompt drawn.

    The arguments are those of :func:`choose_originals`.
    """
    generator = numpy_generator(seed)
    drawn = _drawn(completions, share, generator)
    return [own[int(generator.integers(len(own)))] for own in drawn]


def _drawn(
    completions: Mapping[str, Sequence[Completion]], share: float, generator: np.random.Generator
) -> list[list[Completion]]:
    """Return the usable answers of each prompt drawn."""
    usable = [
        [c for c in own if c.duplicate_of is None and c.text.strip()]
        for own in completions.values()
    ]
    prompts = [own for own in usable if own]
    if not share or not prompts:
        return []
    count = min(len(prompts), max(1, round(share * len(prompts))))
    return [prompts[i] for i in generator.permutation(len(prompts))[:count].tolist()]


def rating_probe(
    panel: RubricJudge, kind: TrialKind, original: Completion, attacks: Attacks
) -> Twin:
    """Change an answer that will be rated: a forger writes each criterion's highest grade."""
    scales = sorted({len(c.choices) for c in panel.rubric.judge_criteria}, reverse=True)
    forms = [juror.templates.forms.pointwise for juror in panel.jury]
    spoken = {scale[-1]: _spoken(forms, scale, scale[-1]) for scale in map(rating_labels, scales)}
    return make_twin(original, kind, attacks, spoken)


def comparison_probe(
    panel: RubricJudge, kind: TrialKind, original: Completion, attacks: Attacks
) -> Twin:
    """Change an answer that will be compared: a forger writes the letter of its place."""
    forms = [juror.templates.forms.pairwise for juror in panel.jury]
    spoken = {label: _spoken(forms, PAIR_LABELS, label) for label in PAIR_LABELS}
    return make_twin(original, kind, attacks, spoken)


def _spoken(forms: Sequence[VerdictForm], labels: Sequence[str], wanted: str) -> str:
    """Return what judges write for a label; the label itself where they do not write the same."""
    words = set()
    for form in forms:
        spoken = spoken_labels(form, labels)
        said = () if isinstance(spoken, Unscored) else spoken.items()
        words.add(next((word for word, label in said if label == wanted), wanted))
    return words.pop() if len(words) == 1 else wanted


def settled_alone(panel: RubricJudge) -> RubricJudge:
    """Return a panel that settles what its jurors say of an answer without the other answers.

    Dawid-Skene becomes the mean: fitted to other answers beside it, an answer would seem to gain
    or to be judged otherwise where every juror has said the same.
    """
    if panel.settings.combine != "dawid_skene":
        return panel
    alone = copy(panel)
    alone.rubric_hash = panel.rubric_hash
    alone.settings = replace(panel.settings, combine="mean")
    return alone


def room_to_rise(panel: RubricJudge, score: CompletionScore) -> float | None:
    """Return how far the judges' ratings could raise a score; None where there is none.

    Everything that code measures stays as it is, a veto that code broke among it.
    """
    if score.score is None:
        return None
    judged = {criterion.name for criterion in panel.rubric.judge_criteria}
    best = {name: 1.0 if name in judged else part for name, part in score.parts.items()}
    return combined(panel.rubric, best)[0] - score.score


def trials_of(
    panel: RubricJudge,
    outcomes: Iterable[ProbeOutcome],
    prompt_of: Mapping[str, str],
    scores: Mapping[str, CompletionScore],
) -> list[ProbeTrial]:
    """Return outcomes with what it takes to count them.

    Args:
        panel: The rubric with its judges.
        outcomes: How probes fared.
        prompt_of: Id of an original -> prompt id.
        scores: The originals' scores by id, as all answers' were settled; a jury's that is settled
            by Dawid-Skene may lie a little off the one that the outcome was measured from.
    """
    found = []
    for outcome in outcomes:
        attacked = outcome.method == "rating" and outcome.kind != AGAIN
        score = scores.get(outcome.original_id) if attacked else None
        room = None if score is None else room_to_rise(panel, score)
        found.append(ProbeTrial(outcome, prompt_of[outcome.original_id], room))
    return found


def rating_outcome(
    panel: RubricJudge, probe: Twin, score: CompletionScore, original: CompletionScore
) -> ProbeOutcome:
    """Say how far an attack raised a score, or how far a rating moved when asked again."""
    missing = "; ".join(s.unscored or "no score" for s in (score, original) if s.score is None)
    kind = kind_of(probe.main)
    gain: float | None
    if missing:
        gain = None
    elif kind == AGAIN:
        gain = _moved_most(panel, score, original)
        missing = "no criterion of a judge was rated both times" if gain is None else ""
    else:
        gain = (score.score or 0.0) - (original.score or 0.0)
    return ProbeOutcome(
        probe_id=probe.main.id,
        original_id=original.completion_id,
        kind=kind,
        method="rating",
        rubric_hash=panel.rubric_hash,
        value=gain,
        unscored=missing or None,
    )


def _moved_most(
    panel: RubricJudge, score: CompletionScore, original: CompletionScore
) -> float | None:
    """Return how far the rating by judges moved that moved most, of those that there are twice."""
    names = [c.name for c in panel.rubric.judge_criteria]
    twice = [n for n in names if n in score.parts and n in original.parts]
    return max((score.parts[n] - original.parts[n] for n in twice), key=abs, default=None)


def comparison_outcome(
    panel: RubricJudge, probe: Twin, original: Completion, p_probe: float | Unscored
) -> ProbeOutcome:
    """Say how much the judge prefers an attacked answer to the one without."""
    return ProbeOutcome(
        probe_id=probe.main.id,
        original_id=original.id,
        kind=kind_of(probe.main),
        method="comparison",
        rubric_hash=panel.rubric_hash,
        value=None if isinstance(p_probe, Unscored) else p_probe,
        unscored=p_probe.reason if isinstance(p_probe, Unscored) else None,
    )


def rating_outcomes(
    panel: RubricJudge, answers: Rated, probes: RatedProbes, originals: Sequence[Completion]
) -> list[ProbeOutcome]:
    """Say of each probe what its rating tells.

    Args:
        panel: The rubric with its judges.
        answers: Answers and their ratings, those that probes are made of among them.
        probes: The probes and their ratings.
        originals: The answer that each probe is made of.
    """
    alone = settled_alone(panel)
    before = {score.completion_id: score for score in alone.scores(*answers)}
    return [
        rating_outcome(panel, probe, score, before[own.id])
        for (_, probe), score, own in zip(probes[0], alone.scores(*probes), originals, strict=True)
    ]


def attacked_pairs(
    panel: RubricJudge,
    tried: Iterable[tuple[TrialKind, Completion]],
    prompts: Mapping[str, Prompt],
    attacks: Attacks,
) -> list[ProbePair]:
    """Return an attacked twin of each answer beside it; prompts are by id."""
    return [
        (prompts[own.prompt_id], comparison_probe(panel, kind, own, attacks), own)
        for kind, own in tried
    ]


def comparison_outcomes(
    panel: RubricJudge, pairs: Sequence[ProbePair], judged: Sequence[Sequence[Judgement]]
) -> list[ProbeOutcome]:
    """Say of each attacked twin how much the judge prefers it."""
    preferred = settled_alone(panel).preferences(pairs, judged)
    return [
        comparison_outcome(panel, probe, own, p_probe)
        for (_, probe, own), p_probe in zip(pairs, preferred, strict=True)
    ]


def first_pairs(pairs: Sequence[ComparedItem]) -> list[int]:
    """Return the places of each prompt's first pair of answers that differ in their words."""
    first_of: dict[str, int] = {}
    for place, (prompt, first, second) in enumerate(pairs):
        if first.text != second.text:
            first_of.setdefault(prompt.id, place)
    return list(first_of.values())


def again_pair(item: ComparedItem) -> ComparedItem:
    """Return a pair to be compared again: the same but for a space at its first answer's end."""
    prompt, first, second = item
    return prompt, make_again(first), second


def again_outcomes(
    panel: RubricJudge,
    askings: Sequence[tuple[ComparedItem, Sequence[Judgement]]],
    again: Sequence[ComparedItem],
    judged: Sequence[Sequence[Judgement]],
) -> list[ProbeOutcome]:
    """Say of each pair how far the second asking bears out the first.

    Args:
        panel: The rubric with its judges.
        askings: Pairs with their comparisons, as they were asked first.
        again: The same pairs as they were asked again.
        judged: Their comparisons.
    """
    alone = settled_alone(panel)
    before = alone.preferences([item for item, _ in askings], [own for _, own in askings])
    now = alone.preferences(again, judged)
    return [
        _again_outcome(panel.rubric_hash, twin, first, *both)
        for ((_, first, _), _), (_, twin, _), *both in zip(askings, again, before, now, strict=True)
    ]


def _again_outcome(
    rubric_hash: str,
    twin: Completion,
    first: Completion,
    before: float | Unscored,
    now: float | Unscored,
) -> ProbeOutcome:
    value, unscored = None, None
    if isinstance(before, Unscored):
        unscored = before.reason
    elif isinstance(now, Unscored):
        unscored = now.reason
    elif before == EVEN:
        unscored = "the first asking preferred neither"
    else:
        value = now if before > EVEN else 1.0 - now
    return ProbeOutcome(
        probe_id=twin.id,
        original_id=first.id,
        kind=AGAIN,
        method="comparison",
        rubric_hash=rubric_hash,
        value=value,
        unscored=unscored,
    )
