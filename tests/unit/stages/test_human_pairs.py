"""Pairs as humans stated them, and as their ratings imply."""

from human_samples import said

from rlaif.records import Completion, Message, Prompt
from rlaif.stages.human_pairs import (
    HumanPair,
    compared_pairs,
    human_pairs,
    implied_pairs,
    stated_pairs,
)


def rating(name: str, value: float, answer: str, **more: object) -> object:
    return said(name, value, rated=True, first_id=answer, **more)


def test_stated_pairs_are_those_on_the_whole() -> None:
    labels = [
        said("one", 0.75, weight=2.0, frozen=True),
        said("two", 1.0, criterion="kind"),
        said("three", 0.0, rated=True),
        said("four", 1.0, form="ranking", prompt="q"),
    ]
    assert stated_pairs(labels) == [
        HumanPair("one", "p", "p/a", "p/b", 0.75, 2.0, frozen=True),
        HumanPair("four", "q", "q/a", "q/b", 1.0, 1.0, frozen=False),
    ]


def test_ratings_of_one_rater_and_prompt_imply_pairs() -> None:
    labels = [
        rating("x", 0.25, "p/c", rater="ana", weight=3.0),
        rating("y", 0.5, "p/a", rater="ana"),
        rating("z", 0.25, "p/b", rater="ana", weight=2.0),
        rating("other rater", 1.0, "p/d", rater="ben"),
        rating("other prompt", 1.0, "q/a", rater="ana", prompt="q"),
        rating("a criterion's", 1.0, "p/e", rater="ana", criterion="kind"),
    ]
    assert implied_pairs(labels) == [
        HumanPair("y+x", "p", "p/a", "p/c", 1.0, 1.0, frozen=False),
        HumanPair("z+x", "p", "p/b", "p/c", 0.5, 2.0, frozen=False),
        HumanPair("y+z", "p", "p/a", "p/b", 1.0, 1.0, frozen=False),
    ]


def test_pairs_of_frozen_ratings_only_measure() -> None:
    labels = [rating(name, 0.5, f"p/{name}", frozen=True, rater="ana") for name in "ab"]
    assert [pair.frozen for pair in implied_pairs(labels)] == [True]


def test_a_rating_that_was_changed_makes_no_pair_with_itself() -> None:
    values = {"x": (0.25, "p/a"), "y": (0.5, "p/a"), "z": (0.3, "p/b")}
    labels = [rating(name, *value, rater="ana") for name, value in values.items()]
    assert [(p.name, p.p_first) for p in implied_pairs(labels)] == [("x+z", 0.0), ("y+z", 1.0)]
    assert len(human_pairs([*labels, said("w", 1.0)])) == 3


def test_pairs_are_compared_once_however_many_labels_they_have() -> None:
    labels = [
        said("one", 1.0),
        said("two", 0.0, rater="ben"),
        said("three", 0.5, rated=True),
        said("four", 1.0, criterion="kind", prompt="q"),
    ]
    prompts = {
        name: Prompt(id=name, messages=(Message(role="user", content=name),), split="train")
        for name in "pq"
    }
    answers = {
        i: Completion(id=i, prompt_id=i[0], policy="human:", index=0, text=i, length=1, ended=True)
        for i in ("p/a", "p/b", "q/a", "q/b")
    }
    assert compared_pairs(labels, prompts, answers) == [
        (prompts["p"], answers["p/a"], answers["p/b"]),
        (prompts["q"], answers["q/a"], answers["q/b"]),
    ]
