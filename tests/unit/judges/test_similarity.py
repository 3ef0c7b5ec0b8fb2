from collections.abc import Sequence

import numpy as np
import pytest

from rlaif.judges import EmbeddingCriterion, Similarity
from rlaif.judges.similarity import texts_needed
from rlaif.records import Rating, Unscored

DIRECTIONS = {
    "east": (1.0, 0.0),
    "north": (0.0, 1.0),
    "north-east": (0.5**0.5, 0.5**0.5),
    "west": (-1.0, 0.0),
    "broken": (float("nan"), 0.0),
    "": (0.0, 0.0),
}


def encode(texts: Sequence[str]) -> np.ndarray:
    return np.array([DIRECTIONS[text] for text in texts])


def near(*anchors: str) -> EmbeddingCriterion:
    return EmbeddingCriterion(name="c", kind="embedding", weight=1.0, near=anchors)


TO_PROMPT = EmbeddingCriterion(name="c", kind="embedding", weight=1.0, to="prompt")


@pytest.mark.parametrize(
    ("criterion", "prompt", "completion", "score", "why"),
    [
        (TO_PROMPT, "east", "east", 1.0, "similarity 1.00 to the prompt"),
        (TO_PROMPT, "east", "north", 0.0, "similarity 0.00"),
        (TO_PROMPT, "east", "west", 0.0, "similarity -1.00"),
        (TO_PROMPT, "north", "north-east", 0.5**0.5, "similarity 0.71"),
        (TO_PROMPT, "north", "", 0.0, "similarity 0.00"),
        (near("west", "north"), "east", "north-east", 0.5**0.5, '0.71 to "north"'),
        (near("west"), "east", "east", 0.0, '-1.00 to "west"'),
    ],
)
def test_similarity_is_the_clipped_cosine_to_the_nearest(
    criterion: EmbeddingCriterion, prompt: str, completion: str, score: float, why: str
) -> None:
    verdict, said = Similarity(encode, DIRECTIONS).judge(criterion, prompt, completion)
    assert isinstance(verdict, Rating)
    assert verdict.score == pytest.approx(score)
    assert why in said


@pytest.mark.parametrize(("prompt", "completion"), [("broken", "east"), ("east", "broken")])
def test_a_vector_that_is_not_finite_gives_no_score(prompt: str, completion: str) -> None:
    verdict, _ = Similarity(encode, DIRECTIONS).judge(TO_PROMPT, prompt, completion)
    assert isinstance(verdict, Unscored)
    assert "not finite" in verdict.reason


def test_one_broken_anchor_is_not_hidden_by_a_good_one() -> None:
    verdict, _ = Similarity(encode, DIRECTIONS).judge(near("east", "broken"), "", "east")
    assert isinstance(verdict, Unscored)


def test_each_text_is_embedded_once() -> None:
    asked: list[str] = []

    def counting(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return encode(texts)

    criteria = (TO_PROMPT, near("west", "north"))
    Similarity(counting, texts_needed(criteria, ["east", "east"], ["north", "north"]))
    assert sorted(asked) == ["east", "north", "west"]


def test_prompts_are_embedded_only_when_asked_for() -> None:
    assert texts_needed((near("west"),), ["east"], ["north"]) == ["north", "west"]


def test_no_text_asks_no_embedder() -> None:
    def never(texts: Sequence[str]) -> np.ndarray:
        raise AssertionError(texts)

    Similarity(never, [])
