"""From rankings to soft labels: by hand, by an independent fit, and whatever the names."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_samples import completion, judge_criterion, rubric, rule_criterion, scored
from scipy.optimize import minimize

from rlaif.errors import StageError
from rlaif.judges import VerdictSettings
from rlaif.judges.lists import kendall_tau, list_verdicts
from rlaif.judges.ranking import PRIOR
from rlaif.judges.rubric import Rubric
from rlaif.records import Judgement, PairVerdict, Ranking, Unscored

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
ONE = rubric(judge_criterion("right"))
TWO = rubric(judge_criterion("right", 3.0), judge_criterion("kind", 1.0))
JUDGE_ALONE = VerdictSettings(
    pairwise_weight=1.0, score_temperature=0.2, flip_threshold=0.4, compare="lists"
)
THREE = [completion(name) for name in "abc"]
LEVEL = {name: scored(name, 0.5) for name in "abcde"}


def ranking(criterion: str, shown: str, said: str, judge: str = "") -> Judgement:
    """A ranking of answers named by letters; words other than theirs are why there is none."""
    ids = tuple(shown)
    verdict = (
        Ranking(places=tuple(ids.index(name) for name in said))
        if sorted(said) == sorted(shown)
        else Unscored(reason=said)
    )
    return Judgement(
        id="-".join((criterion, judge, shown)),
        criterion=criterion,
        kind="listwise",
        completion_ids=ids,
        critique="words",
        verdict=verdict,
        judge=judge,
    )


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def fitted(
    names: str, rankings: Sequence[str], weights: Sequence[float] | None = None
) -> Mapping[str, float]:
    """Log-worths that maximise Plackett and Luce's likelihood with the prior's comparisons."""

    def lost(logs: np.ndarray) -> float:
        worth = dict(zip(names, logs, strict=True))
        total = 0.0
        for said, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
            for place in range(len(said) - 1):
                left = [worth[name] for name in said[place:]]
                total += weight * (worth[said[place]] - float(np.logaddexp.reduce(left)))
        for log in logs:
            total += PRIOR * (log - np.logaddexp(0.0, log)) - PRIOR * np.logaddexp(0.0, log)
        return -total

    found = minimize(lost, np.zeros(len(names)), method="BFGS", options={"gtol": 1e-9})
    return dict(zip(names, found.x.tolist(), strict=True))


def by_pair(verdicts: Sequence[PairVerdict]) -> dict[str, PairVerdict]:
    return {v.first_id + v.second_id: v for v in verdicts}


def judged(
    judgements: Sequence[Judgement],
    names: str = "abc",
    how: VerdictSettings = JUDGE_ALONE,
    of: Rubric = ONE,
) -> dict[str, PairVerdict]:
    answers = [completion(name) for name in names]
    return by_pair(list_verdicts(of, how, answers, LEVEL, judgements))


@pytest.mark.parametrize(
    ("one", "other", "tau"),
    [
        ("abc", "abc", 1.0),
        ("abc", "acb", 1 / 3),
        ("abc", "cab", -1 / 3),
        ("abc", "cba", -1.0),
        ("ab", "ba", -1.0),
        ("abcd", "badc", 1 / 3),
        ("abcd", "dabc", 0.0),
    ],
)
def test_kendalls_tau_by_hand(one: str, other: str, tau: float) -> None:
    assert kendall_tau(one, other) == kendall_tau(other, one) == pytest.approx(tau)


def test_two_answers_by_hand() -> None:
    # With worths e^x and e^-x, wins = expected wins reads 2 + 1/2 = 2 s(2x) + s(x).
    low, high = 0.0, 5.0
    for _ in range(100):
        x = (low + high) / 2
        low, high = (x, high) if 2 * sigmoid(2 * x) + sigmoid(x) < 2.5 else (low, x)
    found = judged([ranking("right", "ab", "ab"), ranking("right", "ba", "ab")], "ab")
    assert found["ab"].p_first == pytest.approx(sigmoid(2 * low), abs=1e-6)
    assert found["ab"].quarantined is None


def test_three_answers_as_an_independent_fit_has_them() -> None:
    found = judged([ranking("right", "abc", "bac"), ranking("right", "cba", "bca")])
    worth = fitted("abc", ["bac", "bca"])
    assert list(found) == ["ab", "ac", "bc"]
    for pair, verdict in found.items():
        expected = sigmoid(worth[pair[0]] - worth[pair[1]])
        assert verdict.p_first == pytest.approx(expected, abs=1e-5)
        assert verdict.unscored is verdict.disagreement is None
    assert found["ac"].p_first == pytest.approx(0.5)


def test_each_half_of_the_orders_is_told_apart() -> None:
    found = judged([ranking("right", "abc", "abc"), ranking("right", "cba", "acb")])
    one, other = fitted("abc", ["abc"]), fitted("abc", ["acb"])
    for pair in ("ab", "ac", "bc"):
        first, second = pair
        assert found[pair].p_forward == pytest.approx(sigmoid(one[first] - one[second]), abs=1e-5)
        assert found[pair].p_backward == pytest.approx(
            sigmoid(other[first] - other[second]), abs=1e-5
        )
    assert found["bc"].p_forward == pytest.approx(1 - (found["bc"].p_backward or 0.0), abs=1e-5)


def test_an_order_that_was_never_turned_round_has_no_other_half() -> None:
    found = judged([ranking("right", "abc", "abc")])
    assert (found["ab"].p_backward, found["ab"].quarantined) == (None, None)
    assert found["ab"].p_forward == found["ab"].p_first


def test_criteria_count_by_weight_and_ratings_have_their_say() -> None:
    said = [
        *(ranking("right", shown, "abc") for shown in ("abc", "cba")),
        *(ranking("kind", shown, "bac") for shown in ("abc", "cba")),
        ranking("other", "abc", "cba"),
    ]
    right, kind = fitted("abc", ["abc"] * 2), fitted("abc", ["bac"] * 2)
    p_judge = 0.75 * sigmoid(right["a"] - right["b"]) + 0.25 * sigmoid(kind["a"] - kind["b"])
    mixed = VerdictSettings(0.25, 0.2, 0.4, compare="lists")
    scores = {"a": scored("a", 0.9), "b": scored("b", 0.7), "c": scored("c", 0.1)}
    found = by_pair(list_verdicts(TWO, mixed, THREE, scores, said))
    expected = 0.75 * sigmoid((0.9 - 0.7) / 0.2) + 0.25 * p_judge
    assert found["ab"].p_first == pytest.approx(expected, abs=1e-5)


def test_the_judges_probability_is_clamped() -> None:
    tame = VerdictSettings(1.0, 0.2, 0.4, clamp=0.4, compare="lists")
    found = judged([ranking("right", shown, "abc") for shown in ("abc", "cba")], how=tame)
    assert [verdict.p_first for verdict in found.values()] == [0.6] * 3


names_and_rankings = st.integers(2, 5).flatmap(
    lambda count: st.tuples(
        st.permutations("abcde"[:count]),
        st.lists(st.permutations("abcde"[:count]), min_size=1, max_size=4),
        st.permutations("abcde"[:count]),
    )
)


@QUICK
@given(names_and_rankings)
def test_names_and_order_of_the_answers_change_nothing(
    drawn: tuple[list[str], list[list[str]], list[str]],
) -> None:
    answers, said, other_names = drawn
    first = "".join(sorted(answers))
    shown = [first, first[::-1], *(first[i:] + first[:i] for i in (1, 2))][: len(said)]
    shown = list(dict.fromkeys(shown))
    rankings = [
        ranking("right", order, "".join(ranked)) for order, ranked in zip(shown, said, strict=False)
    ]
    renamed = dict(zip(first, other_names, strict=True))

    def under(name: str) -> str:
        return "".join(renamed[letter] for letter in name)

    again = [
        ranking("right", under(order), under("".join(ranked)))
        for order, ranked in zip(shown, said, strict=False)
    ]
    found = judged(rankings, first)
    swapped = judged(rankings, first[::-1])
    others = judged(again, under(first))
    for pair, verdict in found.items():
        assert close(others[under(pair)], verdict)
        back = swapped[pair[::-1]]
        assert back.p_first == pytest.approx(1.0 - (verdict.p_first or 0.0), abs=1e-7)
        assert complement(back.p_forward) == pytest.approx(verdict.p_backward, abs=1e-7)
        assert complement(back.p_backward) == pytest.approx(verdict.p_forward, abs=1e-7)
        assert (back.quarantined is None) == (verdict.quarantined is None)


def close(one: PairVerdict, other: PairVerdict) -> bool:
    fields = [(v.p_first, v.p_forward, v.p_backward) for v in (one, other)]
    alike = all(a == pytest.approx(b, abs=1e-7) for a, b in zip(*fields, strict=True))
    return alike and one.quarantined == other.quarantined


def complement(probability: float | None) -> float | None:
    return None if probability is None else 1.0 - probability


def test_an_order_without_a_ranking_leaves_the_whole_list_unscored() -> None:
    found = judged([ranking("right", "abc", "abc"), ranking("right", "cba", "no ranking line")])
    for verdict in found.values():
        assert (verdict.p_first, verdict.p_forward) == (None, None)
        assert verdict.unscored == verdict.quarantined == "right, c first: no ranking line"


def test_orders_that_contradict_each_other_are_quarantined() -> None:
    found = judged([ranking("right", shown, shown) for shown in ("abc", "cba")])
    for verdict in found.values():
        assert verdict.p_first is not None
        assert verdict.quarantined == (
            "the rankings change with the order: Kendall's tau between them is -1.00, under 0.20, "
            "least of all under right"
        )


def test_the_threshold_is_on_all_criteria_together() -> None:
    said = [
        *(ranking("right", shown, "abc") for shown in ("abc", "cba")),
        *(ranking("kind", shown, shown) for shown in ("abc", "cba")),
    ]
    # (3 * 1 + 1 * -1) / 4 = 0.5
    strict = VerdictSettings(1.0, 0.2, 0.4, compare="lists", list_min_tau=0.51)
    lenient = VerdictSettings(1.0, 0.2, 0.4, compare="lists", list_min_tau=0.5)
    told = judged(said, how=strict, of=TWO)["ab"].quarantined
    assert told is not None
    assert "is 0.50, under 0.51, least of all under kind" in told
    assert judged(said, how=lenient, of=TWO)["ab"].quarantined is None


def test_a_veto_decides_over_rankings_and_their_doubts() -> None:
    strict = rubric(judge_criterion("right"), rule_criterion("safe", 0.0, threshold=0.5))
    scores = {"a": scored("a", 0.0, vetoed_by="safe"), "b": scored("b", 0.4), "c": scored("c", 0.4)}
    said = [ranking("right", shown, shown) for shown in ("abc", "cba")]
    found = by_pair(list_verdicts(strict, JUDGE_ALONE, THREE, scores, said))
    assert found["ab"].p_first == pytest.approx(sigmoid(-0.4 / 0.2))
    assert found["ab"].quarantined is None
    assert found["bc"].quarantined is not None


def test_an_answer_without_a_score_leaves_its_pairs_unscored() -> None:
    scores = {**LEVEL, "b": scored("b", None, unscored="kind: no verdict")}
    said = [ranking("right", shown, "abc") for shown in ("abc", "cba")]
    found = by_pair(list_verdicts(ONE, JUDGE_ALONE, THREE, scores, said))
    assert {pair: v.unscored for pair, v in found.items()} == {
        "ab": "b: kind: no verdict",
        "ac": None,
        "bc": "b: kind: no verdict",
    }


def test_a_jurys_rankings_are_pooled_and_its_disagreement_told() -> None:
    said = [
        ranking("right", shown, ranked, judge)
        for judge, ranked in (("one", "abc"), ("two", "abc"), ("three", "acb"))
        for shown in ("abc", "cba")
    ]
    found = judged(said)
    worth = fitted("abc", ["abc"] * 4 + ["acb"] * 2)
    assert found["bc"].p_first == pytest.approx(sigmoid(worth["b"] - worth["c"]), abs=1e-5)
    assert found["ab"].disagreement == 0.0
    # Shares 1, 1 and 0: the entropy of (2/3, 1/3), as each juror is sure.
    entropy = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert found["bc"].disagreement == pytest.approx(entropy)
    assert found["bc"].quarantined is None


def ranked_by(**rankings: str) -> list[Judgement]:
    """Return what jurors say under one criterion, each in both orders."""
    return [
        ranking("right", shown, ranked, judge)
        for judge, ranked in rankings.items()
        for shown in ("abc", "cba")
    ]


def test_a_split_jury_quarantines_the_pairs_that_it_is_split_on() -> None:
    careful = VerdictSettings(1.0, 0.2, 0.4, max_disagreement=0.9, compare="lists")
    found = judged(ranked_by(one="abc", two="acb"), how=careful)
    assert found["ab"].quarantined is None
    assert found["bc"].quarantined == (
        "the jury is split: its verdicts are 1.00 bits apart, over 0.90"
    )


def test_a_juror_that_ranks_alone_quarantines_the_pairs_that_it_stands_alone_on() -> None:
    careful = VerdictSettings(1.0, 0.2, 0.4, outlier_distance=0.5, compare="lists")
    found = judged(ranked_by(one="abc", two="abc", three="acb"), how=careful)
    assert found["ab"].quarantined is None
    assert found["bc"].quarantined == (
        "three stood alone under right: over 0.50 from every other juror"
    )


def test_a_juror_that_abstains_costs_its_order_no_weight() -> None:
    said = [
        *(ranking("right", "abc", "abc", judge) for judge in ("one", "two", "three")),
        *(ranking("right", "cba", "acb", judge) for judge in ("one", "two")),
        ranking("right", "cba", "no ranking line", "three"),
    ]
    found = judged(said)
    worth = fitted("abc", ["abc"] * 3 + ["acb"] * 2, [1.0] * 3 + [1.5] * 2)
    assert found["bc"].p_first == pytest.approx(sigmoid(worth["b"] - worth["c"]), abs=1e-5)
    assert found["bc"].p_first == pytest.approx(0.5, abs=1e-5)


def test_half_of_a_jury_is_not_enough() -> None:
    said = [
        ranking("right", "abc", "abc", "one"),
        ranking("right", "abc", "tied", "two"),
        *(ranking("right", "cba", "abc", judge) for judge in ("one", "two")),
    ]
    assert judged(said)["ab"].unscored == "right, a first, two: tied"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([ranking("kind", "abc", "abc")], "was not judged under right"),
        ([ranking("right", "abc", "abc")] * 2, "ranked twice in one order under right"),
        ([ranking("right", "ab", "ab")], "a ranking of a, b"),
        ([ranking("right", "abd", "abd")], "a ranking of a, b, d"),
    ],
)
def test_missing_double_and_foreign_rankings_are_errors(said: list[Judgement], told: str) -> None:
    with pytest.raises(StageError, match=told):
        judged(said)


def test_other_judgements_are_passed_over() -> None:
    pairwise = ranking("right", "ab", "ab").model_copy(update={"kind": "pairwise"})
    said = [ranking("right", shown, "abc") for shown in ("abc", "cba")]
    assert judged([*said, pairwise]) == judged(said)


def test_every_pair_of_nine_answers_has_a_verdict() -> None:
    names = "abcdefghi"
    scores = {name: scored(name, 0.5) for name in names}
    answers = [completion(name) for name in names]
    said = [ranking("right", shown, names) for shown in (names, names[::-1])]
    found = by_pair(list_verdicts(ONE, JUDGE_ALONE, answers, scores, said))
    assert list(found) == ["".join(pair) for pair in combinations(names, 2)]
    nearest = [found[a + b].p_first or 0.0 for a, b in pairwise(names)]
    assert all(p > 0.5 for p in nearest)
    assert (found["ai"].p_first or 0.0) > max(nearest)


def test_settings_of_lists_are_hashed_only_where_lists_are_ranked() -> None:
    plain = VerdictSettings(0.5, 0.2, 0.4)
    assert plain.for_hashing(1, compares=True) == {
        "pairwise_weight": 0.5,
        "score_temperature": 0.2,
        "flip_threshold": 0.4,
    }
    listed = JUDGE_ALONE.for_hashing(1, compares=True)
    assert {
        name: listed[name] for name in listed if name not in plain.for_hashing(1, compares=True)
    } == {
        "compare": "lists",
        "list_size": 5,
        "list_orders": 2,
        "list_min_tau": 0.2,
    }
