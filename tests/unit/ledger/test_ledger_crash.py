"""Killed anywhere, and two at once: no half unit, no collision."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import begin, begun, fill_answers, fill_cycle, in_child

from rlaif.ledger.identity import schema_version
from rlaif.ledger.layout import SCHEMA_VERSION
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger

OPEN_MANY = """
import sys
from pathlib import Path
from rlaif.ledger.writer import Ledger
sys.stdin.readline()
for number in range(10):
    with Ledger.open(Path(sys.argv[1]) / f"{number}.db") as ledger:
        ledger.add_event("opened", sys.argv[2])
"""


def die_at(ledger: Ledger, statement: int) -> None:
    """Die by SIGKILL just before the ledger's n-th SQL statement from now."""
    left = [statement]

    def count(_sql: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger.connection.set_trace_callback(count)


def test_killed_before_any_statement_of_a_unit_it_is_there_whole_or_not_at_all(path: Path) -> None:
    begun(path, "generation").close()
    outcomes = []
    for statement in range(1, 100):
        name = f"u{statement}"

        def work(name: str = name, statement: int = statement) -> None:
            ledger = Ledger.open(path)
            die_at(ledger, statement)
            fill_answers(ledger, name)

        code = in_child(work)
        with LedgerReader.open(path) as reader:
            done = name in reader.done_units(1, "generation")
            prompts = [p.id for p in reader.cycle_prompts(1, "train")]
            answers = [c.id for c in reader.completions(1, "train")]
        assert (f"prompt-{name}" in prompts) is done
        assert (f"completion-{name}-1" in answers) is done
        outcomes.append(done)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert outcomes == [False] * (len(outcomes) - 1) + [True]
    assert len(outcomes) > 10


def test_a_killed_and_resumed_cycle_has_the_digest_of_an_undisturbed_one(tmp_path: Path) -> None:
    with begun(tmp_path / "calm.db", "generation", "judging", "promotion") as calm:
        fill_cycle(calm)
        expected = calm.digest()
    path = tmp_path / "killed.db"

    def go_on(statement: int) -> None:
        ledger = Ledger.open(path)
        begin(ledger)
        die_at(ledger, statement)
        for stage in ("generation", "judging", "promotion"):
            if not ledger.stage_done(1, stage):
                ledger.begin_stage(1, stage)
        fill_cycle(ledger)

    kills = 0
    for statement in range(5, 200, 12):
        if in_child(lambda statement=statement: go_on(statement)) == 0:  # type: ignore[misc]
            break
        kills += 1
    with LedgerReader.open(path) as reader:
        assert reader.latest_cycle().status == "done"  # type: ignore[union-attr]
        assert reader.digest() == expected
        assert max(s.attempts for s in reader.stages(1)) > 1
    assert kills > 3


def test_processes_that_open_a_new_ledger_at_once_do_not_collide(tmp_path: Path) -> None:
    others = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_MANY, str(tmp_path), str(i)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    for other in others:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
    results = [other.communicate(timeout=60) for other in others]
    assert [(other.returncode, err) for other, (_, err) in zip(others, results, strict=True)] == [
        (0, "")
    ] * 3
    for number in range(10):
        with LedgerReader.open(tmp_path / f"{number}.db") as reader:
            assert sorted(e.message for e in reader.events()) == ["0", "1", "2"]


def test_killed_while_the_tables_are_made_the_next_one_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlaif.ledger import schema

    migrate = schema.migrate
    for statement in range(1, 400, 7):
        path = tmp_path / f"{statement}.db"

        def work(path: Path = path, statement: int = statement) -> None:
            def watched(connection: object, where: Path) -> None:
                opened = object.__new__(Ledger)
                opened.connection = connection  # type: ignore[assignment]
                die_at(opened, statement)
                migrate(connection, where)  # type: ignore[arg-type]

            monkeypatch.setattr(schema, "migrate", watched)
            Ledger.open(path).close()

        code = in_child(work)
        with Ledger.open(path) as ledger:
            begin(ledger)
            assert ledger.latest_cycle() is not None
        if code == 0:
            break
    assert statement > 60


class Overtaken(sqlite3.Connection):
    """Another process makes the ledger as soon as this one has read its application id."""

    made: Path | None = None

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
        found = super().execute(sql, *parameters)
        if sql != "PRAGMA application_id" or self.made is None:
            return found
        row, path = found.fetchone()[0], self.made
        self.made = None
        Ledger.open(path).close()
        return super().execute("SELECT ?", [row])


def test_a_ledger_that_is_made_between_two_looks_is_no_strangers(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path, isolation_level=None, factory=Overtaken)
    connection.made = path
    assert schema_version(connection, path) == SCHEMA_VERSION
    connection.close()
