"""What the oracle's report counts, on a ledger filled by hand."""

import pytest

from rlaif.bundled.oracle import HelpDeskOracle
from rlaif.oracle_report import oracle_win_rate

QUESTION = "What is the capital of France?"


def grades(*answers: str) -> dict[str, object]:
    oracle = HelpDeskOracle()
    return {str(i): oracle.grade(QUESTION, a, ended=True) for i, a in enumerate(answers)}


def test_strictly_higher_wins_and_ties_count_half() -> None:
    good, wrong = "The answer is Paris.", "The answer is Lisbon."
    assert oracle_win_rate(grades(good, good), grades(wrong, wrong)) == 1.0
    assert oracle_win_rate(grades(good, wrong), grades(good, good)) == pytest.approx(0.25)
    assert oracle_win_rate(grades(wrong), grades(wrong)) == 0.5
