"""Label probabilities are read at the label's own token, or not at all."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_samples import piece

from rlaif.judges import PAIR_LABELS, rating_labels
from rlaif.judges.remote.reading import MAX_UNLISTED, label_probs
from rlaif.judges.verdict_forms import label_place
from rlaif.records import Unscored


def read(
    pieces: list[dict[str, Any]],
    content: str | None = None,
    labels: tuple[str, ...] = PAIR_LABELS,
) -> Mapping[str, float] | None:
    said = "".join(one["token"] for one in pieces) if content is None else content
    place = label_place(said, labels)
    assert not isinstance(place, Unscored)
    return label_probs(said, pieces, place, {label: label for label in labels})


SPOKEN = {"A": "A", "B": "B"}
LABEL = piece(" A", 0.6, **{" B": 0.4})


def test_the_label_on_the_verdict_line_is_read_and_no_other() -> None:
    elsewhere = piece(" A", 0.99, **{" B": 0.01})
    pieces = [piece("Answer"), elsewhere, piece(" and"), piece(" B"), piece(" differ.\nVerdict:")]
    assert read([*pieces, LABEL]) == pytest.approx({"A": 0.6, "B": 0.4})


def test_what_the_judge_writes_is_the_label_that_it_means() -> None:
    content = "Output (b) is better"
    pieces = [piece("Output ("), piece("b", 0.6, a=0.3, A=0.1), piece(") is better")]
    found = label_probs(content, pieces, (8, 9), {"a": "A", "b": "B"})
    assert found == pytest.approx({"A": 0.3, "B": 0.6})


def test_all_spellings_of_a_label_are_added_up() -> None:
    token = piece(
        " A", 0.5, **{"A": 0.1, "A\n": 0.05, " B": 0.2, "\tB ": 0.1, "Both": 0.03, "a": 0.01}
    )
    probs = read([piece("x\nVerdict:"), token])
    assert probs == pytest.approx({"A": 0.65, "B": 0.3})


@pytest.mark.parametrize(
    "texts",
    [
        ["x\nVerdict:", " A."],
        ["x\nVerdict: A"],
        ["x\nVerdict", ": A"],
        ["x\nVerdict:", " **A**"],
        ["x\nVerdict: ", "A", "."],
        ["x\nVerdict:", " (", "A", ")"],
        ["x\nVerdict:", " ", "A\n\n", "\n"],
    ],
)
def test_the_token_must_be_the_label_but_for_white_space(texts: list[str]) -> None:
    pieces = [piece(text, 0.75, B=0.25) if "A" in text else piece(text) for text in texts]
    whole = any(text.strip() == "A" for text in texts)
    expected = pytest.approx({"A": 0.75, "B": 0.25}) if whole else None
    assert read(pieces) == expected


def test_tokens_of_half_a_character_are_put_together_by_their_bytes() -> None:
    text = "不错🙂\nVerdict:"
    raw = text.encode("utf-8")
    pieces = [
        {"token": "\ufffd", "bytes": [byte], "logprob": -0.1, "top_logprobs": []} for byte in raw
    ]
    assert read([*pieces, LABEL], f"{text} A") == pytest.approx({"A": 0.6, "B": 0.4})


def test_tokens_without_bytes_are_read_by_their_text() -> None:
    pieces = [piece("é e\u0301 \u05d0\u05d1\nVerdict:"), piece(" B", 0.9, A=0.1)]
    for one in pieces:
        one["bytes"] = None
    assert read(pieces) == pytest.approx({"A": 0.1, "B": 0.9})


def test_reasoning_before_the_reply_and_an_end_token_after_it_are_passed_over() -> None:
    before = [piece("<think>"), piece("Verdict:"), piece(" B"), piece("</think>\n\n")]
    pieces = [*before, piece("x"), piece("\nVerdict:"), LABEL, piece("<|im_end|>")]
    assert read(pieces, "x\nVerdict: A") == pytest.approx({"A": 0.6, "B": 0.4})


def test_tokens_that_are_not_those_of_the_reply_say_nothing() -> None:
    assert read([piece("y\nVerdict:"), LABEL], "x\nVerdict: A") is None
    assert read([piece("\nVerdict:"), LABEL], "x\nVerdict: A") is None
    assert read([], "x\nVerdict: A") is None


def test_a_label_that_is_not_listed_gets_its_bound() -> None:
    """0.98 + 0.012 are listed: the rest is 0.008, and none of it is likelier than 0.012."""
    probs = read([piece("x\nVerdict:"), piece(" A", 0.98, The=0.012)])
    assert probs == pytest.approx({"A": 0.98, "B": 0.008})


def test_no_unlisted_label_is_likelier_than_the_least_that_is_listed() -> None:
    probs = read([piece("x\nVerdict:"), piece(" A", 0.969, The=0.001)])
    assert probs == pytest.approx({"A": 0.969, "B": 0.001})


def test_unlisted_labels_share_the_rest() -> None:
    labels = rating_labels(4)
    probs = read([piece("x\nVerdict:"), piece(" 4", 0.97)], labels=labels)
    assert probs == pytest.approx({"1": 0.01, "2": 0.01, "3": 0.01, "4": 0.97})


def test_too_much_left_out_is_as_good_as_missing() -> None:
    most = 1.0 - MAX_UNLISTED
    assert read([piece("x\nVerdict:"), piece(" A", most - 0.001)]) is None
    assert read([piece("x\nVerdict:"), piece(" A", most + 0.001)]) is not None
    listed = read([piece("x\nVerdict:"), piece(" A", 0.4, B=0.2)])
    assert listed == pytest.approx({"A": 0.4, "B": 0.2})


def test_a_chosen_token_that_is_not_among_the_alternatives_counts() -> None:
    token = piece(" A", 0.02, **{" B": 0.95})
    token["top_logprobs"] = token["top_logprobs"][1:]
    assert read([piece("x\nVerdict:"), token]) == pytest.approx({"A": 0.02, "B": 0.95})


@pytest.mark.parametrize(
    "change",
    [
        {"top_logprobs": None},
        {"top_logprobs": []},
        {"top_logprobs": [7]},
        {"top_logprobs": [{"token": " A", "logprob": None}]},
        {"top_logprobs": [{"token": " A", "logprob": math.nan}]},
        {"top_logprobs": [{"token": " A", "logprob": 0.5}]},
        {"top_logprobs": [{"token": " A", "logprob": True}]},
        {"top_logprobs": [{"token": 7, "logprob": -1.0}]},
        {"top_logprobs": [{"token": t, "logprob": -0.1} for t in (" A", " B")]},
        {"logprob": "low"},
        {"top_logprobs": [{"token": " A", "logprob": 10**400}]},
        {"bytes": [300]},
        {"bytes": ["A"]},
        {"token": 5, "bytes": None},
    ],
)
def test_numbers_that_are_no_log_probs_say_nothing(change: dict[str, Any]) -> None:
    assert read([piece("x\nVerdict:"), {**LABEL, **change}], "x\nVerdict: A") is None


def test_minus_infinity_is_a_probability_of_zero() -> None:
    token = piece(" A", 0.999)
    for lowest in (-math.inf, -(10**400), -9999.0):
        listed = [*token["top_logprobs"], {"token": " B", "logprob": lowest, "bytes": None}]
        probs = read([piece("x\nVerdict:"), {**token, "top_logprobs": listed}])
        assert probs == pytest.approx({"A": 0.999, "B": 0.0})


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12)


@given(
    st.lists(WORDS, max_size=8),
    st.sampled_from(rating_labels(5)),
    st.lists(st.floats(0.01, 1.0), min_size=5, max_size=5),
    st.lists(st.integers(1, 6), max_size=60),
    st.sampled_from([" ", "", "  "]),
)
def test_any_cut_into_tokens_gives_the_distribution_that_was_put_in(
    lines: list[str], label: str, weights: list[float], cuts: list[int], space: str
) -> None:
    critique = "\n".join(line.replace("erdict", "") for line in lines)
    probs = dict(zip(rating_labels(5), [w / sum(weights) for w in weights], strict=True))
    before = f"{critique}\nVerdict:".encode()
    pieces: list[dict[str, Any]] = []
    for cut in cuts:
        if before:
            part, before = before[:cut], before[cut:]
            pieces.append({"token": "?", "bytes": list(part), "logprob": -1.0})
    pieces.append({"token": "?", "bytes": list(before), "logprob": -1.0})
    alternatives = {f"{space}{one}": p for one, p in probs.items() if one != label}
    pieces.append(piece(f"{space}{label}", probs[label], **alternatives))
    content = f"{critique}\nVerdict:{space}{label}"
    found = read(pieces, content, rating_labels(5))
    assert found == pytest.approx(probs)
    assert all(0.0 <= p <= 1.0 for p in found.values())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-3, 300) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["token", "bytes", "logprob", "top_logprobs", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=5))
def test_no_log_probs_break_it(tokens: list[Any]) -> None:
    content = "x\nVerdict: A"
    assert label_probs(content, tokens, (11, 12), SPOKEN) is None
    whole = [{"token": "x\nVerdict:"}, {"token": " A", "logprob": -0.1, "top_logprobs": tokens}]
    found = label_probs(content, whole, (11, 12), SPOKEN)
    assert found is None or all(0.0 <= p <= 1.0 for p in found.values())
