"""Trains ``policies/tiny-embedder``: a vector for each token, averaged over a text.

Three quarters of the vector are trained, so that texts on the same question are near. The rest
stays random, so that it sees wordings: two ways to ask the same thing are near, not equal.
"""

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from torch.nn.functional import cross_entropy, embedding_bag, normalize
from transformers import PreTrainedTokenizerFast

from rlaif.bundled.corpus import GOOD, answer, train_prompts
from rlaif.bundled.grammar import ITEMS
from rlaif.seeds import derive_seed, numpy_generator, torch_generator

MEANING_WIDTH = 48
WORDING_WIDTH = 16
WORDING_SCALE = 0.5
STEPS = 200
BATCH = 128
RATE = 0.02
TEMPERATURE = 0.1


def _batch(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return two texts on each of ``BATCH`` items: a question, and another or an answer."""
    prompts = train_prompts()
    left, right = [], []
    for index in rng.choice(len(ITEMS), size=BATCH, replace=False):
        item = ITEMS[int(index)]
        listed = prompts[item.key]
        one, other = rng.integers(len(listed), size=2)
        left.append(listed[int(one)].text)
        said = answer(rng, item, GOOD)[0]
        right.append(listed[int(other)].text if rng.random() < 0.5 else said)
    return left, right


def _embed(
    table: torch.Tensor, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> torch.Tensor:
    """Return the unit vectors [N, D] of texts: the mean of their tokens' rows."""
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    flat = torch.tensor([token for row in ids for token in row])
    starts = torch.tensor([0, *np.cumsum([len(row) for row in ids])[:-1]])
    return normalize(embedding_bag(flat, table, starts, mode="mean"), dim=-1)


def train_embedder(tokenizer: PreTrainedTokenizerFast, seed: int) -> torch.Tensor:
    """Train the table of token vectors [V, D] with in-batch negatives (InfoNCE)."""
    generator = torch_generator(derive_seed(seed, "embedder", "weights"))
    table = (
        torch.randn(len(tokenizer), MEANING_WIDTH, generator=generator).mul_(0.3).requires_grad_()
    )
    optimizer = torch.optim.Adam([table], lr=RATE)
    rng = numpy_generator(derive_seed(seed, "embedder", "texts"))
    target = torch.arange(BATCH)
    for _ in range(STEPS):
        left, right = _batch(rng)
        likeness = _embed(table, tokenizer, left) @ _embed(table, tokenizer, right).T
        loss = cross_entropy(likeness / TEMPERATURE, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wording = torch.randn(len(tokenizer), WORDING_WIDTH, generator=generator)
    meaning = table.detach()
    scale = WORDING_SCALE * meaning.norm(dim=-1).mean() / WORDING_WIDTH**0.5
    return torch.cat([meaning, wording * scale], dim=-1)


def save_embedder(table: torch.Tensor, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the table as a sentence-transformers model that normalises nothing itself."""
    module = StaticEmbedding(tokenizer.backend_tokenizer, embedding_weights=table.numpy())
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))
