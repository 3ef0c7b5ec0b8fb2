"""Answers that judges mended, and the errors that they marked."""

import json

from rlaif.ledger import rows
from rlaif.ledger.call_reads import CallReads
from rlaif.records import MarkedError, Marking, Revision

_MARKING = "SELECT * FROM markings WHERE {} ORDER BY cycle, stage, length(unit), unit, rowid"


class RevisionReads(CallReads):
    """What judges write about answers beside critiques."""

    def revisions(self, cycle: int) -> list[Revision]:
        """Return the revisions of a cycle, rejected ones too, in the order of its units."""
        found = self._all(
            "SELECT * FROM revisions WHERE cycle = ? ORDER BY length(unit), unit, rowid", cycle
        )
        calls = self._calls(found)
        return [rows.revision_from(r, calls.get(r["call_id"])) for r in found]

    def markings(self, cycle: int) -> list[Marking]:
        """Return what judges marked in a cycle's answers, in the order of its units."""
        return self._markings(_MARKING.format("cycle = ?"), cycle)

    def marking(self, critique_id: str) -> Marking | None:
        """Return what was marked after a rating; None where nobody was asked."""
        found = self._markings(_MARKING.format("critique_id = ?"), critique_id)
        return found[0] if found else None

    def _markings(self, sql: str, value: int | str) -> list[Marking]:
        found = self._all(sql, value)
        calls = self._calls(found)
        ids = json.dumps([r["critique_id"] for r in found])
        errors: dict[str, list[MarkedError]] = {}
        for row in self._all(
            "SELECT * FROM marked_errors WHERE critique_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY critique_id, position",
            ids,
        ):
            errors.setdefault(row["critique_id"], []).append(rows.marked_error_from(row))
        return [
            Marking(
                critique_id=r["critique_id"],
                errors=tuple(errors.get(r["critique_id"], ())),
                unscored=r["unscored"],
                call=calls.get(r["call_id"]),
            )
            for r in found
        ]
