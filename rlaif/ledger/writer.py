"""Writing the ledger: short immediate transactions, each committed whole."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlite_utils import Database

from rlaif.errors import LedgerError
from rlaif.ledger import clock, rows
from rlaif.ledger.connected import connect
from rlaif.ledger.critique_index import CritiqueIndex
from rlaif.ledger.faults import as_ledger_error, translated
from rlaif.ledger.puts import (
    KeptReplies,
    PromotionKind,
    insert,
    put_audit,
    put_completions,
    put_event,
    put_new,
    put_policy,
    put_promotion,
    put_prompts,
    put_replies,
    put_rubric,
)
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import AuditRow, CycleRow, to_json
from rlaif.ledger.schema import prepare
from rlaif.ledger.unit import Unit
from rlaif.records import AuditOnDemand, Completion, HumanLabel, Prompt, StoredReply


class Ledger(LedgerReads):
    """The ledger, open for writing. One thread uses it.

    Args:
        connection: A connection in autocommit mode at the newest schema; :meth:`open` makes one.
        path: The database's file.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self._db = Database(connection)
        self._index = CritiqueIndex(connection)
        self._marks: dict[tuple[int, str], float] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger, making or migrating it where needed.

        Raises:
            LedgerError: The file is no ledger, a newer rlaif's, or cannot be opened.
            DiskFullError: There is no room to make it.
        """
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = connect(path, lambda found: prepare(found, path))
        return cls(connection, path)

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the database, and return whether all of it was moved.

        Only the holder of the project's lock may. A part stays where a reader still needs it.
        """
        row = self._all("PRAGMA wal_checkpoint(TRUNCATE)")[0]
        return not row["busy"]

    def add_rubric(
        self, rubric_hash: str, name: str, version: str, text: str, cycle: int | None = None
    ) -> None:
        """Add a rubric as it is used, in a cycle as it is worded there; again changes nothing."""
        with self._transaction():
            put_rubric(self._db, (rubric_hash, name, version, text), cycle)

    def add_event(self, kind: str, message: str, cycle: int | None = None) -> None:
        """Record that something happened, for people to read."""
        with self._transaction():
            put_event(self._db, kind, message, cycle)

    def add_replies(
        self, replies: Sequence[StoredReply], cycle: int | None = None, *, refused: bool = False
    ) -> KeptReplies:
        """Keep servers' replies, all of which count; they are durable when this returns.

        Args:
            replies: The replies, raw; a key that is known goes on finding its first one.
            cycle: The cycle that pays for them, None outside of any.
            refused: They are no answers: no key finds them.

        Returns:
            The numbers of the new rows, and what each key finds.
        """
        with self._transaction():
            return put_replies(self._db, replies, cycle, refused=refused)

    def add_human_labels(
        self,
        labels: Sequence[HumanLabel],
        *,
        prompts: Sequence[Prompt] = (),
        completions: Sequence[Completion] = (),
        source: str,
    ) -> int:
        """Add what humans said and what it is about, all of it or nothing; return what was new.

        Raises:
            LedgerError: An id is known with other content.
        """
        at = clock.iso_now()
        found = [rows.label_row(label, source, at) for label in labels]
        with self._transaction():
            put_prompts(self._db, [rows.prompt_row(p) for p in prompts])
            put_completions(self._db, [rows.completion_row(c) for c in completions])
            return put_new(self._db, "human_labels", found)

    def add_audit(self, audit: AuditOnDemand, kind: str, told: str) -> AuditRow:
        """Keep an audit that was made on demand, with the event that tells of it."""
        with self._transaction():
            put_event(self._db, kind, told, None)
            return put_audit(self._db, audit)

    def register_base(self, version: str, digest: str, path: str, card: dict[str, Any]) -> None:
        """Add the policy that the project begins with and make it the current one.

        The same one again changes nothing.

        Raises:
            LedgerError: The project began with another policy.
        """
        known = self.policy(version)
        if known is None:
            with self._transaction():
                put_policy(self._db, version, digest, path, None, card, None)
                put_promotion(self._db, version, "the project begins with it", "base", None)
        elif known.digest != digest:
            raise LedgerError(
                f"the base policy {path} has digest {digest[:12]}",
                f"{known.digest[:12]}, with which this project began",
                "set [policy] path to the first base again, or begin a new project",
            )

    def promote(self, version: str, reason: str, kind: PromotionKind = "promote") -> None:
        """Make a known policy the current one, outside of any cycle.

        Raises:
            LedgerError: There is no such policy.
        """
        if self.policy(version) is None:
            known = ", ".join(p.version for p in self.policies()) or "none"
            raise LedgerError(
                f"there is no policy {version}", f"one of: {known}", "see rlaif policy list"
            )
        with self._transaction():
            put_promotion(self._db, version, reason, kind, None)

    def add_oracle_report(self, cycle: int, content: dict[str, Any]) -> None:
        """Add what the oracle measured; once, after the gate has decided.

        Raises:
            LedgerError: The gate has not decided yet, or the report is there already.
        """
        if self.gate_decision(cycle) is None:
            raise LedgerError(
                f"cycle {cycle} has no gate decision",
                "an oracle that measures after the gate has decided",
                "finish the cycle first",
            )
        with self._transaction():
            insert(self._db, "oracle_reports", [{"cycle": cycle, "content": to_json(content)}])

    def begin_cycle(
        self,
        number: int,
        *,
        run_seed: int,
        config: dict[str, Any],
        config_hash: str,
        rubric_hash: str,
        incumbent: str,
    ) -> CycleRow:
        """Begin a cycle, or go on with it.

        Going on with other settings is recorded as an event, and the row returned holds the first
        ones; :meth:`amend_cycle` changes them.

        Args:
            number: The cycle's number, from 1.
            run_seed: The seed of the whole run.
            config: All settings, as JSON.
            config_hash: Their digest.
            rubric_hash: The rubric's content hash, added before.
            incumbent: The version of the live policy, registered before.

        Raises:
            LedgerError: An earlier cycle is missing or has not ended.
        """
        known = self.cycle(number)
        if known is None:
            self._refuse_gap(number)
            row = {"number": number, "run_seed": run_seed, "config": to_json(config)}
            row |= {"config_hash": config_hash, "rubric_hash": rubric_hash}
            row |= {"incumbent": incumbent, "started_at": clock.iso_now(), "finished_at": None}
            with self._transaction():
                insert(self._db, "cycles", [row])
        elif known.status == "running":
            self._note_changes(known, config_hash, rubric_hash)
        return self.begun_cycle(number)

    def amend_cycle(
        self, number: int, *, config: dict[str, Any], config_hash: str, rubric_hash: str
    ) -> CycleRow:
        """Change the settings of a cycle under way, for stages that have not begun.

        Args:
            number: The cycle's number.
            config: All settings, those of stages that have begun as they were.
            config_hash: Their digest.
            rubric_hash: The rubric's content hash, added before.

        Raises:
            LedgerError: There is no such cycle, or it has ended.
        """
        if self.begun_cycle(number).status == "done":
            raise LedgerError(
                f"cycle {number} has ended", "a cycle under way", "change the next cycle's settings"
            )
        with self._transaction():
            self._db.execute(
                "UPDATE cycles SET config = ?, config_hash = ?, rubric_hash = ? WHERE number = ?",
                (to_json(config), config_hash, rubric_hash, number),
            )
        return self.begun_cycle(number)

    def finish_cycle(self, number: int) -> None:
        """End a cycle; ending it again changes nothing.

        Raises:
            LedgerError: There is no such cycle, or one of its stages has not ended.
        """
        self.begun_cycle(number)
        left = [s.stage for s in self.stages(number) if s.finished_at is None]
        if left:
            raise LedgerError(
                f"cycle {number} has not finished {', '.join(left)}",
                "every stage that was begun, finished",
                "finish the stage first",
            )
        self._update(
            "UPDATE cycles SET finished_at = ? WHERE number = ? AND finished_at IS NULL",
            clock.iso_now(),
            number,
        )

    def begin_stage(self, cycle: int, stage: str) -> None:
        """Begin a stage, or another attempt at it after a stop.

        Raises:
            LedgerError: The cycle was not begun or has ended, or the stage has ended.
        """
        if self.begun_cycle(cycle).status == "done" or self.stage_done(cycle, stage):
            raise LedgerError(
                f"stage {stage} of cycle {cycle} has ended",
                "a stage that is still to do",
                "ask stage_done() first; nothing that is done is done again",
            )
        self._update(
            "INSERT INTO stages (cycle, stage, attempts, seconds, started_at) "
            "VALUES (?, ?, 1, 0, ?) ON CONFLICT DO UPDATE SET attempts = attempts + 1",
            cycle,
            stage,
            clock.iso_now(),
        )
        self._marks[cycle, stage] = clock.monotonic()

    def finish_stage(self, cycle: int, stage: str) -> None:
        """End a stage.

        Raises:
            LedgerError: It was not begun.
        """
        if stage not in {s.stage for s in self.stages(cycle)}:
            raise LedgerError(
                f"stage {stage} of cycle {cycle} was not begun", "begin_stage() first", "begin it"
            )
        with self._transaction():
            self._spend(cycle, stage)
            self._db.execute(
                "UPDATE stages SET finished_at = ? "
                "WHERE cycle = ? AND stage = ? AND finished_at IS NULL",
                (clock.iso_now(), cycle, stage),
            )

    @contextmanager
    def unit(self, cycle: int, stage: str, unit: str) -> Iterator[Unit]:
        """Gather what a unit of work brings, then commit all of it together, or nothing.

        The transaction opens when the block ends, so the work may be done inside the block. The
        unit's seconds are those since the stage began or its last unit was committed.

        Args:
            cycle: The cycle's number.
            stage: A stage that was begun.
            unit: The unit's name, unique in its stage.

        Yields:
            The gatherer.

        Raises:
            LedgerError: The unit is done already, or its rows contradict the ledger.
            DiskFullError: There is no room for it.
        """
        if unit in self.done_units(cycle, stage):
            raise LedgerError(
                f"unit {unit} of stage {stage} of cycle {cycle} is done",
                "a unit that is still to do",
                "ask done_units() first; nothing that is done is done again",
            )
        gathered = Unit(cycle, stage, unit)
        yield gathered
        with self._transaction():
            gathered.write(self._db, self._index, self._spend(cycle, stage), clock.iso_now())

    def _spend(self, cycle: int, stage: str) -> float:
        """Add the seconds since the last mark to a stage, and return them."""
        now = clock.monotonic()
        seconds = now - self._marks.get((cycle, stage), now)
        self._marks[cycle, stage] = now
        self._db.execute(
            "UPDATE stages SET seconds = seconds + ? WHERE cycle = ? AND stage = ?",
            (seconds, cycle, stage),
        )
        return seconds

    def _refuse_gap(self, number: int) -> None:
        last = self.latest_cycle()
        if last is not None and last.status == "running":
            raise LedgerError(
                f"cycle {number} was asked for, but cycle {last.number} has not ended",
                f"cycle {last.number} finished first",
                "run it to its end",
            )
        following = 1 if last is None else last.number + 1
        if number != following:
            raise LedgerError(f"cycle {number} was asked for", f"cycle {following}", "see status")

    def _note_changes(self, cycle: CycleRow, config_hash: str, rubric_hash: str) -> None:
        changed = [
            name
            for name, old, new in (
                ("settings", cycle.config_hash, config_hash),
                ("rubric", cycle.rubric_hash, rubric_hash),
            )
            if old != new
        ]
        if changed:
            self.add_event(
                "config-changed",
                f"the {' and the '.join(changed)} changed while cycle {cycle.number} was under "
                "way: stages that have begun end as they began; later ones take what is new",
                cycle.number,
            )

    def _update(self, sql: str, *values: str | int) -> None:
        with self._transaction():
            self._db.execute(sql, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write all of a block or nothing; references are checked at its end."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.connection.execute("PRAGMA defer_foreign_keys = ON")
                yield
                self._commit()
            except BaseException:
                self._index.forget()
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _commit(self) -> None:
        try:
            self.connection.execute("COMMIT")
        except sqlite3.IntegrityError as exc:
            broken = self.connection.execute("PRAGMA foreign_key_check").fetchone()
            error = as_ledger_error(exc, self.path)
            if broken is None:
                raise error from exc
            raise LedgerError(
                f"{error.seen}: a row of {broken['table']} refers to a row of "
                f"{broken['parent']} that is not there",
                error.expected,
                error.action,
            ) from exc
