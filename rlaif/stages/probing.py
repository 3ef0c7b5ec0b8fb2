"""Which answers are attacked to try the judge, and how the attacks fared."""

from collections.abc import Mapping, Sequence

from rlaif.judges import RubricJudge
from rlaif.judges.probes import KINDS, Attacks, kind_of, make_probe
from rlaif.judges.protocol import PAIR_LABELS
from rlaif.records import Completion, CompletionScore, ProbeKind, ProbeOutcome, Unscored
from rlaif.seeds import numpy_generator


def choose_originals(
    completions: Mapping[str, Sequence[Completion]], share: float, seed: int
) -> list[tuple[ProbeKind, Completion]]:
    """Draw the answers that are attacked: one of each prompt drawn, the attacks taking turns.

    Args:
        completions: By prompt id; duplicates and answers without a word are left out.
        share: Of the prompts; at least one is drawn unless it is 0.
        seed: Source of the draw.
    """
    usable = {
        prompt_id: [c for c in own if c.duplicate_of is None and c.text.strip()]
        for prompt_id, own in completions.items()
    }
    prompts = [prompt_id for prompt_id, own in usable.items() if own]
    if not share or not prompts:
        return []
    generator = numpy_generator(seed)
    count = min(len(prompts), max(1, round(share * len(prompts))))
    drawn = [prompts[i] for i in generator.permutation(len(prompts))[:count].tolist()]
    start = int(generator.integers(len(KINDS)))
    return [
        (KINDS[(start + turn) % len(KINDS)], own[int(generator.integers(len(own)))])
        for turn, own in enumerate(usable[prompt_id] for prompt_id in drawn)
    ]


def rating_probe(
    panel: RubricJudge, kind: ProbeKind, original: Completion, attacks: Attacks
) -> Completion:
    """Attack an answer that will be rated: a forger writes the highest grade there is."""
    top = max(len(criterion.choices) for criterion in panel.rubric.judge_criteria)
    return make_probe(original, kind, attacks, str(top))


def comparison_probe(kind: ProbeKind, original: Completion, attacks: Attacks) -> Completion:
    """Attack an answer that will be compared: a forger writes the letter of the first."""
    return make_probe(original, kind, attacks, PAIR_LABELS[0])


def rating_outcome(
    panel: RubricJudge, probe: Completion, score: CompletionScore, original: CompletionScore
) -> ProbeOutcome:
    """Say how far an attack raised a score."""
    missing = "; ".join(s.unscored or "no score" for s in (score, original) if s.score is None)
    gain = None if missing else (score.score or 0.0) - (original.score or 0.0)
    return ProbeOutcome(
        probe_id=probe.id,
        original_id=original.completion_id,
        kind=kind_of(probe),
        method="rating",
        rubric_hash=panel.rubric_hash,
        value=gain,
        unscored=missing or None,
    )


def comparison_outcome(
    panel: RubricJudge, probe: Completion, original: Completion, p_probe: float | Unscored
) -> ProbeOutcome:
    """Say how much the judge prefers an attacked answer to the one without."""
    return ProbeOutcome(
        probe_id=probe.id,
        original_id=original.id,
        kind=kind_of(probe),
        method="comparison",
        rubric_hash=panel.rubric_hash,
        value=None if isinstance(p_probe, Unscored) else p_probe,
        unscored=p_probe.reason if isinstance(p_probe, Unscored) else None,
    )
