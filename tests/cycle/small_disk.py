"""Run a project's cycle on a disk that is too small, with a little more room each time.

    unshare --user --map-root-user --mount \\
        python -m tests.cycle.small_disk PROJECT DISK OUT KIB STEP

Mounts a tmpfs of KIB kibibytes on DISK (in a mount namespace of its own, so nothing outlives the
process), copies PROJECT there, runs its first cycle until it is done, STEP kibibytes more after
each failure, and copies the project to OUT. Prints one JSON line per run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from rlaif import cli as rlaif
from tests.cycle.forked import in_a_child

MOST_RUNS = 30


def mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)


def run(project: Path, said: Path) -> None:
    """Run the first cycle as the command line does, what it says on stderr kept in a file."""
    with said.open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 2)
        os.dup2(stream.fileno(), 1)
        words = ["--project", str(project), "run", "--until-cycle", "1"]
        os._exit(rlaif.main(words, standalone_mode=False) or 0)


def main() -> None:
    source, disk, out = (Path(word) for word in sys.argv[1:4])
    kib, step = (int(word) for word in sys.argv[4:])
    mount(disk, f"size={kib}k")
    project = disk / "project"
    shutil.copytree(source, project, symlinks=True)
    for number in range(MOST_RUNS):
        said = out.with_name(f"said-{number}")
        ended = in_a_child(lambda said=said: run(project, said))
        line = {"kib": kib, "rc": ended, "stderr": said.read_text(encoding="utf-8")}
        sys.stdout.write(json.dumps(line) + "\n")
        if ended == 0:
            break
        kib += step
        mount(disk, f"remount,size={kib}k")
    shutil.copytree(project, out, symlinks=True)


if __name__ == "__main__":
    main()
