"""What humans said, and the answers that they said it of."""

import json
from collections.abc import Sequence

from rlaif.ledger import rows
from rlaif.ledger.connected import Connected
from rlaif.records import Completion, HumanLabel


class LabelReads(Connected):
    """Humans' labels in the order in which they came."""

    def human_labels(self, limit: int | None = None) -> list[HumanLabel]:
        """Return the humans' labels, all or the last ones."""
        found = self._all(
            "SELECT * FROM (SELECT * FROM human_labels ORDER BY seq DESC LIMIT ?) ORDER BY seq",
            -1 if limit is None else limit,
        )
        return [rows.label_from(r) for r in found]

    def cycle_labels(self, cycle: int) -> list[HumanLabel]:
        """Return the labels that a cycle works with, by id."""
        found = self._all(
            "SELECT h.* FROM cycle_labels c JOIN human_labels h ON h.id = c.label_id "
            "WHERE c.cycle = ? ORDER BY h.id",
            cycle,
        )
        return [rows.label_from(r) for r in found]

    def frozen_prompts(self) -> dict[str, bool]:
        """Return, for each prompt that humans labelled, whether its labels are frozen."""
        found = self._all("SELECT prompt_id, max(frozen) AS f FROM human_labels GROUP BY prompt_id")
        return {r["prompt_id"]: bool(r["f"]) for r in found}

    def answers_to(self, prompt_ids: Sequence[str]) -> list[Completion]:
        """Return every completion of some prompts, first to last."""
        found = self._all(
            "SELECT * FROM completions WHERE prompt_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY rowid",
            json.dumps(list(prompt_ids)),
        )
        return [rows.completion_from(r) for r in found]

    def known_completions(self, ids: Sequence[str]) -> list[Completion]:
        """Return those of the named completions that the ledger has."""
        found = self._all(
            "SELECT * FROM completions WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(list(ids)),
        )
        return [rows.completion_from(r) for r in found]
