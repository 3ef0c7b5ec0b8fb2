"""A ledger of an earlier rlaif is brought up to date with all that it holds."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import call, completion, marking, rating, revision
from sqlite_utils import Database

from rlaif.errors import LedgerError
from rlaif.ledger.layout import APPLICATION_ID
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.schema import m001_first_tables
from rlaif.ledger.writer import Ledger

JUDGE = "8f2c0d1e" * 8
PLACE = (1, "judging", "u")
MESSAGES = '[{"role": "user", "content": "\u4f60\u597d"}]'
PROBS = '{"1": 0.25, "2": 0.75}'
CRITIQUES = (("kind", "c1"), ("right", "c2"), ("short", "c2"), ("ends", None))
FIRST_ROWS: tuple[tuple[str, tuple[str | float | None, ...]], ...] = (
    ("rubrics", ("h", "helpdesk", "1", "text")),
    ("policies", ("v0000", "d", "p", None, "{}", None)),
    ("cycles", (1, 7, "{}", "c", "h", "v0000", "t", None)),
    ("stages", (1, "judging", 1, 0.5, "t", None)),
    ("units", (*PLACE, 0.5, "t")),
    ("prompts", (1, "p", MESSAGES, "\u4f60\u597d", "[]", "train")),
    ("completions", ("a", "p", "d", 0, "Hello.", 2, 1, None)),
    ("judge_calls", ("c1", *PLACE, "h1", JUDGE, "asked", "said", PROBS, 9, 4, 0.5)),
    ("judge_calls", ("c2", *PLACE, "h2", JUDGE, "asked", "said", "{}", 9, 4, 0.5)),
    *(
        ("critiques", (i, f"j{i}", *PLACE, "h", name, "pointwise", "a", None, f"words {i}", call))
        for i, (name, call) in enumerate(CRITIQUES, start=1)
    ),
    ("verdicts", ("j1", "rating", 0.75, None)),
    ("verdicts", ("j2", "rating", 1.0, None)),
    ("verdicts", ("j3", "unscored", None, "no verdict line")),
    ("verdicts", ("j4", "rating", 0.5, None)),
)


@pytest.fixture
def old(path: Path) -> Path:
    """A ledger as the first release wrote it, with a row of each kind of judgement."""
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db = Database(connection)
    m001_first_tables(db)
    db.table("_sqlite_migrations").insert(
        {"migration_set": "rlaif", "name": "m001_first_tables", "applied_at": "2026-11-01"}
    )
    for table, values in FIRST_ROWS:
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608 - constants
    connection.close()
    return path


def test_judgements_of_the_first_release_say_who_judged_and_what_was_read(old: Path) -> None:
    with Ledger.open(old) as ledger:
        found = {j.criterion: j for j in ledger.judgements()}
        assert {name: j.method for name, j in found.items()} == {
            "kind": "label_probs",
            "right": "words",
            "short": None,
            "ends": "code",
        }
        assert {name: j.judge for name, j in found.items()} == {
            "kind": JUDGE[:12],
            "right": JUDGE[:12],
            "short": JUDGE[:12],
            "ends": "",
        }
        call = found["kind"].call
        assert call is not None
        assert (call.judge, call.samples, call.cost) == (JUDGE, (), 0.0)
        assert ledger.critiques(search="words")[0].critique == "words 4"


def test_preferences_of_the_first_release_weigh_one(old: Path) -> None:
    connection = sqlite3.connect(old, isolation_level=None)
    values = ("x", *PLACE, "p", "a", "a", 0.75, "train", "h", "ratings")
    connection.execute(f"INSERT INTO preferences VALUES ({', '.join('?' * 11)})", values)  # noqa: S608 - a constant
    connection.close()
    with Ledger.open(old) as ledger:
        (found,) = ledger.preferences()
        assert (found.label, found.weight) == (0.75, 1.0)
        assert ledger.human_labels() == ledger.cycle_labels(1) == []


def test_judgements_of_before_had_no_grader_and_new_ones_stand_beside_them(old: Path) -> None:
    with Ledger.open(old) as ledger:
        assert {(j.grader, j.writing) for j in ledger.judgements()} == {("", None)}
        graded = rating(
            "graded", "a", grader="helper", writing=call("Write", reply="Curt.", label_probs={})
        ).model_copy(update={"completion_ids": ("a",)})
        mended = completion("mended", "p", policy="revision:helper").model_copy(
            update={"prompt_id": "p"}
        )
        own = revision("x", critique_ids=("j1",), rejected="unconfirmed").model_copy(
            update={"original_id": "a", "completion_id": mended.id, "rubric_hash": "h"}
        )
        marked = marking("x").model_copy(update={"critique_id": "j1"})
        with ledger.unit(1, "judging", "v") as unit:
            unit.add_judgements("h", [graded])
            unit.add_completions("revision", [mended])
            unit.add_revisions([own])
            unit.add_markings([marked])
        assert ledger.judgements()[-1] == graded
        assert ledger.revisions(1) == [own]
        assert ledger.markings(1) == [marked]


def test_a_reader_waits_for_a_writer_to_bring_it_up_to_date(old: Path) -> None:
    with pytest.raises(LedgerError, match="brings it up to date"):
        LedgerReader.open(old)
    Ledger.open(old).close()
    with LedgerReader.open(old) as reader:
        assert len(reader.judgements()) == 4


def test_critiques_of_the_first_release_are_found_by_words_and_facts(old: Path) -> None:
    connection = sqlite3.connect(old, isolation_level=None)
    later: tuple[tuple[str, tuple[str | float | None, ...]], ...] = (
        ("prompts", (2, "q", MESSAGES, "A refund, please?", '["billing"]', "train")),
        ("completions", ("b", "q", "d2", 0, "No.", 1, 1, None)),
        ("completions", ("c", "q", "d", 1, "Yes.", 1, 1, None)),
        ("critiques", (7, "j7", *PLACE, "h", "kind", "pairwise", "b", "c", "\u592a\u51b7", "c1")),
        ("critiques", (8, "j8", *PLACE, "h", "kind", "pairwise", "c", "b", "Too curt.", "c2")),
        ("verdicts", ("j7", "choice", 0.75, None)),
        ("verdicts", ("j8", "choice", 0.875, None)),
        ("pair_verdicts", (*PLACE, "b", "c", 0.4, 0.75, 0.125, "it flips", None)),
    )
    for table, values in later:
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608 - constants
    connection.close()
    with Ledger.open(old) as ledger:
        before = ledger.digest()

        def found(**asked: Any) -> list[str]:
            return [view.id for view in ledger.critiques(**asked)]

        assert found() == ["j8", "j7", "j4", "j3", "j2", "j1"]
        assert found(search="\u51b7") == ["j7"]
        assert found(search="efun") == found(tag="billing") == ["j8", "j7"]
        assert found(quarantined=True, flipped=True, search="curt") == ["j8"]
        assert found(policy="v0000", verdict="rating") == ["j4", "j2", "j1"]
        assert found(policy="d2") == ["j8", "j7"]
        assert found(judge=JUDGE[:12], unscored=True) == ["j3"]
        assert found(margin_min=0.75) == ["j8", "j2"]
        assert ledger.critiques("j7")[0].quarantined == "it flips"
        with ledger.unit(1, "judging", "more") as unit:
            unit.add_judgements("h", [])
        assert ledger.connection.execute("SELECT count(*) FROM critiques_fts").fetchone()[0] == 6
    with Ledger.open(old) as ledger:
        assert ledger.digest() != before
        assert found_tables(ledger) == {"critiques_fts", "critique_words", "critique_values"}


def found_tables(ledger: Ledger) -> set[str]:
    """Return the tables of the log, and any that the first release's search left behind."""
    sql = (
        "SELECT name FROM sqlite_master WHERE name IN ('critique_words', 'critique_values') OR "
        "(sql LIKE '%fts5%' AND type = 'table') OR type = 'trigger'"
    )
    return {row["name"] for row in ledger.connection.execute(sql)}
