"""What one unit of work brings to the ledger: gathered first, committed whole."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from sqlite_utils import Database

from rlaif.ledger import rows
from rlaif.ledger.critique_index import Changes, CritiqueIndex
from rlaif.ledger.puts import (
    PromotionKind,
    insert,
    put_completions,
    put_event,
    put_policy,
    put_promotion,
    put_prompts,
)
from rlaif.ledger.rows import Row
from rlaif.records import (
    ArtifactRef,
    Completion,
    CompletionScore,
    GateDecision,
    JudgeCall,
    Judgement,
    Marking,
    Metric,
    PairVerdict,
    Preference,
    ProbeOutcome,
    Prompt,
    Record,
    Revision,
)

Step = Callable[[Database], None]


class Unit:
    """A unit's rows, written in one transaction when the unit ends, in any order.

    Args:
        cycle: The cycle's number.
        stage: The stage's name.
        name: The unit's name, unique in its stage.
    """

    def __init__(self, cycle: int, stage: str, name: str) -> None:
        self.place: Row = {"cycle": cycle, "stage": stage, "unit": name}
        self._steps: list[Step] = []
        self._judged = False
        self._pairs: list[tuple[str, str]] = []
        self._held: list[str] = []
        self._tags: list[tuple[str, str]] = []

    def add_prompts(self, prompts: Sequence[Prompt]) -> None:
        """Add prompts; known ones may change tags and split, never their words."""
        found = [rows.prompt_row(p) for p in prompts]
        self._tags += [(row["id"], row["tags"]) for row in found]
        self._steps.append(lambda db: put_prompts(db, found))

    def add_cycle_prompts(
        self, purpose: Literal["train", "eval"], prompt_ids: Sequence[str]
    ) -> None:
        """Add the prompts that this cycle works on, in order."""
        self._insert(
            "cycle_prompts",
            [
                {**self.place, "purpose": purpose, "position": i, "prompt_id": prompt_id}
                for i, prompt_id in enumerate(prompt_ids)
            ],
        )

    def add_completions(self, purpose: str, completions: Sequence[Completion]) -> None:
        """Add answers and what this cycle uses them for; known ones are used again."""
        found = [rows.completion_row(c) for c in completions]
        self._steps.append(lambda db: put_completions(db, found))
        self._insert(
            "completion_uses",
            [{**self.place, "purpose": purpose, "completion_id": c.id} for c in completions],
        )

    def add_judgements(self, rubric_hash: str, judgements: Sequence[Judgement]) -> None:
        """Add critiques and verdicts under a rubric, with the calls behind them."""
        call_ids = self._add_calls([judgement.call for judgement in judgements])
        writing_ids = self._add_calls([judgement.writing for judgement in judgements])
        critiques = [
            rows.critique_row(judgement, rubric_hash, call_id, writing_id, self.place)
            for judgement, call_id, writing_id in zip(
                judgements, call_ids, writing_ids, strict=True
            )
        ]
        self._judged = True
        self._insert("critiques", critiques)
        others = [row for judgement in judgements for row in rows.other_rows(judgement)]
        if others:
            self._insert("critique_others", others)
        self._insert("verdicts", [rows.verdict_row(j) for j in judgements])

    def add_scores(self, scores: Sequence[CompletionScore]) -> None:
        """Add completions' scores."""
        self._insert("scores", [rows.score_row(s, self.place) for s in scores])
        self._held += [s.completion_id for s in scores if s.quarantined is not None]

    def add_pair_verdicts(self, pair_verdicts: Sequence[PairVerdict]) -> None:
        """Add verdicts on pairs."""
        self._pairs += [(v.first_id, v.second_id) for v in pair_verdicts]
        self._insert("pair_verdicts", [{**self.place, **v.model_dump()} for v in pair_verdicts])

    def add_probes(self, outcomes: Sequence[ProbeOutcome]) -> None:
        """Add how answers with attacks fared."""
        self._insert("probes", [{**self.place, **o.model_dump()} for o in outcomes])

    def add_revisions(self, revisions: Sequence[Revision]) -> None:
        """Add mended answers and what the judge said of them, with the calls behind them."""
        call_ids = self._add_calls([revision.call for revision in revisions])
        found = [
            rows.revision_row(revision, call_id, self.place)
            for revision, call_id in zip(revisions, call_ids, strict=True)
        ]
        self._insert("revisions", found)

    def add_markings(self, markings: Sequence[Marking]) -> None:
        """Add the errors that judges marked, with the calls behind them."""
        call_ids = self._add_calls([marking.call for marking in markings])
        found = [
            rows.marking_row(marking, call_id, self.place)
            for marking, call_id in zip(markings, call_ids, strict=True)
        ]
        self._insert("markings", found)
        self._insert("marked_errors", [r for m in markings for r in rows.marked_error_rows(m)])

    def add_preferences(self, preferences: Sequence[Preference]) -> None:
        """Add preferences."""
        self._insert("preferences", [{**self.place, **p.model_dump()} for p in preferences])

    def add_cycle_labels(self, label_ids: Sequence[str]) -> None:
        """Add the humans' labels that this cycle works with, whatever is imported meanwhile."""
        self._insert("cycle_labels", [{**self.place, "label_id": i} for i in label_ids])

    def add_metrics(self, metrics: Sequence[Metric]) -> None:
        """Add what a training stage measured."""
        self._insert("metrics", [{**self.place, **m.model_dump()} for m in metrics])

    def add_report(self, kind: str, record: Record) -> None:
        """Add the report of a stage; one of each kind in a cycle."""
        self._insert("reports", [{**self.place, "kind": kind, "content": rows.record_json(record)}])

    def add_artifact(self, artifact: ArtifactRef, path: str) -> None:
        """Vouch for a folder that has landed.

        Args:
            artifact: Its name and digest.
            path: Where it lies, relative to the project.
        """
        self._insert("artifacts", [{**self.place, **artifact.model_dump(), "path": path}])

    def add_gate_decision(self, decision: GateDecision) -> None:
        """Add what the gate decided."""
        checks = rows.to_json([c.model_dump() for c in decision.checks])
        row = {**self.place, "decision": decision.decision, "checks": checks}
        self._insert("gate_decisions", [row])

    def add_policy(
        self, version: str, digest: str, path: str, parent: str | None, card: dict[str, Any]
    ) -> None:
        """Add a policy that has landed under ``policies/``.

        Args:
            version: Its name, such as ``v0003``.
            digest: The digest of its folder.
            path: Where it lies, relative to the project.
            parent: The policy that it was trained from.
            card: Its lineage and figures, any JSON object.
        """
        cycle = self.place["cycle"]
        self._steps.append(lambda db: put_policy(db, version, digest, path, parent, card, cycle))

    def add_promotion(self, version: str, reason: str, kind: PromotionKind) -> None:
        """Make a policy the current one."""
        cycle = self.place["cycle"]
        self._steps.append(lambda db: put_promotion(db, version, reason, kind, cycle))

    def add_event(self, kind: str, message: str) -> None:
        """Record that something happened, for people to read."""
        cycle = self.place["cycle"]
        self._steps.append(lambda db: put_event(db, kind, message, cycle))

    def write(self, db: Database, index: CritiqueIndex, seconds: float, done_at: str) -> None:
        """Write the unit's rows into the open transaction; only the ledger calls this."""
        db.table("units").insert({**self.place, "seconds": seconds, "done_at": done_at})
        last = index.last()
        touched = index.touched(Changes(self._pairs, self._held, self._tags))
        for step in self._steps:
            step(db)
        if touched:
            index.replace(touched)
        if self._judged:
            index.add_after(last)

    def _add_calls(self, calls: Sequence[JudgeCall | None]) -> list[str | None]:
        """Add judge calls; return the id of each, None where nothing was asked."""
        found = [None if call is None else rows.call_row(call, self.place) for call in calls]
        self._insert("judge_calls", [row for row in found if row], ignore=True)
        return [None if row is None else row["id"] for row in found]

    def _insert(self, table: str, found: list[Row], *, ignore: bool = False) -> None:
        self._steps.append(lambda db: insert(db, table, found, ignore=ignore))
