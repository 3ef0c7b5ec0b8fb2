"""How fast one process judges through a server, and what that costs it.

Prints JSON, with a server process on loopback:

- ``waiting``: the server answers after 500 ms; calls per second at 64 in flight as a share of the
  ideal rate, 64 / 0.5 s = 128 a second.
- ``ceiling``: the server answers at once; calls per second and CPU milliseconds per call of this
  process.

Each as cycles judge (``ledger``: replies packed and committed to a ledger group by group, with
limits of all kinds per cycle and per day, which are looked at before each call), with replies in
memory and no budget, with each group written and synced to a plain file, and for the SDK alone. The
goal, 0.95 of the ideal rate, is for the first of them.

Run it with ``make bench-judging``; it takes about three minutes.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai

from rlaif.config.serving import BudgetConfig, ServerConfig
from rlaif.cycle.paying import LedgerReplies, budget_of
from rlaif.judges import PAIR_LABELS, JudgeRequest
from rlaif.judges.budget import Budget
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies, ReplyStore
from rlaif.ledger.writer import Ledger
from rlaif.records import StoredReply

ROOT = Path(__file__).resolve().parents[1]
IN_FLIGHT = 64
SECONDS = 0.5
GOAL = 0.95
NEVER_MET = BudgetConfig(
    cycle_calls=10**9,
    cycle_tokens=10**12,
    cycle_money=1e9,
    day_calls=10**9,
    day_tokens=10**12,
    day_money=1e9,
)
TEXT = "Compare the answers.\n" + "The first answer is polite. The second answer is short. " * 20


class SyncedReplies(MemoryReplies):
    """Replies in a plain file that is synced for each group.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w", encoding="utf-8")

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        """Write and sync."""
        stored = super().put(replies)
        self._file.writelines(reply.model_dump_json() + "\n" for reply in replies)
        self._file.flush()
        os.fsync(self._file.fileno())
        return stored

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def server(seconds: float) -> Iterator[str]:
    """Start a server process and yield its address."""
    command = [sys.executable, "-m", "tests.servers.timed", "--seconds", str(seconds)]
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        yield (process.stdout.readline() if process.stdout else "").strip()
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def measured(calls: int, work: Callable[[], object]) -> dict[str, float]:
    """Time some calls: calls per second, and CPU milliseconds of this process per call."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"calls_per_second": calls / seconds, "cpu_ms_per_call": 1e3 * cpu / calls}


def by_judge(
    address: str, calls: int, store: ReplyStore, budget: Budget | None = None
) -> dict[str, float]:
    """Measure the judge; the first round opens no connection that counts."""
    config = ServerConfig(endpoints=(address,), model="m", max_in_flight=IN_FLIGHT)
    judge = OpenAIJudge(config, store, budget=budget)
    judge.judge(_requests("warm", IN_FLIGHT))
    asked = _requests("measured", calls)
    found = measured(calls, lambda: judge.judge(asked))
    if judge.counts.failures or judge.counts.replies != calls + IN_FLIGHT:
        sys.exit(f"calls failed: {judge.counts}")
    return found


def as_cycles_judge(address: str, calls: int, folder: Path) -> dict[str, float]:
    """Measure the judge with a ledger and a budget, as cycles and trials have them."""
    with Ledger.open(folder / "ledger.db") as ledger:
        replies = LedgerReplies(ledger, None)
        budget = budget_of(ledger, NEVER_MET, None, replies)
        found = by_judge(address, calls, replies, budget)
        groups = ledger.connection.execute(
            "SELECT count(DISTINCT at) FROM replies WHERE rowid > ?", [IN_FLIGHT]
        )
        found["mean_group"] = calls / groups.fetchone()[0]
    return found


def to_a_file(address: str, calls: int, folder: Path) -> dict[str, float]:
    """Measure the judge with a plain file that is synced."""
    synced = SyncedReplies(folder / "replies.jsonl")
    found = by_judge(address, calls, synced)
    synced.close()
    return found


def each_way(seconds: float, calls: int) -> dict[str, dict[str, float]]:
    """Measure every way against a server that answers after some seconds."""
    with server(seconds) as address, tempfile.TemporaryDirectory() as folder:
        return {
            "ledger": as_cycles_judge(address, calls, Path(folder)),
            "in_memory": by_judge(address, calls, MemoryReplies()),
            "synced": to_a_file(address, calls, Path(folder)),
            "sdk_alone": by_sdk(address, calls),
        }


def by_sdk(address: str, calls: int) -> dict[str, float]:
    """Measure the SDK alone: as many tasks, each asking one call after the other."""
    return measured(calls, lambda: asyncio.run(_sdk(address, calls)))


async def _sdk(address: str, calls: int) -> None:
    left = iter(_requests("measured", calls))
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=IN_FLIGHT)
    http = httpx2.AsyncClient(limits=limits, timeout=60.0)

    async def work(client: openai.AsyncOpenAI) -> None:
        for request in left:
            await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": request.text}],
                logprobs=True,
                top_logprobs=20,
                max_tokens=512,
                temperature=0.0,
            )

    async with openai.AsyncOpenAI(
        api_key="none", base_url=address, max_retries=0, http_client=http
    ) as client:
        await asyncio.gather(*(work(client) for _ in range(IN_FLIGHT)))


def _requests(name: str, count: int) -> list[JudgeRequest]:
    return [
        JudgeRequest(text=f"{name} {i}: {TEXT}", labels=PAIR_LABELS, criterion="c", shown=())
        for i in range(count)
    ]


def waiting(calls: int) -> dict[str, Any]:
    """Measure against a server that takes its time."""
    ideal = IN_FLIGHT / SECONDS
    found = each_way(SECONDS, calls)
    for one in found.values():
        one["share_of_ideal"] = one["calls_per_second"] / ideal
    return {"ideal_calls_per_second": ideal, **found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="rounds of 64 calls")
    calls = parser.parse_args().rounds * IN_FLIGHT
    slow = waiting(calls)
    report = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "openai": openai.__version__,
        "calls": calls,
        "in_flight": IN_FLIGHT,
        "seconds": SECONDS,
        "goal_reached": slow["ledger"]["share_of_ideal"] >= GOAL,
        "waiting": slow,
        "ceiling": each_way(0.0, calls),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
