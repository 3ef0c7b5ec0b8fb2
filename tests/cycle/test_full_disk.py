"""A disk that fills up anywhere in a cycle: one message each time, and nothing is lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rlaif.cycle import run_cycles
from rlaif.ledger.reader import LedgerReader
from rlaif.models.identity import model_digest
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from tests.cycle.conftest import Maker

HERE = Path(__file__).parents[2]
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")


def kibibytes(folder: Path) -> int:
    files = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    return sum(p.stat().st_size for p in files) // 1024


def state(project: Project) -> tuple[str, str]:
    with LedgerReader.open(project.ledger_path) as reads:
        return reads.digest(), model_digest(str(project.policies / "current"))


@pytest.mark.crash
def test_a_full_disk_costs_one_message_and_no_row(make_project: Maker, tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here, and with it no small disk to fill")
    if subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk of their own")
    undisturbed, cramped = make_project("a"), make_project("b")
    room = kibibytes(cramped.root)
    run_cycles(undisturbed, until=1, watcher=Silent())
    step = (kibibytes(undisturbed.root) - room) // 6
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    words = [cramped.root, disk, out, room + step, step]
    script = [sys.executable, "-m", "tests.cycle.small_disk", *map(str, words)]
    found = subprocess.run(
        [*OWN_MOUNTS, *script], cwd=HERE, capture_output=True, encoding="utf-8", check=False
    )
    runs = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(runs) > 3, found.stderr
    for run in runs[:-1]:
        assert run["rc"] == 1, run
        assert "make room" in run["stderr"], run
        assert "Traceback" not in run["stderr"], run
    assert runs[-1]["rc"] == 0, runs[-1]
    assert state(load_project(out)) == state(undisturbed)
