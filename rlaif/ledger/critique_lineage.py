"""Where a critique comes from and what came of it: up to the policy, down to the promotion."""

import json
from typing import Any

from rlaif.errors import LedgerError
from rlaif.ledger import rows
from rlaif.ledger.critique_lists import about
from rlaif.ledger.critique_reads import CritiqueReads
from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.revision_reads import RevisionReads
from rlaif.records import (
    GateDecision,
    JudgeCall,
    Marking,
    Message,
    PairVerdict,
    Preference,
    Record,
    Revision,
)

_LEAST_OF_ID = 4


class Told(Record):
    """A critique and the call behind it, None for criteria that ask no model.

    ``writing`` and ``grader`` are those of ``Judgement``.
    """

    view: CritiqueView
    call: JudgeCall | None
    writing: JudgeCall | None = None
    grader: str = ""


class Writer(Record):
    """A policy that wrote an answer, by digest; ``version`` is None where it was never live."""

    digest: str
    version: str | None
    cycle: int | None


class Trained(Record):
    """What a cycle trained after judging, as far as it got.

    ``reward_model`` and ``policy`` are the stages' reports, ``artifacts`` the digests of the
    folders that they left by name. ``promoted`` is the version that became live.
    """

    reward_model: dict[str, Any] | None
    policy: dict[str, Any] | None
    artifacts: dict[str, str]
    gate: GateDecision | None
    promoted: str | None


class Lineage(Record):
    """A critique whole.

    ``other`` is the same question with the answers shown in the other order, None for one answer;
    for a list the reversed order, or another one where that was not asked. ``writers`` wrote the
    answers, in their order. ``pairs`` and ``preferences`` are those of this cycle that the
    critique's answers are in: for a pair or a list, its own. ``marking`` is what the judge marked
    in the answer after it rated it, None where it was not asked. ``revisions`` are those that this
    critique was shown for, or that it is about. ``held`` is why the judge's audit keeps all of its
    cycle from training, None where it does not.
    """

    told: Told
    other: Told | None
    messages: tuple[Message, ...]
    split: str
    writers: tuple[Writer, ...]
    pairs: tuple[PairVerdict, ...]
    preferences: tuple[Preference, ...]
    trained: Trained
    marking: Marking | None = None
    revisions: tuple[Revision, ...] = ()
    held: str | None = None


class LineageReads(CritiqueReads, RevisionReads):
    """Critiques whole."""

    def lineage(self, name: str) -> Lineage:
        """Return a critique with all that led to it and all that followed.

        Args:
            name: Its id, the beginning of its id, or its number.

        Raises:
            LedgerError: No critique is named so, or several are.
        """
        (view,) = self.critique_views([self._seq_of(name)])
        prompt = rows.prompt_from(
            self._all("SELECT * FROM prompts WHERE id = ?", view.prompt_id)[0]
        )
        pairs = self._pairs(view)
        return Lineage(
            told=self._told(view),
            other=self._other(view),
            messages=prompt.messages,
            split=prompt.split,
            writers=tuple(self._writer(c.policy) for c in view.completions),
            pairs=pairs,
            preferences=self._preferences(view),
            trained=self._trained(view.cycle),
            marking=self.marking(view.id),
            revisions=self._revisions(view),
            held=self.held_critiques([view.seq]).get(view.seq),
        )

    def _seq_of(self, name: str) -> int:
        found = self._all("SELECT seq, id FROM critiques WHERE id = ?", name)
        if not found and name.isdecimal():
            found = self._all("SELECT seq, id FROM critiques WHERE seq = ?", int(name[:18]))
        if not found and len(name) >= _LEAST_OF_ID:
            sql = (
                "SELECT seq, id FROM critiques WHERE id >= ?1 AND id < ?1 || char(0x10ffff) LIMIT 3"
            )
            found = self._all(sql, name)
        if len(found) != 1:
            raise LedgerError(
                f"{'several critiques are' if found else 'no critique is'} called {name}"
                + "".join(f", {r['id']}" for r in found),
                "a critique's id, the beginning of one, or its number",
                "see rlaif critiques",
            )
        seq: int = found[0]["seq"]
        return seq

    def _told(self, view: CritiqueView) -> Told:
        found = self._all(
            "SELECT call_id, writing_id, grader FROM critiques WHERE seq = ?", view.seq
        )
        calls = {**self._calls(found), **self._calls(found, "writing_id")}
        (row,) = found
        return Told(
            view=view,
            call=calls.get(row["call_id"]),
            writing=calls.get(row["writing_id"]),
            grader=row["grader"],
        )

    def _other(self, view: CritiqueView) -> Told | None:
        """Return what was said of the pair in the other order, by the same judge if it did."""
        if len(view.completions) == 1:
            return None
        if view.kind == "listwise":
            return self._other_of_list(view)
        first, second = (c.id for c in view.completions)
        row = self._one(
            "SELECT o.seq FROM critiques c JOIN critiques o ON o.first_id = ?2 "
            "AND o.second_id = ?1 AND o.cycle = c.cycle AND o.stage = c.stage "
            "AND o.criterion = c.criterion WHERE c.seq = ?3 "
            "ORDER BY o.judge = c.judge DESC, o.seq DESC LIMIT 1",
            first,
            second,
            view.seq,
        )
        return None if row is None else self._told(self.critique_views([row["seq"]])[0])

    def _other_of_list(self, view: CritiqueView) -> Told | None:
        """Return what was said of a list in its reversed order, or in another one."""
        shown = [c.id for c in view.completions]
        sql = (
            "SELECT o.seq FROM critiques c JOIN critiques o ON o.cycle = c.cycle "  # noqa: S608 - constants
            "AND o.stage = c.stage AND o.criterion = c.criterion AND o.judge = c.judge "
            f"AND o.kind = c.kind AND o.seq != c.seq AND o.id IN ({about('?1')}) WHERE c.seq = ?2"
        )
        found = self.critique_views([r["seq"] for r in self._all(sql, shown[0], view.seq)])
        alike = [v for v in found if sorted(c.id for c in v.completions) == sorted(shown)]
        alike.sort(key=lambda v: [c.id for c in v.completions] != shown[::-1])
        return self._told(alike[0]) if alike else None

    def _writer(self, digest: str) -> Writer:
        row = self._one("SELECT version, cycle FROM policies WHERE digest = ?", digest)
        version, cycle = (None, None) if row is None else (row["version"], row["cycle"])
        return Writer(digest=digest, version=version, cycle=cycle)

    def _pairs(self, view: CritiqueView) -> tuple[PairVerdict, ...]:
        condition, ids = _of_answers(view)
        sql = f"SELECT * FROM pair_verdicts WHERE cycle = ? AND stage = ? AND {condition}"  # noqa: S608 - constants
        found = self._all(sql, view.cycle, view.stage, *ids)
        return tuple(rows.pair_verdict_from(r) for r in found)

    def _preferences(self, view: CritiqueView) -> tuple[Preference, ...]:
        condition, ids = _of_answers(view)
        sql = f"SELECT * FROM preferences WHERE cycle = ? AND {condition} ORDER BY rowid"  # noqa: S608 - constants
        return tuple(rows.preference_from(r) for r in self._all(sql, view.cycle, *ids))

    def _revisions(self, view: CritiqueView) -> tuple[Revision, ...]:
        """Return the revisions that a critique led to, and those that it is about."""
        ids = json.dumps([c.id for c in view.completions])
        among = "IN (SELECT value FROM json_each(?2))"
        sql = (
            "SELECT * FROM revisions WHERE cycle = ?1 AND (completion_id "  # noqa: S608 - constants
            f"{among} OR (original_id {among} AND EXISTS (SELECT 1 FROM json_each(critique_ids) "
            "WHERE value = ?3))) ORDER BY rowid"
        )
        found = self._all(sql, view.cycle, ids, view.id)
        calls = self._calls(found)
        return tuple(rows.revision_from(r, calls.get(r["call_id"])) for r in found)

    def _trained(self, cycle: int) -> Trained:
        reports = {
            r["kind"]: json.loads(r["content"])
            for r in self._all("SELECT kind, content FROM reports WHERE cycle = ?", cycle)
        }
        artifacts = self._all("SELECT name, digest FROM artifacts WHERE cycle = ?", cycle)
        gate = self._one("SELECT * FROM gate_decisions WHERE cycle = ?", cycle)
        sql = "SELECT version FROM promotions WHERE cycle = ? AND kind = 'promote'"
        promoted = self._one(sql, cycle)
        return Trained(
            reward_model=reports.get("reward_model"),
            policy=reports.get("ppo"),
            artifacts={r["name"]: r["digest"] for r in artifacts},
            gate=None if gate is None else _gate(gate),
            promoted=None if promoted is None else promoted["version"],
        )


def _of_answers(view: CritiqueView) -> tuple[str, list[str]]:
    """Return the condition that a row is of the critique's answers, or has its one answer."""
    ids = [c.id for c in view.completions]
    marks = ", ".join("?" * len(ids))
    both = "AND" if len(ids) > 1 else "OR"
    return f"(first_id IN ({marks}) {both} second_id IN ({marks}))", ids * 2


def _gate(row: Any) -> GateDecision:  # noqa: ANN401 - sqlite3.Row
    return GateDecision(decision=row["decision"], checks=tuple(json.loads(row["checks"])))
