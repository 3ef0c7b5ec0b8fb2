import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_samples import (
    choices,
    completion,
    judge_criterion,
    judgement,
    ratings,
    rubric,
    rule_criterion,
    scored,
)

from rlaif.config import JudgingConfig
from rlaif.errors import StageError
from rlaif.judges import VerdictSettings, pair_verdict, score_completion
from rlaif.judges.aggregation import combined
from rlaif.judges.weighing import criteria_to_compare
from rlaif.records import Choice, Judgement, PairVerdict

A, B = completion("a"), completion("b")
PLAIN = VerdictSettings(pairwise_weight=0.5, score_temperature=0.2, flip_threshold=0.4)
ONE = rubric(judge_criterion("right"))
PROBABILITY = st.floats(0.0, 1.0)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def test_settings_come_from_the_configuration() -> None:
    judging = JudgingConfig(
        pairwise_weight=0.3,
        score_temperature=0.4,
        flip_threshold=0.7,
        clamp=0.1,
        combine="majority",
        max_disagreement=0.2,
        max_rating_distance=0.6,
        outlier_distance=0.3,
    )
    expected = VerdictSettings(0.3, 0.4, 0.7, 0.1, "majority", 0.2, 0.6, 0.3)
    assert VerdictSettings.from_config(judging) == expected


def test_the_score_is_the_weighted_mean() -> None:
    wide = rubric(judge_criterion("right", 3.0), rule_criterion("ends", 1.0))
    found = score_completion(wide, A, ratings("a", {"right": 0.5, "ends": 1.0}))
    assert found.score == pytest.approx(0.625)
    assert found.parts == {"right": 0.5, "ends": 1.0}
    assert found.completion_id == "a"
    assert found.vetoed_by is None
    assert found.unscored is None


def test_a_broken_veto_makes_the_score_0_and_is_named() -> None:
    strict = rubric(judge_criterion("right", 1.0), rule_criterion("safe", 0.0, threshold=0.5))
    broken = score_completion(strict, A, ratings("a", {"right": 1.0, "safe": 0.49}))
    assert (broken.score, broken.vetoed_by) == (0.0, "safe")
    assert broken.parts == {"right": 1.0, "safe": 0.49}
    kept = score_completion(strict, A, ratings("a", {"right": 1.0, "safe": 0.5}))
    assert (kept.score, kept.vetoed_by) == (1.0, None)


def test_a_criterion_without_veto_breaks_nothing() -> None:
    found = score_completion(ONE, A, ratings("a", {"right": 0.0}))
    assert (found.score, found.vetoed_by) == (0.0, None)


@pytest.mark.parametrize(("weight", "threshold"), [(1e-9, None), (1.0, None), (0.0, 0.5)])
def test_one_unscored_criterion_leaves_no_score(weight: float, threshold: float | None) -> None:
    kind = rule_criterion("kind", weight, threshold)
    wide = rubric(judge_criterion("right"), kind, rule_criterion("ends"))
    found = score_completion(
        wide, A, ratings("a", {"right": 1.0, "kind": "no verdict", "ends": 1.0})
    )
    assert found.score is None
    assert found.unscored == "kind: no verdict"
    assert found.parts == {"right": 1.0, "ends": 1.0}


def test_a_criterion_that_decides_nothing_costs_no_score_where_it_is_unscored() -> None:
    wide = rubric(judge_criterion("right"), judge_criterion("note", 0.0))
    found = score_completion(wide, A, ratings("a", {"right": 0.5, "note": "no verdict"}))
    assert (found.score, found.unscored, found.parts) == (0.5, None, {"right": 0.5})
    assert combined(wide, {"right": 1.0}) == (1.0, None)


def test_unscored_goes_before_a_veto() -> None:
    strict = rubric(judge_criterion("right"), rule_criterion("safe", 1.0, threshold=0.5))
    found = score_completion(strict, A, ratings("a", {"right": "mute", "safe": 0.0}))
    assert (found.score, found.vetoed_by, found.unscored) == (None, None, "right: mute")


def test_a_choice_in_the_place_of_a_rating_is_no_score() -> None:
    found = score_completion(ONE, A, [judgement("right", Choice(p_first=1.0), "a")])
    assert found.score is None
    assert "a choice where a rating belongs" in (found.unscored or "")


@pytest.mark.parametrize(
    ("names", "words"),
    [([], "not judged under right"), (["right", "right"], "judged twice under right")],
)
def test_each_criterion_has_one_judgement(names: list[str], words: str) -> None:
    given_ones = [j for name in names for j in ratings("a", {name: 1.0})]
    with pytest.raises(StageError, match=words):
        score_completion(ONE, A, given_ones)


def test_the_judgements_of_an_earlier_twin_serve() -> None:
    found = score_completion(ONE, B, ratings("a", {"right": 0.75}))
    assert (found.completion_id, found.score) == ("b", 0.75)


def compared(
    forward: float | str, backward: float | str, *, settings: VerdictSettings = PLAIN
) -> PairVerdict:
    """Judge A against B, equal in score; the numbers are P(the one shown first is better)."""
    judged = choices("a", "b", {"right": (forward, backward)})
    return pair_verdict(ONE, settings, (A, B), (scored("a", 0.5), scored("b", 0.5)), judged)


def test_both_orders_are_averaged_and_mixed_with_the_scores() -> None:
    judged = choices("a", "b", {"right": (0.9, 0.3)})
    found = pair_verdict(ONE, PLAIN, (A, B), (scored("a", 0.7), scored("b", 0.5)), judged)
    assert found.p_forward == pytest.approx(0.9)
    assert found.p_backward == pytest.approx(0.7)
    assert found.p_first == pytest.approx(0.5 * sigmoid(1.0) + 0.5 * 0.8)
    assert (found.first_id, found.second_id) == ("a", "b")
    assert (found.quarantined, found.unscored) == (None, None)


def test_criteria_are_averaged_by_weight() -> None:
    wide = rubric(
        judge_criterion("right", 3.0), judge_criterion("kind", 1.0), judge_criterion("unasked", 0.0)
    )
    judged = choices("a", "b", {"right": (1.0, 0.0), "kind": (0.2, 0.6)})
    found = pair_verdict(wide, PLAIN, (A, B), (scored("a", 0.5), scored("b", 0.5)), judged)
    assert found.p_forward == pytest.approx(0.8)
    assert found.p_backward == pytest.approx(0.85)


def test_position_bias_cancels() -> None:
    assert compared(0.8, 0.8).p_first == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("forward", "backward", "held"),
    [
        (0.8, 0.8, True),  # 0.8 against 0.2
        (0.2, 0.2, True),
        (0.69, 0.69, False),  # differ by 0.38, under the threshold
        (0.95, 0.49, False),  # 0.95 against 0.51: the same side
        (0.5, 0.95, False),  # one half is no side
        (0.9, 0.1, False),
    ],
)
def test_a_flip_beyond_the_threshold_is_quarantined(
    forward: float, backward: float, held: bool
) -> None:
    found = compared(forward, backward)
    assert (found.quarantined is not None) == held
    assert found.p_first is not None


def test_quarantine_says_the_numbers_and_the_worst_criterion() -> None:
    wide = rubric(judge_criterion("right"), judge_criterion("kind"))
    judged = choices("a", "b", {"right": (0.8, 0.7), "kind": (0.9, 0.9)})
    found = pair_verdict(wide, PLAIN, (A, B), (scored("a", 0.5), scored("b", 0.5)), judged)
    assert found.quarantined is not None
    for word in ("0.85", "0.20", "kind"):
        assert word in found.quarantined


@pytest.mark.parametrize(
    ("forward", "backward", "words"),
    [
        ("mute", 0.5, ["right, a first: mute"]),
        (0.5, "mute", ["right, b first: mute"]),
        ("mute", "deaf", ["a first: mute", "b first: deaf"]),
    ],
)
def test_an_unscored_order_leaves_no_verdict(
    forward: float | str, backward: float | str, words: list[str]
) -> None:
    found = compared(forward, backward)
    assert found.p_first is None
    assert (found.p_forward, found.p_backward) == (None, None)
    for word in words:
        assert word in (found.unscored or "")
        assert word in (found.quarantined or "")


def test_an_unscored_answer_leaves_no_verdict() -> None:
    judged = choices("a", "b", {"right": (0.9, 0.1)})
    scores = (scored("a", 0.5), scored("b", None, unscored="kind: mute"))
    found = pair_verdict(ONE, PLAIN, (A, B), scores, judged)
    assert (found.p_first, found.unscored) == (None, "b: kind: mute")


def test_one_broken_veto_decides_whatever_the_judge_prefers() -> None:
    judged = choices("a", "b", {"right": (1.0, 0.1)})
    scores = (scored("a", 0.0, vetoed_by="safe"), scored("b", 0.6))
    found = pair_verdict(ONE, PLAIN, (A, B), scores, judged)
    assert found.p_first == pytest.approx(sigmoid(-3.0))
    assert found.p_forward == 1.0
    flipped = pair_verdict(ONE, PLAIN, (A, B), scores, choices("a", "b", {"right": (0.9, 0.9)}))
    assert flipped.quarantined is None


def test_two_broken_vetoes_leave_the_word_to_the_judge() -> None:
    judged = choices("a", "b", {"right": (0.9, 0.1)})
    scores = (scored("a", 0.0, vetoed_by="safe"), scored("b", 0.0, vetoed_by="safe"))
    found = pair_verdict(ONE, PLAIN, (A, B), scores, judged)
    assert found.p_first == pytest.approx(0.5 * 0.5 + 0.5 * 0.9)


def test_without_judge_criteria_scores_alone_decide() -> None:
    rules = rubric(rule_criterion("ends"))
    found = pair_verdict(rules, PLAIN, (A, B), (scored("a", 0.9), scored("b", 0.7)), [])
    assert found.p_first == pytest.approx(sigmoid(1.0))
    assert (found.p_forward, found.p_backward) == (None, None)


def test_without_pairwise_weight_nobody_is_asked() -> None:
    silent = VerdictSettings(0.0, 0.2, 0.4)
    assert criteria_to_compare(ONE, silent) == ()
    found = pair_verdict(ONE, silent, (A, B), (scored("a", 0.9), scored("b", 0.7)), [])
    assert found.p_first == pytest.approx(sigmoid(1.0))


def test_criteria_without_weight_are_not_compared() -> None:
    wide = rubric(judge_criterion("right"), judge_criterion("unasked", 0.0), rule_criterion("ends"))
    assert [c.name for c in criteria_to_compare(wide, PLAIN)] == ["right"]


def test_the_same_words_are_even_without_a_judge() -> None:
    twin = completion("b", A.text)
    found = pair_verdict(ONE, PLAIN, (A, twin), (scored("a", 0.5), scored("b", 0.5)), [])
    assert found.p_first == 0.5
    assert found.quarantined is None


def test_a_completion_is_not_paired_with_itself() -> None:
    with pytest.raises(StageError, match="paired with itself"):
        pair_verdict(ONE, PLAIN, (A, A), (scored("a", 0.5), scored("a", 0.5)), [])


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ([0], "in the other order was not judged under right"),
        ([1], "in this order was not judged under right"),
        ([0, 0, 1], "judged twice under right"),
    ],
)
def test_both_orders_are_needed_once(kept: list[int], words: str) -> None:
    judged = choices("a", "b", {"right": (0.9, 0.1)})
    with pytest.raises(StageError, match=words):
        pair_verdict(
            ONE,
            PLAIN,
            (A, B),
            (scored("a", 0.5), scored("b", 0.5)),
            [judged[index] for index in kept],
        )


ORDERS = st.tuples(PROBABILITY, PROBABILITY)
MAYBE_VETO = st.one_of(st.none(), PROBABILITY)


@given(
    st.dictionaries(st.sampled_from(["right", "kind", "short"]), ORDERS, min_size=1),
    st.lists(st.floats(0.01, 10.0), min_size=3, max_size=3),
    st.tuples(MAYBE_VETO, MAYBE_VETO),
    st.builds(VerdictSettings, PROBABILITY, st.floats(0.01, 10.0), PROBABILITY),
)
def test_swapping_the_pair_turns_the_verdict_round(
    orders: dict[str, tuple[float, float]],
    weights: list[float],
    levels: tuple[float | None, float | None],
    settings: VerdictSettings,
) -> None:
    criteria = [judge_criterion(n, w) for n, w in zip(orders, weights, strict=False)]
    wide = rubric(*criteria)
    judged: list[Judgement] = choices("a", "b", orders)
    scores = tuple(
        scored(name, 0.0, vetoed_by="v") if level is None else scored(name, level)
        for name, level in zip("ab", levels, strict=True)
    )
    there = pair_verdict(wide, settings, (A, B), (scores[0], scores[1]), judged)
    back = pair_verdict(wide, settings, (B, A), (scores[1], scores[0]), judged[::-1])
    assert there.p_first is not None
    assert back.p_first is not None
    assert there.p_first + back.p_first == pytest.approx(1.0, abs=1e-12)
    if there.p_forward is not None:
        assert there.p_backward is not None
        assert there.p_forward + (back.p_backward or 0.0) == pytest.approx(1.0, abs=1e-12)
        assert there.p_backward + (back.p_forward or 0.0) == pytest.approx(1.0, abs=1e-12)


@given(ORDERS, st.tuples(PROBABILITY, PROBABILITY))
def test_a_better_score_never_lowers_the_probability(
    orders: tuple[float, float], levels: tuple[float, float]
) -> None:
    judged = choices("a", "b", {"right": orders})
    low, high = sorted(levels)

    def p_first(level: float) -> float:
        scores = (scored("a", level), scored("b", 0.5))
        return pair_verdict(ONE, PLAIN, (A, B), scores, judged).p_first or 0.0

    assert p_first(low) <= p_first(high) + 1e-12


@given(st.lists(st.one_of(PROBABILITY, st.just("mute")), min_size=1, max_size=4), st.data())
def test_unscored_never_becomes_a_score(parts: list[float | str], data: st.DataObject) -> None:
    names = [f"c{i}" for i in range(len(parts))]
    weights = [data.draw(st.floats(0.0, 5.0)) for _ in parts]
    weights[0] += 0.1
    wide = rubric(*(judge_criterion(n, w) for n, w in zip(names, weights, strict=True)))
    judged = ratings("a", dict(zip(names, parts, strict=True)))
    found = score_completion(wide, A, judged)
    if any(part == "mute" and weight for part, weight in zip(parts, weights, strict=True)):
        assert found.score is None
        assert found.unscored
    else:
        weighed = [(w, float(p)) for w, p in zip(weights, parts, strict=True) if w]
        mean = sum(w * p for w, p in weighed) / sum(weights)
        assert found.score == pytest.approx(mean)
