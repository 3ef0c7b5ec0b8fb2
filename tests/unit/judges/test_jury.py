"""Juries: one distribution of several, and who stands apart."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from rlaif.judges.jury import (
    MAX_STEPS,
    TOLERANCE,
    DawidSkene,
    dawid_skene,
    disagreement,
    distance,
    majority_opinion,
    mean_opinion,
    outliers,
)
from rlaif.records import Unscored
from rlaif.seeds import numpy_generator

Question = dict[str, Sequence[float] | None]
YES, NO = (1.0, 0.0), (0.0, 1.0)
P = st.integers(0, 20).map(lambda n: (n / 20, 1 - n / 20))
QUESTIONS = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.none() | P, min_size=1), min_size=1, max_size=8
)


def scored(found: tuple[float, ...] | Unscored) -> tuple[float, ...]:
    assert not isinstance(found, Unscored), found.reason
    return found


def test_the_mean_by_hand() -> None:
    opinions: Question = {"a": (0.9, 0.1), "b": (0.4, 0.6), "c": None}
    assert scored(mean_opinion(opinions)) == pytest.approx((0.65, 0.35))
    weighed = mean_opinion(opinions, {"a": 3.0, "b": 1.0, "c": 9.0})
    assert scored(weighed) == pytest.approx((0.775, 0.225))


def test_the_majority_by_hand() -> None:
    assert majority_opinion({"a": (0.6, 0.4), "b": (0.51, 0.49), "c": NO}) == (1.0, 0.0)
    assert majority_opinion({"a": YES, "b": NO, "c": None}) == (0.5, 0.5)
    assert majority_opinion({"a": (0.5, 0.5), "b": NO}) == (0.0, 1.0)


def test_split_votes_are_added_up() -> None:
    opinions: Question = {"a": (0.5, 0.5, 0.0), "b": (0.0, 0.6, 0.4), "c": (1.0, 0.0, 0.0)}
    # Votes: 0.5 + 1 for the first label, 0.5 + 1 for the second.
    assert majority_opinion(opinions) == (0.5, 0.5, 0.0)


@pytest.mark.parametrize("combine", [mean_opinion, majority_opinion])
def test_a_jury_without_a_verdict_is_unscored(combine: object) -> None:
    found = combine({"a": None, "b": None})  # type: ignore[operator]
    assert found == Unscored(reason="no juror gave a verdict (a, b)")
    assert "no juror was asked" in combine({}).reason  # type: ignore[operator]


def test_jurors_that_weigh_nothing_are_no_jury() -> None:
    found = mean_opinion({"a": YES, "b": None}, {"a": 0.0, "b": 1.0})
    assert isinstance(found, Unscored)
    assert "(a) weigh nothing" in found.reason


@pytest.mark.parametrize("said", [(0.5, 0.6), (1.5, -0.5), (math.nan, 1.0), (0.2, 0.3, 0.5)])
def test_what_is_no_distribution_is_an_error(said: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"b says .* no distribution"):
        mean_opinion({"a": YES, "b": said})


@given(st.dictionaries(st.sampled_from("abcd"), st.none() | P))
def test_swapping_the_answers_swaps_a_jurys_opinion(
    opinions: dict[str, tuple[float, float] | None],
) -> None:
    swapped = {name: said and said[::-1] for name, said in opinions.items()}
    for combine in (mean_opinion, majority_opinion):
        plain, turned = combine(opinions), combine(swapped)
        if isinstance(plain, Unscored):
            assert plain == turned
        else:
            assert scored(turned) == pytest.approx(plain[::-1])


def slow_step(
    truth: list[list[float]], said: list[list[int | None]], smoothing: float
) -> tuple[list[list[float]], list[list[list[float]]]]:
    """One round of the paper's equations in plain loops: votes only, every question with a vote."""
    labels = len(truth[0])
    prior = [sum(t[k] for t in truth) + smoothing for k in range(labels)]
    prior = [p / sum(prior) for p in prior]
    confusion = []
    for j in range(len(said[0])):
        matrix = []
        for k in range(labels):
            row = [smoothing * (0.5 / labels + 0.5 * (k == heard)) for heard in range(labels)]
            for t, votes in zip(truth, said, strict=True):
                if votes[j] is not None:
                    row[votes[j]] += t[k]
            matrix.append([x / sum(row) for x in row])
        confusion.append(matrix)
    after = []
    for votes in said:
        joint = [
            prior[k] * math.prod(confusion[j][k][v] for j, v in enumerate(votes) if v is not None)
            for k in range(labels)
        ]
        after.append([x / sum(joint) for x in joint])
    return after, confusion


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(2, 3), st.sampled_from([0.5, 1.0, 4.0]))
def test_dawid_skene_is_that_of_plain_loops(
    data: st.DataObject, labels: int, smoothing: float
) -> None:
    vote = st.none() | st.integers(0, labels - 1)
    rows = st.lists(vote, min_size=3, max_size=3).filter(lambda r: any(v is not None for v in r))
    said = data.draw(st.lists(rows, min_size=1, max_size=6))
    questions: list[Question] = [
        {
            name: None if v is None else tuple(float(v == k) for k in range(labels))
            for name, v in zip("abc", row, strict=True)
        }
        for row in said
    ]
    if not any(q["a"] or q["b"] or q["c"] for q in questions):
        return
    truth = [
        [row.count(k) / sum(v is not None for v in row) for k in range(labels)] for row in said
    ]
    for steps in (1, 2, 3):
        truth, confusion = slow_step(truth, said, smoothing)
        early = dawid_skene(questions, symmetric=False, smoothing=smoothing, max_steps=steps)
        if early.steps < steps:
            break
        assert np.array(early.posteriors) == pytest.approx(np.array(truth), abs=1e-12)
        for name, matrix in zip("abc", confusion, strict=True):
            assert np.array(early.confusions[name]) == pytest.approx(np.array(matrix), abs=1e-12)
    # Near a tie EM's later steps magnify rounding, so the end is held to be where a step stays.
    end = dawid_skene(questions, symmetric=False, smoothing=smoothing)
    after, _ = slow_step([list(row) for row in end.posteriors], said, smoothing)
    moved = np.abs(np.array(after) - np.array(end.posteriors)).max()
    assert moved < 2 * TOLERANCE or end.steps == MAX_STEPS


def drawn(symmetric: bool) -> tuple[list[Question], list[int], dict[str, np.ndarray]]:
    generator = numpy_generator(13)
    errors = {
        "good": np.array([[0.95, 0.05], [0.05, 0.95]]),
        "fair": np.array([[0.8, 0.2], [0.2, 0.8]]),
        "weak": np.array([[0.6, 0.4], [0.4, 0.6]]),
        "kind": np.array([[0.99, 0.01], [0.4, 0.6]]),
    }
    if symmetric:
        errors.pop("kind")
    truth = generator.integers(0, 2, size=1500).tolist()
    questions: list[Question] = []
    for label in truth:
        opinions: Question = {}
        for name, error in errors.items():
            vote = int(generator.random() < error[label, 1])
            opinions[name] = None if generator.random() < 0.1 else (NO if vote else YES)
        questions.append(opinions)
    return questions, truth, errors


@pytest.mark.parametrize("symmetric", [True, False])
def test_dawid_skene_finds_what_jurors_are_worth(symmetric: bool) -> None:
    questions, truth, errors = drawn(symmetric)
    found = dawid_skene(questions, symmetric=symmetric)
    for name, error in errors.items():
        assert np.array(found.confusions[name]) == pytest.approx(error, abs=0.05)
    best = np.array(
        [scored(p) if not isinstance(p, Unscored) else (0.5, 0.5) for p in found.posteriors]
    )
    votes = np.array(
        [scored(majority_opinion(q)) if any(q.values()) else (0.5, 0.5) for q in questions]
    )
    right = (best.argmax(axis=1) == truth).mean()
    assert right > np.where(votes[:, 0] == votes[:, 1], 0.5, votes.argmax(axis=1) == truth).mean()
    assert right > 0.93


@pytest.mark.parametrize("symmetric", [True, False])
def test_every_round_of_em_climbs(symmetric: bool) -> None:
    questions, _, _ = drawn(symmetric)
    questions = questions[:60]
    heights = []
    for rounds in range(1, 12):
        found = dawid_skene(questions, symmetric=symmetric, max_steps=rounds)
        heights.append(found.log_posterior)
    assert all(b >= a - 1e-9 for a, b in pairwise(heights))
    assert heights[-1] > heights[0]


@settings(max_examples=40, deadline=None)
@given(QUESTIONS, st.lists(st.booleans(), min_size=8, max_size=8))
def test_swapping_a_pair_swaps_its_posterior_and_nothing_else(
    questions: list[Question], swaps: list[bool]
) -> None:
    turned = [
        {name: tuple(said)[::-1] if said and swap else said for name, said in question.items()}
        for question, swap in zip(questions, swaps, strict=False)
    ]
    plain, swapped = dawid_skene(questions, symmetric=True), dawid_skene(turned, symmetric=True)
    for before, after, swap in zip(plain.posteriors, swapped.posteriors, swaps, strict=False):
        if isinstance(before, Unscored):
            assert before == after
        else:
            assert scored(after) == pytest.approx(before[::-1] if swap else before, abs=1e-6)
    for name in plain.confusions:
        assert np.array(swapped.confusions[name]) == pytest.approx(
            np.array(plain.confusions[name]), abs=1e-6
        )


def test_abstentions_say_nothing() -> None:
    questions: list[Question] = [{"a": YES, "b": YES, "c": NO}, {"a": NO, "b": NO, "c": NO}]
    silent = [{**question, "d": None} for question in questions]
    plain, more = dawid_skene(questions, symmetric=True), dawid_skene(silent, symmetric=True)
    assert more.posteriors == plain.posteriors
    # Nothing is known of the silent one but the smoothing: half right, half anything.
    assert more.confusions["d"] == ((0.75, 0.25), (0.25, 0.75))


def test_a_question_without_a_verdict_stays_unscored() -> None:
    found = dawid_skene([{"a": YES, "b": YES}, {"a": None, "b": None}], symmetric=True)
    assert isinstance(found.posteriors[1], Unscored)
    assert scored(found.posteriors[0])[0] > 0.5
    assert dawid_skene([{"a": None}], symmetric=True).prior == ()
    assert dawid_skene([], symmetric=False).posteriors == ()


def test_one_more_question_is_read_under_the_fit() -> None:
    questions, _, _ = drawn(symmetric=False)
    found = dawid_skene(questions, symmetric=False)
    for question, posterior in zip(questions[:20], found.posteriors[:20], strict=True):
        if not isinstance(posterior, Unscored):
            assert scored(found.posterior(question)) == pytest.approx(posterior, abs=1e-6)
    assert scored(found.posterior({"good": NO, "stranger": YES})) == found.posterior({"good": NO})
    assert isinstance(found.posterior({"stranger": YES}), Unscored)


def test_dawid_skene_by_hand_on_one_question() -> None:
    # One juror, one certain vote, symmetric: round one has counts 1 + 0.75 of 2 on the diagonal,
    # so P = 0.875; it settles where P = (P + 0.75) / 2, at 0.75.
    found = dawid_skene([{"a": YES}], symmetric=True)
    assert scored(found.posteriors[0]) == pytest.approx((0.75, 0.25), abs=1e-6)


def test_soft_opinions_count_in_part() -> None:
    sure, unsure = (
        dawid_skene([{"a": (p, 1 - p), "b": YES}] * 5, symmetric=True) for p in (0.95, 0.6)
    )
    assert scored(sure.posteriors[0])[0] > scored(unsure.posteriors[0])[0] > 0.5


def test_mixed_or_broken_questions_are_errors() -> None:
    with pytest.raises(ValueError, match=r"questions with \[2, 3\] labels"):
        dawid_skene([{"a": YES}, {"a": (1.0, 0.0, 0.0)}], symmetric=False)
    with pytest.raises(ValueError, match="smoothing = 0"):
        dawid_skene([{"a": YES}], symmetric=True, smoothing=0.0)


def test_it_is_the_same_in_whatever_order_jurors_come() -> None:
    one: DawidSkene = dawid_skene([{"a": YES, "b": (0.3, 0.7)}], symmetric=True)
    assert dawid_skene([{"b": (0.3, 0.7), "a": YES}], symmetric=True) == one


def test_disagreement_by_hand() -> None:
    assert disagreement({"a": YES, "b": NO}) == pytest.approx(1.0)
    assert disagreement({"a": (0.5, 0.5), "b": (0.5, 0.5)}) == 0.0
    # H(0.75) - H(0.5) / 2: 0.811278 - 0.5.
    assert disagreement({"a": YES, "b": (0.5, 0.5)}) == pytest.approx(0.311278, abs=1e-6)
    assert disagreement({"a": YES, "b": None}) is None
    assert disagreement({}) is None


@given(
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_disagreement_of_two_is_scipys_divergence(left: list[float], right: list[float]) -> None:
    a, b = (tuple(x / sum(side) for x in side) for side in (left, right))
    middle = np.add(a, b) / 2
    theirs = (entropy(a, middle, base=2) + entropy(b, middle, base=2)) / 2
    assert disagreement({"a": a, "b": b}) == pytest.approx(theirs, abs=1e-6)


LOW, MIDDLE, HIGH = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ({"a": LOW, "b": HIGH}, 1.0),
        ({"a": LOW, "b": MIDDLE}, 0.5),
        ({"a": (0.5, 0.5, 0.0), "b": HIGH}, 0.75),
        ({"a": (0.5, 0.0, 0.5), "b": (0.5, 0.0, 0.5)}, 0.0),
        ({"a": LOW, "b": LOW, "c": HIGH, "d": HIGH}, 1.0),
        ({"a": LOW, "b": HIGH, "c": HIGH}, 8 / 9),  # 2 * (2/3 + 1/3 + 1/3) / 3
        ({"a": LOW, "b": None, "c": HIGH}, 1.0),
        ({"a": LOW, "b": None}, None),
        ({}, None),
    ],
)
def test_how_far_ratings_lie_apart_by_hand(opinions: Question, expected: float | None) -> None:
    assert distance(opinions) == (expected and pytest.approx(expected, abs=1e-9))


@given(st.integers(2, 9), st.data())
def test_two_that_are_sure_are_their_difference_apart(levels: int, data: st.DataObject) -> None:
    one, other = (data.draw(st.integers(0, levels - 1)) for _ in "ab")
    sure = np.eye(levels)
    found = distance({"a": tuple(sure[one]), "b": tuple(sure[other])})
    assert found == pytest.approx(abs(one - other) / (levels - 1), abs=1e-9)


def test_where_all_stand_apart_nobody_is_the_odd_one() -> None:
    spread = {"a": YES, "b": (0.6, 0.4), "c": (0.2, 0.8)}
    assert outliers(spread, threshold=0.3) == ()
    assert outliers({**spread, "b": (0.8, 0.2)}, threshold=0.3) == ("c",)


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ({"a": YES, "b": (0.9, 0.1), "c": NO}, ("c",)),
        ({"a": YES, "b": NO}, ()),
        ({"a": YES, "b": NO, "c": None}, ()),
        ({"a": YES, "b": YES, "c": (0.6, 0.4)}, ()),
        ({"a": YES, "b": YES, "c": (0.5, 0.5)}, ()),
        ({"a": YES, "b": YES, "c": NO, "d": NO}, ()),
        ({"a": YES, "b": YES, "c": YES, "d": NO}, ("d",)),
        ({"a": (1.0, 0.0, 0.0), "b": (0.0, 1.0, 0.0), "c": (0.0, 0.0, 1.0)}, ()),
        ({"a": (0.0, 0.0, 1.0), "b": (0.0, 0.0, 1.0), "c": (0.0, 1.0, 0.0)}, ()),
        ({"a": (0.0, 0.0, 1.0), "b": (0.0, 0.3, 0.7), "c": (0.7, 0.3, 0.0)}, ("c",)),
    ],
)
def test_outliers_by_hand(opinions: Question, expected: tuple[str, ...]) -> None:
    assert outliers(opinions) == expected


def test_at_a_distance_of_1_nobody_stands_apart() -> None:
    assert outliers({"a": YES, "b": YES, "c": NO}, threshold=1.0) == ()
    nearly = 1.0 + 4e-7  # within what a distribution may be off by
    assert outliers({"a": (nearly, 0.0), "b": (nearly, 0.0), "c": NO}, threshold=1.0) == ()


def test_a_lower_threshold_finds_more() -> None:
    opinions: Question = {"a": (0.9, 0.1), "b": (0.85, 0.15), "c": (0.6, 0.4)}
    assert outliers(opinions) == ()
    assert outliers(opinions, threshold=0.2) == ("c",)
