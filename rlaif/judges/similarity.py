"""Embedding criteria: nearness of an answer to its prompt, or to anchor texts.

The score is the cosine clipped to [0, 1]: texts at right angles, or opposed, score 0.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlaif.judges.rubric import EmbeddingCriterion
from rlaif.records import Rating, Unscored

Encode = Callable[[Sequence[str]], npt.NDArray[np.floating[Any]]]
_SHOWN = 40


class Similarity:
    """Embedding criteria over a batch of texts, each text embedded once.

    Args:
        encode: Texts -> unit rows [texts, dimensions].
        texts: Every text that will be asked about; repeats cost nothing.
    """

    def __init__(self, encode: Encode, texts: Iterable[str]) -> None:
        unique = list(dict.fromkeys(texts))
        rows = np.asarray(encode(unique), dtype=np.float64) if unique else np.zeros((0, 1))
        self._rows = dict(zip(unique, rows, strict=True))

    def judge(
        self, criterion: EmbeddingCriterion, prompt: str, completion: str
    ) -> tuple[Rating | Unscored, str]:
        """Score an answer.

        Returns:
            The rating and why, in words; unscored where the embedder gave no finite vector.
        """
        targets = (prompt,) if criterion.near is None else criterion.near
        cosines = [self._cosine(completion, target) for target in targets]
        if not all(map(math.isfinite, cosines)):
            return Unscored(reason=f"the embedder's similarities are not finite: {cosines}"), ""
        best = int(np.argmax(cosines))
        target = "the prompt" if criterion.near is None else _quote(targets[best])
        score = min(max(cosines[best], 0.0), 1.0)
        return Rating(score=score), f"similarity {cosines[best]:.2f} to {target}"

    def _cosine(self, left: str, right: str) -> float:
        return float(self._rows[left] @ self._rows[right])


def texts_needed(
    criteria: Sequence[EmbeddingCriterion], prompts: Sequence[str], completions: Sequence[str]
) -> list[str]:
    """List every text that the criteria compare: answers, anchors, and prompts where asked for."""
    texts = list(completions)
    for criterion in criteria:
        texts += prompts if criterion.near is None else criterion.near
    return texts


def _quote(text: str) -> str:
    return f'"{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"}"'
