"""SIGKILL at chosen moments of a real run: the next run ends as if nothing had happened."""

import signal
import subprocess
import sys
import time

import pytest

from rlaif.ledger.reader import LedgerReader
from rlaif.models.loading import model_digest
from rlaif.project import Project
from tests.cycle.conftest import Maker

MOMENTS = (
    (" generation", 0.0),
    (" judging", 0.02),
    (" reward_model", 0.0),
    (" ppo", 0.0),
    (" ppo", 0.3),
    (" evaluation", 0.02),
)


def command(project: Project) -> list[str]:
    return [sys.executable, "-m", "rlaif.cli", "--project", str(project.root), "run"]


def kill_when(project: Project, words: str, seconds: float) -> int:
    """Start a run, kill it ``seconds`` after it says ``words``; return how it ended."""
    with subprocess.Popen(
        command(project), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(words):
                time.sleep(seconds)
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
    return process.returncode


def state(project: Project) -> tuple[str, str]:
    with LedgerReader.open(project.ledger_path) as reads:
        live = reads.current_policy()
        assert live is not None
        return reads.digest(), model_digest(str(project.policies / "current"))


@pytest.mark.crash
def test_killed_in_every_kind_of_stage_it_ends_the_same(make_project: Maker) -> None:
    undisturbed, killed = make_project("a"), make_project("b")
    subprocess.run(command(undisturbed), check=True, capture_output=True)
    for words, seconds in MOMENTS:
        assert kill_when(killed, words, seconds) == -signal.SIGKILL, words
    subprocess.run(command(killed), check=True, capture_output=True)
    assert state(killed) == state(undisturbed)
    with LedgerReader.open(killed.ledger_path) as reads:
        attempts = {s.stage: s.attempts for s in reads.stages(1)}
    assert sum(attempts.values()) > len(attempts)


def test_nothing_is_left_beside_what_landed(make_project: Maker) -> None:
    project = make_project()
    kill_when(project, " ppo", 0.2)
    subprocess.run(command(project), check=True, capture_output=True)
    artifacts = project.artifacts / "cycle-0001"
    assert sorted(p.name for p in artifacts.iterdir()) == ["challenger", "reward-model"]
