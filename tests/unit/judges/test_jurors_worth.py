"""Dawid-Skene learns from votes what jurors are worth, where there are enough of them."""

from collections.abc import Sequence

import numpy as np
import pytest
from judge_samples import judge_criterion

from rlaif.judges.combining import FEWEST_QUESTIONS, Combine, merge
from rlaif.judges.jury import votes
from rlaif.records import Choice, Judgement

KIND = judge_criterion("kind", 1.0)
SURE = 0.9


def cases(
    count: int, right: Sequence[float], sure: Sequence[float]
) -> tuple[np.ndarray, list[list[Judgement]]]:
    """Draw pairs of which the first is better or not, and jurors of whom each errs in its share."""
    generator = np.random.default_rng(20261130)
    truth = generator.random(count) < 0.5
    told = []
    for case in range(count):
        said = []
        for juror, (share, p) in enumerate(zip(right, sure, strict=True)):
            first = bool(truth[case]) == bool(generator.random() < share)
            said.append(
                Judgement(
                    id=f"{case}-{juror}",
                    criterion="kind",
                    kind="pairwise",
                    completion_ids=(f"a{case}", f"b{case}"),
                    critique="So.",
                    verdict=Choice(p_first=p if first else 1.0 - p),
                    judge=f"j{juror}",
                    method="label_probs",
                )
            )
        told.append(said)
    return truth, told


def merged(told: list[list[Judgement]], how: Combine) -> list[float]:
    found = [one.judgements[0].verdict for one in merge(told, [KIND], how)]
    return [verdict.p_first for verdict in found if isinstance(verdict, Choice)]


def test_one_good_juror_is_found_among_poor_ones_however_sure_all_are() -> None:
    truth, told = cases(600, (0.9, 0.6, 0.6), (SURE,) * 3)
    share = {
        how: float(np.mean((np.array(merged(told, how)) > 0.5) == truth))
        for how in ("mean", "dawid_skene")
    }
    assert share["mean"] < 0.82
    assert share["dawid_skene"] > 0.87


def test_how_sure_a_juror_is_buys_it_no_weight() -> None:
    _, modest = cases(200, (0.9, 0.6, 0.6), (0.6, 0.6, 0.6))
    _, boastful = cases(200, (0.9, 0.6, 0.6), (0.6, 0.99, 0.99))
    assert merged(modest, "dawid_skene") == merged(boastful, "dawid_skene")
    assert merged(modest, "mean") != merged(boastful, "mean")


@pytest.mark.parametrize("count", [1, FEWEST_QUESTIONS - 1, FEWEST_QUESTIONS])
def test_too_few_to_learn_from_are_the_mean(count: int) -> None:
    _, told = cases(count, (0.9, 0.6, 0.6), (SURE,) * 3)
    few = count < FEWEST_QUESTIONS
    assert (merged(told, "dawid_skene") == merged(told, "mean")) == few


def test_a_vote_goes_to_the_likeliest_label_and_is_split_between_even_ones() -> None:
    cast = votes({"a": (0.2, 0.5, 0.3), "b": (0.4, 0.2, 0.4), "c": None})
    assert cast == {"a": (0.0, 1.0, 0.0), "b": (0.5, 0.0, 0.5), "c": None}
    assert votes({"c": None}) == {"c": None}
