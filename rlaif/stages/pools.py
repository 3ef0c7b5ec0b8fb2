"""Pools of prompts: JSON lines read strictly, duplicates dropped, held-out prompts set apart."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from rlaif.errors import PromptFileError
from rlaif.records import Prompt, make_id
from rlaif.stages.json_lines import AskedLine, asked_words, read_json_lines
from rlaif.text import normalised, words_of

Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]
Split = Literal["train", "eval"]
Keys = npt.NDArray[np.int64]
BLOCK = 512
EXAMPLE = '{"prompt": "...", "tags": [], "split": "train"}'
_PIECE = re.compile(r"\d|[^\W\d_]+|[^\w\s]|_")


class PoolLine(AskedLine):
    """One line of a pool: what is asked, and what is known about it."""

    id: str | None = None
    tags: list[str] = Field(default_factory=list)
    split: Split | None = None


def read_pools(root: Path, pattern: str, eval_share: float) -> list[Prompt]:
    """Read every pool that a glob finds, in order of file name.

    Exact duplicates (same words after normalising) are dropped; a prompt that stands in both
    splits stays in ``eval`` only. Prompts without a split get one by a stable hash of their words.

    Args:
        root: The project's folder.
        pattern: Glob relative to it.
        eval_share: Share of prompts without a split that are held out.

    Raises:
        PromptFileError: A line is broken, an id names two prompts, or a split is empty when
            duplicates are gone.
    """
    files = sorted(root.glob(pattern))
    prompts = _without_twins([p for path in files for p in _read_pool(path, eval_share)])
    require_both_splits(prompts, f"{root / pattern}, {len(files)} files")
    return prompts


def require_both_splits(prompts: Sequence[Prompt], where: str) -> None:
    """Refuse prompts of which none trains or none is held out.

    Args:
        prompts: What is left when duplicates are gone.
        where: Where they come from, for the message.

    Raises:
        PromptFileError: A split is empty.
    """
    held_out = sum(p.split == "eval" for p in prompts)
    train = len(prompts) - held_out
    if not train or not held_out:
        raise PromptFileError(
            f"{where}: without duplicates {train} prompts to train on and {held_out} held out",
            "at least one of each",
            'add prompts, one JSON object a line: {"prompt": "..."}',
        )


def drop_near_duplicates(
    prompts: Sequence[Prompt], encode: Encode, threshold: float
) -> list[Prompt]:
    """Keep, of prompts whose embeddings are nearer than ``threshold``, the first of each split.

    A training prompt near a held-out one is dropped too, so that nothing held out leaks. Prompts
    of the same words in another order both stay, however near: embedders that ignore order take
    "Is hot the opposite of cold?" and its swap for one.

    Args:
        prompts: In order of preference.
        encode: Texts -> unit vectors.
        threshold: Cosine above which two prompts count as one; 1 keeps all.
    """
    if threshold >= 1.0:
        return list(prompts)
    ordered = sorted(prompts, key=lambda p: p.split == "train")
    texts = [p.text for p in ordered]
    vectors, keys = encode(texts), _order_keys(texts)
    kept: list[int] = []
    for start in range(0, len(ordered), BLOCK):
        here = slice(start, start + BLOCK)
        block, own = vectors[here], keys[here]
        before = block @ vectors[kept].T > threshold
        taken = np.asarray((before & ~_reordered(own, keys[kept])).any(axis=1))
        inside = (block @ block.T > threshold) & ~_reordered(own, own)
        chosen: list[int] = []
        for row in range(len(block)):
            if not taken[row] and not inside[row, chosen].any():
                chosen.append(row)
        kept += [start + row for row in chosen]
    keep_ids = {ordered[i].id for i in kept}
    return [p for p in prompts if p.id in keep_ids]


def away_from(
    prompts: Sequence[Prompt], held_out: Sequence[Prompt], encode: Encode, threshold: float
) -> list[Prompt]:
    """Keep the prompts that do not ask what is held out, in the same words or near them.

    The same words in another order are not the same question, as in :func:`drop_near_duplicates`.

    Args:
        prompts: From anywhere: feedback, earlier cycles.
        held_out: What only measures.
        encode: Texts -> unit vectors.
        threshold: Cosine above which two prompts count as one; 1 compares words alone.
    """
    asked = {asked_words(p.messages) for p in held_out}
    kept = [p for p in prompts if asked_words(p.messages) not in asked]
    if threshold >= 1.0 or not kept or not held_out:
        return kept
    texts = [p.text for p in (*kept, *held_out)]
    vectors, keys = encode(texts), _order_keys(texts)
    own, others = slice(len(kept)), slice(len(kept), None)
    near = (vectors[own] @ vectors[others].T > threshold) & ~_reordered(keys[own], keys[others])
    return [kept[i] for i in np.flatnonzero(~near.any(axis=1))]


def same_words_otherwise_ordered(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell which texts differ in nothing but the order of their words, digits and signs.

    Returns:
        [texts, texts], symmetric; False for texts of the same words in the same order.
    """
    keys = _order_keys(texts)
    return _reordered(keys, keys)


def stable_share(name: str) -> float:
    """Map a name to [0, 1), evenly and for ever the same."""
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@dataclass(frozen=True)
class _Placed:
    """A prompt with the line where it stands."""

    prompt: Prompt
    path: Path
    line: int


def _order_keys(texts: Sequence[str]) -> Keys:
    """Number texts [texts, 2] by their words in any order, and by their words in this order."""
    bags: dict[tuple[str, ...], int] = {}
    sequences: dict[tuple[str, ...], int] = {}
    keys = np.zeros((len(texts), 2), dtype=np.int64)
    for row, text in enumerate(texts):
        pieces = _PIECE.findall(normalised(text))
        tokens = tuple(token for piece in pieces for token in words_of(piece) or [piece])
        bag = tuple(sorted(tokens))
        keys[row] = bags.setdefault(bag, len(bags)), sequences.setdefault(tokens, len(sequences))
    return keys


def _reordered(some: Keys, others: Keys) -> npt.NDArray[np.bool_]:
    """Compare keys: the same words, another order. [some, others]."""
    same = some[:, None, :] == others[None, :, :]
    found: npt.NDArray[np.bool_] = same[..., 0] & ~same[..., 1]
    return found


def _read_pool(path: Path, eval_share: float) -> list[_Placed]:
    lines = read_json_lines(path, PoolLine, EXAMPLE, PromptFileError)
    return [_Placed(_prompt(line, eval_share), path, number) for number, line in lines]


def _prompt(line: PoolLine, eval_share: float) -> Prompt:
    turns = line.turns()
    said = asked_words(turns)
    split: Split = line.split or ("eval" if stable_share(said) < eval_share else "train")
    return Prompt(
        id=line.id or make_id("prompt", said),
        messages=turns,
        tags=tuple(line.tags),
        split=split,
    )


def _without_twins(found: Sequence[_Placed]) -> list[Prompt]:
    by_words: dict[str, _Placed] = {}
    by_id: dict[str, _Placed] = {}
    order = {id(placed): place for place, placed in enumerate(found)}
    for placed in sorted(found, key=lambda f: f.prompt.split == "train"):
        prompt = placed.prompt
        key = normalised(prompt.text) or prompt.text
        if key in by_words:
            continue
        if prompt.id in by_id:
            raise _id_clash(*sorted((by_id[prompt.id], placed), key=lambda f: order[id(f)]))
        by_words[key] = placed
        by_id[prompt.id] = placed
    return [f.prompt for f in found if by_id.get(f.prompt.id) is f]


def _id_clash(first: _Placed, second: _Placed) -> PromptFileError:
    return PromptFileError(
        f"the id {second.prompt.id!r} names two different prompts, the other at "
        f"{first.path}:{first.line}",
        "one id for one prompt",
        "rename one, or leave ids out",
        path=second.path,
        line=second.line,
    )
