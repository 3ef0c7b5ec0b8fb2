"""Every fault that is planted turns a test red. Drop a patch into ``faults/`` to try another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(2500)
HERE = Path(__file__).resolve().parent
FAULTS = sorted((HERE / "faults").glob("*.patch"))


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, object]]:
    """What became of each fault, and of a copy without any, named "none"."""
    command = [sys.executable, str(HERE / "runner.py"), "none", *map(str, FAULTS)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=2400,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["patch"]: line for line in lines}


def test_without_a_fault_all_is_green(verdicts: dict[str, dict[str, object]]) -> None:
    found = verdicts["none"]
    assert found["code"] != 4, "killers.json names a test that is gone: python -m tests.mutation"
    assert found["code"] == 0, found


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 20


@pytest.mark.parametrize("fault", FAULTS, ids=lambda path: path.stem)
def test_a_fault_turns_a_test_red(fault: Path, verdicts: dict[str, dict[str, object]]) -> None:
    found = verdicts[fault.name]
    assert not found["refused"], f"{fault.name} does not apply to today's code"
    assert found["code"] == 1, f"no test noticed: {fault.read_text(encoding='utf-8')}"
