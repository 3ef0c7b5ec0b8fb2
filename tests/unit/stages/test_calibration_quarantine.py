"""What is in quarantine calibrates nothing, compared or rated: it would not train either."""

import pytest
from human_samples import said

from rlaif.config import FeedbackConfig
from rlaif.records import CompletionScore, PairVerdict
from rlaif.stages.calibration import JudgeCalibration, Said, calibrate

COUNT = 30
QUARANTINED = 10


def score(name: str, value: float, why: str | None) -> CompletionScore:
    return CompletionScore(completion_id=name, score=value, parts={}, quarantined=why)


def calibrated(first: str | None, second: str | None) -> JudgeCalibration:
    """Thirty labelled pairs; of the first ten each answer's score has a reason for quarantine."""
    prompts = [f"p{i}" for i in range(COUNT)]
    held = dict.fromkeys(prompts[:QUARANTINED], (first, second))
    scores = [
        score(f"{p}/{side}", value, why)
        for p in prompts
        for side, value, why in zip("ab", (0.8, 0.5), held.get(p, (None, None)), strict=True)
    ]
    pairs = [(f"{p}/a", f"{p}/b") for p in prompts]
    verdicts = {
        (a, b): PairVerdict(first_id=a, second_id=b, p_first=0.8, p_forward=0.8, p_backward=0.8)
        for a, b in pairs
    }
    judge = Said({s.completion_id: s for s in scores}, verdicts, {p: {} for p in pairs}, {}, 0.15)
    labels = [said(p, float(i % 5 > 0), prompt=p) for i, p in enumerate(prompts)]
    config = FeedbackConfig(min_labels=20)
    return calibrate(labels, judge, config, rubric_hash="r", seed=0, earlier={})


@pytest.mark.parametrize(
    ("first", "second"), [("split", None), (None, "split"), ("split", "split")]
)
def test_ratings_in_quarantine_calibrate_nothing(first: str | None, second: str | None) -> None:
    found = calibrated(first, second)
    assert found.ratings.labels == COUNT - QUARANTINED
    assert found.comparison.labels == COUNT


def test_ratings_out_of_quarantine_calibrate() -> None:
    assert calibrated(None, None).ratings.labels == COUNT
