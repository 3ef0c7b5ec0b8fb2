"""Pools of prompts: JSON lines read strictly, duplicates dropped, held-out prompts set apart."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rlaif.errors import PromptFileError
from rlaif.records import Message, Prompt, make_id
from rlaif.text import normalised

Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]
Split = Literal["train", "eval"]
BLOCK = 512


class PoolLine(BaseModel):
    """One line of a pool: ``prompt`` or ``messages``, and what is known about it."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None
    tags: list[str] = []
    split: Split | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "PoolLine":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a line has either 'prompt' or 'messages'")
        turns = self.turns()
        if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
            raise ValueError("the last message must be a user's, and not empty")
        return self

    def turns(self) -> tuple[Message, ...]:
        """Return the conversation."""
        if self.messages is not None:
            return tuple(self.messages)
        return (Message(role="user", content=self.prompt or ""),)


def read_pools(root: Path, pattern: str, eval_share: float) -> list[Prompt]:
    """Read every pool that a glob finds, in order of file name.

    Exact duplicates (same words after normalising) are dropped; a prompt that stands in both
    splits stays in ``eval`` only. Prompts without a split get one by a stable hash of their words.

    Args:
        root: The project's folder.
        pattern: Glob relative to it.
        eval_share: Share of prompts without a split that are held out.

    Raises:
        PromptFileError: A line is broken, an id stands twice, or no prompt is found.
    """
    files = sorted(root.glob(pattern))
    prompts = [p for path in files for p in _read_pool(path, eval_share)]
    if not any(p.split == "train" for p in prompts) or not any(p.split == "eval" for p in prompts):
        counts = {s: sum(p.split == s for p in prompts) for s in ("train", "eval")}
        raise PromptFileError(
            f"{root / pattern}: {len(files)} files, {counts['train']} prompts to train on and "
            f"{counts['eval']} held out",
            "at least one of each",
            'add prompts, one JSON object a line: {"prompt": "..."}',
        )
    return _without_twins(prompts)


def drop_near_duplicates(
    prompts: Sequence[Prompt], encode: Encode, threshold: float
) -> list[Prompt]:
    """Keep, of prompts whose embeddings are nearer than ``threshold``, the first of each split.

    A training prompt near a held-out one is dropped too, so that nothing held out leaks.

    Args:
        prompts: In order of preference.
        encode: Texts -> unit vectors.
        threshold: Cosine above which two prompts count as one; 1 keeps all.
    """
    ordered = sorted(prompts, key=lambda p: p.split == "train")
    vectors = encode([p.text for p in ordered])
    kept: list[int] = []
    for start in range(0, len(ordered), BLOCK):
        block = vectors[start : start + BLOCK]
        taken = (block @ vectors[kept].T).max(axis=1, initial=-1.0) > threshold
        inside = block @ block.T > threshold
        chosen: list[int] = []
        for row in range(len(block)):
            if not taken[row] and not inside[row, chosen].any():
                chosen.append(row)
        kept += [start + row for row in chosen]
    keep_ids = {ordered[i].id for i in kept}
    return [p for p in prompts if p.id in keep_ids]


def stable_share(name: str) -> float:
    """Map a name to [0, 1), evenly and for ever the same."""
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _read_pool(path: Path, eval_share: float) -> list[Prompt]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise PromptFileError(
            f"cannot be read: {exc}", "a readable UTF-8 file", "check the file", path=path
        ) from exc
    return [
        _prompt(path, number, line, eval_share)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _prompt(path: Path, number: int, line: str, eval_share: float) -> Prompt:
    try:
        value: Any = json.loads(line)
        parsed = PoolLine.model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the line"
        raise PromptFileError(
            f"{field}: {first['msg']}",
            'an object such as {"prompt": "...", "tags": [], "split": "train"}',
            "mend the line",
            path=path,
            line=number,
        ) from exc
    except ValueError as exc:
        raise PromptFileError(
            f"not JSON: {exc}", "one JSON object a line", "mend the line", path=path, line=number
        ) from exc
    turns = parsed.turns()
    words = "\n".join(f"{m.role}: {normalised(m.content) or m.content}" for m in turns)
    split: Split = parsed.split or ("eval" if stable_share(words) < eval_share else "train")
    return Prompt(
        id=parsed.id or make_id("prompt", words),
        messages=turns,
        tags=tuple(parsed.tags),
        split=split,
    )


def _without_twins(prompts: Sequence[Prompt]) -> list[Prompt]:
    by_words: dict[str, Prompt] = {}
    by_id: dict[str, Prompt] = {}
    for prompt in sorted(prompts, key=lambda p: p.split == "train"):
        key = normalised(prompt.text) or prompt.text
        if key in by_words:
            continue
        if prompt.id in by_id:
            raise PromptFileError(
                f"the id {prompt.id!r} names two different prompts",
                "one id for one prompt",
                "rename one, or leave ids out",
            )
        by_words[key] = prompt
        by_id[prompt.id] = prompt
    return [p for p in prompts if by_id.get(p.id) is p]
