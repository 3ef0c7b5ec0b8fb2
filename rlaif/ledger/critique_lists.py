"""What the critique log knows of a ranked list beyond its first two answers."""

import sqlite3
from typing import NamedTuple

from rlaif.ledger.critique_facts import flipped

_ANSWERS = (
    "SELECT k.id, k.text, k.policy FROM critique_others o "
    "JOIN completions k ON k.id = o.completion_id WHERE o.critique_id = ? ORDER BY o.position"
)
_PAIRS = (
    "WITH members (id) AS (SELECT first_id FROM critiques WHERE id = ?1 "
    "UNION ALL SELECT second_id FROM critiques WHERE id = ?1 "
    "UNION ALL SELECT completion_id FROM critique_others WHERE critique_id = ?1) "
    "SELECT v.quarantined, v.p_forward, v.p_backward FROM critiques c CROSS JOIN members f "
    "CROSS JOIN pair_verdicts v ON v.cycle = c.cycle AND v.stage = c.stage AND v.first_id = f.id "
    "WHERE c.id = ?1 AND v.second_id IN (SELECT id FROM members) ORDER BY v.first_id, v.second_id"
)


class Doubt(NamedTuple):
    """Why a list's pairs are held back, and the orders of the one that flips, if any does."""

    quarantined: str | None
    p_forward: float | None
    p_backward: float | None


def about(completion: str) -> str:
    """Return the query of the ids of all critiques that an answer is in; ``completion`` is SQL."""
    return (
        f"SELECT id FROM critiques WHERE first_id = {completion} OR second_id = {completion} "  # noqa: S608 - constants
        f"UNION SELECT critique_id FROM critique_others WHERE completion_id = {completion}"
    )


def other_answers(connection: sqlite3.Connection, critique_id: str) -> list[sqlite3.Row]:
    """Return the third and later answers of a list as shown: ``id``, ``text``, ``policy``."""
    return connection.execute(_ANSWERS, (critique_id,)).fetchall()


def doubt_of_list(connection: sqlite3.Connection, critique_id: str) -> Doubt:
    """Return what the verdicts on a list's pairs say against it.

    It is quarantined where one of its pairs is, and flips where one of them does.
    """
    pairs = [Doubt(*row) for row in connection.execute(_PAIRS, (critique_id,))]
    quarantined = next((pair.quarantined for pair in pairs if pair.quarantined), None)
    flips = [pair for pair in pairs if flipped(pair.p_forward, pair.p_backward)]
    shown = (flips or pairs or [Doubt(None, None, None)])[0]
    return shown._replace(quarantined=quarantined)
