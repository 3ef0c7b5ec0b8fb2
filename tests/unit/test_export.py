"""Exports: TRL's preference format, and policies as folders."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.filled import RUBRIC, fill_project, write_folder

from rlaif.artifacts import MANIFEST, folder_digest, model_folder_digest, verify
from rlaif.errors import ArtifactError, UsageError
from rlaif.export import (
    PreferenceRow,
    check_policy,
    export_policy,
    preference_rows,
    write_jsonl,
    write_parquet,
)
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.rows import PolicyRow
from rlaif.project import Project
from rlaif.stages.promotion import CARD, LINEAGE, write_policy


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return fill_project(tmp_path_factory.mktemp("filled"))


@pytest.fixture(scope="module")
def reader(project: Project) -> Iterator[LedgerReader]:
    with LedgerReader.open(project.ledger_path) as opened:
        yield opened


def content(row: PreferenceRow) -> tuple[str, str]:
    (chosen,), (rejected,) = row.chosen, row.rejected
    assert chosen.role == rejected.role == "assistant"
    return chosen.content, rejected.content


def test_the_better_answer_is_chosen(reader: LedgerReader) -> None:
    first, second, tie = preference_rows(reader)
    assert first.prompt[0].model_dump() == {
        "role": "user",
        "content": "What is the capital of France?",
    }
    assert content(first)[0] == "It is Paris."
    assert (first.label, first.margin) == (0.75, 0.5)
    assert content(second) == ("Four.\ncycle 9: promote", "Five.")
    assert (second.label, second.margin) == (0.875, 0.75)
    assert (tie.label, tie.margin) == (0.5, 0.0)


def test_ids_follow_the_answers(reader: LedgerReader) -> None:
    rows = list(preference_rows(reader))
    assert (rows[1].chosen_id, rows[1].rejected_id) == ("completion-sum-1-1", "completion-sum-0-1")
    assert {row.rubric_hash for row in rows} == {RUBRIC}
    assert [row.split for row in rows] == ["train", "heldout", "heldout"]
    assert {row.cycle for row in rows} == {1}


def test_a_cycle_can_be_picked(reader: LedgerReader) -> None:
    assert len(list(preference_rows(reader, 1))) == 3
    assert list(preference_rows(reader, 2)) == []
    with pytest.raises(UsageError, match="there is no cycle 4"):
        preference_rows(reader, 4)


def test_a_file_lands_whole_or_not_at_all(reader: LedgerReader, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    assert write_jsonl(preference_rows(reader), out) == 3
    before = out.read_bytes()

    def broken() -> Iterator[PreferenceRow]:
        yield from preference_rows(reader)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(broken(), out)
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["p.jsonl"]


def test_json_lines_and_parquet_hold_the_same(reader: LedgerReader, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_jsonl(preference_rows(reader), tmp_path / "p.jsonl")
    write_parquet(preference_rows(reader), tmp_path / "p.parquet")
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    assert pq.read_table(tmp_path / "p.parquet").to_pylist() == [json.loads(n) for n in lines]


def test_an_empty_parquet_file_has_all_columns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    assert write_parquet([], tmp_path / "p.parquet") == 0
    assert pq.read_table(tmp_path / "p.parquet").column_names == list(PreferenceRow.model_fields)


@pytest.mark.slow
def test_trl_takes_the_rows_as_they_are(reader: LedgerReader, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl.data_utils import is_conversational

    for form, write in (("json", write_jsonl), ("parquet", write_parquet)):
        out = tmp_path / f"p.{form}"
        write(preference_rows(reader), out)
        rows = load_dataset(form, data_files=str(out), cache_dir=str(tmp_path / form))["train"]
        assert rows.num_rows == 3
        assert all(is_conversational(row) for row in rows)


def test_a_policy_is_copied_without_its_past(
    reader: LedgerReader, project: Project, tmp_path: Path
) -> None:
    row = reader.policy("v0001")
    assert row is not None
    export_policy(row, project.policies / "v0001", tmp_path / "out")
    verify(tmp_path / "out")
    assert model_folder_digest(tmp_path / "out") == row.digest
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
        MANIFEST,
    }


def test_a_promoted_policy_is_the_challenger_that_it_was(tmp_path: Path) -> None:
    challenger, target = tmp_path / "challenger", tmp_path / "policies" / "v0001"
    write_folder(challenger, "learned")
    (challenger / "metrics.jsonl").write_text("{}\n", encoding="utf-8")
    write_policy(challenger, target, {"parent": "v0000"})
    digest = model_folder_digest(challenger)
    assert digest == model_folder_digest(target) != folder_digest(target)
    row = PolicyRow(version="v0001", digest=digest, path="v0001", parent=None, card={}, cycle=1)
    check_policy(row, target)
    export_policy(row, target, tmp_path / "out")
    assert model_folder_digest(tmp_path / "out") == digest
    assert {CARD, LINEAGE} <= {p.name for p in (tmp_path / "out").iterdir()}


def changed(folder: Path) -> None:
    (folder / "config.json").write_text('{"changed": true}', encoding="utf-8")


def added(folder: Path) -> None:
    (folder / "more.txt").write_text("more", encoding="utf-8")


def removed(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize("harm", [changed, added, removed])
def test_a_policy_that_is_not_the_ledgers_is_refused(tmp_path: Path, harm: object) -> None:
    assert callable(harm)
    folder = tmp_path / "v0001"
    write_folder(folder, "v0001")
    digest = model_folder_digest(folder)
    row = PolicyRow(version="v0001", digest=digest, path="v0001", parent=None, card={}, cycle=None)
    harm(folder)
    with pytest.raises(ArtifactError, match="vouches for"):
        export_policy(row, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
