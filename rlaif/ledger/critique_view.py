"""A critique with all that it is about, as one row of the ledger tells it."""

import json
import sqlite3
from collections.abc import Sequence

from rlaif.ledger import rows
from rlaif.ledger.critique_facts import flipped, margin_of
from rlaif.ledger.critique_lists import Doubt
from rlaif.records import Record, Verdict

JUDGE = "coalesce(nullif(c.judge, ''), j.judge)"
PAIR = (
    "coalesce(a.quarantined, b.quarantined, o.unscored) AS quarantined, "
    "coalesce(a.p_forward, b.p_forward) AS p_forward, "
    "coalesce(a.p_backward, b.p_backward) AS p_backward"
)
CRITIQUES = (
    "FROM critiques c JOIN verdicts v ON v.critique_id = c.id "
    "JOIN completions f ON f.id = c.first_id JOIN prompts p ON p.id = f.prompt_id "
    "LEFT JOIN completions s ON s.id = c.second_id LEFT JOIN judge_calls j ON j.id = c.call_id "
    "LEFT JOIN pair_verdicts a ON a.cycle = c.cycle AND a.stage = c.stage "
    "AND a.first_id = c.first_id AND a.second_id = c.second_id "
    "LEFT JOIN pair_verdicts b ON b.cycle = c.cycle AND b.stage = c.stage "
    "AND b.first_id = c.second_id AND b.second_id = c.first_id "
    "LEFT JOIN scores o ON c.second_id IS NULL AND o.cycle = c.cycle AND o.stage = c.stage "
    "AND o.completion_id = c.first_id AND o.score IS NOT NULL "
)
_COLUMNS = (
    *("c.seq", "c.id", "c.cycle", "c.stage", "c.criterion", "c.kind", "c.rubric_hash"),
    *("c.critique", "v.type", "v.value", "v.places", "v.reason", "v.method"),
    f"{JUDGE} AS judge",
    "coalesce((SELECT w.cut FROM judge_calls w WHERE w.id = c.writing_id), j.cut, 0) > 0 AS cut",
    *("j.label_probs", "j.reply", "p.id AS prompt_id", "p.text AS prompt", "p.tags"),
    *("f.id AS first_id", "f.text AS first_text", "f.policy AS first_policy"),
    *("s.id AS second_id", "s.text AS second_text", "s.policy AS second_policy", PAIR),
)
VIEW = f"SELECT {', '.join(_COLUMNS)} {CRITIQUES}"


class JudgedText(Record):
    """A completion as the judge saw it; ``policy`` is the digest of what wrote it."""

    id: str
    text: str
    policy: str


class CritiqueView(Record):
    """A critique with all that it is about, for people to read.

    ``seq`` counts critiques in the order in which they were written. ``completions`` are in the
    order in which the judge saw them. ``judge``, ``label_probs`` and ``reply`` are None for
    criteria that ask no model. ``margin`` is how decided the verdict is, from 0 to 1, None where
    it is unscored or a ranking. ``cut`` tells whether the judge came to its limit of tokens before
    its critique had ended. ``flipped`` and ``quarantined`` (the reason) are those of the pair,
    for a list those of any of its pairs; a rating is quarantined where its answer's score is;
    and all of a cycle, but what was said of probes, where the judge's audit holds it back.
    """

    seq: int
    id: str
    cycle: int
    stage: str
    criterion: str
    kind: str
    rubric_hash: str
    prompt_id: str
    prompt: str
    tags: tuple[str, ...]
    completions: tuple[JudgedText, ...]
    critique: str
    cut: bool = False
    verdict: Verdict
    method: str | None
    margin: float | None
    flipped: bool
    quarantined: str | None
    judge: str | None
    label_probs: dict[str, float] | None
    reply: str | None


def view_from(row: sqlite3.Row) -> CritiqueView:
    """Return the critique of a row of ``VIEW``."""
    fields = {name: row[name] for name in CritiqueView.model_fields if name in row.keys()}  # noqa: SIM118 - sqlite3.Row iterates values
    fields["completions"] = tuple(
        JudgedText(id=row[f"{place}_id"], text=row[f"{place}_text"], policy=row[f"{place}_policy"])
        for place in ("first", "second")
        if row[f"{place}_id"] is not None
    )
    fields["tags"] = tuple(json.loads(row["tags"]))
    fields["verdict"] = rows.verdict_from(row)
    fields["cut"] = bool(row["cut"])
    fields["margin"] = margin_of(row["value"])
    fields["flipped"] = flipped(row["p_forward"], row["p_backward"])
    fields["label_probs"] = None if row["label_probs"] is None else json.loads(row["label_probs"])
    return CritiqueView(**fields)


def view_of_list(row: sqlite3.Row, others: Sequence[sqlite3.Row], doubt: Doubt) -> CritiqueView:
    """Return the critique of a ranked list.

    Args:
        row: Of ``VIEW_OF_SEQS``; it holds the first two answers.
        others: The rest of them.
        doubt: What the verdicts on its pairs say against it.
    """
    view = view_from(row)
    update = {
        "completions": (*view.completions, *(JudgedText(**dict(other)) for other in others)),
        "quarantined": doubt.quarantined,
        "flipped": flipped(doubt.p_forward, doubt.p_backward),
    }
    return view.model_copy(update=update)
