"""Rebuilds the pool of prompts and the three bundled models from nothing.

    python -m rlaif.bundled.build [--out DIR] [--seed N] [--only PART]

writes ``DIR/prompts/pools/helpdesk.jsonl`` and ``DIR/policies/tiny``, ``tiny-judge`` and
``tiny-embedder``, each with a model card, and prints what was measured as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerFast

from rlaif.bundled import measure, train_judge, train_policy
from rlaif.bundled.cards import write_card
from rlaif.bundled.corpus import Mixture, pool_prompts, write_pool
from rlaif.bundled.tokens import train_tokenizer, training_texts
from rlaif.bundled.train_embedder import save_embedder, train_embedder
from rlaif.seeds import derive_seed, numpy_generator

SEED = 20
TOKENIZER_EXAMPLES = 12_000
ROOT = Path(__file__).parents[2]
PARTS = ("pool", "embedder", "policy", "judge")
Figures = dict[str, float]
COMMAND = "python -m rlaif.bundled.build"


def say(line: str) -> None:
    """Write one line of progress to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def build_policy(tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int) -> Figures:
    """Train, save and measure the policy."""
    trained = train_policy.train_policy(tokenizer, seed, say)
    train_policy.save_model(trained, tokenizer, folder)
    policy, tokenizer = train_policy.load_model(folder)
    rated = measure.graded_samples(policy, tokenizer, measure.eval_prompts(), seed)
    figures = measure.policy_figures(rated)
    greedy = measure.graded_samples(policy, tokenizer, measure.eval_prompts(), seed, 0)
    figures["correct_greedy"] = measure.policy_figures(greedy)["correct"]
    figures["parameters"] = policy.num_parameters()
    write_card(folder, "policy", f"{COMMAND} --seed {seed}", asdict(Mixture()), figures)
    return figures


def build_judge(policy_folder: Path, folder: Path, seed: int) -> Figures:
    """Train the judge from the saved policy, save it and measure it."""
    policy, tokenizer = train_policy.load_model(policy_folder)
    pairs = measure.sample_pairs(policy, tokenizer, seed)
    trained = train_judge.train_judge(policy, tokenizer, seed, say)
    train_policy.save_model(trained, tokenizer, folder)
    judge, tokenizer = train_policy.load_model(folder)
    figures = measure.judge_figures(judge, tokenizer, pairs)
    figures["shuffled_critique_flips"] = measure.shuffled_critiques(judge, tokenizer, pairs, seed)
    figures["parameters"] = judge.num_parameters()
    settings = {"verdict_noise": train_judge.NOISE, **asdict(train_judge.SCHEDULE)}
    write_card(folder, "judge", f"{COMMAND} --seed {seed}", settings, figures)
    return figures


def build_embedder(tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int) -> Figures:
    """Train, save and measure the embedder."""
    save_embedder(train_embedder(tokenizer, seed), tokenizer, folder)
    figures = embedder_figures(SentenceTransformer(str(folder), device="cpu"))
    write_card(folder, "embedder", f"{COMMAND} --seed {seed}", {}, figures)
    return figures


def embedder_figures(embedder: SentenceTransformer) -> dict[str, float]:
    """Return mean likenesses and how often a held-out prompt's nearest one asks the same."""
    prompts = [prompt for prompt, _ in pool_prompts()]
    vectors = embedder.encode([p.text for p in prompts], normalize_embeddings=True)
    likeness = np.asarray(vectors @ vectors.T)
    keys = np.array([p.item.key for p in prompts])
    same = keys[:, None] == keys[None, :]
    np.fill_diagonal(likeness, -1.0)
    off = ~np.eye(len(prompts), dtype=bool)
    figures = {
        "same_question": likeness[same & off].mean(),
        "other_question": likeness[~same].mean(),
        "nearest_is_same": (keys[likeness.argmax(1)] == keys).mean(),
        "pairs_above_0.99": (likeness > 0.99).mean(),
        "prompts_with_a_twin_above_0.98": (likeness.max(1) > 0.98).mean(),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def build(out: Path, seed: int, parts: tuple[str, ...] = PARTS) -> dict[str, object]:
    """Rebuild the named parts below ``out``, in order, and return the measured figures.

    Each part reads only what the parts before it wrote, so a rebuild in steps gives the same.
    """
    begun = time.monotonic()
    policies = out / "policies"
    found: dict[str, object] = {"seed": seed, "threads": torch.get_num_threads()}
    rng = numpy_generator(derive_seed(seed, "tokenizer"))
    tokenizer = train_tokenizer(training_texts(rng, TOKENIZER_EXAMPLES))
    makers: dict[str, Callable[[], object]] = {
        "pool": lambda: write_pool(out / "prompts" / "pools" / "helpdesk.jsonl"),
        "embedder": lambda: build_embedder(tokenizer, policies / "tiny-embedder", seed),
        "policy": lambda: build_policy(tokenizer, policies / "tiny", seed),
        "judge": lambda: build_judge(policies / "tiny", policies / "tiny-judge", seed),
    }
    for part in parts:
        say(f"{part}: begun after {time.monotonic() - begun:.0f}s")
        found[part] = makers[part]()
        say(f"{part}: {found[part]}")
    found["seconds"] = round(time.monotonic() - begun)
    return found


def main() -> None:
    """Read the command line, build and print the figures."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Rebuild the bundled world.")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder to write below")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of all randomness")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--threads", type=int, default=1, help="more is faster, in other low bits")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    figures = build(given.out, given.seed, tuple(given.only or PARTS))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
