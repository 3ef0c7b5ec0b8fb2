"""Finding critiques by any facts and any words, newest first or by how well the words fit."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, TypedDict, Unpack, get_args

from rlaif.ledger.critique_checks import CritiqueChecks
from rlaif.ledger.critique_facts import ValueField, VerdictName, any_of, fact, margins_between
from rlaif.ledger.critique_lists import about, doubt_of_list, other_answers
from rlaif.ledger.critique_search import Plan, Term, plan_of, term_of
from rlaif.ledger.critique_view import VIEW, CritiqueView, view_from, view_of_list
from rlaif.ledger.faults import translated
from rlaif.ledger.held_reads import HeldReads
from rlaif.ledger.search_words import TOO_LONG, search_terms
from rlaif.records import HeldBack

Order = Literal["newest", "oldest", "rank"]

PROBED = 3_000
RANKED = 100_000
_LEAST_OF_DIGEST = 4
_FIELDS: tuple[ValueField, ...] = get_args(ValueField)
_WORDS: dict[str, str] = {
    "is": "word = ?1",
    "hold": "instr(word, ?1)",
    "start": "word >= ?1 AND word < ?1 || char(0x10ffff)",
    "end": "substr(word, -length(?1)) = ?1",
}


class Asked(TypedDict, total=False):
    """What may be asked of critiques; what is left out or None asks nothing.

    Keys:
        cycle, stage, criterion, tag: Exactly these; a tag is the prompt's.
        judge: A judge's name, or a part of it where no judge has that name.
        policy: The version or digest, or its beginning, of a policy that wrote an answer.
        verdict: What the verdict is called.
        margin_min, margin_max: Bounds of how decided it is, both included.
        flipped: Only those of pairs whose two orders prefer different answers.
        quarantined: Only those of pairs and ratings that are kept from training, by what was said
            of them, or with all of their cycle by the judge's audit.
        unscored: Only those whose verdict could not be read.
        search: Words, or ``"words in quotes"``, that must all occur in critique or prompt,
            anywhere in a word, in any case. No input is a syntax error; one of more than
            ``search_words.MOST_SEARCHED`` characters is refused with a ``UsageError``.
        before, after: Only those with a lower, or a higher, ``seq``.
    """

    cycle: int | None
    stage: str | None
    criterion: str | None
    tag: str | None
    judge: str | None
    policy: str | None
    verdict: VerdictName | None
    margin_min: float | None
    margin_max: float | None
    flipped: bool
    quarantined: bool
    unscored: bool
    search: str | None
    before: int | None
    after: int | None


class UnknownValue(NamedTuple):
    """A value of a filter that no critique has, and those that there are."""

    field: ValueField | Literal["cycle"]
    value: str
    known: list[str]


class _Query(NamedTuple):
    """All that narrows a search.

    Attributes:
        parts: Expressions of facts.
        terms: What the texts must hold.
        margins: Bounds, both included; None where they are not asked for.
        among: The only critiques that come in question, None where all do.
        no_probes: Whether what was said of probes is passed over.
        before, after: Bounds of ``seq``, both excluded.
    """

    parts: list[str]
    terms: list[Term]
    margins: tuple[float, float] | None
    among: list[int] | None
    no_probes: bool
    before: int | None
    after: int | None


class CritiqueReads(HeldReads):
    """Critiques, by what they say and what they are about."""

    def critiques(
        self,
        prompt_or_id: str | None = None,
        *,
        limit: int = 20,
        skip: int = 0,
        order: Order = "newest",
        **asked: Unpack[Asked],
    ) -> list[CritiqueView]:
        """Return critiques, newest first unless another order is asked.

        Args:
            prompt_or_id: The id of a critique, completion, prompt or preference; or the text of
                a prompt; or a part of it.
            limit: How many at most.
            skip: How many that match are passed over first.
            order: ``rank`` puts those first where rare words occur often (BM25), among the newest
                ``RANKED`` that hold them.
            asked: See :class:`Asked`.
        """
        query = self._query(prompt_or_id, asked)
        return self.critique_views(list(islice(self._seqs(query, order), skip, skip + limit)))

    def critique_seqs(
        self, prompt_or_id: str | None = None, **asked: Unpack[Asked]
    ) -> Iterator[int]:
        """Yield the numbers of all critiques that match, newest first."""
        return self._seqs(self._query(prompt_or_id, asked), "newest")

    def critiques_among(
        self, seqs: Sequence[int], prompt_or_id: str | None = None, **asked: Unpack[Asked]
    ) -> set[int]:
        """Return which of some critiques match: for few of them, however many match in all."""
        query = self._query(prompt_or_id, asked)
        known = set(seqs if query.among is None else query.among)
        among = [seq for seq in seqs if seq in known]
        return set(self._seqs(query._replace(among=among), "newest"))

    def critique_views(self, seqs: Sequence[int]) -> list[CritiqueView]:
        """Return critiques by their numbers, in the order given; unknown numbers are left out."""
        sql = VIEW + "WHERE c.seq IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
        found = {
            r["seq"]: self._view_of_list(r) if r["kind"] == "listwise" else view_from(r)
            for r in self._all(sql, json.dumps(list(seqs)))
        }
        held = self.held_critiques(list(found))
        return [_held_back(found[seq], held.get(seq)) for seq in seqs if seq in found]

    def _view_of_list(self, row: sqlite3.Row) -> CritiqueView:
        with translated(self.path):
            others = other_answers(self.connection, row["id"])
            doubt = doubt_of_list(self.connection, row["id"])
        return view_of_list(row, others, doubt)

    def critique_texts(self, after: int, limit: int) -> list[tuple[int, str, str | None]]:
        """Return number, id and a judge's words of the first critiques after one, oldest first.

        The words are None where no judge wrote any: under criteria that are code (rules,
        embeddings, Python) a critique is made of fixed sentences, as the verdict's method says.
        """
        sql = (
            "SELECT c.seq, c.id, CASE WHEN v.method IS NOT 'code' THEN c.critique END AS words "
            "FROM critiques c LEFT JOIN verdicts v ON v.critique_id = c.id "
            "WHERE c.seq > ? ORDER BY c.seq LIMIT ?"
        )
        found = self._all(sql, after, limit)
        return [
            (r["seq"], r["id"], r["words"] if (r["words"] or "").strip() else None) for r in found
        ]

    def last_critique(self) -> int:
        """Return the number of the newest critique, 0 where there is none."""
        last: int = self._all("SELECT coalesce(max(seq), 0) AS last FROM critiques")[0]["last"]
        return last

    def critique_values(self, field: ValueField) -> list[str]:
        """Return all stages, criteria, judges, policies' digests or tags that critiques have."""
        sql = "SELECT value FROM critique_values WHERE field = ? ORDER BY value"
        return [r["value"] for r in self._all(sql, field)]

    def critique_cycles(self) -> list[int]:
        """Return the cycles that critiques are of, last to first."""
        sql = (
            "SELECT number FROM cycles WHERE EXISTS "
            "(SELECT 1 FROM critiques WHERE cycle = number) ORDER BY number DESC"
        )
        return [r["number"] for r in self._all(sql)]

    def unknown_values(self, asked: Asked) -> list[UnknownValue]:
        """Return which cycle, stage, criterion, judge, policy, tag is asked for and never seen.

        Whatever else is asked, nothing can match them.
        """
        given = {field: str(asked[field]) for field in _FIELDS if asked.get(field) is not None}
        ways = {"judge": self._judges, "policy": self._digests}
        found = []
        cycle, cycles = asked.get("cycle"), self.critique_cycles()
        if cycle is not None and cycle not in cycles:
            found.append(UnknownValue("cycle", str(cycle), list(map(str, cycles))))
        for field, value in given.items():
            known = self.critique_values(field)
            if set(known).isdisjoint(ways[field](value) if field in ways else [value]):
                names = self._versions(known) if field == "policy" else known
                found.append(UnknownValue(field, value, names))
        return found

    def _versions(self, digests: Sequence[str]) -> list[str]:
        """Return the versions of policies, as `--policy` takes them; a digest without one stays."""
        sql = (
            "SELECT coalesce(p.version, e.value) AS name FROM json_each(?) e "
            "LEFT JOIN policies p ON p.digest = e.value ORDER BY name"
        )
        return [r["name"] for r in self._all(sql, json.dumps(digests))]

    def _query(self, prompt_or_id: str | None, asked: Asked) -> _Query:
        parts = [any_of(tokens) for tokens in self._facts(asked)]
        held = self.held_cycles() if asked.get("quarantined") else {}
        if asked.get("quarantined"):
            parts.append(_either(fact("pair", "quarantined"), held))
        terms, among = self._about(prompt_or_id, parts)
        found = (term_of(t, self._vocabulary) for t in search_terms(asked.get("search") or ""))
        terms += [term for term in found if term is not None]
        low, high = asked.get("margin_min"), asked.get("margin_max")
        margins = None
        if low is not None or high is not None:
            margins = (low or 0.0, 1.0 if high is None else high)
            parts.append(any_of(margins_between(*margins) or [fact("pair", "none")]))
        bounds = asked.get("before"), asked.get("after")
        return _Query(parts, terms, margins, among, bool(held), *bounds)

    def _facts(self, asked: Asked) -> Iterator[list[str]]:
        """Yield for each fact that is asked the tokens of which one must be there."""
        if (cycle := asked.get("cycle")) is not None:
            yield [fact("cycle", cycle)]
        for field in ("stage", "criterion", "tag"):
            if (value := asked.get(field)) is not None:
                yield [fact(field, str(value))]
        if (judge := asked.get("judge")) is not None:
            yield [fact("judge", name) for name in self._judges(judge)]
        if (policy := asked.get("policy")) is not None:
            yield [fact("policy", digest) for digest in self._digests(policy)]
        if (verdict := asked.get("verdict")) is not None:
            yield [fact("verdict", verdict)]
        if asked.get("unscored"):
            yield [fact("verdict", "unscored")]
        if asked.get("flipped"):
            yield [fact("pair", "flipped")]

    def _judges(self, name: str) -> list[str]:
        known = self.critique_values("judge")
        alike = [judge for judge in known if name.casefold() in judge.casefold()]
        return [name] if name in known or not alike else alike

    def _digests(self, policy: str) -> list[str]:
        sql = "SELECT digest FROM policies WHERE version = ?"
        if row := self._one(sql, policy):
            return [row["digest"]]
        known = self.critique_values("policy") if len(policy) >= _LEAST_OF_DIGEST else []
        return [digest for digest in known if digest.startswith(policy)] or [policy]

    def _about(self, words: str | None, parts: list[str]) -> tuple[list[Term], list[int] | None]:
        """Return what the prompt must hold, and the critiques that an id names; adds to parts."""
        if words is None:
            return [], None
        among = self._of_id(words)
        if among is not None:
            return [], among
        prompts = self._all("SELECT seq FROM prompts WHERE id = ? OR text = ?", words, words)
        if prompts:
            parts.append(any_of(fact("prompt", r["seq"]) for r in prompts))
            return [], None
        term = term_of(words, self._vocabulary, prompt_only=True)
        return ([] if term is None else [term]), None

    def _of_id(self, words: str) -> list[int] | None:
        """Return the critiques of a critique's, completion's or preference's id, if it is one."""
        if row := self._one("SELECT seq FROM critiques WHERE id = ?", words):
            return [row["seq"]]
        if self._one("SELECT 1 FROM completions WHERE id = ?", words):
            sql = f"SELECT seq FROM critiques WHERE id IN ({about('?1')})"  # noqa: S608 - constants
            return [r["seq"] for r in self._all(sql, words)]
        if pair := self._one("SELECT first_id, second_id FROM preferences WHERE id = ?", words):
            sql = (
                "SELECT seq FROM critiques WHERE first_id IN (?1, ?2) "  # noqa: S608 - constants
                "AND coalesce(second_id, first_id) IN (?1, ?2) "
                "UNION SELECT seq FROM critiques WHERE kind = 'listwise' "
                f"AND id IN ({about('?1')}) AND id IN ({about('?2')})"
            )
            return [r["seq"] for r in self._all(sql, *pair)]
        return None

    def _vocabulary(self, how: str, letters: str, most: int) -> list[str] | None:
        sql = f"SELECT word FROM critique_words WHERE {_WORDS[how]} LIMIT ?2"  # noqa: S608 - constants
        found = [r["word"] for r in self._all(sql, letters, most + 1)]
        if len(found) > most:
            return None
        long = self._one("SELECT word FROM critique_words WHERE word = ?", TOO_LONG)
        return found if long is None else [*found, TOO_LONG]

    def _seqs(self, query: _Query, order: Order) -> Iterator[int]:
        """Yield the critiques that match: a cheap expression first, then what is sure to find."""
        with translated(self.path):
            if order == "rank":
                yield from self._ranked(query)
                return
            wide = any(term.full != term.narrow for term in query.terms)
            narrow = plan_of(query.parts, query.terms, full=False)
            last = None
            for at, (seq, matches) in enumerate(self._checked(narrow, query, order)):
                if wide and at == PROBED:
                    break
                if matches:
                    yield seq
                last = seq
            else:
                return
            plan = plan_of(query.parts, query.terms, full=True)
            left = query._replace(before=last) if order == "newest" else query._replace(after=last)
            rest = self._checked(plan, left, order)
            yield from (seq for seq, matches in rest if matches)

    def _checked(self, plan: Plan, query: _Query, order: Order) -> Iterator[tuple[int, bool]]:
        """Yield what an expression finds, and whether it passes the checks too."""
        from_index, newest = plan.match is not None, order == "newest"
        table, key = ("critiques_fts", "rowid") if from_index else ("critiques", "seq")
        checks = CritiqueChecks(
            self.connection, plan.needles, query.margins, no_probes=query.no_probes
        )
        sql = f"SELECT l.{key} AS seq{checks.columns} FROM {table} l"  # noqa: S608 - constants
        if checks:
            sql += f" CROSS JOIN critiques c ON c.seq = l.{key}"
        limits = [(f"l.{key} < ?", query.before), (f"l.{key} > ?", query.after)]
        conditions: list[tuple[str, str | int | None]] = (
            [("critiques_fts MATCH ?", plan.match)] if from_index else []
        )
        conditions += [(text, value) for text, value in limits if value is not None]
        if query.among is not None:
            found = self._each(sql, conditions, key, sorted(set(query.among), reverse=newest))
        else:
            where = " AND ".join(text for text, _ in conditions) or "1"
            sql += f" WHERE {where} ORDER BY l.{key} {'DESC' if newest else 'ASC'}"
            found = self.connection.execute(sql, [value for _, value in conditions])
        for row in found:
            yield row["seq"], checks.passes(row)

    def _each(
        self, sql: str, conditions: Sequence[tuple[str, Any]], key: str, among: Iterable[int]
    ) -> Iterator[sqlite3.Row]:
        """Ask the index of one critique after the other."""
        where = " AND ".join([f"l.{key} = ?", *(text for text, _ in conditions)])
        values = [value for _, value in conditions]
        for seq in among:
            yield from self.connection.execute(f"{sql} WHERE {where}", [seq, *values])

    def _ranked(self, query: _Query) -> Iterator[int]:
        terms = [term._replace(full=term.ranked) for term in query.terms]
        plan = plan_of(query.parts, terms, full=True)
        if plan.match is None:
            yield from self._seqs(query, "newest")
            return
        newest = self.connection.execute(
            "SELECT rowid FROM critiques_fts WHERE critiques_fts MATCH ? AND rowid < ? "
            "ORDER BY rowid DESC LIMIT 1 OFFSET ?",
            (plan.match, query.before or 1 << 62, RANKED),
        ).fetchone()
        first = max(query.after or 0, newest[0] if newest else 0)
        found = self.connection.execute(
            "SELECT rowid FROM critiques_fts WHERE critiques_fts MATCH ? AND rowid > ? "
            "AND rowid < ? ORDER BY bm25(critiques_fts, 1.0, 0.5, 0.0), rowid DESC",
            (plan.match, first, query.before or 1 << 62),
        )
        for (seq,) in found:
            one = query._replace(among=[seq])
            yield from (at for at, matches in self._checked(plan, one, "newest") if matches)


def _either(token: str, held: Mapping[int, HeldBack]) -> str:
    """Return the expression that holds for a fact, and for all of some cycles' stages."""
    stages: dict[str, list[str]] = {}
    for cycle, why in held.items():
        stages.setdefault(why.stage, []).append(fact("cycle", cycle))
    ways = [
        f"({any_of([fact('stage', stage)])} AND {any_of(own)})" for stage, own in stages.items()
    ]
    return f"({' OR '.join([any_of([token]), *ways])})"


def _held_back(view: CritiqueView, why: str | None) -> CritiqueView:
    """Return a critique with the reason that all of its cycle is held back, where it is."""
    if why is None:
        return view
    own = view.quarantined
    return view.model_copy(update={"quarantined": why if own is None else f"{own}; {why}"})
