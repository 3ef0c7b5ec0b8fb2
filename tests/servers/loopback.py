"""A small HTTP/1.1 server on loopback, in a thread, that does to each request what it is told."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """A request as it came.

    Attributes:
        number: How many came before it.
        path: Its path.
        headers: Its headers, keys in lower case.
        body: Its body, JSON.
        at: When it came, in seconds of the monotonic clock.
    """

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float

    @property
    def text(self) -> str:
        """The last message."""
        return str(self.body["messages"][-1]["content"])


Behaviour = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


class HangUpError(Exception):
    """The connection is to be closed."""


@dataclass
class Loopback:
    """A server; a context manager.

    Attributes:
        behaviour: What is done to each request.
        asked: The requests that came, in order.
        most_at_once: The most that were under way at one time.
    """

    behaviour: Behaviour
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    _at_once: int = 0

    @property
    def address(self) -> str:
        """The address up to and with ``/v1``."""
        return f"http://{HOST}:{self.port}/v1"

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._talks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(HangUpError, ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self._answer(await self._read(reader), writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = head[0].split(" ")[1]
        found = Asked(len(self.asked), path, headers, json.loads(body or "{}"), time.monotonic())
        self.asked.append(found)
        return found

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self.behaviour(asked, writer)
        finally:
            self._at_once -= 1


def send(writer: asyncio.StreamWriter, status: int, body: bytes, **headers: str) -> None:
    """Write a whole response."""
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json"]
    lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def replying(answer: Callable[[Asked], Any], seconds: float = 0.0) -> Behaviour:
    """Answer with the JSON that a function makes of the request, after so long."""

    async def behaviour(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        send(writer, 200, json.dumps(answer(asked), ensure_ascii=False).encode("utf-8"))
        await writer.drain()

    return behaviour


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Do the first to the first request, and so on; the last to all that follow."""

    async def behaviour(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await behaviours[min(asked.number, len(behaviours) - 1)](asked, writer)

    return behaviour


def completion(
    *contents: str | None,
    model: str = "m",
    finish: str = "stop",
    pieces: Sequence[Mapping[str, Any]] | None = None,
    usage: tuple[int, int] | None = (10, 5),
) -> dict[str, Any]:
    """Return a chat completion in OpenAI's schema."""
    logprobs = None if pieces is None else {"content": list(pieces)}
    counts = usage and {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": model,
        "choices": [
            {
                "index": index,
                "finish_reason": finish,
                "logprobs": logprobs,
                "message": {"role": "assistant", "content": content},
            }
            for index, content in enumerate(contents)
        ],
        "usage": counts,
    }
