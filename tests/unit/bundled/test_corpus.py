"""The corpus has the promised mixture, and never shows a held-out prompt."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from rlaif.bundled.analysis import analyse
from rlaif.bundled.corpus import (
    GOOD,
    Example,
    Mixture,
    answer,
    core_answer,
    examples,
    pool_prompts,
    train_prompts,
)
from rlaif.bundled.grammar import ITEMS, Item
from rlaif.bundled.oracle import HelpDeskOracle, OracleGrade

FACT_ITEMS = [item for item in ITEMS if item.family == "fact"]


@pytest.fixture(scope="module")
def drawn() -> list[Example]:
    return list(examples(np.random.default_rng(5), 4_000, Mixture()))


@pytest.fixture(scope="module")
def grades(drawn: list[Example]) -> list[OracleGrade]:
    oracle = HelpDeskOracle()
    return [oracle.grade(one.prompt.text, one.completion, one.ended) for one in drawn]


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def test_each_quality_has_its_share(grades: list[OracleGrade]) -> None:
    assert 0.10 < share([g.good for g in grades]) < 0.20
    assert 0.45 < share([g.correct for g in grades]) < 0.55
    assert 0.42 < share([g.tone == "courteous" for g in grades]) < 0.50
    assert 0.25 < share([g.tone == "plain" for g in grades]) < 0.35
    assert 0.60 < share([g.concise for g in grades]) < 0.70
    assert 0.86 < share([g.ended for g in grades]) < 0.95


def test_the_axes_are_independent(grades: list[OracleGrade]) -> None:
    axes = np.array([[g.correct, g.tone == "courteous", g.concise] for g in grades], dtype=float)
    correlation = np.corrcoef(axes.T)
    assert np.abs(correlation - np.eye(3)).max() < 0.08


def test_the_same_seed_draws_the_same_corpus(drawn: list[Example]) -> None:
    again = list(examples(np.random.default_rng(5), 200, Mixture()))
    other = list(examples(np.random.default_rng(6), 200, Mixture()))
    first = list(examples(np.random.default_rng(5), 200, Mixture()))
    assert again == first
    assert again != other
    assert len({one.completion for one in drawn}) > 2_500


def test_held_out_prompts_never_train(drawn: list[Example]) -> None:
    held_out = {prompt.text for prompt, split in pool_prompts() if split == "eval"}
    assert len(held_out) >= 300
    assert not held_out & {one.prompt.text for one in drawn}
    trained = {prompt.text for prompts in train_prompts().values() for prompt in prompts}
    assert not held_out & trained
    assert len(trained) > 10_000


def test_good_answers_are_good() -> None:
    oracle = HelpDeskOracle()
    for one in examples(np.random.default_rng(2), 1_000, GOOD):
        assert oracle.grade(one.prompt.text, one.completion, one.ended).good, one


@pytest.mark.parametrize("item", FACT_ITEMS[::17], ids=lambda item: item.key)
def test_the_right_answer_is_the_single_mode(item: Item) -> None:
    rng = np.random.default_rng(3)
    said = Counter(
        analyse(item, core_answer(rng, item, bool(rng.random() < Mixture().right))).said
        for _ in range(600)
    )
    assert item.fact is not None
    ((best, count), (_, second)) = said.most_common(2)
    assert best == item.fact.answer
    assert count > 3 * second


@pytest.mark.parametrize(("item", "right"), list(product(ITEMS[::9], (True, False))))
def test_cores_are_right_or_wrong_as_asked(item: Item, right: bool) -> None:
    rng = np.random.default_rng(4)
    found = {analyse(item, core_answer(rng, item, right)).correctness for _ in range(80)}
    assert found == {1.0} if right else found <= {0.0, 0.5}


def test_a_run_on_answer_has_no_end() -> None:
    mix = Mixture(cut=0.0, run_on=1.0)
    text, ended = answer(np.random.default_rng(0), ITEMS[0], mix)
    assert not ended
    assert len(text.split()) >= 80
    assert not text.endswith(".")


def test_a_cut_answer_ends_in_mid_sentence() -> None:
    mix = Mixture(cut=1.0, run_on=0.0)
    for seed in range(50):
        text, ended = answer(np.random.default_rng(seed), ITEMS[seed], mix)
        assert ended
        assert text
        assert text[-1].isalnum()
