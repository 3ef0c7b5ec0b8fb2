"""A ledger that cannot be read or written says what is wrong and what to do."""

import errno
import sqlite3
from pathlib import Path

import pytest
from ledger_samples import begin, begun, fill_answers, prompt

from rlaif.errors import DiskFullError, LedgerError
from rlaif.ledger import faults, layout
from rlaif.ledger.faults import as_ledger_error, translated
from rlaif.ledger.identity import pragma
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.schema import migrations
from rlaif.ledger.writer import Ledger


def sqlite_error(code: int, words: str = "something") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


def long_unit(ledger: Ledger, name: str) -> None:
    with ledger.unit(1, "generation", name) as unit:
        unit.add_prompts([prompt(f"{name}-{i}", f"{i} {name} " * 400) for i in range(40)])


def test_a_full_disk_stops_at_that_unit_and_loses_nothing(ledger: Ledger, path: Path) -> None:
    fill_answers(ledger, "before")
    pages = pragma(ledger.connection, "page_count")
    ledger.connection.execute(f"PRAGMA max_page_count = {int(pages) + 20}")
    with pytest.raises(DiskFullError) as error:
        long_unit(ledger, "long")
    assert str(path) in error.value.seen
    assert "make room" in error.value.action
    assert error.value.exit_code == 1
    assert not ledger.connection.in_transaction
    assert ledger.done_units(1, "generation") == {"before"}
    assert len(ledger.prompts()) == 1
    ledger.connection.execute("PRAGMA max_page_count = 1000000")
    long_unit(ledger, "long")
    assert ledger.done_units(1, "generation") == {"before", "long"}
    assert len(ledger.prompts()) == 41
    assert pragma(ledger.connection, "integrity_check") == "ok"


def test_a_failed_write_to_a_nearly_full_disk_is_a_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    broken = sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)
    assert not isinstance(as_ledger_error(broken, path), DiskFullError)
    monkeypatch.setattr(faults, "_NEARLY_FULL", 1 << 62)
    assert isinstance(as_ledger_error(broken, path), DiskFullError)
    assert not isinstance(
        as_ledger_error(sqlite_error(sqlite3.SQLITE_CORRUPT), path), DiskFullError
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_file_system_without_room_is_a_full_disk(path: Path, number: int) -> None:
    def fail() -> None:
        with translated(path):
            raise OSError(number, "no room")

    with pytest.raises(DiskFullError, match="no room"):
        fail()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_BUSY, "no other process"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "no other process"),
        (sqlite3.SQLITE_CORRUPT, "a sound database"),
        (sqlite3.SQLITE_READONLY, "can be written"),
        (sqlite3.SQLITE_CANTOPEN, "can be opened"),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, "rows that refer"),
        (sqlite3.SQLITE_IOERR_READ, "a disk that reads"),
    ],
)
def test_every_kind_of_trouble_has_its_own_remedy(path: Path, code: int, expected: str) -> None:
    error = as_ledger_error(sqlite_error(code, "the words of SQLite"), path)
    assert error.seen == f"{path}: the words of SQLite"
    assert expected in error.expected
    assert error.action


def test_an_unknown_error_still_names_the_file(path: Path) -> None:
    def fail() -> None:
        with translated(path):
            raise sqlite3.ProgrammingError("a closed database")

    with pytest.raises(LedgerError, match="a closed database") as error:
        fail()
    assert isinstance(error.value.__cause__, sqlite3.ProgrammingError)


def test_other_errors_pass_through_untouched(path: Path) -> None:
    def fail() -> None:
        with translated(path):
            raise ValueError("not SQLite's")

    with pytest.raises(ValueError, match="not SQLite's"):
        fail()


def test_a_writer_that_never_ends_is_named_after_the_time_out(ledger: Ledger, path: Path) -> None:
    with Ledger.open(path) as other:
        other.connection.execute("PRAGMA busy_timeout = 10")
        ledger.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked") as error:
            other.add_event("note", "never written")
        ledger.connection.execute("ROLLBACK")
        other.add_event("note", "written")
    assert "no other process" in error.value.expected


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, opener: type[Ledger] | type[LedgerReader]
) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("These are not the rows that you are looking for. " * 20, encoding="utf-8")
    with pytest.raises(LedgerError, match="not a database") as error:
        opener.open(path)
    assert "backup" in error.value.action


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_the_database_of_another_program_is_refused_and_left_alone(
    tmp_path: Path, opener: type[Ledger] | type[LedgerReader]
) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="not a ledger of rlaif"):
        opener.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("opener", [Ledger, LedgerReader])
def test_the_ledger_of_a_newer_rlaif_is_refused(
    path: Path, opener: type[Ledger] | type[LedgerReader]
) -> None:
    with begun(path) as ledger:
        ledger.connection.execute(f"PRAGMA user_version = {layout.SCHEMA_VERSION + 1}")
    with pytest.raises(LedgerError, match="newer rlaif"):
        opener.open(path)


def test_a_reader_waits_for_a_writer_to_migrate(path: Path) -> None:
    with begun(path) as ledger:
        ledger.connection.execute("PRAGMA user_version = 0")
    with pytest.raises(LedgerError, match="has schema 0") as error:
        LedgerReader.open(path)
    assert "rlaif run" in error.value.action


def test_a_project_that_never_ran_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="does not exist") as error:
        LedgerReader.open(tmp_path / "state" / "ledger.db")
    assert "run a cycle" in error.value.action
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(LedgerError, match="File exists") as error:
        Ledger.open(tmp_path / "state" / "ledger.db")
    assert "can be opened" in error.value.expected


def test_damage_inside_the_database_is_told_and_not_read_over(path: Path) -> None:
    with begun(path, "generation") as ledger:
        for i in range(30):
            fill_answers(ledger, f"a{i}")
        ledger.checkpoint()
    data = bytearray(path.read_bytes())
    data[4096 * 4 :] = b"\xa5" * (len(data) - 4096 * 4)
    path.write_bytes(bytes(data))
    with LedgerReader.open(path) as reader, pytest.raises(LedgerError, match=str(path)):
        reader.digest()


def test_a_reader_cannot_write(ledger: Ledger, path: Path) -> None:
    with (
        LedgerReader.open(path) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.connection.execute("DELETE FROM cycles")
    assert len(ledger.cycles()) == 1


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "hash#", "né", "法"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "ledger.db"
    begun(path).close()
    with LedgerReader.open(path) as reader:
        assert len(reader.cycles()) == 1
    assert sorted(p.name for p in path.parent.iterdir())[:1] == ["ledger.db"]


def test_the_settings_that_durability_rests_on(ledger: Ledger) -> None:
    found = {
        name: pragma(ledger.connection, name)
        for name in (
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "wal_autocheckpoint",
            "busy_timeout",
            "application_id",
            "user_version",
        )
    }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
        "busy_timeout": 30_000,
        "application_id": int.from_bytes(b"RLAF", "big"),
        "user_version": layout.SCHEMA_VERSION,
    }


def test_there_is_a_migration_for_every_version() -> None:
    assert len(migrations._migrations) == layout.SCHEMA_VERSION


def test_every_table_is_strict(ledger: Ledger) -> None:
    rows = ledger.connection.execute("PRAGMA table_list").fetchall()
    loose = {r["name"] for r in rows if r["type"] == "table" and not r["strict"]}
    assert loose <= {"sqlite_schema", "sqlite_temp_schema", "_sqlite_migrations"}


def test_opening_again_migrates_nothing(path: Path) -> None:
    begun(path).close()
    with Ledger.open(path) as ledger:
        statements: list[str] = []
        ledger.connection.set_trace_callback(statements.append)
        begin(ledger)
        assert not any("CREATE" in s for s in statements)
        applied = ledger.connection.execute("SELECT name FROM _sqlite_migrations").fetchall()
    assert [r["name"] for r in applied] == [m.name for m in migrations._migrations]


def test_a_checkpoint_moves_the_log_into_the_database(ledger: Ledger, path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    for i in range(5):
        fill_answers(ledger, f"a{i}")
    assert log.stat().st_size > 0
    with LedgerReader.open(path) as reader:
        reader.connection.execute("BEGIN")
        reader.cycles()
        fill_answers(ledger, "later")
        ledger.connection.execute("PRAGMA busy_timeout = 10")
        assert not ledger.checkpoint()
        reader.connection.execute("COMMIT")
    assert ledger.checkpoint()
    assert log.stat().st_size == 0


def test_the_log_grows_until_somebody_checkpoints(ledger: Ledger, path: Path) -> None:
    ledger.checkpoint()
    size = path.stat().st_size
    for i in range(3):
        long_unit(ledger, f"long{i}")
    assert path.stat().st_size == size
    assert path.with_name(f"{path.name}-wal").stat().st_size > 1000 * 1024
