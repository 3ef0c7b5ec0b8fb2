"""How a reward model is measured, and which pairs meet in which step."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlaif.figures import calibration_error, correlation
from rlaif.records import Message
from rlaif.stages.reward_model.job import RewardPair
from rlaif.stages.reward_model.measure import agreement
from rlaif.stages.reward_model.schedule import (
    Comparison,
    Tokens,
    as_row,
    compare_pairs,
    plan_batches,
    rank_lists,
)

probabilities = st.floats(0.0, 1.0)


def pair(
    prompt: str, first: str, second: str, label: float, *, ended: tuple[bool, bool] = (True, True)
) -> RewardPair:
    return RewardPair(
        prompt=(Message(role="user", content=prompt),),
        first=first,
        first_ended=ended[0],
        second=second,
        second_ended=ended[1],
        label=label,
        split="train",
    )


def encode(prompt: tuple[Message, ...], text: str, ended: bool) -> Tokens:
    """Encode each letter as its code point, the end as 0."""
    return tuple(map(ord, prompt[0].content + text)) + ((0,) if ended else ())


def last_letter(answer: Tokens) -> str:
    return chr(answer[-2])


def test_agreement_counts_the_label_side_and_leaves_ties_out() -> None:
    gaps = [2.0, -1.0, 0.5, -3.0, 0.0]
    labels = [0.9, 0.8, 0.5, 0.1, 0.7]
    assert agreement(gaps, labels) == pytest.approx(2 / 4)


@pytest.mark.parametrize("labels", [[], [0.5, 0.5]])
def test_agreement_without_a_side_is_unknown(labels: list[float]) -> None:
    assert agreement([1.0] * len(labels), labels) is None


@given(st.lists(st.tuples(st.floats(-5, 5), probabilities), min_size=1))
def test_agreement_does_not_care_which_answer_is_called_first(
    pairs: list[tuple[float, float]],
) -> None:
    gaps, labels = np.array(pairs).T
    assert agreement(gaps, labels) == agreement(-gaps, 1 - labels)


def test_calibration_error_of_a_worked_example() -> None:
    """Bin 0.7-0.8 holds 0.72 and 0.78 with labels 0.9 and 0.5; bin 0.2-0.3 holds 0.25 with 0.6."""
    error = calibration_error([0.72, 0.25, 0.78], [0.9, 0.6, 0.5])
    assert error == pytest.approx(2 / 3 * abs(0.75 - 0.7) + 1 / 3 * abs(0.25 - 0.6))


def test_certainty_falls_into_the_last_bin() -> None:
    assert calibration_error([1.0, 0.95], [1.0, 0.95]) == 0.0
    assert calibration_error([1.0], [0.25]) == pytest.approx(0.75)


@given(st.lists(probabilities, min_size=1))
def test_predictions_that_are_the_labels_have_no_error(labels: list[float]) -> None:
    assert calibration_error(labels, labels) == pytest.approx(0.0)


@given(st.lists(st.tuples(probabilities, probabilities), min_size=1))
def test_calibration_error_lies_between_bias_and_mean_distance(
    pairs: list[tuple[float, float]],
) -> None:
    predicted, labels = np.array(pairs).T
    error = calibration_error(predicted, labels)
    assert error is not None
    assert abs(np.mean(predicted - labels)) <= error + 1e-9
    assert error <= np.mean(np.abs(predicted - labels)) + 1e-9


def test_no_pairs_have_no_calibration_error() -> None:
    assert calibration_error([], []) is None


def test_correlation_of_worked_examples() -> None:
    """The last: sums of products 0.25, of squares 1 and 1.6875."""
    assert correlation([1, 2, 3], [0, 3, 0]) == pytest.approx(0.0)
    assert correlation([1, 2, 3], [5, 7, 9]) == pytest.approx(1.0)
    assert correlation([1, 2, 3], [9, 7, 5]) == pytest.approx(-1.0)
    assert correlation([0, 1, 0, 1], [0, 0, 1, 1.5]) == pytest.approx(0.25 / math.sqrt(1.6875))


@pytest.mark.parametrize(
    ("left", "right"), [([], []), ([1.0], [2.0]), ([1, 1], [1, 2]), ([1, 2], [3, 3])]
)
def test_correlation_needs_two_things_that_vary(left: list[float], right: list[float]) -> None:
    assert correlation(left, right) is None


def test_a_pair_becomes_two_encoded_answers_with_their_probabilities() -> None:
    (made,) = compare_pairs([pair("Q", "ab", "c", 0.7, ended=(True, False))], encode)
    assert made.answers == ((81, 97, 98, 0), (81, 99))
    assert made.values == pytest.approx((0.7, 0.3))


def test_an_answer_in_several_pairs_is_in_the_batch_once() -> None:
    pairs = [pair("Q", "a", "b", 0.9), pair("Q", "b", "c", 0.2), pair("R", "a", "b", 0.6)]
    row = as_row(compare_pairs(pairs, encode), np.ones((1, 2), dtype=np.int64))
    assert row["sequences"] == [[81, 97, 0], [81, 98, 0], [81, 99, 0], [82, 97, 0], [82, 98, 0]]
    assert row["places"] == [[0, 1], [1, 2], [3, 4]]
    assert [values[0] for values in row["values"]] == [0.9, 0.2, 0.6]


def many(prompts: int, each: int) -> list[Comparison]:
    pairs = [
        pair(f"{p:02d}", chr(97 + 2 * n), chr(98 + 2 * n), 0.8)
        for n in range(each)
        for p in range(prompts)
    ]
    return compare_pairs(pairs, encode)


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 9), st.integers(1, 3))
def test_every_pair_comes_once_in_each_epoch(
    prompts: int, each: int, size: int, epochs: int
) -> None:
    comparisons = many(prompts, each)
    batches = plan_batches(comparisons, size, epochs, seed=4)
    steps = -(-len(comparisons) // size)
    assert len(batches) == steps * epochs
    assert all(0 < len(batch) <= size for batch in batches)
    for epoch in range(epochs):
        seen = [c for batch in batches[epoch * steps : (epoch + 1) * steps] for c in batch]
        assert sorted(seen, key=str) == sorted(comparisons, key=str)


def test_pairs_of_a_prompt_stay_together_and_epochs_differ() -> None:
    batches = plan_batches(many(20, 3), 60, 2, seed=0)
    orders = [[c.prompt for c in batch] for batch in batches]
    assert all(len(set(order[n : n + 3])) == 1 for order in orders for n in range(0, 60, 3))
    assert orders[0] != orders[1]


def test_the_order_comes_from_the_seed_alone() -> None:
    plans = [plan_batches(many(20, 3), 8, 2, seed) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_a_batch_of_lists_is_full_by_pairs() -> None:
    lists = [Comparison(n, ((1,), (2,), (3,)), (0.1, 0.2, 0.3), pairs=3) for n in range(10)]
    assert [len(batch) for batch in plan_batches(lists, 5, 1, seed=0)] == [2, 2, 2, 2, 2]


@given(st.permutations("abcde"), st.lists(st.floats(0.55, 0.95), min_size=4, max_size=4))
def test_a_chain_of_pairs_becomes_one_list_in_its_order(
    order: list[str], labels: list[float]
) -> None:
    chain = [pair("Q", a, b, p) for (a, b), p in zip(pairwise(order), labels, strict=True)]
    (ranked,) = rank_lists(compare_pairs(chain, encode))
    strengths = {last_letter(a): s for a, s in zip(ranked.answers, ranked.values, strict=True)}
    assert sorted(strengths, key=lambda a: -strengths[a]) == list(order)
    assert ranked.pairs == 4
    gaps = [strengths[a] - strengths[b] for a, b in pairwise(order)]
    assert gaps == pytest.approx([math.log(p / (1 - p)) for p in labels], abs=1e-5)


def test_pairs_that_share_no_answer_make_lists_of_their_own() -> None:
    pairs = [pair("Q", "a", "b", 0.2), pair("Q", "c", "d", 0.9), pair("R", "a", "c", 0.9)]
    ranked = rank_lists(compare_pairs(pairs, encode))
    assert [(r.prompt, "".join(map(last_letter, r.answers))) for r in ranked] == [
        (0, "ab"),
        (0, "cd"),
        (1, "ac"),
    ]
    assert ranked[0].values[0] < ranked[0].values[1]


def test_contradicting_pairs_are_weighed_against_each_other() -> None:
    """b beats a twice as surely, in logits, as a beats b: b is ahead by their mean."""
    sure = 1 / (1 + math.exp(-2.0))
    unsure = 1 / (1 + math.exp(-1.0))
    pairs = [pair("Q", "a", "b", unsure), pair("Q", "b", "a", sure)]
    (ranked,) = rank_lists(compare_pairs(pairs, encode))
    assert ranked.values[1] - ranked.values[0] == pytest.approx(0.5, abs=1e-5)


def test_certain_labels_and_a_pair_of_equals_are_borne() -> None:
    pairs = [pair("Q", "a", "b", 1.0), pair("Q", "b", "c", 0.0), pair("S", "a", "a", 0.7)]
    (ranked,) = rank_lists(compare_pairs(pairs, encode))
    assert np.isfinite(ranked.values).all()
    assert ranked.values[0] == ranked.values[2] > ranked.values[1]


def test_schedule_values_survive_as_exact_numbers() -> None:
    row = as_row(compare_pairs([pair("Q", "a", "b", 0.1)], encode), np.ones((1, 1), dtype=np.int64))
    assert torch.tensor(row["values"], dtype=torch.float64)[0, 0] == 0.1
