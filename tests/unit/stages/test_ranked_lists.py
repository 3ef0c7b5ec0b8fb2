"""Which answers are ranked together, and in which orders."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.records import Completion, CompletionScore, Message, Prompt
from rlaif.stages.ranked_lists import choose_list, shown_orders

QUICK = settings(derandomize=True, deadline=None, max_examples=60)
PROMPT = Prompt(id="p", messages=(Message(role="user", content="问?"),), split="train")


def answer(name: str, text: str | None = None, duplicate_of: str | None = None) -> Completion:
    return Completion(
        id=name,
        prompt_id="p",
        policy="policy",
        index=0,
        text=f"Words of {name}" if text is None else text,
        length=3,
        ended=True,
        duplicate_of=duplicate_of,
    )


def score(name: str, value: float | None) -> CompletionScore:
    reason = None if value is not None else "no verdict"
    return CompletionScore(completion_id=name, score=value, parts={}, unscored=reason)


def chosen(
    levels: dict[str, float | None], size: int = 3, orders: int = 2, seed: int = 7
) -> list[str]:
    """Choose among answers with these scores; return each order as a word."""
    found = choose_list(
        PROMPT,
        [answer(name) for name in levels],
        {name: score(name, value) for name, value in levels.items()},
        size=size,
        orders=orders,
        seed=seed,
    )
    return [] if found is None else ["".join(a.id for a in order) for order in found.orders]


def test_the_best_the_worst_and_what_lies_farthest_from_both() -> None:
    levels: dict[str, float | None] = {"a": 0.0, "b": 0.125, "c": 0.5, "d": 0.875, "e": 1.0}
    assert sorted(chosen(levels, size=2)[0]) == ["a", "e"]
    assert sorted(chosen(levels, size=3)[0]) == ["a", "c", "e"]
    # b and d lie 0.125 from the nearest that is chosen: either may be the fourth.
    fourth = {"".join(sorted(chosen(levels, size=4, seed=seed)[0])) for seed in range(20)}
    assert fourth == {"abce", "acde"}
    assert sorted(chosen(levels, size=9)[0]) == ["a", "b", "c", "d", "e"]


def test_unscored_answers_duplicates_and_repeated_words_are_left_out() -> None:
    answers = [
        answer("a"),
        answer("b", duplicate_of="a"),
        answer("c", "相同"),
        answer("d", "相同"),
        answer("e"),
        answer("f"),
    ]
    scores = {name: score(name, 0.5) for name in "abcd"} | {"e": score("e", None)}
    found = choose_list(PROMPT, answers, scores, size=9, orders=2, seed=1)
    assert found is not None
    assert sorted(a.id for a in found.answers) == ["a", "c"]
    assert found.prompt == PROMPT


@pytest.mark.parametrize("levels", [{}, {"a": 0.5}, {"a": 0.5, "b": None}])
def test_fewer_than_two_answers_make_no_list(levels: dict[str, float | None]) -> None:
    assert chosen(levels) == []


def test_the_order_is_drawn_and_the_second_is_its_reverse() -> None:
    levels: dict[str, float | None] = {name: 0.5 for name in "abcde"}
    firsts = set()
    for seed in range(10):
        first, second = chosen(levels, size=5, seed=seed)
        assert second == first[::-1]
        assert chosen(levels, size=5, seed=seed) == [first, second]
        firsts.add(first)
    assert len(firsts) > 5


@QUICK
@given(st.integers(2, 9), st.integers(1, 8), st.integers(0, 2**32))
def test_orders_are_distinct_and_come_in_mirrored_pairs(count: int, orders: int, seed: int) -> None:
    found = shown_orders(count, orders, seed)
    assert len(found) == min(orders, math.factorial(count)) == len(set(found))
    assert all(sorted(order) == list(range(count)) for order in found)
    for one, other in zip(found[::2], found[1::2], strict=False):
        assert other == one[::-1]
    assert found == shown_orders(count, orders, seed)
    assert found[: orders - 1] == shown_orders(count, orders - 1, seed) or orders == 1


@QUICK
@given(
    st.lists(st.integers(0, 64).map(lambda level: level / 64), min_size=2, max_size=8),
    st.integers(2, 9),
    st.integers(0, 2**32),
)
def test_a_list_spans_all_scores(levels: list[float], size: int, seed: int) -> None:
    named: dict[str, float | None] = {chr(97 + i): level for i, level in enumerate(levels)}
    first = chosen(named, size=size, seed=seed)[0]
    got = [named[name] or 0.0 for name in first]
    assert len(set(first)) == min(size, len(levels))
    assert (min(got), max(got)) == (min(levels), max(levels))
