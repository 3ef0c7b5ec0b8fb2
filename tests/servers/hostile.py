"""What a bad server does to a request."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from tests.servers.loopback import Asked, Behaviour, HangUpError, completion, send

KIBIBYTE = b" " * 1024


def refusing(status: int, error: Mapping[str, Any] | str = "", **headers: str) -> Behaviour:
    """Answer with a status and an error in OpenAI's schema, or bare text."""
    body = error if isinstance(error, str) else json.dumps({"error": error})

    async def behaviour(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        send(writer, status, body.encode("utf-8"), **headers)
        await writer.drain()

    return behaviour


def saying(raw: bytes) -> Behaviour:
    """Answer 200 with these bytes."""

    async def behaviour(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        send(writer, 200, raw)
        await writer.drain()

    return behaviour


def half(content: str = "Good.\nVerdict: A") -> Behaviour:
    """Answer 200 with the first half of a completion, whole by its length."""
    raw = json.dumps(completion(content)).encode("utf-8")
    return saying(raw[: len(raw) // 2])


async def hanging(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    """Say nothing, for ever."""
    await asyncio.Event().wait()


async def hanging_up(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""
    raise HangUpError


async def cutting(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Promise a completion, send half of it and close the connection."""
    raw = json.dumps(completion("Good.\nVerdict: A")).encode("utf-8")
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw[:20])
    await writer.drain()
    raise HangUpError


async def dripping(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Send a byte at a time, each soon enough not to look dead."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


class Flood:
    """Send far more than anyone asked for, with or without saying so beforehand.

    Args:
        size: Bytes.
        announced: Whether the header says how many.

    Attributes:
        sent: Bytes that went out before the other side hung up.
    """

    def __init__(self, size: int, *, announced: bool) -> None:
        self._size = size
        self._announced = announced
        self.sent = 0

    async def __call__(self, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        length = f"Content-Length: {self._size}" if self._announced else "Connection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode())
        while self.sent < self._size:
            writer.write(KIBIBYTE)
            await writer.drain()
            self.sent += len(KIBIBYTE)
        raise HangUpError


async def echoing_key(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer in words that hold the header with the key."""
    words = f"You sent {asked.headers['authorization']}.\nVerdict: A"
    send(writer, 200, json.dumps(completion(words)).encode("utf-8"))
    await writer.drain()


def echoing_key_in_error(status: int) -> Behaviour:
    """Refuse in words that hold the header with the key, some of its letters as JSON's escapes."""

    async def behaviour(asked: Asked, writer: asyncio.StreamWriter) -> None:
        key = asked.headers["authorization"]
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
        body = f'{{"error": {{"message": "bad key {key}, or {escaped}"}}}}'
        send(writer, status, body.encode("utf-8"))
        await writer.drain()

    return behaviour
