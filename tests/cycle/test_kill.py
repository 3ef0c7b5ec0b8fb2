"""SIGKILL at chosen moments of a real run: the next run ends as if nothing had happened."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from rlaif.artifacts import verify
from rlaif.ledger.reader import LedgerReader
from rlaif.models.identity import model_digest
from rlaif.project import Project
from tests.cycle.conftest import Maker

HERE = Path(__file__).parents[2]
# In the order in which a cycle comes to them: each run gets past the moment that ended the last.
MOMENTS = (
    ("unit", "sampling"),
    ("unit", "generation"),
    ("unit", "judging"),
    ("unit", "preferences"),
    ("unit", "reward_model"),
    ("landed", "reward-model"),
    ("landed", "update-00002"),
    ("landed", "challenger"),
    ("unit", "evaluation"),
    ("landed", "v0001"),
    ("unit", "promotion"),
    ("link", "v0001"),
)


def command(project: Project) -> list[str]:
    return [sys.executable, "-m", "rlaif.cli", "--project", str(project.root), "run"]


def killed_at(project: Project, moments: Iterable[tuple[str, str]]) -> list[int]:
    """Run once for each moment until it comes; return how the processes ended."""
    names = [f"{kind}:{name}" for kind, name in moments]
    script = [sys.executable, "-m", "tests.cycle.dying_run", str(project.root), *names]
    found = subprocess.run(script, cwd=HERE, capture_output=True, encoding="utf-8", check=True)
    return [int(line) for line in found.stdout.split()]


def state(project: Project) -> tuple[str, str]:
    with LedgerReader.open(project.ledger_path) as reads:
        live = reads.current_policy()
        assert live is not None
        return reads.digest(), model_digest(str(project.policies / "current"))


@pytest.mark.crash
def test_killed_in_every_stage_and_between_file_and_row_it_ends_the_same(
    make_project: Maker,
) -> None:
    undisturbed, killed = make_project("a"), make_project("b")
    subprocess.run(command(undisturbed), check=True, capture_output=True)
    assert killed_at(killed, MOMENTS) == [-signal.SIGKILL] * len(MOMENTS)
    # The promotion was committed with the last unit: what is left of the cycle is its link.
    finish = [*command(killed), "--until-cycle", "1"]
    subprocess.run(finish, check=True, capture_output=True)
    assert state(killed) == state(undisturbed)
    with LedgerReader.open(killed.ledger_path) as reads:
        assert all(s.attempts > 1 for s in reads.stages(1))
        for artifact in reads.artifacts():
            verify(killed.root / artifact.path, artifact.digest)


def test_nothing_is_left_beside_what_landed(make_project: Maker) -> None:
    project = make_project()
    with subprocess.Popen(
        command(project), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.rstrip().endswith(" ppo"))
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.stderr.read()
    subprocess.run(command(project), check=True, capture_output=True)
    artifacts = project.artifacts / "cycle-0001"
    assert sorted(p.name for p in artifacts.iterdir()) == ["challenger", "reward-model"]
