"""What the ledger knows of the run: cycles, stages, units, policies, promotions, events."""

from typing import Any

from rlaif.errors import LedgerError
from rlaif.ledger import rows
from rlaif.ledger.connected import Connected
from rlaif.ledger.rows import (
    ArtifactRow,
    AuditRow,
    CycleCounts,
    CycleRow,
    EventRow,
    PolicyRow,
    PromotionRow,
    RubricRow,
    StageRow,
)


class RunReads(Connected):
    """Cycles, stages, units, policies, promotions, artifacts, events."""

    def cycles(self) -> list[CycleRow]:
        """Return all cycles, first to last."""
        return [rows.cycle_from(r) for r in self._all("SELECT * FROM cycles ORDER BY number")]

    def cycle(self, number: int) -> CycleRow | None:
        """Return one cycle."""
        row = self._one("SELECT * FROM cycles WHERE number = ?", number)
        return None if row is None else rows.cycle_from(row)

    def latest_cycle(self) -> CycleRow | None:
        """Return the cycle with the highest number."""
        row = self._one("SELECT * FROM cycles ORDER BY number DESC LIMIT 1")
        return None if row is None else rows.cycle_from(row)

    def begun_cycle(self, number: int) -> CycleRow:
        """Return a cycle that must be there.

        Raises:
            LedgerError: There is no such cycle.
        """
        cycle = self.cycle(number)
        if cycle is None:
            last = self.latest_cycle()
            raise LedgerError(
                f"{self.path}: cycle {number} was not begun",
                f"one of the cycles 1 to {last.number}" if last else "a project that has run",
                "see rlaif status",
            )
        return cycle

    def cycle_config(self, number: int) -> dict[str, Any]:
        """Return the settings that a cycle was begun with.

        Raises:
            LedgerError: There is no such cycle.
        """
        return self.begun_cycle(number).config

    def cycle_counts(self, number: int) -> CycleCounts:
        """Return how much a cycle made."""
        row = self._all(
            "SELECT (SELECT count(*) FROM cycle_prompts WHERE cycle = ?1 AND purpose = 'train') "
            "AS prompts, (SELECT count(*) FROM completion_uses WHERE cycle = ?1 "
            "AND purpose NOT LIKE 'probe-%' AND purpose != 'revision') AS completions, "
            "(SELECT count(*) FROM critiques WHERE cycle = ?1) AS judgements, "
            "(SELECT count(*) FROM critiques c JOIN verdicts v ON v.critique_id = c.id "
            "WHERE c.cycle = ?1 AND v.type = 'unscored') AS unscored, "
            "(SELECT count(*) FROM preferences WHERE cycle = ?1) AS preferences",
            number,
        )[0]
        return CycleCounts(**{name: row[name] for name in CycleCounts.model_fields})

    def stages(self, cycle: int) -> list[StageRow]:
        """Return the stages of a cycle in the order in which they were begun."""
        found = self._all(
            "SELECT s.*, (SELECT count(*) FROM units u WHERE u.cycle = s.cycle "
            "AND u.stage = s.stage) AS units FROM stages s WHERE cycle = ? ORDER BY rowid",
            cycle,
        )
        return [StageRow(**dict(r)) for r in found]

    def stage_done(self, cycle: int, stage: str) -> bool:
        """Return whether a stage has been finished."""
        row = self._one(
            "SELECT finished_at FROM stages WHERE cycle = ? AND stage = ?", cycle, stage
        )
        return row is not None and row["finished_at"] is not None

    def done_units(self, cycle: int, stage: str) -> set[str]:
        """Return the names of the units of a stage that were committed."""
        found = self._all("SELECT unit FROM units WHERE cycle = ? AND stage = ?", cycle, stage)
        return {r["unit"] for r in found}

    def policies(self) -> list[PolicyRow]:
        """Return all policies that were ever base or promoted, by version."""
        found = self._all("SELECT * FROM policies ORDER BY length(version), version")
        return [rows.policy_from(r) for r in found]

    def policy(self, version: str) -> PolicyRow | None:
        """Return one policy."""
        row = self._one("SELECT * FROM policies WHERE version = ?", version)
        return None if row is None else rows.policy_from(row)

    def current_policy(self) -> PolicyRow | None:
        """Return the live policy: the one promoted or rolled back to last."""
        row = self._one(
            "SELECT p.* FROM promotions m JOIN policies p ON p.version = m.version "
            "ORDER BY m.position DESC LIMIT 1"
        )
        return None if row is None else rows.policy_from(row)

    def promotions(self) -> list[PromotionRow]:
        """Return every change of the live policy, first to last."""
        found = self._all("SELECT * FROM promotions ORDER BY position")
        return [PromotionRow(**dict(r)) for r in found]

    def artifacts(self) -> list[ArtifactRow]:
        """Return every folder that the ledger vouches for."""
        found = self._all(
            "SELECT cycle, stage, name, digest, path FROM artifacts ORDER BY cycle, stage, name"
        )
        return [ArtifactRow(**dict(r)) for r in found]

    def rubric(self, rubric_hash: str, cycle: int | None = None) -> RubricRow | None:
        """Return a rubric as it was first used, or as it was worded in a cycle that used it."""
        row = self._one(
            "SELECT hash, coalesce(c.name, r.name) AS name, coalesce(c.version, r.version) "
            "AS version, coalesce(c.text, r.text) AS text FROM rubrics r "
            "LEFT JOIN cycle_rubrics c ON c.cycle = ? WHERE hash = ?",
            *(cycle, rubric_hash),
        )
        return None if row is None else RubricRow(**dict(row))

    def last_audit(self) -> int:
        """Return the number of the last audit that was made on demand, 0 where there is none."""
        last: int = self._all("SELECT coalesce(max(number), 0) AS last FROM audits")[0]["last"]
        return last

    def audit(self, number: int) -> AuditRow | None:
        """Return an audit that was made on demand."""
        row = self._one("SELECT * FROM audits WHERE number = ?", number)
        return None if row is None else rows.audit_from(row)

    def events(self, limit: int = 100) -> list[EventRow]:
        """Return the last events, newest first."""
        found = self._all(
            "SELECT kind, message, cycle, at FROM events ORDER BY seq DESC LIMIT ?", limit
        )
        return [EventRow(**dict(r)) for r in found]

    def events_of(self, kind: str) -> list[EventRow]:
        """Return all events of a kind, oldest first."""
        found = self._all(
            "SELECT kind, message, cycle, at FROM events WHERE kind = ? ORDER BY seq", kind
        )
        return [EventRow(**dict(r)) for r in found]

    def last_event(self, kind: str) -> EventRow | None:
        """Return the last event of a kind."""
        row = self._one(
            "SELECT kind, message, cycle, at FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1",
            kind,
        )
        return None if row is None else EventRow(**dict(row))
