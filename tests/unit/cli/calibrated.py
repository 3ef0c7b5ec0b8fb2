"""What a cycle measures of the judge by humans' labels, in a ledger."""

from rlaif.config import FeedbackConfig
from rlaif.ledger.writer import Ledger
from rlaif.records import CompletionScore, HumanLabel, PairVerdict
from rlaif.stages.calibration import Said, calibrate


def measured(ledger: Ledger, cycle: int) -> None:
    """Leave a report as a cycle does: forty pairs that the judge is too sure of."""
    labels = [
        HumanLabel(
            id=f"label {i}",
            prompt_id=f"prompt {i}",
            form="pair",
            first_id=f"{i}/a",
            second_id=f"{i}/b",
            value=float(i % 4 != 0),
            frozen=i < 12,
        )
        for i in range(40)
    ]
    pairs = [(x.first_id, str(x.second_id)) for x in labels]
    said = Said(
        scores={i: CompletionScore(completion_id=i, score=0.5, parts={}) for p in pairs for i in p},
        verdicts={
            (a, b): PairVerdict(first_id=a, second_id=b, p_first=0.9, p_forward=0.9, p_backward=0.9)
            for a, b in pairs
        },
        orders={pair: {} for pair in pairs},
        levels={"kind": 3},
        temperature=0.15,
    )
    config = FeedbackConfig(min_labels=20)
    found = calibrate(labels, said, config, rubric_hash="r", seed=1, earlier={})
    with ledger.unit(cycle, "judging", "calibration") as unit:
        unit.add_report("calibration", found)
