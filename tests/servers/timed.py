"""A server process that answers every request alike after a set time: ``python -m`` starts it.

Prints its address, then serves until it is stopped.
"""

import argparse
import asyncio
import json
import sys

from tests.servers.loopback import HOST, completion

BODY = json.dumps(completion("The first is polite and right, the second is not.\nVerdict: A"))
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
RESPONSE = (HEAD + BODY).encode("utf-8")


class Answering(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, ended, body = self._read.partition(b"\r\n\r\n")
        if not ended:
            return
        found = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        if len(body) >= int(found):
            self._read = b""
            asyncio.get_running_loop().call_later(self._seconds, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(RESPONSE)  # type: ignore[attr-defined]


async def serve(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(seconds), HOST, 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://{HOST}:{port}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.5)
    asyncio.run(serve(parser.parse_args().seconds))
