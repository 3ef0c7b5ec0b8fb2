"""The vectors of critiques: what is embedded, once, and what a kill or another ledger left."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cli.meanings import WordEncoder, commit
from rlaif.cli.critiques.vectors import CritiqueVectors, cosines
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project


def test_only_what_is_new_is_embedded_and_equal_texts_once(
    project: Project, tmp_path: Path
) -> None:
    encoder = WordEncoder()
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, encoder)
        progress: list[tuple[int, int]] = []
        vectors.fill(reader, lambda done, total: progress.append((done, total)))
        assert (len(encoder.asked), progress) == (3, [(3, 3)])
        commit(project, "new", ("rude", 0.1), ("rude", 0.1), ("礼貌", 0.2))
        CritiqueVectors(tmp_path, encoder).fill(reader)
        assert encoder.asked[3:] == ["rude", "礼貌"]
        CritiqueVectors(tmp_path, encoder).fill(reader)
        assert len(encoder.asked) == 5
        seqs, rows = vectors.load()
    assert seqs.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(rows[3:5], [[1, 0, 0, 0]] * 2)
    assert rows.dtype == np.float32


def test_what_a_kill_left_behind_is_written_over(project: Project, tmp_path: Path) -> None:
    encoder = WordEncoder()
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, encoder)
        vectors.fill(reader)
        expected = [np.array(part) for part in vectors.load()]
        for name in ("vectors", "seqs"):
            with (tmp_path / "critique-vectors" / ("d" * 16) / name).open("ab") as stream:
                stream.write(b"half a row")
        commit(project, "new", ("rude", 0.1))
        vectors.fill(reader)
        seqs, rows = vectors.load()
    assert seqs.tolist() == [1, 2, 3, 4]
    assert np.array_equal(rows[:3], expected[1])
    assert rows[3].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("name", ["vectors", "seqs"])
def test_files_that_lost_what_is_vouched_for_are_made_anew(
    project: Project, tmp_path: Path, name: str
) -> None:
    encoder = WordEncoder()
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, encoder)
        vectors.fill(reader)
        expected = [np.array(part) for part in vectors.load()]
        path = tmp_path / "critique-vectors" / ("d" * 16) / name
        path.write_bytes(path.read_bytes()[:-1])
        commit(project, "new", ("rude", 0.1))
        vectors.fill(reader)
        seqs, rows = vectors.load()
    assert seqs.tolist() == [1, 2, 3, 4]
    assert np.array_equal(rows[:3], expected[1])
    assert len(encoder.asked) == 3 + 4


def test_rows_are_on_the_disk_before_they_are_vouched_for(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with LedgerReader.open(project.ledger_path) as reader:
        CritiqueVectors(tmp_path, WordEncoder()).fill(reader)
    folder = tmp_path / "critique-vectors" / ("d" * 16)
    inode = {name: (folder / name).stat().st_ino for name in ("vectors", "seqs", "made.json")}
    order = [name for one in synced for name, number in inode.items() if one == number]
    assert order == ["vectors", "seqs", "made.json"]


def test_another_ledgers_vectors_are_made_anew_and_another_models_kept_apart(
    project: Project, tmp_path: Path
) -> None:
    encoder = WordEncoder()
    with LedgerReader.open(project.ledger_path) as reader:
        CritiqueVectors(tmp_path, encoder).fill(reader)
        made = tmp_path / "critique-vectors" / ("d" * 16) / "made.json"
        made.write_text(made.read_text(encoding="utf-8").replace("critique-c", "critique-other"))
        CritiqueVectors(tmp_path, encoder).fill(reader)
        assert len(encoder.asked) == 6
        CritiqueVectors(tmp_path, WordEncoder("e" * 64)).fill(reader)
    assert len(list((tmp_path / "critique-vectors").iterdir())) == 2


def test_what_code_or_nobody_said_is_not_embedded(project: Project, tmp_path: Path) -> None:
    encoder = WordEncoder()
    commit(project, "rules", *[("rude: has 9 words", 0.0)] * 5, method="code")
    commit(project, "mixed", ("rude", 0.1), (" \n", 0.1), ("wrong", 0.2), method="label_probs")
    commit(project, "after", *[("long: 12 words", 0.0)] * 9, method="code")
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, encoder)
        vectors.fill(reader)
        assert encoder.asked[3:] == ["rude", "wrong"]
        seqs, rows = vectors.load()
        assert seqs.tolist() == [1, 2, 3, 9, 11]
        assert len(rows) == 5
        made = tmp_path / "critique-vectors" / ("d" * 16) / "made.json"
        assert json.loads(made.read_text(encoding="utf-8"))["seq"] == reader.last_critique()
        vectors.fill(reader)
        assert len(encoder.asked) == 5


def test_files_that_hold_what_code_said_are_made_anew(project: Project, tmp_path: Path) -> None:
    commit(project, "rules", ("rude: has 9 words", 0.0), method="code")
    encoder = WordEncoder()
    with LedgerReader.open(project.ledger_path) as reader:
        vectors = CritiqueVectors(tmp_path, encoder)
        vectors.fill(reader)
        made = tmp_path / "critique-vectors" / ("d" * 16) / "made.json"
        before = {"rows": 4, "dimensions": 4, "seq": 4, "id": "critique-rules-0"}
        made.write_text(json.dumps(before), encoding="utf-8")
        for name, size in (("vectors", 16), ("seqs", 8)):
            made.with_name(name).write_bytes(bytes(4 * size))
        vectors.fill(reader)
        assert vectors.load()[0].tolist() == [1, 2, 3]


def test_cosines_by_hand() -> None:
    rows = np.array([[1, 0], [0.6, 0.8]], np.float32)
    assert cosines(rows, np.array([0, 1], np.float32)) == pytest.approx([0, 0.8])
