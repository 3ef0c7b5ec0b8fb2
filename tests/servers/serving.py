"""Real servers with the bundled judge, each in a process of its own on loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.bundled import FOLDER
from tests.servers.loopback import HOST

PATIENCE = 180.0
HERE = Path(__file__).resolve().parent
LLAMA = HERE.parents[1] / ".venv-llama"
LLAMA_IS_THERE = (LLAMA / ".installed").exists()
LLAMA_CPP_PYTHON = HERE.parents[1] / ".venv-llama-cpp-python"
LLAMA_CPP_PYTHON_IS_THERE = (LLAMA_CPP_PYTHON / ".installed").exists()


@contextmanager
def transformers_serve(log: Path) -> Iterator[str]:
    """Start ``transformers serve``, wait until it is ready, and yield its address.

    Args:
        log: A file for what it prints; shown where it does not come up.
    """
    port = _free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(FOLDER)]
    command += ["--host", HOST, "--port", str(port), "--device", "cpu"]
    with _running(command, {"HF_HUB_OFFLINE": "1"}, f"http://{HOST}:{port}/health", log):
        yield f"http://{HOST}:{port}/v1"


@contextmanager
def llama_server(log: Path) -> Iterator[str]:
    """Do the same with llama.cpp's own server, which ``make llama-server`` installs.

    Args:
        log: As above; the model as GGUF is put beside it.
    """
    with _serving_gguf(LLAMA, "llama_serve.py", "health", log) as address:
        yield address


@contextmanager
def llama_cpp_python_server(log: Path) -> Iterator[str]:
    """Do the same with llama-cpp-python's, which ``make llama-cpp-python`` compiles.

    Args:
        log: As above.
    """
    with _serving_gguf(LLAMA_CPP_PYTHON, "llama_cpp_python_serve.py", "v1/models", log) as address:
        yield address


@contextmanager
def _serving_gguf(environment: Path, script: str, answers: str, log: Path) -> Iterator[str]:
    port = _free_port()
    command = [str(environment / "bin" / "python"), str(HERE / script), str(FOLDER)]
    command += [str(log.with_name("judge.gguf")), str(port)]
    with _running(command, {}, f"http://{HOST}:{port}/{answers}", log):
        yield f"http://{HOST}:{port}/v1"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


@contextmanager
def _running(
    command: Sequence[str], more: Mapping[str, str], address: str, log: Path
) -> Iterator[None]:
    """Run a server while the block runs; it has begun once the address answers."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}  # noqa: TID251
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        _wait_until_ready(address, process, log)
        yield
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
