"""PPO as a command: ``python -m rlaif.stages.ppo JOB``, or by a launcher in several processes.

JOB is a PPO job as JSON; a cycle leaves its own beside its checkpoints while it trains.
"""

import sys
from pathlib import Path

from pydantic import ValidationError

from rlaif.errors import ConfigError, RlaifError
from rlaif.expectation import told
from rlaif.models.loading import pick_device
from rlaif.models.processes import Processes
from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.running import train_ppo


def main(path: str) -> int:
    """Train, and let the main process print the report as JSON; return the exit status.

    Args:
        path: The job.
    """
    try:
        job = _read(path)
    except ConfigError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    processes = Processes.launched(pick_device(job.device))
    if processes.main:
        sys.stderr.write(f"PPO in {processes.size} process(es)\n")
    try:
        report = train_ppo(job, processes=processes)
    except RlaifError as exc:
        sys.stderr.write(f"process {processes.rank}: {exc}\n")
        return exc.exit_code
    finally:
        processes.leave()
    if processes.main:
        sys.stdout.write(report.model_dump_json(indent=1) + "\n")
    return 0


def _read(path: str) -> PpoJob:
    try:
        return PpoJob.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        why = told(exc) if isinstance(exc, ValidationError) else exc
        raise ConfigError(
            f"{path} holds no PPO job: {why}",
            "a job as a cycle leaves it beside its checkpoints, job.json",
            "correct it, or take another",
        ) from exc


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m rlaif.stages.ppo JOB.json")
    sys.exit(main(sys.argv[1]))
