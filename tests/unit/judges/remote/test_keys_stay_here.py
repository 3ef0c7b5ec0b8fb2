"""A key never leaves but to the server, even where the server sends it back."""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from remote_samples import judge_at, request, requests

from rlaif.config.secrets import REDACTED, Secret
from rlaif.errors import ModelError
from rlaif.judges.remote.sending import Sender
from rlaif.judges.replies import MemoryReplies
from tests.servers.hostile import echoing_key, echoing_key_in_error
from tests.servers.loopback import Behaviour, Loopback

pytestmark = pytest.mark.enable_socket

KEY = "sk-0123/456+789=abcdef"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def everything(of: object) -> str:
    """Return all that an object says of itself, its parts included."""
    return f"{of!r} {of} {getattr(of, '__dict__', '')}"


def test_a_reply_that_holds_the_key_is_kept_and_shown_without_it(
    logged: pytest.LogCaptureFixture,
) -> None:
    store = MemoryReplies()
    with Loopback(echoing_key) as server:
        judge = judge_at(server, store=store, key=Secret(KEY))
        replies = judge.judge(requests(3))
        assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in server.asked)
    assert f"You sent Bearer {REDACTED}." in replies[0].critique
    for left in (everything(replies), everything(store.all()), everything(judge), logged.text):
        assert KEY not in left
    assert judge.counts.replies == 3


@pytest.mark.parametrize("status", [400, 403, 422, 429, 500, 503])
def test_an_error_that_holds_the_key_is_told_without_it(
    status: int, logged: pytest.LogCaptureFixture
) -> None:
    store = MemoryReplies()
    with Loopback(echoing_key_in_error(status)) as server:
        judge = judge_at(server, store=store, key=Secret(KEY), attempts=2, total_seconds=0.5)
        (reply,) = judge.judge([request()])
    assert f"bad key Bearer {REDACTED}" in str(reply.failure)
    assert len(store) == 0
    for left in (everything(reply), everything(judge._endpoints), logged.text):
        assert KEY not in left


@pytest.mark.parametrize("status", [401, 404])
def test_an_error_that_ends_the_run_is_told_without_it(
    status: int, logged: pytest.LogCaptureFixture
) -> None:
    with Loopback(echoing_key_in_error(status)) as server:
        judge = judge_at(server, key=Secret(KEY))
        with pytest.raises(ModelError) as raised:
            judge.judge([request()])
    assert f"bad key Bearer {REDACTED}" in str(raised.value)
    told = "".join(traceback.format_exception(raised.value))
    for left in (told, everything(raised.value), logged.text):
        assert KEY not in left
    assert raised.value.__cause__ is None


def breaking(line: bytes) -> Behaviour:
    """Answer in what is not HTTP, with the key in it."""

    async def behaviour(asked: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(line + asked.headers["authorization"].encode() + b"\r\n\r\n")
        await writer.drain()

    return behaviour


@pytest.mark.parametrize("line", [b"", b"HTTP/1.1 200 OK\r\nBad header "])
def test_a_protocol_error_that_holds_the_key_is_told_without_it(
    line: bytes, logged: pytest.LogCaptureFixture
) -> None:
    with Loopback(breaking(line)) as server:
        (reply,) = judge_at(server, key=Secret(KEY), attempts=1).judge([request()])
    assert "no reply from" in str(reply.failure)
    for left in (everything(reply), logged.text):
        assert KEY not in left


def test_no_part_of_a_sender_shows_the_key() -> None:
    with Loopback(echoing_key) as server:
        judge = judge_at(server, key=Secret(KEY))
        assert KEY not in everything(Sender(judge._config, Secret(KEY)))
        assert KEY not in judge._config.model_dump_json()
