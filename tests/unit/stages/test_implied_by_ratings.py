"""What ratings imply: no tie is lost to a sum, and nobody is paired with somebody else."""

import pytest
from human_samples import said

from rlaif.records import HumanLabel
from rlaif.stages.human_pairs import implied_pairs


def rating(name: str, value: float, rater: str) -> HumanLabel:
    return said(name, value, rated=True, first_id=f"p/{name}", rater=rater)


@pytest.mark.parametrize(
    ("one", "other", "p_first"),
    [
        (0.3, 0.30000000000000004, 0.5),
        (0.0, 1e-17, 0.5),
        (1.0, 1.0, 0.5),
        (0.3, 0.3001, 0.0),
        (0.0001, 0.0, 1.0),
    ],
)
def test_ratings_that_only_sums_tell_apart_are_a_tie(
    one: float, other: float, p_first: float
) -> None:
    (pair,) = implied_pairs([rating("a", one, "ana"), rating("b", other, "ana")])
    assert pair.p_first == p_first


def test_ratings_without_a_rater_may_be_of_two_people_and_imply_nothing() -> None:
    labels = [rating("a", 0.9, ""), rating("b", 0.3, ""), rating("c", 0.5, "ana")]
    assert implied_pairs(labels) == []
