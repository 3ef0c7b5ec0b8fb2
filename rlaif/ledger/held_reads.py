"""Which cycles' labels the judge's audit held back, and which critiques are of them.

An audit is known only after all that was judged has been indexed. So that no entry of the index
need be written anew, a cycle that is held back is one row, which searches look up.
"""

import json
from collections.abc import Sequence
from typing import Final

from rlaif.ledger.connected import Connected
from rlaif.records import HeldBack

HELD_BACK: Final = "held_back"
IS_PROBE = (
    "EXISTS (SELECT 1 FROM completion_uses u WHERE u.completion_id IN (c.first_id, c.second_id) "
    "AND u.purpose LIKE 'probe-%')"
)
_HELD = (
    "SELECT c.seq, h.content FROM critiques c JOIN reports h ON h.cycle = c.cycle AND h.kind = ?1 "  # noqa: S608 - constants
    "WHERE c.seq IN (SELECT value FROM json_each(?2)) "
    f"AND c.stage = json_extract(h.content, '$.stage') AND NOT {IS_PROBE}"
)


class HeldReads(Connected):
    """What the judge's audit held back; what was said of probes would never have trained."""

    def held_cycles(self) -> dict[int, HeldBack]:
        """Return the cycles whose labels train nothing, with the reason, by number."""
        sql = "SELECT cycle, content FROM reports WHERE kind = ? ORDER BY cycle"
        found = self._all(sql, HELD_BACK)
        return {r["cycle"]: HeldBack.model_validate_json(r["content"]) for r in found}

    def held_critiques(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return which of some critiques are held back with their cycle, and why."""
        found = self._all(_HELD, HELD_BACK, json.dumps(list(seqs)))
        return {r["seq"]: HeldBack.model_validate_json(r["content"]).told for r in found}
