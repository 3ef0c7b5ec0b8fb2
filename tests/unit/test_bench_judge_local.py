"""The benchmark of local judging, on two prompts, and where sharing beginnings pays."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from benchmarks import judge_local
from benchmarks.judge_local import SHIPPED, WAYS, Counts, answered, judged_by, tables

JUDGE = judge_local.ROOT / "policies" / "tiny-judge"


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    given = argparse.Namespace(batch_size=96, rounds=1)
    return judged_by(JUDGE, given, answered(2))


def test_every_way_is_measured_and_says_the_same(found: dict[str, Any]) -> None:
    kinds = [name for name in found if not name.startswith("profile")]
    assert len(kinds) == 4
    for kind in kinds:
        row = found[kind]
        assert row["requests"] == row["judgements"] * (2 if kind.startswith("pairs") else 1)
        assert (row["tokens_written"] > 0) == kind.endswith(", critique")
        assert list(row["ways"]) == list(WAYS)
        for name, way in row["ways"].items():
            assert way["per_second"] > 0, name
            assert 0 < way["forward_share"] <= 1, name
            assert way["cells"] >= way["read"] > 0, name
            assert way["verdicts_apart"]["critiques"] == 0, name
            assert way["verdicts_apart"]["probability"] < 1e-5, name


def test_what_ships_reads_fewest_tokens(found: dict[str, Any]) -> None:
    for kind, row in found.items():
        for name, way in row.get("ways", {}).items():
            assert row["ways"][SHIPPED]["read"] <= way["read"], (kind, name)
    ratings = found["ratings, critique"]["ways"]
    assert ratings[SHIPPED]["read"] < 0.9 * ratings["shared from 0.6"]["read"]


def test_the_profile_names_functions_and_shares(found: dict[str, Any]) -> None:
    profile = found["profile, critique"]
    assert len(profile["own_time"]) == judge_local.TOP
    shares = [one["share"] for one in profile["own_time"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    assert 0 < profile["share"]["the model's forward passes"] < 1
    assert set(profile["share"]) >= {"rendering", "encoding requests", "copying shared rows"}


def test_tables_say_what_was_left_out(found: dict[str, Any]) -> None:
    text = tables({"tiny-judge": found, "other": {"all": {"skipped": "there is no folder x"}}})
    assert "| tiny-judge | pairs, critique | shipped |" in text
    assert "other: skipped, there is no folder x" in text


def test_a_functions_place_is_its_file_and_name() -> None:
    path = str(Path("/a") / "rlaif" / "judges" / "panel.py")
    assert judge_local.place_of((path, 7, "rate")) == "judges/panel.py rate"
    assert judge_local.place_of(("~", 0, "<built-in method linear>")) == "built-in method linear"


def test_tokens_and_cells_are_counted() -> None:
    counts = Counts()
    with counts.counting():
        pass
    assert (counts.read, counts.cells) == (0, 0)
