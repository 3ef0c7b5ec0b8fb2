"""Sentence embeddings, for coverage, near-duplicates and embedding criteria."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlaif.errors import ModelError
from rlaif.models.identity import model_digest, refuse_missing_folder
from rlaif.models.loading import LOADING_FAULTS

_MODULES = "modules.json"
Vectors = npt.NDArray[np.float32]


class Embedder:
    """A sentence-transformers model.

    Attributes:
        digest: Digest of its folder, or of its hub id.
    """

    def __init__(self, model: Any, digest: str) -> None:  # noqa: ANN401 - library without types
        self._model = model
        self.digest = digest

    @classmethod
    def load(cls, path: str, device: str = "cpu") -> "Embedder":
        """Load a model from a folder or a hub id.

        Raises:
            ModelError: It cannot be loaded; at once, without asking a hub, where ``path`` can only
                be a folder and is not there.
        """
        refuse_missing_folder(path)
        if Path(path).is_dir() and not (Path(path) / _MODULES).is_file():
            raise ModelError(
                f"the embedder {path} has no {_MODULES}",
                "a sentence-transformers folder or hub id",
                "check [embedder] path: a language model is no embedder",
            )
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(path, device=device, trust_remote_code=False)
        except LOADING_FAULTS as exc:
            raise ModelError(
                f"cannot load the embedder {path}: {exc}",
                "a sentence-transformers folder or hub id",
                "check [embedder] path; without a network give a folder",
            ) from exc
        return cls(model, model_digest(path))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts.

        Returns:
            [texts, dimensions] float32, each row of length 1 (0 for a text without words).
        """
        if not texts:
            return np.zeros((0, 1), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=256, convert_to_numpy=True, show_progress_bar=False
        ).astype(np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.where(norms > 0, norms, 1.0)
        return unit
