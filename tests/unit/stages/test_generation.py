"""Generation units: fixed before they run, repeatable, with near-duplicates marked."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rlaif.config import GenerationConfig
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.records import Completion, Message, Prompt
from rlaif.stages.generation import _twins, generate, plan_units
from rlaif.testing import HashEmbedder, make_tiny_lm

PROMPTS = [
    Prompt(id=f"p{i}", messages=(Message(role="user", content=f"Say {i}"),), split="train")
    for i in range(5)
]
CONFIG = GenerationConfig(max_tokens=8, completions_per_prompt=3)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = make_tiny_lm(tmp_path_factory.mktemp("lm"))
    return load_language_model(str(folder), torch.device("cpu"))


def run(policy: LanguageModel, seed: int = 1, **settings: float) -> list[Completion]:
    return generate(
        policy,
        plan_units(PROMPTS, 3, 100, "answers")[0],
        CONFIG.model_copy(update=settings),
        per_prompt=3,
        seed=seed,
        names=(1, "train"),
        encode=HashEmbedder().encode,
    )


def test_units_cut_the_prompts_and_nothing_else() -> None:
    units = plan_units(PROMPTS, 3, 7, "answers")
    assert [u.name for u in units] == ["answers-0000", "answers-0001", "answers-0002"]
    assert [p for u in units for p in u.prompts] == PROMPTS
    assert [len(u.prompts) for u in plan_units(PROMPTS, 9, 7, "x")] == [1] * 5


def test_a_unit_is_a_function_of_its_seed(policy: LanguageModel) -> None:
    assert run(policy) == run(policy)
    assert [c.text for c in run(policy)] != [c.text for c in run(policy, seed=2)]


def test_completions_know_their_prompt_and_policy(policy: LanguageModel) -> None:
    found = run(policy)
    assert [c.prompt_id for c in found] == [p.id for p in PROMPTS for _ in range(3)]
    assert [c.index for c in found] == [0, 1, 2] * 5
    assert {c.policy for c in found} == {policy.digest}
    assert len({c.id for c in found}) == 15


def test_repeats_of_a_prompts_answers_are_marked_once(policy: LanguageModel) -> None:
    found = run(policy, temperature=1e-4)
    for start in range(0, 15, 3):
        first, *others = found[start : start + 3]
        assert first.duplicate_of is None
        assert [c.duplicate_of for c in others] == [first.id, first.id]


def test_similar_answers_are_marked_by_embedding(policy: LanguageModel) -> None:
    unit = plan_units(PROMPTS[:1], 3, 100, "answers")[0]

    def alike(texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), dtype=np.float32)

    found = generate(policy, unit, CONFIG, per_prompt=3, seed=1, names=(1, "train"), encode=alike)
    assert [c.duplicate_of for c in found] == [None, found[0].id, found[0].id]


def test_an_embedder_that_ignores_order_merges_no_reordered_answers() -> None:
    def alike(texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), dtype=np.float32)

    answers = [
        "Hot is the opposite of cold.",
        "Cold is the opposite of hot.",
        "hot is the opposite of cold",
        "Warm.",
    ]
    assert _twins(answers, 0.99, alike) == [None, None, 0, 0]


def test_at_a_similarity_of_one_only_the_same_words_are_twins() -> None:
    def never(texts: Sequence[str]) -> np.ndarray:
        raise AssertionError(texts)

    assert _twins(["Four.", "four", "Five."], 1.0, never) == [None, 0, None]
