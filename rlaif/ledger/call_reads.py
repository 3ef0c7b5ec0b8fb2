"""The calls to judges that rows refer to."""

import json
import sqlite3
from collections.abc import Sequence

from rlaif.ledger import rows
from rlaif.ledger.connected import Connected
from rlaif.records import JudgeCall


class CallReads(Connected):
    """Judge calls by id."""

    def _calls(self, found: Sequence[sqlite3.Row], column: str = "call_id") -> dict[str, JudgeCall]:
        """Return the judge calls that a column of some rows names, by id."""
        ids = [row[column] for row in found if row[column] is not None]
        if not ids:
            return {}
        sql = "SELECT * FROM judge_calls WHERE id IN (SELECT value FROM json_each(?))"
        return {r["id"]: rows.call_from(r) for r in self._all(sql, json.dumps(ids))}
