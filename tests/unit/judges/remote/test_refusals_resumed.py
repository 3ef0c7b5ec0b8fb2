"""A run that is killed while a server refuses a field is resumed with the replies that it has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from remote_samples import judge_at, piece, requests

from rlaif.cycle.paying import LedgerReplies
from rlaif.judges import JudgeReply, verdict_of
from rlaif.ledger.writer import Ledger
from rlaif.records import Choice, Spent, StoredReply, Verdict
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket

COUNT = 6
OBJECT = {"reply_format": "json_schema", "log_probs": False}
FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("response_format", OBJECT),
    ("response_format", {**OBJECT, "temperature": 0.5, "samples": 2}),
    ("logprobs", {}),
    ("n", {"temperature": 0.5, "samples": 3, "samples_by": "n"}),
    ("seed", {"temperature": 0.5, "samples": 2}),
    ("max_tokens", {}),
]


class Server(Loopback):
    """Refuses a field in requests from a number on, and counts what it answers.

    Args:
        field: The field.
        first: The number, from 0; None: it refuses nothing.
    """

    def __init__(self, field: str = "", first: int | None = None) -> None:
        super().__init__(self._say)
        self._field = field
        self._first = first
        self.paid = 0

    async def _say(self, asked: Asked, writer: Any) -> None:
        if self._first is not None and asked.number >= self._first and self._field in asked.body:
            message = f"'{self._field}' is unknown; as a limit use 'max_completion_tokens'."
            await refusing(400, {"message": message})(asked, writer)
        else:
            self.paid += 1
            await replying(_answer)(asked, writer)


def _answer(asked: Asked) -> dict[str, Any]:
    """Answer in the form that was asked for; verdict and sureness follow from question and form."""
    letter = "AB"[sum(asked.text.encode("utf-8")) % 2]
    if "response_format" in asked.body:
        return completion(f'{{"critique": "An object.", "verdict": "{letter}"}}')
    words = f"In words.\nVerdict: {letter}"
    if "logprobs" in asked.body:
        other = "BA"["AB".index(letter)]
        pieces = [piece("In words.\nVerdict:"), piece(f" {letter}", 0.7, **{f" {other}": 0.2})]
        return completion(words, pieces=pieces)
    return completion(*[words] * int(asked.body.get("n", 1)))


class Killed(LedgerReplies):
    """Replies in a ledger, in a process that dies once it has so many of them."""

    def __init__(self, ledger: Ledger, after: int) -> None:
        super().__init__(ledger, None)
        self._left = after

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        kept = super().put(replies)
        self._left -= len(replies)
        if self._left <= 0:
            raise KeyboardInterrupt
        return kept


def _judged(server: Loopback, replies: LedgerReplies, **changes: Any) -> list[JudgeReply]:
    return judge_at(server, store=replies, **changes).judge(requests(COUNT))


def _killed(
    path: Path, server: Loopback, changes: dict[str, Any], *, after: int, in_flight: int = 1
) -> int:
    """Judge until so many replies are kept, and die; return how many are."""
    with Ledger.open(path) as ledger:
        with pytest.raises(KeyboardInterrupt):
            _judged(server, Killed(ledger, after), max_in_flight=in_flight, **changes)
        return ledger.spent().calls


def _resumed(
    path: Path, server: Loopback, changes: dict[str, Any]
) -> tuple[list[JudgeReply], Spent]:
    """Judge with what a ledger has, by a judge that knows nothing of its servers yet."""
    with Ledger.open(path) as ledger:
        found = _judged(server, LedgerReplies(ledger, None), max_in_flight=1, **changes)
        return found, ledger.spent()


def _read(replies: Sequence[JudgeReply]) -> list[tuple[Verdict, str, Any]]:
    """Return all that is read of replies; not how long they took."""
    return [
        (
            verdict_of(request, reply, 0.5),
            reply.critique,
            reply.call and (reply.call.reply, reply.call.label_probs, reply.call.samples),
        )
        for request, reply in zip(requests(COUNT), replies, strict=True)
    ]


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize(("field", "changes"), FIELDS)
def test_a_resumed_run_reads_what_a_whole_one_does_and_pays_for_no_reply_twice(
    tmp_path: Path, field: str, changes: dict[str, Any], first: int
) -> None:
    with Server(field, first) as server:
        whole, spent = _resumed(tmp_path / "whole.db", server, changes)
    with Server(field, first) as server:
        kept = _killed(tmp_path / "ledger.db", server, changes, after=4)
        resumed, spent_in_all = _resumed(tmp_path / "ledger.db", server, changes)
        assert server.paid == spent_in_all.calls
    assert kept == 4
    assert _read(resumed) == _read(whole)
    assert all(isinstance(verdict, Choice) for verdict, *_ in _read(whole))
    assert spent_in_all == spent


@pytest.mark.parametrize(("field", "changes"), FIELDS)
def test_replies_in_a_lesser_form_serve_where_the_server_takes_the_field_later(
    tmp_path: Path, field: str, changes: dict[str, Any]
) -> None:
    path = tmp_path / "ledger.db"
    with Server(field, 0) as server:
        whole, _ = _resumed(path, server, changes)
    with Server() as generous:
        again, _ = _resumed(path, generous, changes)
        assert generous.asked == []
    assert again == whole


@pytest.mark.parametrize(("field", "changes"), [FIELDS[0], FIELDS[3]])
def test_no_more_is_asked_again_than_was_in_flight(
    tmp_path: Path, field: str, changes: dict[str, Any]
) -> None:
    path = tmp_path / "ledger.db"
    with Server(field, 2) as server:
        kept = _killed(path, server, changes, after=3, in_flight=3)
        lost = server.paid - kept
        _, spent = _resumed(path, server, changes)
        assert server.paid == spent.calls + lost
    assert lost <= 3
