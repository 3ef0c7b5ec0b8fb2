"""One request to one server, through the official SDK."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self

import httpx2
import openai
from openai import AsyncOpenAI

from rlaif.config.secrets import Secret
from rlaif.config.serving import ServerConfig
from rlaif.judges.remote.failures import SHOWN, AttemptError, disguised, refusal
from rlaif.judges.remote.redaction import redacted_logs
from rlaif.text import shortened

_NO_KEY = "none"
_PATH = "/chat/completions"
_LANE = 4
_NOT_OURS = ("Authorization", "OpenAI-Organization", "OpenAI-Project")


class ReplyTooLargeError(Exception):
    """A reply is larger than the limit; the rest of it is not read."""


@dataclass
class _Lane:
    """A client with few connections: its pool looks at each of them for each request."""

    client: AsyncOpenAI
    in_flight: int = 0


class Sender:
    """Open connections to a judge's servers; an asynchronous context manager.

    The SDK tries nothing again by itself and follows no redirect. Key, address, organisation and
    project never come from the SDK's own variables of the environment, whose owner may not mean
    this server; proxies and certificates do, as usual.

    Args:
        config: The judge's settings.
        key: The key, or None.
    """

    def __init__(self, config: ServerConfig, key: Secret | None) -> None:
        self._config = config
        self._key = key
        self._stack = AsyncExitStack()
        self._lanes: dict[str, list[_Lane]] = {}

    async def __aenter__(self) -> Self:
        self._stack.enter_context(redacted_logs(self._key))
        count = math.ceil(self._config.max_in_flight / _LANE)
        for address in self._config.endpoints:
            clients = [_client(address, self._config, self._key) for _ in range(count)]
            for client in clients:
                await self._stack.enter_async_context(client)
            self._lanes[address] = [_Lane(client) for client in clients]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        await asyncio.sleep(0)  # what was closed gets its turn to say so to the loop

    async def post(self, address: str, body: Mapping[str, Any]) -> str:
        """Send a request and return the reply's body as text, without keys.

        Raises:
            AttemptError: No reply came.
            RefusedFieldError: The server does not take a field.
            ModelError: Every call to this server would fail alike.
        """
        lane = min(self._lanes[address], key=lambda lane: lane.in_flight)
        lane.in_flight += 1
        try:
            reply = await lane.client.post(_PATH, body=body, cast_to=httpx2.Response)
        except openai.APIStatusError as exc:
            error: Exception = refusal(
                exc.status_code,
                self._redact(exc.response.text),
                exc.response.headers,
                address,
                body,
            )
        except openai.APITimeoutError as exc:
            sent = not isinstance(exc.__cause__, httpx2.ConnectTimeout)
            reason = f"{address} timed out: {self._cause(exc)}"
            error = AttemptError("trouble", reason, sent=sent, slow=True)
        except openai.APIConnectionError as exc:
            sent = not isinstance(exc.__cause__, httpx2.ConnectError)
            reason = f"no reply from {address}: {self._cause(exc)}"
            error = AttemptError("trouble", reason, sent=sent)
        except ReplyTooLargeError as exc:
            error = AttemptError("elsewhere", f"{address}: {exc}", sent=True)
        else:
            text = self._text(address, reply)
            found = disguised(text, reply.headers, address, body)
            if found is None:
                return text
            error = found
        finally:
            lane.in_flight -= 1
        raise error  # outside the handlers, so that no cause with the server's words goes along

    def _text(self, address: str, response: httpx2.Response) -> str:
        try:
            return self._redact(response.content.decode("utf-8"))
        except UnicodeDecodeError as exc:
            reason = f"{address}: the reply is not UTF-8 ({exc.reason} at byte {exc.start})"
        raw = self._redact(response.content.decode("utf-8", errors="backslashreplace"))
        raise AttemptError("trouble", reason, sent=True, raw=raw)

    def _cause(self, exc: BaseException) -> str:
        """Say what broke a connection; the words may hold what the server sent."""
        cause = exc.__cause__ or exc
        return shortened(self._redact(f"{type(cause).__name__} {cause}".strip()), SHOWN)

    def _redact(self, text: str) -> str:
        return text if self._key is None else self._key.redact(text)


def _client(address: str, config: ServerConfig, key: Secret | None) -> AsyncOpenAI:
    """Make a client of one server; the SDK itself holds no key, and sends none that it finds."""
    most = config.max_reply_bytes

    async def sign(request: httpx2.Request) -> None:
        for name in _NOT_OURS:
            request.headers.pop(name, None)
        if key is not None:
            request.headers["Authorization"] = f"Bearer {key.reveal()}"

    async def bound(response: httpx2.Response) -> None:
        _refuse_large(response, most)
        response.encoding = "utf-8"  # as JSON is; a header can name codecs that are not of text

    http = httpx2.AsyncClient(
        timeout=httpx2.Timeout(config.read_seconds, connect=config.connect_seconds, pool=None),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=2 * _LANE),
        event_hooks={"request": [sign], "response": [bound]},
        verify=_certificates(),
        follow_redirects=False,
    )
    return AsyncOpenAI(
        api_key=_NO_KEY,
        base_url=address,
        max_retries=0,
        timeout=http.timeout,
        default_headers={"Accept-Encoding": "identity"},
        http_client=http,
    )


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _refuse_large(response: httpx2.Response, most: int) -> None:
    """Bound what is read of a reply; a packed one is refused, as it may unpack to any size."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ReplyTooLargeError("the reply is packed, though unpacked was asked for")
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise ReplyTooLargeError(f"a reply of {int(announced):,} bytes, over {most:,}")
    response.stream = _Bounded(response.stream, most)


class _Bounded(httpx2.AsyncByteStream):
    """A stream that ends with an error once it is longer than allowed."""

    def __init__(self, stream: Any, most: int) -> None:  # noqa: ANN401 - httpx2's union of streams
        self._stream = stream
        self._left = most
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._left -= len(part)
            if self._left < 0:
                raise ReplyTooLargeError(f"a reply of more than {self._most:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
