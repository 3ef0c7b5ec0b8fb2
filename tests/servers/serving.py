"""``transformers serve`` with the bundled judge, in a process of its own on loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.bundled import FOLDER
from tests.servers.loopback import HOST

PATIENCE = 180.0


@contextmanager
def transformers_serve(log: Path) -> Iterator[str]:
    """Start it, wait until it is ready, and yield its address.

    Args:
        log: A file for what it prints; shown where it does not come up.
    """
    with socket.socket() as one:
        one.bind((HOST, 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(FOLDER)]
    command += ["--host", HOST, "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}  # noqa: TID251
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        _wait_until_ready(f"http://{HOST}:{port}/health", process, log)
        yield f"http://{HOST}:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end and process.poll() is None:
        try:
            with direct.open(address, timeout=5.0):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"not ready: {log.read_text(encoding='utf-8', errors='replace')}")
