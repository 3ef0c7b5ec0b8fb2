"""What the judge complains of: the critiques behind low ratings and lost comparisons."""

import json
from typing import Unpack

from rlaif.ledger.critique_reads import Asked, CritiqueReads
from rlaif.ledger.held_reads import IS_PROBE

_LOSERS = (
    "SELECT first_id AS id, cycle FROM pair_verdicts WHERE p_first < 0.5 AND quarantined IS NULL "
    "UNION ALL "
    "SELECT second_id, cycle FROM pair_verdicts WHERE p_first > 0.5 AND quarantined IS NULL"
)


class ComplaintReads(CritiqueReads):
    """Complaints, by number and cycle."""

    def complaints(self, **asked: Unpack[Asked]) -> list[tuple[int, int]]:
        """Return the numbers and cycles of all complaints that match, oldest first.

        A complaint is the critique of a rating under a third, or of one under two thirds where
        the answer lost a comparison in that cycle. Comparisons' own critiques speak of two answers
        and are left out, as are quarantined pairs, what was said of answers with attacks and of
        judges' own revisions, and what no judge said, but code.
        """
        low = list(self.critique_seqs(**asked | {"verdict": "low"}))
        middling = list(self.critique_seqs(**asked | {"verdict": "middle"}))
        losers = {(r["id"], r["cycle"]) for r in self._all(_LOSERS)}
        found = [(seq, cycle) for seq, cycle, _ in self._places(low)]
        found += [
            (seq, cycle)
            for seq, cycle, answer in self._places(middling)
            if (answer, cycle) in losers
        ]
        return sorted(found)

    def _places(self, seqs: list[int]) -> list[tuple[int, int, str]]:
        sql = (
            "SELECT c.seq, c.cycle, c.first_id FROM critiques c "  # noqa: S608 - constants
            "WHERE c.seq IN (SELECT value FROM json_each(?)) "
            f"AND NOT {IS_PROBE} "
            "AND NOT EXISTS (SELECT 1 FROM revisions r WHERE r.completion_id = c.first_id) "
            "AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.critique_id = c.id "
            "AND v.method = 'code')"
        )
        return [tuple(r) for r in self._all(sql, json.dumps(seqs))]
