"""Keeping the index behind ``rlaif critiques`` in step with what it was made from.

The index holds no text: where what is known of a critique changes (its pair's verdict comes, or its
answer's score, or its prompt gets other tags), its old entry is taken out by giving it once more.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rlaif.ledger.critique_facts import Named, Own, fact, own_tokens, values_of
from rlaif.ledger.critique_lists import doubt_of_list, other_answers
from rlaif.ledger.critique_view import CRITIQUES, JUDGE, PAIR
from rlaif.ledger.search_words import SIGN, folded, tokens

_KNOWN_AT_MOST = 500_000
_AT_ONCE = 5_000
_ENTRY = (
    f"SELECT c.seq, c.critique, p.text, c.stage, c.criterion, {JUDGE}, p.tags, f.policy, "
    f"s.policy, c.cycle, p.seq, v.type, v.value, {PAIR}, c.kind, c.id {CRITIQUES}"
)
_NAMED = slice(3, 3 + len(Named._fields) - len(Named._field_defaults))
_OWN = slice(_NAMED.stop, _NAMED.stop + len(Own._fields))
_OF_PAIRS = (
    "SELECT c.seq FROM json_each(?1) e JOIN critiques c ON c.first_id = e.value ->> 0 "
    "AND c.second_id = e.value ->> 1 UNION "
    "SELECT c.seq FROM json_each(?1) e JOIN critiques c ON c.first_id = e.value ->> 1 "
    "AND c.second_id = e.value ->> 0 UNION "
    "SELECT c.seq FROM json_each(?1) e JOIN critique_others o "
    "ON o.completion_id IN (e.value ->> 0, e.value ->> 1) JOIN critiques c ON c.id = o.critique_id"
)
_OF_HELD = (
    "SELECT c.seq FROM json_each(?1) e JOIN critiques c ON c.first_id = e.value "
    "WHERE c.second_id IS NULL"
)
_OF_TAGGED = (
    "SELECT c.seq FROM json_each(?1) e JOIN prompts p ON p.id = e.value ->> 0 "
    "AND p.tags != e.value ->> 1 JOIN completions k ON k.prompt_id = p.id "
    "JOIN critiques c ON c.first_id = k.id"
)


class Changes(NamedTuple):
    """What a unit brings that may change what is known of critiques that are there.

    Attributes:
        pairs: The ids of pairs that get a verdict.
        held: The ids of answers that get a score that must not train.
        tags: Prompts' ids and tags, these as JSON.
    """

    pairs: Sequence[tuple[str, str]]
    held: Sequence[str]
    tags: Sequence[tuple[str, str]]


class Entry(NamedTuple):
    """A critique's row of the index."""

    seq: int
    critique: str
    prompt: str
    facts: str


class CritiqueIndex:
    """Writes the index inside transactions that others open.

    Args:
        connection: A connection that writes, with rows that know their names.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: set[str] = set()
        self._values: set[tuple[str, str]] = set()
        self._named: dict[tuple[Any, ...], str] = {}

    def forget(self) -> None:
        """Forget which words are in the ledger: what wrote them may have been undone."""
        self._known.clear()
        self._values.clear()
        self._named.clear()

    def last(self) -> int:
        """Return the number of the newest critique."""
        last: int = self._connection.execute(
            "SELECT coalesce(max(seq), 0) FROM critiques"
        ).fetchone()[0]
        return last

    def touched(self, changes: Changes) -> list[Entry]:
        """Return the entries, as they are now, that some changes may change."""
        seqs: set[int] = set()
        pairs, held, tags = changes
        for sql, ids in ((_OF_PAIRS, pairs), (_OF_HELD, held), (_OF_TAGGED, tags)):
            if ids:
                seqs |= {r[0] for r in self._connection.execute(sql, [json.dumps(ids)])}
        return list(self._entries_of(sorted(seqs)))

    def replace(self, before: Sequence[Entry]) -> None:
        """Write entries that may have changed, given as they were."""
        after = {entry.seq: entry for entry in self._entries_of([e.seq for e in before])}
        changed = [entry for entry in before if after[entry.seq] != entry]
        self._connection.executemany(
            "INSERT INTO critiques_fts (critiques_fts, rowid, critique, prompt, facts) "
            "VALUES ('delete', ?, ?, ?, ?)",
            changed,
        )
        self._write([after[entry.seq] for entry in changed])

    def add_after(self, seq: int) -> None:
        """Write the entries of all critiques after one."""
        last = self.last()
        for start in range(seq, last, _AT_ONCE):
            where = "WHERE c.seq > ? AND c.seq <= ?"
            self._write(self._entries(where, start, min(start + _AT_ONCE, last)))

    def _entries_of(self, seqs: Sequence[int]) -> Iterator[Entry]:
        if not seqs:
            return iter(())
        return self._entries("WHERE c.seq IN (SELECT value FROM json_each(?))", json.dumps(seqs))

    def _entries(self, where: str, *values: str | int) -> Iterator[Entry]:
        prompts: dict[str, str] = {}
        for row in self._connection.execute(_ENTRY + where, values):
            seq, critique, prompt = row[:3]
            if prompt not in prompts:
                prompts[prompt] = self._words(prompt)
            columns, own = row[_NAMED], Own(*row[_OWN])
            if row["kind"] == "listwise":
                columns, own = self._of_list(row["id"], columns, own)
            named = self._named.get(columns) or self._name(columns)
            facts = f"{named} {own_tokens(own)}"
            yield Entry(seq, self._words(critique), prompts[prompt], facts)

    def _of_list(
        self, critique_id: str, columns: tuple[Any, ...], own: Own
    ) -> tuple[tuple[Any, ...], Own]:
        """Return facts of a list: who wrote all its answers, and what its pairs' verdicts say."""
        others = {row["policy"] for row in other_answers(self._connection, critique_id)}
        doubt = doubt_of_list(self._connection, critique_id)
        return (*columns, tuple(sorted(others))), own._replace(**doubt._asdict())

    def _words(self, text: str) -> str:
        found = tokens(folded(text))
        new = set(found) - self._known
        if new:
            words = [(word,) for word in sorted(new) if word[0] != SIGN]
            sql = "INSERT OR IGNORE INTO critique_words (word) VALUES (?)"
            self._connection.executemany(sql, words)
            if len(self._known) > _KNOWN_AT_MOST:
                self._known.clear()
            self._known |= new
        return " ".join(found)

    def _name(self, columns: tuple[Any, ...]) -> str:
        """Keep named facts, and return their tokens."""
        values = values_of(Named(*columns))
        new = [value for value in values if value not in self._values]
        if new:
            self._connection.executemany(
                "INSERT OR IGNORE INTO critique_values (field, value) VALUES (?, ?)", new
            )
            self._values.update(new)
        self._named[columns] = " ".join(fact(field, value) for field, value in values)
        return self._named[columns]

    def _write(self, entries: Iterable[Entry]) -> None:
        self._connection.executemany(
            "INSERT INTO critiques_fts (rowid, critique, prompt, facts) VALUES (?, ?, ?, ?)",
            list(entries),
        )
