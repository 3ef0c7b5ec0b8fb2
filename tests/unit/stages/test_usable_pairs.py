"""Where too few labelled pairs can calibrate, the reason counts them and says why not all."""

import pytest
from human_samples import said

from rlaif.config import FeedbackConfig
from rlaif.records import CompletionScore, PairVerdict
from rlaif.stages.calibration import JudgeCalibration, Said, calibrate


def calibrated(quarantined: int, unscored: int, plain: int, frozen: int = 0) -> JudgeCalibration:
    """Labelled pairs by what became of them: verdicts and scores alike."""
    states = ["held"] * quarantined + ["silent"] * unscored + [""] * plain
    ids = [(f"p{i}/a", f"p{i}/b") for i in range(len(states))]
    verdicts, scores = {}, {}
    for pair, state in zip(ids, states, strict=True):
        p = None if state == "silent" else 0.8
        why = "split" if state == "held" else None
        first, second = pair
        verdicts[pair] = PairVerdict(
            first_id=first,
            second_id=second,
            p_first=p,
            p_forward=p,
            p_backward=p,
            unscored=None if p else "silent",
            quarantined=why,
        )
        for name in pair:
            scores[name] = CompletionScore(
                completion_id=name,
                score=p,
                parts={},
                unscored=None if p else "silent",
                quarantined=why,
            )
    judge = Said(scores, verdicts, {pair: {} for pair in ids}, {}, 0.15)
    labels = [
        said(f"p{i}", 1.0, prompt=f"p{i}").model_copy(update={"frozen": i < frozen})
        for i in range(len(states))
    ]
    config = FeedbackConfig(min_labels=50)
    return calibrate(labels, judge, config, rubric_hash="r", seed=0, earlier={})


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ((6, 0, 0), "0 usable of 6 labelled pairs (6 in quarantine)"),
        ((0, 2, 1), "1 usable of 3 labelled pairs (2 unscored)"),
        ((3, 2, 4), "4 usable of 9 labelled pairs (3 in quarantine, 2 unscored)"),
        ((3, 0, 4, 3), "4 labelled pairs"),
        ((0, 0, 4), "4 labelled pairs"),
        ((0, 0, 0), "0 labelled pairs"),
    ],
)
def test_the_reason_counts_pairs_that_cannot_be_used(counts: tuple[int, ...], reason: str) -> None:
    found = calibrated(*counts)
    for fitted in (found.comparison, found.ratings):
        assert fitted.labels == counts[2]
        assert fitted.reason == f"{reason}, at least 50 are needed"
