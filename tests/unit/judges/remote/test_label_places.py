"""Where a reply states its label, in characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.judges import PAIR_LABELS, rating_labels
from rlaif.judges.verdict_forms import DEFAULT, VerdictForm, label_place, read_label
from rlaif.records import Unscored

LLMBAR = VerdictForm(
    phrase="Output ({label}) is better", whole="Output ({label})", labels={"a": "A", "b": "B"}
)
BOTH = VerdictForm(cue="Verdict", phrase="{label} wins")


@pytest.mark.parametrize(
    ("reply", "form", "place"),
    [
        ("Verdict: A", DEFAULT, (9, 10)),
        ("Good B.\n**Verdict:** **A**.\nMore A.", DEFAULT, (23, 24)),
        ("\u4e0d\u9519\U0001f642e\u0301\n# verdict\uff1a `B`\u3002\r\n", DEFAULT, (18, 19)),
        ("Output (a) is short. So Output (b) is better.", LLMBAR, (32, 33)),
        (' "Output (a)"\n', LLMBAR, (10, 11)),
        ("I say: A wins", BOTH, (7, 8)),
        ("A wins\nVerdict: A", BOTH, (16, 17)),
    ],
)
def test_a_label_has_its_place(reply: str, form: VerdictForm, place: tuple[int, int]) -> None:
    assert label_place(reply, PAIR_LABELS, form) == place


@pytest.mark.parametrize(
    ("reply", "form", "reason"),
    [
        ("no", DEFAULT, "no verdict line"),
        ("Verdict: A\nVerdict: A", DEFAULT, "2 verdict lines"),
        ("Verdict: C", DEFAULT, "not one of A, B"),
        ("A wins\nVerdict: B", BOTH, "several labels"),
        ("Verdict: A", VerdictForm(cue="Verdict", labels={"a": "A"}), "no words for B"),
    ],
)
def test_what_states_no_label_has_none(reply: str, form: VerdictForm, reason: str) -> None:
    found = label_place(reply, PAIR_LABELS, form)
    assert isinstance(found, Unscored)
    assert reason in found.reason


@given(
    st.lists(st.text(max_size=10), max_size=5),
    st.sampled_from(rating_labels(9)),
    st.sampled_from(["", " ", "**", "`", "(", ' "']),
    st.sampled_from(["", ".", "**", ")", "\u3002", " \r"]),
)
def test_the_place_holds_the_label_that_is_read(
    lines: list[str], label: str, before: str, after: str
) -> None:
    reply = "\n".join([*lines, f"Verdict:{before}{label}{after}"])
    said = read_label(reply, rating_labels(9))
    place = label_place(reply, rating_labels(9))
    if isinstance(said, Unscored):
        assert place == said
    else:
        assert not isinstance(place, Unscored)
        assert reply[slice(*place)] == said == label
        assert place[1] == len(reply) - len(after)
