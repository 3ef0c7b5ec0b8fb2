"""Words after a label are no part of the form in which it is stated."""

import pytest

from rlaif.judges.verdict_forms import VerdictForm, goes_on

PHRASED = VerdictForm(cue=None, phrase="Output ({label}) is better")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Output (A) is better", False),
        ("Output (A) is better.", False),
        ("Output (A) is better\n\nOr so one might th", True),
    ],
)
def test_a_phrase_ends_with_its_own_words(reply: str, expected: bool) -> None:
    place = (reply.index("A"), reply.index("A") + 1)
    assert goes_on(reply, place, PHRASED) is expected
