"""What critiques mean, as vectors in files beside the ledger; made again wherever they are lost.

    state/critique-vectors/EMBEDDER/vectors   float32, [critiques, dimensions], rows of length 1
    state/critique-vectors/EMBEDDER/seqs      int64, the critiques' numbers in the ledger, ascending
    state/critique-vectors/EMBEDDER/made.json how many rows are whole, and the last one's critique

Rows are only ever added, by one process at a time. What lies beyond the rows that ``made.json``
vouches for is left over from a kill and is written over. Vectors of another ledger's critiques,
which the last critique's id tells, are made anew.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rlaif.artifacts import write_atomically
from rlaif.ledger.critique_reads import CritiqueReads
from rlaif.ledger.lock import waiting_lock

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Told = Callable[[int, int], None]

FOLDER = "critique-vectors"
_AT_ONCE = 4_096
_WAIT_SECONDS = 600.0


class Encoder(Protocol):
    """What turns texts into vectors."""

    @property
    def digest(self) -> str:
        """Digest of the model: other models' vectors are kept apart."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return [texts, dimensions], each row of length 1 or 0."""


class CritiqueVectors:
    """The vectors of a ledger's critiques by one embedder.

    Args:
        state: The project's folder for what runs write.
        encoder: The embedder.
    """

    def __init__(self, state: Path, encoder: Encoder) -> None:
        self._folder = state / FOLDER / encoder.digest[:16]
        self._encoder = encoder

    def fill(self, reads: CritiqueReads, told: Told = lambda _done, _total: None) -> None:
        """Embed the critiques that are not in the files yet.

        Args:
            reads: The ledger.
            told: Is told after each batch how many critiques are embedded, of how many.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with waiting_lock(self._folder / "lock", _WAIT_SECONDS):
            made = self._made()
            if made["rows"] and _id_of(reads, made["seq"]) != made["id"]:
                made = _NOTHING
            total = reads.last_critique()
            while batch := reads.critique_texts(made["seq"], _AT_ONCE):
                made = self._append(made, batch)
                told(made["seq"], total)

    def load(self) -> tuple[Numbers, Floats]:
        """Return the critiques' numbers and vectors, as they lie on the disk."""
        made = self._made()
        rows, width = made["rows"], made["dimensions"]
        if not rows:
            return np.zeros(0, np.int64), np.zeros((0, 1), np.float32)
        return (
            np.memmap(self._folder / "seqs", np.int64, "r", shape=(rows,)),
            np.memmap(self._folder / "vectors", np.float32, "r", shape=(rows, width)),
        )

    def _made(self) -> dict[str, Any]:
        path = self._folder / "made.json"
        found: dict[str, Any] = _NOTHING
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
        return found

    def _append(
        self, made: dict[str, Any], batch: Sequence[tuple[int, str, str]]
    ) -> dict[str, Any]:
        texts = list(dict.fromkeys(text for _, _, text in batch))
        place = {text: i for i, text in enumerate(texts)}
        vectors = self._encoder.encode(texts)[[place[text] for _, _, text in batch]]
        seqs = np.array([seq for seq, _, _ in batch], np.int64)
        for name, rows in (("vectors", vectors.astype(np.float32)), ("seqs", seqs)):
            _write_from(self._folder / name, made["rows"] * rows[0].nbytes, rows.tobytes())
        done = {
            "rows": made["rows"] + len(batch),
            "dimensions": int(vectors.shape[1]),
            "seq": batch[-1][0],
            "id": batch[-1][1],
        }
        write_atomically(self._folder / "made.json", json.dumps(done))
        return done


def cosines(vectors: Floats, query: Floats) -> Floats:
    """Return each vector's cosine with a query; all of length 1.

    Args:
        vectors: [rows, dimensions].
        query: [dimensions].
    """
    found: Floats = np.asarray(vectors) @ query
    return found


_NOTHING: dict[str, Any] = {"rows": 0, "dimensions": 0, "seq": 0, "id": ""}


def _write_from(path: Path, at: int, content: bytes) -> None:
    path.touch()
    with path.open("r+b") as stream:
        stream.truncate(at)
        stream.seek(at)
        stream.write(content)


def _id_of(reads: CritiqueReads, seq: int) -> str | None:
    found = reads.critique_texts(seq - 1, 1)
    return found[0][1] if found and found[0][0] == seq else None
