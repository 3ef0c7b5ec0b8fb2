"""Pairs worth comparing, and pairs worth training on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config import PreferencesConfig
from rlaif.judges import p_from_scores
from rlaif.judges.calibration import Calibration
from rlaif.records import Completion, CompletionScore, PairVerdict
from rlaif.stages.human_pairs import HumanPair
from rlaif.stages.preferences import (
    LabelledPair,
    calibrated,
    choose_pairs,
    labels_of_comparisons,
    labels_of_humans,
    labels_of_ratings,
    make_preferences,
)


def answer(name: str, duplicate_of: str | None = None) -> Completion:
    return Completion(
        id=name,
        prompt_id="p",
        policy="d",
        index=0,
        text=name,
        length=3,
        ended=True,
        duplicate_of=duplicate_of,
    )


def score(name: str, value: float | None) -> CompletionScore:
    return CompletionScore(
        completion_id=name, score=value, parts={}, unscored=None if value is not None else "broken"
    )


def verdict(p: float | None, first: str = "a", second: str = "b", **more: str) -> PairVerdict:
    return PairVerdict(first_id=first, second_id=second, p_first=p, **more)


def compared(p: float) -> list[LabelledPair]:
    return labels_of_comparisons([verdict(p)])


def test_the_widest_margin_comes_first() -> None:
    answers = [answer("a"), answer("b"), answer("c")]
    scores = {"a": score("a", 0.1), "b": score("b", 0.5), "c": score("c", 0.95)}
    chosen = choose_pairs(answers, scores, 1, seed=1)
    assert [{x.id for x in pair} for pair in chosen] == [{"a", "c"}]


def test_duplicates_and_unscored_answers_are_not_compared() -> None:
    answers = [answer("a"), answer("b", duplicate_of="a"), answer("c"), answer("d")]
    scores = {"a": score("a", 0.1), "c": score("c", None), "d": score("d", 0.9)}
    chosen = choose_pairs(answers, scores, 9, seed=1)
    assert [{x.id for x in pair} for pair in chosen] == [{"a", "d"}]


def test_labels_spread_over_the_answers() -> None:
    answers = [answer(n) for n in "abcd"]
    scores = {n: score(n, v) for n, v in zip("abcd", (0.0, 0.0, 1.0, 1.0), strict=True)}
    chosen = choose_pairs(answers, scores, 2, seed=3)
    assert {x.id for pair in chosen for x in pair} == set("abcd")


def test_the_order_within_pairs_is_drawn_by_chance() -> None:
    scores = {"a": score("a", 0.1), "b": score("b", 0.9)}
    firsts = {
        choose_pairs([answer("a"), answer("b")], scores, 1, seed)[0][0].id for seed in range(20)
    }
    assert firsts == {"a", "b"}


def test_verdicts_become_soft_labels() -> None:
    found = make_preferences(compared(0.8), {"a": "p", "b": "p"}, PreferencesConfig(), "rubric")
    assert [(p.label, p.prompt_id, p.rubric_hash, p.origin) for p in found] == [
        (0.8, "p", "rubric", "comparison")
    ]


def test_pairs_that_were_not_compared_are_labelled_from_their_ratings() -> None:
    answers = [answer(n) for n in "abc"]
    scores = {n: score(n, v) for n, v in zip("abc", (0.9, 0.6, 0.6), strict=True)}
    found = labels_of_ratings(answers, scores, [verdict(0.7, "b", "a")], temperature=0.15)
    # sigmoid(0.3 / 0.15) = 1 / (1 + e^-2)
    assert [(p.first_id, p.second_id, p.origin) for p in found] == [
        ("a", "c", "ratings"),
        ("b", "c", "ratings"),
    ]
    assert [p.label for p in found] == pytest.approx([0.8807970779778823, 0.5])


@pytest.mark.parametrize(
    "judged",
    [verdict(None, unscored="no verdict"), verdict(0.9, quarantined="the order decides")],
)
def test_ratings_do_not_bring_back_a_pair_that_was_left_out(judged: PairVerdict) -> None:
    scores = {"a": score("a", 0.1), "b": score("b", 0.9)}
    assert labels_of_ratings([answer("a"), answer("b")], scores, [judged], 0.15) == []


def test_ratings_label_no_duplicate_no_unscored_answer_and_no_two_prompts() -> None:
    other = answer("e").model_copy(update={"prompt_id": "q"})
    answers = [answer("a"), answer("b", duplicate_of="a"), answer("c"), answer("d"), other]
    values = {"a": 0.1, "b": 0.1, "c": None, "d": 0.9, "e": 0.5}
    scores = {name: score(name, value) for name, value in values.items()}
    found = labels_of_ratings(answers, scores, [], temperature=0.15)
    assert [(p.first_id, p.second_id) for p in found] == [("a", "d")]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 10))
def test_a_label_from_ratings_is_antisymmetric(first: float, second: float, t: float) -> None:
    forth = p_from_scores(first, second, t)
    assert 0.0 <= forth <= 1.0
    assert forth + p_from_scores(second, first, t) == pytest.approx(1.0)
    assert (forth >= 0.5) == (first >= second) or first == pytest.approx(second)


@pytest.mark.parametrize(
    "left_out",
    [
        verdict(None, unscored="no verdict"),
        verdict(0.9, quarantined="the order decides"),
        verdict(0.52),
    ],
)
def test_unscored_quarantined_and_tied_pairs_do_not_train(left_out: PairVerdict) -> None:
    pairs = labels_of_comparisons([left_out])
    assert make_preferences(pairs, {"a": "p", "b": "p"}, PreferencesConfig(), "r") == []


@pytest.mark.parametrize(("p", "label"), [(0.9, 1.0), (0.56, 1.0), (0.1, 0.0)])
def test_hard_labels_are_as_good_as_sure(p: float, label: float) -> None:
    config = PreferencesConfig(labels="hard")
    (found,) = make_preferences(compared(p), {"a": "p", "b": "p"}, config, "r")
    assert found.label == label


def test_a_tie_stays_one_half_among_hard_labels() -> None:
    config = PreferencesConfig(labels="hard", ties="keep")
    (found,) = make_preferences(compared(0.52), {"a": "p", "b": "p"}, config, "r")
    assert found.label == 0.5


def test_ties_are_kept_as_one_half_when_asked_for() -> None:
    config = PreferencesConfig(ties="keep")
    found = make_preferences(compared(0.52), {"a": "p", "b": "p"}, config, "r")
    assert [p.label for p in found] == [0.5]


@given(st.lists(st.text(min_size=1), min_size=40, max_size=40, unique=True))
def test_all_pairs_of_a_prompt_are_on_one_side(prompts: list[str]) -> None:
    verdicts, prompt_of = [], {}
    for i, prompt in enumerate(prompts):
        prompt_of |= {f"a{i}": prompt, f"b{i}": prompt, f"c{i}": prompt}
        verdicts += [verdict(0.9, f"a{i}", f"b{i}"), verdict(0.1, f"b{i}", f"c{i}")]
    found = make_preferences(
        labels_of_comparisons(verdicts), prompt_of, PreferencesConfig(heldout_share=0.5), "r"
    )
    sides: dict[str, set[str]] = {}
    for preference in found:
        sides.setdefault(preference.prompt_id, set()).add(preference.split)
    assert len(found) == 80
    assert all(len(side) == 1 for side in sides.values())


def human(name: str, p: float, weight: float = 1.0, frozen: bool = False) -> HumanPair:
    return HumanPair(name, "p", "a", "b", p, weight, frozen)


def test_humans_train_by_the_product_of_both_weights_and_frozen_ones_never() -> None:
    pairs = [human("x", 1.0, 2.0), human("y", 0.25), human("z", 1.0, frozen=True)]
    assert labels_of_humans(pairs, 0.0, 3) == []
    found = labels_of_humans(pairs, 0.5, 3)
    assert [(p.label, p.weight, p.origin) for p in found] == [
        (1.0, 1.0, "human"),
        (0.25, 0.5, "human"),
    ]


def test_voices_on_one_pair_are_preferences_of_their_own_in_every_cycle() -> None:
    both = [human("x", 1.0), human("y", 0.0)]
    ids = set()
    for cycle in (1, 2):
        pairs = [*labels_of_humans(both, 1.0, cycle), *compared(0.9)]
        made = make_preferences(pairs, {"a": "p", "b": "p"}, PreferencesConfig(), "r")
        assert [(p.origin, p.label) for p in made[:2]] == [("human", 1.0), ("human", 0.0)]
        ids |= {p.id for p in made}
    assert len(ids) == 5
    (alone,) = make_preferences(compared(0.9), {"a": "p", "b": "p"}, PreferencesConfig(), "r")
    assert alone.id in ids
    assert alone.weight == 1.0


COOLED = Calibration(method="temperature", temperature=2.0, labels=50)


def test_each_origin_has_a_calibration_of_its_own() -> None:
    pairs = [
        LabelledPair("a", "b", 0.9, "comparison"),
        LabelledPair("a", "c", 0.9, "ratings"),
        LabelledPair("a", "d", 1.0, "human", 0.5, "x"),
    ]
    found = calibrated(pairs, {"comparison": COOLED})
    assert found[0].label == pytest.approx(0.75)
    assert found[1:] == pairs[1:]
    assert calibrated(pairs, {}) == pairs


@given(st.floats(0, 1))
def test_a_calibrated_label_is_the_same_read_from_the_other_side(p: float) -> None:
    pairs = [LabelledPair("a", "b", p, "comparison"), LabelledPair("b", "a", 1.0 - p, "comparison")]
    forth, back = calibrated(pairs, {"comparison": COOLED})
    assert forth.label + back.label == pytest.approx(1.0)
    assert (forth.label - 0.5) * (p - 0.5) >= 0.0


def test_answers_on_whose_ratings_the_jury_is_split_are_not_paired() -> None:
    apart = score("a", 0.9).model_copy(update={"quarantined": "the jury is split"})
    scores = {"a": apart, "b": score("b", 0.5), "c": score("c", 0.1)}
    answers = [answer(n) for n in "abc"]
    found = labels_of_ratings(answers, scores, [], 0.15)
    assert [{p.first_id, p.second_id} for p in found] == [{"b", "c"}]
