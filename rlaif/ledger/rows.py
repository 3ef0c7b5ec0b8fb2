"""Records to rows and back; and the records of what only the ledger knows."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Literal

from rlaif.ledger.packing import packed, unpacked
from rlaif.records import (
    AuditOnDemand,
    Choice,
    Completion,
    CompletionScore,
    HumanLabel,
    JudgeCall,
    Judgement,
    MarkedError,
    Marking,
    PairVerdict,
    Preference,
    ProbeOutcome,
    Prompt,
    Ranking,
    Rating,
    Record,
    Revision,
    StoredReply,
    Unscored,
    Verdict,
    canonical_json,
    digest_of,
)

Row = dict[str, Any]
_IN_CRITIQUE = 2  # answers whose ids stand in the critique's own row
Fields = sqlite3.Row | Mapping[str, Any]


class CycleRow(Record):
    """A cycle: what it was begun with, and whether it has ended. Clocks are UTC, ISO 8601."""

    number: int
    status: Literal["running", "done"]
    run_seed: int
    config: dict[str, Any]
    config_hash: str
    rubric_hash: str
    incumbent: str
    started_at: str
    finished_at: str | None


class StageRow(Record):
    """A stage of a cycle; ``seconds`` add up over all attempts, ``units`` are those done."""

    cycle: int
    stage: str
    attempts: int
    seconds: float
    units: int
    started_at: str
    finished_at: str | None


class PolicyRow(Record):
    """A policy that was promoted, or that the project began with."""

    version: str
    digest: str
    path: str
    parent: str | None
    card: dict[str, Any]
    cycle: int | None


class PromotionRow(Record):
    """A policy becoming the current one; the last row names the live policy."""

    position: int
    version: str
    kind: Literal["base", "promote", "rollback"]
    reason: str
    cycle: int | None
    at: str


class ArtifactRow(Record):
    """A folder on disk that the ledger vouches for; ``path`` is relative to the project."""

    cycle: int
    stage: str
    name: str
    digest: str
    path: str


class RubricRow(Record):
    """A rubric as it was used: its file's text under its content hash."""

    hash: str
    name: str
    version: str
    text: str


class AuditRow(Record):
    """An audit that was made on demand, and when (UTC, ISO 8601); they are counted from 1."""

    number: int
    at: str
    audit: AuditOnDemand


class EventRow(Record):
    """Something that happened, for people to read."""

    kind: str
    message: str
    cycle: int | None
    at: str


class CycleCounts(Record):
    """How much a cycle made: distinct training prompts, answers to them, verdicts, pairs.

    ``completions`` counts the policies' answers of every purpose, ``judgements`` and ``unscored``
    those of every stage.
    """

    prompts: int
    completions: int
    judgements: int
    unscored: int
    preferences: int


def to_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value in canonical form, so that equal values are equal text."""
    return canonical_json(value)


def record_json(record: Record) -> str:
    """Return a record as canonical JSON."""
    return to_json(record.model_dump(mode="json"))


def prompt_row(prompt: Prompt) -> Row:
    """Return a prompt's row."""
    return {
        "id": prompt.id,
        "messages": to_json([m.model_dump() for m in prompt.messages]),
        "text": prompt.text,
        "tags": to_json(list(prompt.tags)),
        "split": prompt.split,
    }


def prompt_from(row: Fields) -> Prompt:
    """Return the prompt of a row."""
    return Prompt(
        id=row["id"],
        messages=tuple(json.loads(row["messages"])),
        tags=tuple(json.loads(row["tags"])),
        split=row["split"],
    )


def completion_row(completion: Completion) -> Row:
    """Return a completion's row."""
    return completion.model_dump() | {"ended": int(completion.ended)}


def completion_from(row: Fields) -> Completion:
    """Return the completion of a row."""
    fields = {name: row[name] for name in Completion.model_fields}
    return Completion(**fields | {"ended": bool(row["ended"])})


def call_row(call: JudgeCall, place: Row) -> Row:
    """Return a judge call's row; equal calls of one unit, however long they took, are one row."""
    row = call.model_dump(mode="json")
    content = {name: value for name, value in row.items() if name != "latency"}
    digest = digest_of([place["cycle"], place["stage"], place["unit"], content])
    kept = {name: to_json(row[name]) for name in ("label_probs", "samples")}
    return {"id": f"call-{digest[:32]}", **place, **row, **kept}


def call_from(row: Fields) -> JudgeCall:
    """Return the judge call of a row."""
    fields = {name: row[name] for name in JudgeCall.model_fields}
    parsed = {name: json.loads(row[name]) for name in ("label_probs", "samples")}
    return JudgeCall(**fields | parsed)


def critique_row(
    judgement: Judgement,
    rubric_hash: str,
    call_id: str | None,
    writing_id: str | None,
    place: Row,
) -> Row:
    """Return the row of a judgement's critique."""
    first, second = (*judgement.completion_ids, None)[:2]
    return {
        "id": judgement.id,
        **place,
        "rubric_hash": rubric_hash,
        "criterion": judgement.criterion,
        "kind": judgement.kind,
        "first_id": first,
        "second_id": second,
        "critique": judgement.critique,
        "judge": judgement.judge,
        "call_id": call_id,
        "grader": judgement.grader,
        "writing_id": writing_id,
    }


def other_rows(judgement: Judgement) -> list[Row]:
    """Return the rows of a list's third and later answers, none for one answer or two."""
    return [
        {"critique_id": judgement.id, "position": place, "completion_id": completion_id}
        for place, completion_id in enumerate(judgement.completion_ids)
        if place >= _IN_CRITIQUE
    ]


def verdict_row(judgement: Judgement) -> Row:
    """Return the row of a judgement's verdict."""
    verdict = judgement.verdict
    row: Row = {
        "critique_id": judgement.id,
        "type": verdict.type,
        "value": None,
        "places": None,
        "reason": None,
        "method": judgement.method,
    }
    match verdict:
        case Rating():
            row["value"] = verdict.score
        case Choice():
            row["value"] = verdict.p_first
        case Ranking():
            row["places"] = to_json(list(verdict.places))
        case Unscored():
            row["reason"] = verdict.reason
    return row


def verdict_from(row: Fields) -> Verdict:
    """Return the verdict of a row with ``type``, ``value``, ``places`` and ``reason``."""
    match row["type"]:
        case "rating":
            return Rating(score=row["value"])
        case "choice":
            return Choice(p_first=row["value"])
        case "ranking":
            return Ranking(places=tuple(json.loads(row["places"])))
        case _:
            return Unscored(reason=row["reason"])


def judgement_from(row: Fields, writing: JudgeCall | None) -> Judgement:
    """Return the judgement of a row that joins critique, verdict and, where any, call.

    Its ``judge`` is the call's, which is a digest; the critique's, which is a name, is ``said_by``.
    ``others`` holds a list's third and later answers as JSON.
    """
    ids = [row["first_id"], row["second_id"], *json.loads(row["others"])]
    return Judgement(
        id=row["id"],
        criterion=row["criterion"],
        kind=row["kind"],
        completion_ids=tuple(i for i in ids if i is not None),
        critique=row["critique"],
        verdict=verdict_from(row),
        judge=row["said_by"],
        method=row["method"],
        call=None if row["call_id"] is None else call_from(row),
        writing=writing,
        grader=row["grader"],
    )


def reply_row(reply: StoredReply, cycle: int | None, at: str) -> Row:
    """Return the row of a server's reply, paid for by a cycle or outside of any."""
    return {**reply.model_dump(), "raw": packed(reply.raw), "cycle": cycle, "at": at}


def reply_from(row: Fields) -> StoredReply:
    """Return the stored reply of a row."""
    fields = {name: row[name] for name in StoredReply.model_fields}
    return StoredReply(**fields | {"raw": unpacked(row["raw"])})


def score_row(score: CompletionScore, place: Row) -> Row:
    """Return the row of a completion's score.

    Its ``unscored`` is the reason against it, whether there is no score or one that must not train.
    """
    fields = score.model_dump(exclude={"quarantined"})
    why = score.unscored if score.score is None else score.quarantined
    return {**place, **fields, "unscored": why, "parts": to_json(score.parts)}


def score_from(row: Fields) -> CompletionScore:
    """Return the score of a row."""
    fields = {name: row[name] for name in CompletionScore.model_fields if name != "quarantined"}
    if row["score"] is not None:
        fields |= {"unscored": None, "quarantined": row["unscored"]}
    return CompletionScore(**fields | {"parts": json.loads(row["parts"])})


def pair_verdict_from(row: Fields) -> PairVerdict:
    """Return the pair verdict of a row."""
    return PairVerdict(**{name: row[name] for name in PairVerdict.model_fields})


def probe_from(row: Fields) -> ProbeOutcome:
    """Return the outcome of a probe of a row."""
    return ProbeOutcome(**{name: row[name] for name in ProbeOutcome.model_fields})


def revision_row(revision: Revision, call_id: str | None, place: Row) -> Row:
    """Return a revision's row."""
    row = {**place, **revision.model_dump(exclude={"call"}), "call_id": call_id}
    return {**row, "critique_ids": to_json(revision.critique_ids)}


def revision_from(row: Fields, call: JudgeCall | None) -> Revision:
    """Return the revision of a row, with its call."""
    fields = {name: row[name] for name in Revision.model_fields if name != "call"}
    ids = tuple(json.loads(row["critique_ids"]))
    return Revision(**fields | {"critique_ids": ids, "call": call})


def marking_row(marking: Marking, call_id: str | None, place: Row) -> Row:
    """Return a marking's row; its errors have rows of their own."""
    row = {"critique_id": marking.critique_id, "unscored": marking.unscored}
    return {**row, **place, "call_id": call_id}


def marked_error_rows(marking: Marking) -> list[Row]:
    """Return a row for each error of a marking, in the judge's order."""
    return [
        {"critique_id": marking.critique_id, "position": place, **error.model_dump()}
        for place, error in enumerate(marking.errors)
    ]


def marked_error_from(row: Fields) -> MarkedError:
    """Return the marked error of a row."""
    return MarkedError(**{name: row[name] for name in MarkedError.model_fields})


def preference_from(row: Fields) -> Preference:
    """Return the preference of a row."""
    return Preference(**{name: row[name] for name in Preference.model_fields})


def label_row(label: HumanLabel, source: str, at: str) -> Row:
    """Return the row of a human's label that came from a source at a time."""
    return {**label.model_dump(), "frozen": int(label.frozen), "source": source, "at": at}


def label_from(row: Fields) -> HumanLabel:
    """Return the human's label of a row."""
    fields = {name: row[name] for name in HumanLabel.model_fields}
    return HumanLabel(**fields | {"frozen": bool(row["frozen"])})


def cycle_from(row: Fields) -> CycleRow:
    """Return the cycle of a row."""
    fields = {key: row[key] for key in row.keys()}  # noqa: SIM118 - sqlite3.Row iterates values
    fields["config"] = json.loads(row["config"])
    return CycleRow(**fields, status="running" if row["finished_at"] is None else "done")


def audit_from(row: Fields) -> AuditRow:
    """Return the audit of a row."""
    audit = AuditOnDemand.model_validate_json(row["content"])
    return AuditRow(number=row["number"], at=row["at"], audit=audit)


def policy_from(row: Fields) -> PolicyRow:
    """Return the policy of a row."""
    fields = {name: row[name] for name in PolicyRow.model_fields}
    return PolicyRow(**fields | {"card": json.loads(row["card"])})
