"""What the full text index cannot tell of a critique, looked up in the ledger."""

import sqlite3
from collections.abc import Sequence

from rlaif.ledger.critique_facts import margin_of
from rlaif.ledger.critique_search import Needle
from rlaif.ledger.held_reads import IS_PROBE
from rlaif.ledger.search_words import folded

_TOUCHING = 1e-9
_REMEMBERED = 10_000
_PROBES = f"SELECT 1 FROM critiques c WHERE c.id = ? AND {IS_PROBE}"  # noqa: S608 - constants
_PROMPT_OF = "SELECT p.text FROM completions k JOIN prompts p ON p.id = k.prompt_id WHERE k.id = ?"


class CritiqueChecks:
    """What the index cannot tell of a critique, looked up as far as is needed.

    Args:
        connection: The ledger.
        needles: What critique or prompt must hold.
        margins: Bounds of the verdict's margin, both included, None where there are none.
        no_probes: Whether what was said of probes is passed over.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        needles: Sequence[Needle],
        margins: tuple[float, float] | None,
        *,
        no_probes: bool = False,
    ) -> None:
        self._connection = connection
        self._needles = needles
        self._margins = margins
        self._no_probes = no_probes
        self._prompts: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._needles) or self._margins is not None or self._no_probes

    @property
    def columns(self) -> str:
        """What :meth:`passes` needs of a critique's row, after its number."""
        return ", c.id, c.first_id, c.critique" if self else ""

    def passes(self, row: sqlite3.Row) -> bool:
        """Whether a critique passes all checks."""
        if self._margins is not None and not self._margin_fits(row["id"], *self._margins):
            return False
        if self._no_probes and self._is_probe(row["id"]):
            return False
        if not self._needles:
            return True
        text = folded(row["critique"])
        return all(
            (needle.in_critique and needle.within(text))
            or needle.within(self._prompt(row["first_id"]))
            for needle in self._needles
        )

    def _margin_fits(self, critique_id: str, low: float, high: float) -> bool:
        sql = "SELECT value FROM verdicts WHERE critique_id = ?"
        margin = margin_of(self._connection.execute(sql, (critique_id,)).fetchone()[0])
        return margin is not None and low - _TOUCHING <= margin <= high + _TOUCHING

    def _is_probe(self, critique_id: str) -> bool:
        return self._connection.execute(_PROBES, (critique_id,)).fetchone() is not None

    def _prompt(self, answer: str) -> str:
        """Return the folded prompt of an answer; many critiques in a row share theirs."""
        if answer not in self._prompts:
            if len(self._prompts) >= _REMEMBERED:
                self._prompts.clear()
            text = self._connection.execute(_PROMPT_OF, (answer,)).fetchone()[0]
            self._prompts[answer] = folded(text)
        return self._prompts[answer]
