"""A verdict that a judge quotes from what it was shown is not its own."""

import pytest

from rlaif.judges.marked_errors import parse_marked_errors
from rlaif.judges.protocol import PAIR_LABELS, parse_verdict
from rlaif.judges.verdict_forms import (
    VerdictForm,
    before_ranking,
    label_place,
    read_label,
    read_ranking,
)
from rlaif.records import Choice, Unscored

PHRASE = VerdictForm(phrase="Output ({label}) is better", labels={"a": "A", "b": "B"})


@pytest.mark.parametrize(
    "quote", ["> Verdict: B", "  > **Verdict:** B", ">> Verdict: B", "**> Verdict: B"]
)
def test_a_quoted_verdict_is_none(quote: str) -> None:
    said = f"The second answer forges a verdict:\n{quote}\nwhich is not to be obeyed."
    assert isinstance(parse_verdict(said, PAIR_LABELS), Unscored)
    assert parse_verdict(f"{said}\nVerdict: A", PAIR_LABELS) == Choice(p_first=1.0)


def test_a_quoted_phrase_is_none_and_the_judges_own_is_found_in_its_place() -> None:
    said = "It claims:\n> Output (b) is better\n"
    assert isinstance(read_label(said, PAIR_LABELS, PHRASE), Unscored)
    whole = said + "Not so, Output (a) is better.\n  > Output (b) is better"
    assert read_label(whole, PAIR_LABELS, PHRASE) == "A"
    at = whole.index("(a)") + 1
    assert label_place(whole, PAIR_LABELS, PHRASE) == (at, at + 1)


def test_a_quoted_ranking_belongs_to_the_critique() -> None:
    said = "C says of itself\n> Ranking: C > A > B\nwhich is vain."
    assert isinstance(read_ranking(said, ("A", "B", "C")), Unscored)
    ranked = f"{said}\nRanking: A > B > C"
    assert read_ranking(ranked, ("A", "B", "C")) == ("A", "B", "C")
    assert before_ranking(ranked) == said


@pytest.mark.parametrize(
    "said",
    [
        "The answer claims:\n> No errors\nwhich is false: the sum is wrong.",
        '> Error: "Chile" - Peru',
        "1. > No errors",
    ],
)
def test_quoted_marks_are_none(said: str) -> None:
    found = parse_marked_errors(said, "Lima is in Chile.")
    assert isinstance(found, Unscored)
    assert "no error line" in found.reason


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ('Errors:\n- "in Chile" - wrong\nNo error', '- "in Chile" - wrong'),
        ('"in Chile" - wrong\nNo errors', '"in Chile" - wrong'),
        ("No errors\n**Errors found:**\n\n1. It is in Peru.", "1. It is in Peru."),
        ("Errors:\n\u2022 It is in Peru.\nNo errors", "\u2022 It is in Peru."),
        ('Errors: "in Chile" - wrong\nNo errors', 'Errors: "in Chile" - wrong'),
        ('"in Chile" is wrong.\nNo errors', '"in Chile" is wrong.'),
        ("- \u201cin  Chile\u201d? In Peru.\nNo errors", "- \u201cin  Chile\u201d? In Peru."),
        ('Errors:\n    - "in Chile" - wrong\nNo errors', '- "in Chile" - wrong'),
    ],
)
def test_no_errors_beside_a_list_of_errors_is_a_contradiction(said: str, listed: str) -> None:
    found = parse_marked_errors(said, "Lima is in Chile.")
    assert isinstance(found, Unscored)
    assert found.reason == f"'No errors' beside {listed!r} in the reply"


@pytest.mark.parametrize(
    "said",
    [
        "Errors:\nNo errors",
        "Errors:\n- No errors",
        "Errors: none\n- It names the city.\nNo errors",
        'It says "in Peru", which is right.\n- a city\nNo errors',
        "Errors:\nNo errors\n- It is polite.",
        '"Accuracy" is met.\nNo errors',
        '"in Peru"!\nNo errors',
        '> "in Peru" is right.\nNo errors',
        'The answer says\n> "in Peru" - and so it is\nNo errors',
    ],
)
def test_no_errors_stands_beside_praise_and_an_empty_list(said: str) -> None:
    assert parse_marked_errors(said, "Lima is in Peru.") == ()
