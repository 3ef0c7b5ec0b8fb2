"""Finding critiques: by prompt, criterion, cycle, or words in critique and prompt."""

import json
import re
from typing import Any

from rlaif.ledger import rows
from rlaif.ledger.connected import Connected
from rlaif.records import Record, Verdict

_TRIGRAM = 3
_TERMS = re.compile(r'"([^"]+)"|(\S+)')
_VIEW = (
    "SELECT c.id, c.cycle, c.stage, c.criterion, c.kind, c.rubric_hash, c.critique, "
    "v.type, v.value, v.reason, j.judge, j.label_probs, j.reply, p.id AS prompt_id, "
    "p.text AS prompt, f.id AS first_id, f.text AS first_text, s.id AS second_id, "
    "s.text AS second_text FROM critiques c JOIN verdicts v ON v.critique_id = c.id "
    "JOIN completions f ON f.id = c.first_id JOIN prompts p ON p.id = f.prompt_id "
    "LEFT JOIN completions s ON s.id = c.second_id LEFT JOIN judge_calls j ON j.id = c.call_id "
)
_IN_CRITIQUE = (
    "c.seq IN (SELECT rowid FROM critiques_fts WHERE critiques_fts MATCH ?)",
    "c.critique LIKE ? ESCAPE '\\'",
)
_IN_PROMPT = (
    "p.seq IN (SELECT rowid FROM prompts_fts WHERE prompts_fts MATCH ?)",
    "p.text LIKE ? ESCAPE '\\'",
)

Condition = tuple[str, list[Any]]


class JudgedText(Record):
    """A completion as the judge saw it."""

    id: str
    text: str


class CritiqueView(Record):
    """A critique with all that it is about, for people to read.

    ``completions`` are in the order in which the judge saw them. ``judge``, ``label_probs`` and
    ``reply`` are None for criteria that ask no model.
    """

    id: str
    cycle: int
    stage: str
    criterion: str
    kind: str
    rubric_hash: str
    prompt_id: str
    prompt: str
    completions: tuple[JudgedText, ...]
    critique: str
    verdict: Verdict
    judge: str | None
    label_probs: dict[str, float] | None
    reply: str | None


class CritiqueReads(Connected):
    """Critiques, newest first."""

    def critiques(
        self,
        prompt_or_id: str | None = None,
        *,
        criterion: str | None = None,
        cycle: int | None = None,
        unscored: bool = False,
        search: str | None = None,
        limit: int = 20,
    ) -> list[CritiqueView]:
        """Return critiques, newest first.

        Args:
            prompt_or_id: The id of a critique, completion, prompt or preference; or the text of
                a prompt; or a part of it.
            criterion: Only those under this criterion.
            cycle: Only those of this cycle.
            unscored: Only those whose verdict could not be read.
            search: Words, or ``"words in quotes"``, that must all occur in critique or prompt,
                anywhere in a word, in any case. No input is a syntax error.
            limit: How many at most.
        """
        conditions: list[Condition] = [] if prompt_or_id is None else [self._about(prompt_or_id)]
        if criterion is not None:
            conditions.append(("c.criterion = ?", [criterion]))
        if cycle is not None:
            conditions.append(("c.cycle = ?", [cycle]))
        if unscored:
            conditions.append(("v.type = 'unscored'", []))
        conditions += [_holds(term) for term in search_terms(search or "")]
        where = " AND ".join(text for text, _ in conditions) or "1"
        values = [value for _, more in conditions for value in more]
        sql = f"{_VIEW} WHERE {where} ORDER BY c.seq DESC LIMIT ?"
        return [_view(r) for r in self._all(sql, *values, limit)]

    def _about(self, words: str) -> Condition:
        """Return the condition that a critique is about what ``words`` name."""
        if self._one("SELECT 1 FROM critiques WHERE id = ?", words):
            return "c.id = ?", [words]
        if self._one("SELECT 1 FROM completions WHERE id = ?", words):
            return "(c.first_id = ? OR c.second_id = ?)", [words, words]
        if pair := self._one("SELECT first_id, second_id FROM preferences WHERE id = ?", words):
            return "c.first_id IN (?, ?) AND coalesce(c.second_id, c.first_id) IN (?, ?)", [
                *pair,
                *pair,
            ]
        if self._one("SELECT 1 FROM prompts WHERE id = ?", words):
            return "p.id = ?", [words]
        if self._one("SELECT 1 FROM prompts WHERE text = ?", words):
            return "p.text = ?", [words]
        return _in_column(_IN_PROMPT, words)


def search_terms(text: str) -> list[str]:
    """Split what a person typed into terms: words, and phrases in double quotes."""
    return [phrase or word for phrase, word in _TERMS.findall(text)]


def _holds(term: str) -> Condition:
    """Return the condition that critique or prompt holds a term."""
    critique, critique_values = _in_column(_IN_CRITIQUE, term)
    prompt, prompt_values = _in_column(_IN_PROMPT, term)
    return f"({critique} OR {prompt})", critique_values + prompt_values


def _in_column(column: tuple[str, str], term: str) -> Condition:
    """Return the condition that a column holds a term: by index, or by scan for short terms."""
    indexed, scanned = column
    term = term.replace("\0", "")  # SQLite would read a pattern only up to it
    if len(term) >= _TRIGRAM:
        return indexed, ['"' + term.replace('"', '""') + '"']
    return scanned, ["%" + re.sub(r"([\\%_])", r"\\\1", term) + "%"]


def _view(row: Any) -> CritiqueView:  # noqa: ANN401 - sqlite3.Row
    shown = [("first_id", "first_text"), ("second_id", "second_text")]
    fields = {name: row[name] for name in CritiqueView.model_fields if name in row.keys()}  # noqa: SIM118 - sqlite3.Row iterates values
    fields["completions"] = tuple(
        JudgedText(id=row[key], text=row[text]) for key, text in shown if row[key] is not None
    )
    fields["verdict"] = rows.verdict_from(row)
    fields["label_probs"] = None if row["label_probs"] is None else json.loads(row["label_probs"])
    return CritiqueView(**fields)
