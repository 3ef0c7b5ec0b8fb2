"""A PPO job's checkpoints: folders ``update-NNNNN`` in its work folder."""

import re
import shutil
from pathlib import Path
from typing import Any

from rlaif.artifacts import verify
from rlaif.errors import ArtifactError
from rlaif.models.training_state import load_state

PREFIX = "update-"
NAME = re.compile(rf"{PREFIX}\d{{5,}}")
KEPT = 2


class Checkpoints:
    """The checkpoints of one job, whoever else has left some in its folder.

    Two are kept: the newest may be damaged, or lie beyond the KL ceiling.

    Args:
        work: The folder.
        job: The job's fingerprint, which each state holds as ``job``.
    """

    def __init__(self, work: Path, job: str) -> None:
        self._work = work
        self._job = job

    def place(self, done: int) -> Path:
        """Return where the checkpoint after so many updates belongs."""
        return self._work / f"{PREFIX}{done:05d}"

    def newest(self) -> tuple[Path | None, dict[str, Any]]:
        """Return the newest whole checkpoint of the job and its state, or nothing.

        One that does not match its manifest is passed over: it is older work that is redone.
        """
        for folder in reversed(self._folders()):
            try:
                verify(folder)
            except ArtifactError:
                continue
            if state := self._own_state(folder):
                return folder, state
        return None, {}

    def prune(self, done: int) -> None:
        """Remove all but the newest of the job, once that after `done` updates has landed."""
        own = [f for f in self._folders() if f <= self.place(done) and self._own_state(f)]
        for folder in set(self._folders()) - set(own[-KEPT:]):
            shutil.rmtree(folder)

    def drop_from(self, done: int) -> None:
        """Remove those after so many updates, or more."""
        for folder in self._folders():
            if folder >= self.place(done):
                shutil.rmtree(folder)

    def _folders(self) -> list[Path]:
        named = (p for p in self._work.glob(f"{PREFIX}*") if NAME.fullmatch(p.name))
        return sorted(folder for folder in named if folder.is_dir())

    def _own_state(self, folder: Path) -> dict[str, Any]:
        """Return the state of a checkpoint of the job; nothing where it is not the job's."""
        try:
            state = load_state(folder)
        except (OSError, ValueError):  # what a kill has left half written or half removed
            return {}
        return state if isinstance(state, dict) and state.get("job") == self._job else {}
