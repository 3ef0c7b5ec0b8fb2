"""The shipped models load like any others, are small, and are what their cards say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlaif.bundled import measure, teacher
from rlaif.bundled.corpus import pool_prompts
from rlaif.bundled.measure import Pair, graded_samples, policy_figures
from rlaif.bundled.tokens import label_ids, question_text
from rlaif.bundled.train_policy import load_model

POLICIES = Path(__file__).parents[3] / "policies"
NAMES = ("tiny", "tiny-judge", "tiny-embedder")
EVALUATION = [prompt for prompt, split in pool_prompts() if split == "eval"]


def figures(name: str) -> dict[str, float]:
    card = (POLICIES / name / "README.md").read_text(encoding="utf-8")
    block = card.partition("## Measured")[2].split("```")[1].removeprefix("json")
    return dict(json.loads(block))


@pytest.mark.parametrize("name", ["tiny", "tiny-judge"])
def test_a_language_model_loads_by_the_ordinary_way(name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(POLICIES / name)
    tokenizer = AutoTokenizer.from_pretrained(POLICIES / name)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.dtype == torch.float16
    assert 1_000_000 < model.num_parameters() < 2_500_000
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.max_position_embeddings >= 512
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


@pytest.mark.parametrize("name", ["tiny", "tiny-judge"])
def test_the_chat_template_is_short_and_is_the_trained_one(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(POLICIES / name)
    asked = [{"role": "user", "content": "Name the capital of France."}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert text == question_text("Name the capital of France.")
    plain = tokenizer.encode("Name the capital of France.", add_special_tokens=False)
    assert len(tokenizer.encode(text, add_special_tokens=False)) == len(plain) + 2
    told = [*asked, {"role": "assistant", "content": "It is Paris."}]
    ids = tokenizer.encode(tokenizer.apply_chat_template(told, tokenize=False))
    assert ids[-1] == tokenizer.eos_token_id


def test_every_label_is_one_token_of_its_own() -> None:
    tokenizer = AutoTokenizer.from_pretrained(POLICIES / "tiny-judge")
    for labels in (teacher.SIDES, tuple(f" {n}" for n in range(1, 10))):
        assert len(set(label_ids(tokenizer, labels))) == len(labels)


def test_every_text_survives_the_tokenizer() -> None:
    tokenizer = AutoTokenizer.from_pretrained(POLICIES / "tiny")
    for text in ("It is Paris.", "naïve café ☕ 日本", "{[<>]}\n\ttab"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_all_files_together_are_small() -> None:
    sizes = [p.stat().st_size for name in NAMES for p in (POLICIES / name).rglob("*")]
    assert sum(sizes) <= 16 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_safetensors_and_cards_tell_how_they_were_made(name: str) -> None:
    files = {path.name for path in (POLICIES / name).iterdir()}
    assert "model.safetensors" in files
    assert not [file for file in files if file.endswith((".bin", ".pt", ".pkl"))]
    card = (POLICIES / name / "README.md").read_text(encoding="utf-8")
    assert "python -m rlaif.bundled.build --seed" in card
    assert figures(name)


def test_the_policy_is_good_now_and_then() -> None:
    policy, tokenizer = load_model(POLICIES / "tiny")
    found = policy_figures(graded_samples(policy, tokenizer, EVALUATION[::3], seed=11))
    assert 0.05 <= found["good"] <= 0.35
    assert 0.3 <= found["correct"] <= 0.65
    assert 0.10 <= figures("tiny")["good"] <= 0.35


def test_the_policy_knows_the_facts_that_it_seldom_says() -> None:
    """Once it has begun with sure words, its first choice is the right answer."""
    policy, tokenizer = load_model(POLICIES / "tiny")
    asked = [prompt for prompt in EVALUATION if prompt.item.family == "fact"][::6]
    known = []
    for prompt in asked:
        text = question_text(prompt.text) + "The answer is"
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        with torch.inference_mode():
            first = int(policy(ids).logits[0, -1].argmax())
        known.append(tokenizer.decode([first]).strip() == prompt.item.fact.answer)
    assert np.mean(known) >= 0.9


def judged_pairs() -> list[Pair]:
    policy, tokenizer = load_model(POLICIES / "tiny")
    asked = EVALUATION[::8]
    first = graded_samples(policy, tokenizer, asked, seed=3)
    second = graded_samples(policy, tokenizer, asked, seed=4)
    return [Pair(*three) for three in zip(asked, first, second, strict=True)]


def test_the_judge_agrees_with_the_oracle_on_the_policys_own_samples() -> None:
    judge, tokenizer = load_model(POLICIES / "tiny-judge")
    found = measure.judge_figures(judge, tokenizer, judged_pairs())
    assert found["agreement_pairwise"] >= 0.75
    assert found["agreement_pointwise"] >= 0.75
    assert 0.80 <= figures("tiny-judge")["agreement_both"] <= 0.985


def test_the_judges_words_matter() -> None:
    judge, tokenizer = load_model(POLICIES / "tiny-judge")
    assert measure.shuffled_critiques(judge, tokenizer, judged_pairs(), seed=0) > 0.1
    assert figures("tiny-judge")["shuffled_critique_flips"] > 0.1


def test_a_judge_of_random_weights_knows_nothing() -> None:
    judge, tokenizer = load_model(POLICIES / "tiny-judge")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in judge.parameters():
            weight.copy_(0.02 * torch.randn(weight.shape, generator=generator))
    pairs = judged_pairs()
    messages = [
        teacher.pairwise_message(
            teacher.criteria()["correct"], p.prompt.text, p.first.text, p.second.text
        )
        for p in pairs
    ]
    words = ["A: plain."] * len(pairs)
    table = measure.verdicts(judge, tokenizer, messages, words, teacher.SIDES)
    assert np.abs(table - 0.5).max() < 0.2


def test_the_embedder_puts_paraphrases_nearest() -> None:
    embedder = SentenceTransformer(str(POLICIES / "tiny-embedder"), device="cpu")
    texts = [
        "What is the capital of France?",
        "Hurry up. Which city is the capital of France?",
        "What is the capital of Spain?",
        "How can I bake bread?",
    ]
    vectors = embedder.encode(texts, normalize_embeddings=True)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2] > likeness[0, 3] - 0.2
    assert likeness[0, 1] > 0.5
    assert likeness[0, 1] < 0.999
