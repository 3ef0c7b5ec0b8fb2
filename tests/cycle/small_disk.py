"""Run a project's cycle on a disk that is too small, with a little more room each time.

    unshare --user --map-root-user --mount \\
        python -m tests.cycle.small_disk PROJECT DISK OUT KIB STEP

Mounts a tmpfs of KIB kibibytes on DISK (in a mount namespace of its own, so nothing outlives the
process), copies PROJECT there, runs its first cycle until it is done, STEP kibibytes more after
each failure, and copies the project to OUT. Prints one JSON line per run.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

MOST_RUNS = 30


def mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)


def main() -> None:
    source, disk, out = (Path(word) for word in sys.argv[1:4])
    kib, step = (int(word) for word in sys.argv[4:])
    mount(disk, f"size={kib}k")
    project = disk / "project"
    shutil.copytree(source, project, symlinks=True)
    command = [sys.executable, "-m", "rlaif.cli", "--project", str(project), "run"]
    for _ in range(MOST_RUNS):
        found = subprocess.run(
            [*command, "--until-cycle", "1"], capture_output=True, encoding="utf-8", check=False
        )
        line = {"kib": kib, "rc": found.returncode, "stderr": found.stderr}
        sys.stdout.write(json.dumps(line) + "\n")
        if found.returncode == 0:
            break
        kib += step
        mount(disk, f"remount,size={kib}k")
    shutil.copytree(project, out, symlinks=True)


if __name__ == "__main__":
    main()
