"""Exports from the command line."""

import json
from pathlib import Path

from cli.conftest import Rlaif
from cli.filled import RED
from rlaif.artifacts import model_folder_digest
from rlaif.project import Project


def test_preferences_go_to_standard_output(here: Rlaif) -> None:
    result = here("export", "preferences")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["label"] for row in rows] == [0.75, 0.875, 0.5]
    assert "\x1b" not in result.stdout
    assert rows[0]["rejected"][0]["content"] == f"Find out yourself. {RED}"


def test_preferences_go_to_a_file(here: Rlaif, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    result = here("export", "preferences", "--out", out)
    assert result.stdout == f"wrote 3 preferences to {out}\n"
    printed = here("export", "preferences").stdout
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [
        json.loads(line) for line in printed.splitlines()
    ]


def test_parquet_holds_the_same_rows(here: Rlaif, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / "p.parquet"
    summary = json.loads(
        here("export", "preferences", "--format", "parquet", "--out", out, "--json").stdout
    )
    assert summary == {"out": str(out), "format": "parquet", "preferences": 3}
    rows = [json.loads(line) for line in here("export", "preferences").stdout.splitlines()]
    assert pq.read_table(out).to_pylist() == rows


def test_a_cycle_without_preferences_gives_an_empty_file(here: Rlaif, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    here("export", "preferences", "--cycle", 2, "--out", out)
    assert out.read_bytes() == b""


def test_parquet_needs_a_file(here: Rlaif) -> None:
    result = here("export", "preferences", "--format", "parquet")
    assert result.exit_code == 2
    assert "--out F" in result.stderr


def test_an_unknown_cycle_is_refused(here: Rlaif) -> None:
    result = here("export", "preferences", "--cycle", 9)
    assert result.exit_code == 2
    assert "there is no cycle 9" in result.stderr
    assert "one of: 1, 2, 3" in result.stderr


def test_a_missing_folder_is_refused(here: Rlaif, tmp_path: Path) -> None:
    result = here("export", "preferences", "--out", tmp_path / "no" / "p.jsonl")
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr


def test_a_policy_is_copied_whole(here: Rlaif, project: Project, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = json.loads(here("export", "policy", "current", out, "--json").stdout)
    assert found["policy"] == "v0001"
    assert (
        model_folder_digest(out)
        == found["digest"]
        == model_folder_digest(project.policies / "v0001")
    )


def test_a_policy_never_overwrites(here: Rlaif, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    result = here("export", "policy", "current", tmp_path / "out")
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
