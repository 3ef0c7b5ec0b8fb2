"""Pairs worth comparing, and pairs worth training on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config import PreferencesConfig
from rlaif.records import Completion, CompletionScore, PairVerdict
from rlaif.stages.preferences import choose_pairs, make_preferences


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
    found = make_preferences([verdict(0.8)], {"a": "p", "b": "p"}, PreferencesConfig(), "rubric")
    assert [(p.label, p.prompt_id, p.rubric_hash) for p in found] == [(0.8, "p", "rubric")]


@pytest.mark.parametrize(
    "left_out",
    [
        verdict(None, unscored="no verdict"),
        verdict(0.9, quarantined="the order decides"),
        verdict(0.52),
    ],
)
def test_unscored_quarantined_and_tied_pairs_do_not_train(left_out: PairVerdict) -> None:
    assert make_preferences([left_out], {"a": "p", "b": "p"}, PreferencesConfig(), "r") == []


def test_ties_are_kept_as_one_half_when_asked_for() -> None:
    config = PreferencesConfig(ties="keep")
    found = make_preferences([verdict(0.52)], {"a": "p", "b": "p"}, config, "r")
    assert [p.label for p in found] == [0.5]


@given(st.lists(st.text(min_size=1), min_size=40, max_size=40, unique=True))
def test_all_pairs_of_a_prompt_are_on_one_side(prompts: list[str]) -> None:
    verdicts, prompt_of = [], {}
    for i, prompt in enumerate(prompts):
        prompt_of |= {f"a{i}": prompt, f"b{i}": prompt, f"c{i}": prompt}
        verdicts += [verdict(0.9, f"a{i}", f"b{i}"), verdict(0.1, f"b{i}", f"c{i}")]
    found = make_preferences(verdicts, prompt_of, PreferencesConfig(heldout_share=0.5), "r")
    sides: dict[str, set[str]] = {}
    for preference in found:
        sides.setdefault(preference.prompt_id, set()).add(preference.split)
    assert len(found) == 80
    assert all(len(side) == 1 for side in sides.values())
