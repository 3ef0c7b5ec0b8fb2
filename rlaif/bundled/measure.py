"""Measures the bundled models against the oracle. Nothing that trains imports this module.

The judge is read as any chat judge is: a critique is decoded greedily, then the distribution over
the verdict's labels is read off the next-token logits after ``Verdict:``.
"""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from rlaif.bundled import teacher
from rlaif.bundled.analysis import analyse
from rlaif.bundled.corpus import pool_prompts
from rlaif.bundled.grammar import Prompt
from rlaif.bundled.oracle import HelpDeskOracle, OracleGrade
from rlaif.bundled.tokens import label_ids, question_text
from rlaif.bundled.train_policy import sample
from rlaif.seeds import derive_seed, numpy_generator, torch_generator

CRITIQUE_TOKENS = 48
BATCH = 64


@dataclass(frozen=True)
class Rated:
    """One answer of the policy with its exact grade."""

    text: str
    grade: OracleGrade


def eval_prompts() -> list[Prompt]:
    """Return the held-out prompts of the bundled pool."""
    return [prompt for prompt, split in pool_prompts() if split == "eval"]


def graded_samples(
    policy: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
    seed: int,
    temperature: float = 1.0,
) -> list[Rated]:
    """Sample one answer to each prompt and grade it."""
    generator = torch_generator(derive_seed(seed, "measure"))
    texts = [prompt.text for prompt in prompts]
    said = sample(policy, tokenizer, texts, generator, temperature=temperature)
    oracle = HelpDeskOracle()
    pairs = zip(texts, said, strict=True)
    return [Rated(text, oracle.grade(prompt, text, ended)) for prompt, (text, ended) in pairs]


def policy_figures(rated: list[Rated]) -> dict[str, float]:
    """Return the shares of each quality and the mean oracle score."""
    grades = [one.grade for one in rated]
    figures = {
        name: float(np.mean([getattr(grade, name) for grade in grades]))
        for name in ("score", "good", "correct", "concise", "ended")
    }
    for tone in ("courteous", "plain", "rude"):
        figures[tone] = float(np.mean([grade.tone == tone for grade in grades]))
    return {name: round(value, 4) for name, value in figures.items()}


def critiques(
    judge: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, messages: list[str]
) -> list[str]:
    """Decode one critique to each message, greedily, up to the verdict."""
    said = sample(
        judge,
        tokenizer,
        messages,
        torch_generator(0),
        temperature=0,
        new_tokens=CRITIQUE_TOKENS,
        batch=BATCH,
    )
    return [text.split("Verdict:")[0].strip() for text, _ in said]


@torch.inference_mode()
def verdicts(
    judge: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    messages: list[str],
    words: list[str],
    labels: tuple[str, ...],
) -> np.ndarray:
    """Return the label distributions [N, K] after the given critiques."""
    ids = label_ids(tokenizer, labels)
    texts = [question_text(m) + w + teacher.VERDICT for m, w in zip(messages, words, strict=True)]
    rows: list[torch.Tensor] = []
    for start in range(0, len(texts), BATCH):
        asked = tokenizer(
            texts[start : start + BATCH],
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,
        )
        mask = asked["attention_mask"]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = judge(
            input_ids=asked["input_ids"],
            attention_mask=mask,
            position_ids=positions,
            logits_to_keep=1,
        ).logits[:, -1]
        rows.append(torch.softmax(logits[:, ids].float(), dim=-1))
    return torch.cat(rows).numpy()


@dataclass(frozen=True)
class Pair:
    """Two graded answers to one held-out prompt."""

    prompt: Prompt
    first: Rated
    second: Rated

    @property
    def ends(self) -> float:
        """Return the difference under the rule ``ends``: second minus first, -1 to 1."""
        ok = [one.text.endswith((".", "!")) for one in (self.first, self.second)]
        return float(ok[1]) - float(ok[0])

    @property
    def truth(self) -> float:
        """Return the oracle's difference: second minus first."""
        return self.second.grade.score - self.first.grade.score


def pairwise_second(
    judge: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, pairs: list[Pair], name: str
) -> np.ndarray:
    """Return P(second is better) [N] under one criterion, both orders averaged."""
    criterion = teacher.criteria()[name]
    one = [
        teacher.pairwise_message(criterion, p.prompt.text, p.first.text, p.second.text)
        for p in pairs
    ]
    other = [
        teacher.pairwise_message(criterion, p.prompt.text, p.second.text, p.first.text)
        for p in pairs
    ]
    messages = one + other
    words = critiques(judge, tokenizer, messages)
    table = verdicts(judge, tokenizer, messages, words, teacher.SIDES)
    second: np.ndarray = (table[: len(pairs), 1] + table[len(pairs) :, 0]) / 2
    return second


def pointwise_score(
    judge: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    asked: list[tuple[Prompt, str]],
    name: str,
) -> np.ndarray:
    """Return the expected rating scaled to [0, 1], one for each prompt and answer [N]."""
    criterion = teacher.criteria()[name]
    messages = [teacher.pointwise_message(criterion, p.text, text) for p, text in asked]
    words = critiques(judge, tokenizer, messages)
    table = verdicts(judge, tokenizer, messages, words, teacher.RATINGS)
    score: np.ndarray = table @ np.array([0.0, 0.5, 1.0])
    return score


def _agreement(difference: np.ndarray, pairs: list[Pair]) -> float:
    truth = np.array([pair.truth for pair in pairs])
    known = np.abs(truth) > 1e-9
    return round(float(np.mean(np.sign(difference[known]) == np.sign(truth[known]))), 4)


def judge_figures(
    judge: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, pairs: list[Pair]
) -> dict[str, float]:
    """Return how often the judge's combined score and each criterion agree with the oracle."""
    figures: dict[str, float] = {}
    firsts = [(p.prompt, p.first.text) for p in pairs]
    seconds = [(p.prompt, p.second.text) for p in pairs]
    weights = teacher.weights()
    compared = rated = weights["ends"] * np.array([pair.ends for pair in pairs])
    for name in teacher.criteria():
        second = pairwise_second(judge, tokenizer, pairs, name)
        scores = pointwise_score(judge, tokenizer, firsts + seconds, name)
        gain = scores[len(pairs) :] - scores[: len(pairs)]
        compared = compared + weights[name] * (2 * second - 1)
        rated = rated + weights[name] * gain
        levels = _level_differences(pairs, name)
        told = levels != 0
        figures[f"pairwise_{name}"] = float(np.mean((second > 0.5)[told] == (levels > 0)[told]))
        figures[f"pointwise_{name}"] = float(np.mean((gain > 0)[told] == (levels > 0)[told]))
    figures["agreement_pairwise"] = _agreement(compared, pairs)
    figures["agreement_pointwise"] = _agreement(rated, pairs)
    figures["agreement_both"] = _agreement(compared + rated, pairs)
    return {name: round(value, 4) for name, value in figures.items()}


def _level_differences(pairs: list[Pair], name: str) -> np.ndarray:
    def level(prompt: Prompt, one: Rated) -> int:
        return teacher.level(name, analyse(prompt.item, one.text))

    return np.array([level(p.prompt, p.second) - level(p.prompt, p.first) for p in pairs])


def shuffled_critiques(
    judge: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, pairs: list[Pair], seed: int
) -> float:
    """Return the share of verdicts under ``correct`` that another pair's critique changes."""
    criterion = teacher.criteria()["correct"]
    messages = [
        teacher.pairwise_message(criterion, p.prompt.text, p.first.text, p.second.text)
        for p in pairs
    ]
    words = critiques(judge, tokenizer, messages)
    order = numpy_generator(derive_seed(seed, "shuffle")).permutation(len(words))
    own = verdicts(judge, tokenizer, messages, words, teacher.SIDES)
    foreign = [words[index] for index in order]
    other = verdicts(judge, tokenizer, messages, foreign, teacher.SIDES)
    return round(float(np.mean(own.argmax(1) != other.argmax(1))), 4)


def sample_pairs(
    policy: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, seed: int
) -> list[Pair]:
    """Sample the policy twice on every held-out prompt."""
    prompts = eval_prompts()
    first = graded_samples(policy, tokenizer, prompts, derive_seed(seed, "first"))
    second = graded_samples(policy, tokenizer, prompts, derive_seed(seed, "second"))
    return [Pair(*three) for three in zip(prompts, first, second, strict=True)]
