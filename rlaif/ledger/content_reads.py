"""What the ledger holds of the pipeline's records, from prompts to the gate's decision."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from rlaif.errors import LedgerError
from rlaif.ledger import rows
from rlaif.ledger.call_reads import CallReads
from rlaif.records import (
    Completion,
    CompletionScore,
    GateDecision,
    Judgement,
    Metric,
    PairVerdict,
    Preference,
    ProbeOutcome,
    Prompt,
)

Found = TypeVar("Found")

_JUDGEMENT = (
    "SELECT c.id, c.criterion, c.kind, c.first_id, c.second_id, c.critique, c.call_id, "
    "c.judge AS said_by, c.grader, c.writing_id, v.type, v.value, v.places, v.reason, v.method, "
    "(SELECT json_group_array(o.completion_id) FROM (SELECT completion_id FROM critique_others "
    "WHERE critique_id = c.id ORDER BY position) o) AS others, j.request_hash, j.judge, j.request, "
    "j.reply, j.label_probs, j.samples, j.cut, j.prompt_tokens, j.reply_tokens, j.latency, j.cost "
    "FROM critiques c "
    "JOIN verdicts v ON v.critique_id = c.id LEFT JOIN judge_calls j ON j.id = c.call_id "
)
_ABOUT_ONLY = (
    "c.first_id IN (SELECT value FROM json_each(?)) AND "
    "(c.second_id IS NULL OR c.second_id IN (SELECT value FROM json_each(?))) AND "
    "NOT EXISTS (SELECT 1 FROM critique_others o WHERE o.critique_id = c.id "
    "AND o.completion_id NOT IN (SELECT value FROM json_each(?)))"
)
_LAST_MEAN = (
    "SELECT prompt_id, max(cycle), mean FROM (SELECT k.prompt_id, t.cycle, avg({value}) AS mean "
    "FROM {table} t JOIN completions k ON k.id = t.{key} WHERE t.{column} IS NOT NULL "
    "AND t.stage != 'calibration' GROUP BY k.prompt_id, t.cycle) GROUP BY prompt_id"
)
_LAST_SCORES = _LAST_MEAN.format(
    value="t.score", table="scores", key="completion_id", column="score"
)
_LAST_MARGINS = _LAST_MEAN.format(
    value="2 * abs(t.p_first - 0.5)", table="pair_verdicts", key="first_id", column="p_first"
)


class ContentReads(CallReads):
    """Prompts, completions, judgements, preferences, and what was made of them."""

    def prompts(self, ids: Sequence[str] | None = None) -> list[Prompt]:
        """Return prompts in the order of ``ids``, or all by id.

        Raises:
            LedgerError: An id is unknown.
        """
        if ids is None:
            return [rows.prompt_from(r) for r in self._all("SELECT * FROM prompts ORDER BY id")]
        found = self._all(
            "SELECT * FROM prompts WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(list(ids)),
        )
        return self._ordered({r["id"]: rows.prompt_from(r) for r in found}, ids, "prompt")

    def cycle_prompts(self, cycle: int, purpose: str) -> list[Prompt]:
        """Return the prompts that a cycle drew for ``train`` or ``eval``, in that order."""
        found = self._all(
            "SELECT p.* FROM cycle_prompts c JOIN prompts p ON p.id = c.prompt_id "
            "WHERE c.cycle = ? AND c.purpose = ? ORDER BY c.position",
            cycle,
            purpose,
        )
        return [rows.prompt_from(r) for r in found]

    def completions(self, cycle: int, purpose: str) -> list[Completion]:
        """Return the answers that a cycle used for a purpose, in the order of its units."""
        found = self._all(
            "SELECT c.* FROM completion_uses u JOIN completions c ON c.id = u.completion_id "
            "WHERE u.cycle = ? AND u.purpose = ? ORDER BY length(u.unit), u.unit, u.rowid",
            cycle,
            purpose,
        )
        return [rows.completion_from(r) for r in found]

    def completions_by_id(self, ids: Sequence[str]) -> list[Completion]:
        """Return completions in the order of ``ids``.

        Raises:
            LedgerError: An id is unknown.
        """
        found = self._all(
            "SELECT * FROM completions WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(list(ids)),
        )
        return self._ordered({r["id"]: rows.completion_from(r) for r in found}, ids, "completion")

    def judgements(
        self,
        completion_ids: Sequence[str] | None = None,
        *,
        cycle: int | None = None,
        stage: str | None = None,
        rubric_hash: str | None = None,
    ) -> list[Judgement]:
        """Return judgements in the order of cycles and units.

        Args:
            completion_ids: Only those about these completions (all of them, for pairs and lists).
            cycle: Only those of this cycle.
            stage: Only those of this stage.
            rubric_hash: Only those under this rubric.
        """
        wanted: list[tuple[str, list[Any]]] = []
        if completion_ids is not None:
            among = json.dumps(list(completion_ids))
            wanted.append((_ABOUT_ONLY, [among] * 3))
        for column, value in (("cycle", cycle), ("stage", stage), ("rubric_hash", rubric_hash)):
            if value is not None:
                wanted.append((f"c.{column} = ?", [value]))
        where = " AND ".join(text for text, _ in wanted) or "1"
        order = "c.cycle, c.stage, length(c.unit), c.unit, c.rowid"
        values = [value for _, more in wanted for value in more]
        found = self._all(f"{_JUDGEMENT} WHERE {where} ORDER BY {order}", *values)
        calls = self._calls(found, "writing_id")
        return [rows.judgement_from(r, calls.get(r["writing_id"])) for r in found]

    def rubrics_used(self, cycle: int, stage: str) -> list[str]:
        """Return the hashes of the rubrics that a stage has judged under: one, if all is well."""
        sql = "SELECT DISTINCT rubric_hash FROM critiques WHERE cycle = ? AND stage = ? ORDER BY 1"
        return [row["rubric_hash"] for row in self._all(sql, cycle, stage)]

    def scores(self, cycle: int, stage: str, purpose: str | None = None) -> list[CompletionScore]:
        """Return the scores that a stage gave, all or only to completions of a purpose."""
        found = self._all(
            "SELECT s.* FROM scores s WHERE s.cycle = ?1 AND s.stage = ?2 AND (?3 IS NULL OR "
            "EXISTS (SELECT 1 FROM completion_uses u WHERE u.cycle = ?1 AND u.purpose = ?3 AND "
            "u.completion_id = s.completion_id)) ORDER BY length(s.unit), s.unit, s.rowid",
            cycle,
            stage,
            purpose,
        )
        return [rows.score_from(r) for r in found]

    def pair_verdicts(self, cycle: int, stage: str) -> list[PairVerdict]:
        """Return the verdicts on pairs that a stage gave."""
        found = self._all(
            "SELECT p.* FROM pair_verdicts p WHERE p.cycle = ? AND p.stage = ? "
            "ORDER BY length(p.unit), p.unit, p.rowid",
            cycle,
            stage,
        )
        return [rows.pair_verdict_from(r) for r in found]

    def probes(self, rubric_hash: str) -> list[ProbeOutcome]:
        """Return how answers with attacks fared under a rubric, in all cycles, oldest first."""
        return [probe for own in self.probes_by_cycle(rubric_hash).values() for probe in own]

    def probes_by_cycle(self, rubric_hash: str) -> dict[int, list[ProbeOutcome]]:
        """Return how answers with attacks fared under a rubric, by cycle, oldest first."""
        found: dict[int, list[ProbeOutcome]] = {}
        for row in self._all(
            "SELECT p.* FROM probes p WHERE p.rubric_hash = ? "
            "ORDER BY p.cycle, p.stage, length(p.unit), p.unit, p.rowid",
            rubric_hash,
        ):
            found.setdefault(row["cycle"], []).append(rows.probe_from(row))
        return found

    def probed_scores(self, rubric_hash: str) -> list[CompletionScore]:
        """Return the scores of the answers that probes under a rubric were made of."""
        found = self._all(
            "SELECT s.* FROM scores s WHERE (s.cycle, s.stage, s.completion_id) IN (SELECT "
            "p.cycle, p.stage, p.original_id FROM probes p WHERE p.rubric_hash = ?)",
            rubric_hash,
        )
        return [rows.score_from(r) for r in found]

    def preferences(
        self,
        up_to_cycle: int | None = None,
        *,
        cycle: int | None = None,
        rubric_hash: str | None = None,
    ) -> list[Preference]:
        """Return preferences, oldest cycle first.

        Args:
            up_to_cycle: Only those of this cycle and earlier ones.
            cycle: Only those of this cycle.
            rubric_hash: Only those judged under this rubric.
        """
        found = self._all(
            "SELECT p.* FROM preferences p WHERE (?1 IS NULL OR p.cycle <= ?1) "
            "AND (?2 IS NULL OR p.cycle = ?2) AND (?3 IS NULL OR p.rubric_hash = ?3) "
            "ORDER BY p.cycle, length(p.unit), p.unit, p.rowid",
            up_to_cycle,
            cycle,
            rubric_hash,
        )
        return [rows.preference_from(r) for r in found]

    def metrics(self, cycle: int, stage: str) -> list[Metric]:
        """Return what a training stage measured, by step and name."""
        found = self._all(
            "SELECT step, name, value FROM metrics WHERE cycle = ? AND stage = ? "
            "ORDER BY step, name",
            cycle,
            stage,
        )
        return [Metric(**dict(r)) for r in found]

    def report(self, cycle: int, kind: str) -> dict[str, Any] | None:
        """Return a stage's report as it was added."""
        return self._content(
            "SELECT content FROM reports WHERE cycle = ? AND kind = ?", cycle, kind
        )

    def reported_under(self, rubric_hash: str, kind: str) -> list[int]:
        """Return the cycles whose report of a kind is about a rubric, oldest first."""
        found = self._all(
            "SELECT cycle FROM reports WHERE kind = ? "
            "AND json_extract(content, '$.rubric_hash') = ? ORDER BY cycle",
            *(kind, rubric_hash),
        )
        return [row["cycle"] for row in found]

    def oracle_report(self, cycle: int) -> dict[str, Any] | None:
        """Return what the oracle measured after a cycle's gate had decided."""
        return self._content("SELECT content FROM oracle_reports WHERE cycle = ?", cycle)

    def gate_decision(self, cycle: int) -> GateDecision | None:
        """Return what a cycle's gate decided."""
        row = self._one("SELECT * FROM gate_decisions WHERE cycle = ?", cycle)
        if row is None:
            return None
        return GateDecision(decision=row["decision"], checks=tuple(json.loads(row["checks"])))

    def prompt_difficulty(self) -> dict[str, float]:
        """Return how easy each judged prompt was the last time, in [0, 1]: low is hard.

        A prompt is hard where the answers to it scored low, or where the judge could not tell
        them apart: min(mean score, 2 * mean margin), the margin of a pair being
        |P(first better) - 0.5|, each mean over the prompt's last cycle that has any. What humans
        labelled says nothing here: it is judged to measure the judge.
        """
        easy: dict[str, float] = {}
        for sql in (_LAST_SCORES, _LAST_MARGINS):
            for row in self._all(sql):
                easy[row["prompt_id"]] = min(easy.get(row["prompt_id"], 1.0), row["mean"])
        return dict(sorted(easy.items()))

    def _content(self, sql: str, *values: Any) -> dict[str, Any] | None:  # noqa: ANN401 - SQL
        row = self._one(sql, *values)
        if row is None:
            return None
        content: dict[str, Any] = json.loads(row["content"])
        return content

    def _ordered(self, found: dict[str, Found], ids: Sequence[str], noun: str) -> list[Found]:
        missing = [i for i in ids if i not in found]
        if missing:
            raise LedgerError(
                f"{self.path} has no {noun} {', '.join(missing[:3])}"
                + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""),
                f"ids of {noun}s in the ledger",
                "check the id",
            )
        return [found[i] for i in ids]
