"""Who reads the critiques' vectors keeps what it has opened while another makes them anew."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cli.meanings import WordEncoder
from rlaif.cli.critiques.vectors import CritiqueVectors, Floats
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project

PAGES = 40  # of a row's 16 bytes, so that a shorter file ends on another page


def reading_child(folder: Path, begun: int, go: int) -> int:
    """Map the vectors in a child, tell, wait, and read all of them; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        _, rows = CritiqueVectors(folder, WordEncoder()).load()
        os.write(begun, b"1")
        os.read(go, 1)
        code = 0 if float(np.asarray(rows).sum()) == float(len(rows)) else 2
    finally:
        os._exit(code)


def test_a_reader_outlives_vectors_that_are_made_anew(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "critique-vectors" / ("d" * 16)
    told, begun = os.pipe()
    waits, go = os.pipe()
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, WordEncoder())
        vectors.fill(reader)
        made = json.loads((folder / "made.json").read_text(encoding="utf-8"))
        rows = PAGES * 256
        (folder / "vectors").write_bytes(np.tile(np.float32([1, 0, 0, 0]), rows).tobytes())
        (folder / "seqs").write_bytes(np.arange(rows, dtype=np.int64).tobytes())
        large = {**made, "rows": rows, "id": "critique-of-another-ledger"}
        (folder / "made.json").write_text(json.dumps(large), encoding="utf-8")
        child = reading_child(tmp_path, begun, waits)
        os.read(told, 1)
        vectors.fill(reader)
        os.write(go, b"1")
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert len(vectors.load()[1]) == made["rows"] == 3


def test_a_kill_while_they_are_made_anew_leaves_none_and_no_error(
    project: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "critique-vectors" / ("d" * 16)
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, WordEncoder())
        vectors.fill(reader)
        made = json.loads((folder / "made.json").read_text(encoding="utf-8"))
        (folder / "made.json").write_text(json.dumps({**made, "id": "other"}), encoding="utf-8")
        killed = CritiqueVectors(tmp_path, Killed())
        with pytest.raises(KeyboardInterrupt):
            killed.fill(reader)
        assert vectors.load()[0].shape == (0,)
        vectors.fill(reader)
        assert vectors.load()[0].tolist() == [1, 2, 3]


class Killed(WordEncoder):
    """Is interrupted at its first text."""

    def encode(self, texts: Sequence[str]) -> Floats:
        raise KeyboardInterrupt(len(texts))
