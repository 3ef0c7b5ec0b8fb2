"""A phrase is found however its words are set apart: by a line's end, or by several spaces."""

from pathlib import Path

import pytest
from ledger_samples import RUBRIC, begun, fill_answers, rating

TEXTS = {
    "broken": "It is cold\ntowards the customer, and  curt.",
    "plain": "It is cold towards the customer, and curt.",
    "wide": "It is cold\u00a0\u3000towards the customer,\t\tand\r\ncurt.",
    "other": "It is cold, and not towards the customer and curtains.",
}


@pytest.mark.parametrize(
    ("searched", "found"),
    [
        ('"cold towards"', {"broken", "plain", "wide"}),
        ('"cold  towards the"', {"broken", "plain", "wide"}),
        ('"cold\u00a0towards"', {"broken", "plain", "wide"}),
        ('"ld tow"', {"broken", "plain", "wide"}),
        ('", and curt."', {"broken", "plain", "wide"}),
        ('"and curt"', set(TEXTS)),
        ('" curt."', {"broken", "plain", "wide"}),
        ('"coldtowards"', set()),
    ],
)
def test_a_phrase_is_found_over_any_white_space(
    tmp_path: Path, searched: str, found: set[str]
) -> None:
    with begun(tmp_path / "ledger.db", "generation", "judging") as ledger:
        fill_answers(ledger, "capitals")
        with ledger.unit(1, "judging", "u") as unit:
            judged = [rating(name, "capitals-0", text) for name, text in TEXTS.items()]
            unit.add_judgements(RUBRIC, judged)
        views = ledger.critiques(search=searched)
    assert {view.id.removeprefix("judgement-") for view in views} == found
