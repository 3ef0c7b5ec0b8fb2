"""One hash over what a run did, the same however often it was killed, and wherever it ran.

Left out: clocks, latencies, durations, attempts, events, paths, and the order in which units were
committed. Rows are taken in the order of their content.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

DIGESTED: dict[str, tuple[str, ...]] = {
    "rubrics": ("hash", "name", "version", "text"),
    "cycle_rubrics": ("cycle", "name", "version", "text"),
    "policies": ("version", "digest", "parent", "card", "cycle"),
    "cycles": ("number", "run_seed", "config", "rubric_hash", "incumbent"),
    "stages": ("cycle", "stage", "finished_at IS NOT NULL"),
    "units": ("cycle", "stage", "unit"),
    "promotions": ("position", "version", "kind", "reason", "cycle"),
    "oracle_reports": ("cycle", "content"),
    "prompts": ("id", "messages", "tags", "split"),
    "cycle_prompts": ("cycle", "stage", "unit", "purpose", "position", "prompt_id"),
    "completions": (
        "id", "prompt_id", "policy", '"index"', "text", "length", "ended", "duplicate_of",
    ),
    "completion_uses": ("cycle", "stage", "unit", "purpose", "completion_id"),
    "judge_calls": (
        "cycle", "stage", "unit", "request_hash", "judge", "request", "reply", "label_probs",
        "prompt_tokens", "reply_tokens", "samples", "cost", "cut",
    ),
    "critiques": (
        "id", "cycle", "stage", "unit", "rubric_hash", "criterion", "kind", "first_id",
        "second_id", "critique", "judge", "grader",
    ),
    "critique_others": ("critique_id", "position", "completion_id"),
    "verdicts": ("critique_id", "type", "value", "places", "reason", "method"),
    "scores": (
        "cycle", "stage", "unit", "completion_id", "score", "parts", "vetoed_by", "unscored",
        "disagreement",
    ),
    "pair_verdicts": (
        "cycle", "stage", "unit", "first_id", "second_id", "p_first", "p_forward", "p_backward",
        "quarantined", "unscored", "disagreement",
    ),
    "probes": (
        "cycle", "stage", "unit", "probe_id", "original_id", "kind", "method", "rubric_hash",
        "value", "unscored",
    ),
    "revisions": (
        "cycle", "stage", "unit", "original_id", "completion_id", "judge", "critique_ids",
        "rubric_hash", "p_better", "p_forward", "p_backward", "rejected",
    ),
    "markings": ("critique_id", "cycle", "stage", "unit", "unscored"),
    "marked_errors": (
        "critique_id", "position", "quote", "why", "start", '"end"', "unlocated",
    ),
    "preferences": (
        "id", "cycle", "stage", "unit", "prompt_id", "first_id", "second_id", "label", "split",
        "rubric_hash", "origin", "weight",
    ),
    "human_labels": (
        "id", "prompt_id", "form", "first_id", "second_id", "value", "criterion", "rater", "weight",
        "note", "frozen",
    ),
    "cycle_labels": ("cycle", "stage", "unit", "label_id"),
    "artifacts": ("cycle", "stage", "unit", "name", "digest"),
    "metrics": ("cycle", "stage", "unit", "step", "name", "value"),
    "reports": ("cycle", "stage", "unit", "kind", "content"),
    "gate_decisions": ("cycle", "stage", "unit", "decision", "checks"),
}  # fmt: skip
UNDIGESTED = frozenset({"audits", "events", "replies", "critique_words", "critique_values"})

CLOCK_NAMES = re.compile(r"(^|[_/])(seconds|latency|attempts|path|folder|at|per_second)$")
_HOLDING_JSON = frozenset({"card", "config", "content"})


def ledger_digest(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 over a ledger's content, in hexadecimal.

    Metrics, and keys of configurations, reports and cards, are left out where their name says
    that they hold a clock or a place (``seconds``, ``tokens_per_second``, ``path``...); texts in
    these that are absolute paths count as their last part's absence: an empty text.
    """
    digest = hashlib.sha256()
    for table, columns in sorted(DIGESTED.items()):
        for line in _lines(connection, table, columns):
            digest.update(line.encode("utf-8"))
    return digest.hexdigest()


def _lines(connection: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> Iterator[str]:
    names = [column.split()[0].strip('"') for column in columns]
    shown = ", ".join(columns)
    order = ", ".join(str(i + 1) for i in range(len(columns)))
    for row in connection.execute(f"SELECT {shown} FROM {table} ORDER BY {order}"):  # noqa: S608 - constants
        values = dict(zip(names, row, strict=True))
        if table == "metrics" and CLOCK_NAMES.search(values["name"]):
            continue
        for name in _HOLDING_JSON & values.keys():
            values[name] = _without_host_facts(json.loads(values[name]))
        if table == "judge_calls":
            values["judge"] = _without_host_facts(values["judge"])
        yield json.dumps([table, values], ensure_ascii=False, sort_keys=True) + "\n"


def _without_host_facts(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case dict():
            return {
                k: _without_host_facts(v) for k, v in value.items() if not CLOCK_NAMES.search(k)
            }
        case list():
            return [_without_host_facts(v) for v in value]
        case str() if value.startswith("/"):
            return ""
        case _:
            return value
