"""What judges' critiques mean, as vectors in files beside the ledger; made again where lost.

    state/critique-vectors/EMBEDDER/vectors   float32, [critiques, dimensions], rows of length 1
    state/critique-vectors/EMBEDDER/seqs      int64, the critiques' numbers in the ledger, ascending
    state/critique-vectors/EMBEDDER/made.json how many rows are whole, and the last critique seen

Only what a judge wrote is embedded: the sentences of rules and other code say one thing over and
over, and would be all that one finds. Rows are only ever added, by one process at a time, and are
on the disk before ``made.json`` vouches for them; what lies beyond is left over from a kill and is
written over. Made anew are vectors of another ledger's critiques, which the last critique's id
tells, and files that hold less than is vouched for, or do not say that they hold judges' words
alone: in files of their own, as others may read the old.
"""

import json
import os
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
_SEQ = np.dtype(np.int64)
_VALUE = np.dtype(np.float32)
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
        """Embed what judges wrote since the files were filled last.

        Args:
            reads: The ledger.
            told: Is told after each batch how many critiques were looked at, of how many.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with waiting_lock(self._folder / "lock", _WAIT_SECONDS):
            made = self._made()
            if made["seq"] and _id_of(reads, made["seq"]) != made["id"]:
                made = _NOTHING
            if not made["rows"]:
                self._begin_anew(made)
            total = reads.last_critique()
            while batch := reads.critique_texts(made["seq"], _AT_ONCE):
                made = self._append(made, batch)
                told(made["seq"], total)

    def load(self) -> tuple[Numbers, Floats]:
        """Return the critiques' numbers and vectors, as they lie on the disk after ``fill``."""
        with waiting_lock(self._folder / "lock", _WAIT_SECONDS):
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
        vouched = found.get("words_of") == _NOTHING["words_of"] and self._holds(found)
        return found if vouched else _NOTHING

    def _holds(self, made: dict[str, Any]) -> bool:
        """Whether the files are as long as is vouched for; a lost disk block may shorten them."""
        rows, width = made["rows"], made["dimensions"]
        sizes = {"seqs": rows * _SEQ.itemsize, "vectors": rows * width * _VALUE.itemsize}
        paths = {self._folder / name: size for name, size in sizes.items() if size}
        return all(path.is_file() and path.stat().st_size >= s for path, s in paths.items())

    def _begin_anew(self, made: dict[str, Any]) -> None:
        """Let go of old files: who has mapped them keeps them, which a shorter file would kill."""
        write_atomically(self._folder / "made.json", json.dumps(made))
        for name in ("vectors", "seqs"):
            (self._folder / name).unlink(missing_ok=True)

    def _append(
        self, made: dict[str, Any], batch: Sequence[tuple[int, str, str | None]]
    ) -> dict[str, Any]:
        last, last_id, _ = batch[-1]
        done = {**made, "seq": last, "id": last_id}
        written = [(seq, text) for seq, _, text in batch if text is not None]
        if written:
            done |= self._write(made["rows"], written)
        write_atomically(self._folder / "made.json", json.dumps(done))
        return done

    def _write(self, after: int, written: Sequence[tuple[int, str]]) -> dict[str, int]:
        """Write rows after so many that are there; equal texts are embedded once."""
        texts = list(dict.fromkeys(text for _, text in written))
        place = {text: i for i, text in enumerate(texts)}
        vectors = self._encoder.encode(texts)[[place[text] for _, text in written]]
        seqs = np.array([seq for seq, _ in written], np.int64)
        for name, rows in (("vectors", vectors.astype(np.float32)), ("seqs", seqs)):
            _write_from(self._folder / name, after * rows[0].nbytes, rows.tobytes())
        return {"rows": after + len(written), "dimensions": int(vectors.shape[1])}


def cosines(vectors: Floats, query: Floats) -> Floats:
    """Return each vector's cosine with a query; all of length 1.

    Args:
        vectors: [rows, dimensions].
        query: [dimensions].
    """
    found: Floats = np.asarray(vectors) @ query
    return found


_NOTHING: dict[str, Any] = {
    "rows": 0,
    "dimensions": 0,
    "seq": 0,
    "id": "",
    "words_of": "judges",
}


def _write_from(path: Path, at: int, content: bytes) -> None:
    path.touch()
    with path.open("r+b") as stream:
        stream.truncate(at)
        stream.seek(at)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _id_of(reads: CritiqueReads, seq: int) -> str | None:
    found = reads.critique_texts(seq - 1, 1)
    return found[0][1] if found and found[0][0] == seq else None
