"""Cells that a spreadsheet would compute, by OWASP's list (CSV injection)."""

import pytest

from rlaif.cli.critiques.printing import _cell


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
@pytest.mark.parametrize("before", ["", " ", "   ", "\t", "\r", "\n", "\u00a0"])
def test_a_formula_gets_an_apostrophe_whatever_white_space_precedes_it(
    before: str, sign: str
) -> None:
    assert str(_cell(f"{before}{sign}1+1")).startswith("'")


@pytest.mark.parametrize("before", ["\t", "\r", "\n"])
def test_what_begins_with_a_tab_or_a_line_end_gets_one_too(before: str) -> None:
    assert str(_cell(f"{before}fine")).startswith("'")


@pytest.mark.parametrize("text", ["", " ", "fine", " fine", "1 = 1", "a-b"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert _cell(text) == text
