"""The digest: all content, no clocks, no places, no order of work."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_samples import RUBRIC, begun, call, fill_answers, fill_cycle, rating

from rlaif.ledger import clock
from rlaif.ledger.digest import DIGESTED, UNDIGESTED, ledger_digest
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import Metric

STAGES = ("generation", "judging", "promotion")
HOST_FACTS = {
    ("policies", "path"),
    ("artifacts", "path"),
    ("judge_calls", "latency"),
    ("judge_calls", "id"),
    ("critiques", "call_id"),
    ("critiques", "writing_id"),
    ("revisions", "call_id"),
    ("markings", "call_id"),
    ("prompts", "text"),
    ("prompts", "seq"),
    ("critiques", "seq"),
    ("cycles", "config_hash"),
    ("cycles", "started_at"),
    ("cycles", "finished_at"),
    ("stages", "attempts"),
    ("stages", "seconds"),
    ("stages", "started_at"),
    ("units", "seconds"),
    ("units", "done_at"),
    ("promotions", "at"),
    ("human_labels", "seq"),
    ("human_labels", "source"),
    ("human_labels", "at"),
}


def filled(path: Path, *, reverse: bool = False) -> Ledger:
    ledger = begun(path, *STAGES)
    fill_cycle(ledger, reverse=reverse)
    return ledger


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def test_the_order_in_which_units_were_done_does_not_matter(tmp_path: Path) -> None:
    with filled(tmp_path / "a.db") as one, filled(tmp_path / "b.db", reverse=True) as other:
        assert one.digest() == other.digest()
        seqs = [
            ledger.connection.execute("SELECT id FROM critiques ORDER BY seq LIMIT 1").fetchone()[0]
            for ledger in (one, other)
        ]
    assert seqs[0] != seqs[1]


def test_clocks_durations_attempts_events_and_paths_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(tmp_path / "a.db") as one:
        expected = one.digest()
    monkeypatch.setattr(clock, "iso_now", lambda: "2099-01-01T00:00:00.000000+00:00")
    monkeypatch.setattr(clock, "monotonic", iter(range(0, 10**6, 17)).__next__)
    with begun(tmp_path / "far" / "b.db", *STAGES) as other:
        other.add_event("note", "the machine was restarted")
        for stage in STAGES:
            other.begin_stage(1, stage)
        fill_cycle(other)
        other.connection.execute("UPDATE artifacts SET path = '/mnt/elsewhere'")
        other.connection.execute("UPDATE policies SET path = '/mnt/elsewhere'")
        other.connection.execute("UPDATE judge_calls SET latency = 99.0")
        assert other.digest() == expected


def test_vacuum_and_checkpoints_do_not_matter(tmp_path: Path) -> None:
    with filled(tmp_path / "a.db") as ledger:
        before = ledger.digest()
        assert ledger.checkpoint()
        ledger.connection.execute("VACUUM")
        assert ledger.digest() == before
        assert ledger.critiques(search="courteous") != []


def test_a_reader_computes_the_same_digest(tmp_path: Path) -> None:
    with filled(tmp_path / "a.db") as ledger, LedgerReader.open(tmp_path / "a.db") as reader:
        assert reader.digest() == ledger.digest() == ledger_digest(ledger.connection)


def test_every_column_is_digested_or_left_out_on_purpose(ledger: Ledger) -> None:
    tables = ledger.connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%_fts%' "
        "AND name NOT LIKE '\\_%' ESCAPE '\\'"
    )
    names = {row[0] for row in tables}
    assert names == set(DIGESTED) | UNDIGESTED
    left_out = {
        (table, column)
        for table, digested in DIGESTED.items()
        for column in columns_of(ledger.connection, table)
        if column not in {name.split()[0].strip('"') for name in digested}
    }
    assert left_out == HOST_FACTS - {("stages", "finished_at")}


CHANGES = [
    (table, column)
    for table, columns in DIGESTED.items()
    for column in columns
    if table != "oracle_reports"
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with filled(tmp_path_factory.mktemp("whole") / "ledger.db") as ledger:
        ledger.connection.execute("PRAGMA foreign_keys = OFF")
        ledger.connection.execute("PRAGMA ignore_check_constraints = ON")
        yield ledger


@pytest.mark.parametrize(("table", "column"), CHANGES)
def test_any_other_change_is_seen(whole: Ledger, table: str, column: str) -> None:
    before = whole.digest()
    connection, name = whole.connection, column.split()[0]
    connection.execute("BEGIN")
    try:
        connection.execute(
            f"UPDATE {table} SET {name} = {changed(connection, table, name)} "  # noqa: S608 - names of this test
            f"WHERE rowid = (SELECT max(rowid) FROM {table})"
        )
        assert whole.digest() != before
    finally:
        connection.execute("ROLLBACK")
    assert whole.digest() == before


def changed(connection: sqlite3.Connection, table: str, column: str) -> str:
    """Return SQL for a value that differs from the one there and has the column's type."""
    kinds = {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}
    if column == "finished_at":
        return "NULL"
    if column in {"card", "config", "content", "checks", "messages", "tags"}:
        return "'{\"changed\": true}'"
    if kinds[column.strip('"')] == "TEXT":
        return f"coalesce({column}, '') || ' changed'"
    return f"coalesce({column}, 0) + 1"


def test_a_row_more_is_seen(tmp_path: Path) -> None:
    with begun(tmp_path / "a.db", *STAGES) as ledger:
        digests = {ledger.digest()}
        for name in ("a", "b"):
            fill_answers(ledger, name)
            digests.add(ledger.digest())
        ledger.finish_stage(1, "generation")
        digests.add(ledger.digest())
        with ledger.unit(1, "judging", "u0") as unit:
            unit.add_judgements(RUBRIC, [rating("0", "a-0")])
        digests.add(ledger.digest())
    assert len(digests) == 5


def differing(tmp_path: Path, change: Callable[[Ledger, str], None], one: str, other: str) -> bool:
    """Whether two ledgers that differ by ``change`` of one word have different digests."""
    digests = []
    for number, word in enumerate((one, other)):
        with begun(tmp_path / f"{number}.db", *STAGES) as ledger:
            fill_answers(ledger, "a")
            change(ledger, word)
            digests.append(ledger.digest())
    return digests[0] != digests[1]


def with_metric(ledger: Ledger, name: str) -> None:
    with ledger.unit(1, "promotion", "m") as unit:
        unit.add_metrics([Metric(step=0, name=name, value=float(len(str(ledger.path))))])
        unit.add_metrics([Metric(step=0, name="kl", value=0.5)])


@pytest.mark.parametrize("name", ["seconds", "tokens_per_second", "time/seconds"])
def test_metrics_that_are_clocks_are_left_out(tmp_path: Path, name: str) -> None:
    assert not differing(tmp_path, with_metric, name, "latency")
    assert differing(tmp_path / "more", with_metric, name, "reward")


def with_card_key(ledger: Ledger, key: str) -> None:
    with ledger.unit(1, "promotion", "p") as unit:
        unit.add_policy("v0001", "bb", "p", None, {"figures": [{key: "x"}], "rate": 0.5})


@pytest.mark.parametrize("key", ["path", "seconds", "created_at", "latency"])
def test_keys_of_host_facts_are_left_out(tmp_path: Path, key: str) -> None:
    assert not differing(tmp_path, with_card_key, key, "attempts")
    assert differing(tmp_path / "more", with_card_key, key, "pathology")


def with_judge(ledger: Ledger, judge: str) -> None:
    with ledger.unit(1, "judging", "j") as unit:
        unit.add_judgements(RUBRIC, [rating("0", "a-0", call=call("Rate", judge=judge))])


def test_absolute_paths_of_models_are_left_out_and_names_are_not(tmp_path: Path) -> None:
    assert not differing(tmp_path, with_judge, "/home/one/judge", "/mnt/other/judge")
    assert differing(tmp_path / "more", with_judge, "tiny-judge", "large-judge")
