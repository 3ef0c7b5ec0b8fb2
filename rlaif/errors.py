"""The tree of errors: every message says what was seen, what was expected and what to do.

RlaifError                     exit 1
  UsageError                   exit 2    the command line asks for something that is not there
  ProjectLockedError           exit 75   another process is running a cycle of this project
  ConfigError                  exit 78   rlaif.toml, or a file that it names, is wrong
    RubricError                          a rubric file
    PromptFileError                      a pool of prompts
    ModelError                           a policy, judge or embedder that cannot serve
  LedgerError                            the database cannot be read or written
    DiskFullError                        there is no room left for a unit
  ArtifactError                          a file that a ledger row vouches for is missing or changed
  StageError                             a stage cannot go on
    TrainingError                        a loss that is not finite, a spike, too little memory
"""

from pathlib import Path
from typing import ClassVar

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


class RlaifError(Exception):
    """Base of every error that rlaif raises on purpose.

    Args:
        seen: What was found, with file, line or field where there is one.
        expected: What would have been right.
        action: What the reader should do next.
    """

    exit_code: ClassVar[int] = EXIT_FAILURE

    def __init__(self, seen: str, expected: str = "", action: str = "") -> None:
        self.seen = seen
        self.expected = expected
        self.action = action
        parts = [seen]
        if expected:
            parts.append(f"expected: {expected}")
        if action:
            parts.append(f"to do: {action}")
        super().__init__("\n  ".join(parts))


class UsageError(RlaifError):
    """The command line names something that does not exist or contradicts itself."""

    exit_code = 2


class ProjectLockedError(RlaifError):
    """Another process holds the project's lock."""

    exit_code = 75


class ConfigError(RlaifError):
    """A configuration file, or a file that it names, cannot be used.

    Args:
        seen: What was found.
        expected: What would have been right.
        action: What to do.
        path: The file at fault.
        line: The line in it, counted from 1.
    """

    exit_code = 78

    def __init__(
        self,
        seen: str,
        expected: str = "",
        action: str = "",
        *,
        path: Path | None = None,
        line: int | None = None,
    ) -> None:
        self.path = path
        self.line = line
        place = "" if path is None else f"{path}:{line}: " if line else f"{path}: "
        super().__init__(place + seen, expected, action)


class RubricError(ConfigError):
    """A rubric file is not a rubric."""


class PromptFileError(ConfigError):
    """A pool of prompts has a broken line, or no usable line at all."""


class ModelError(ConfigError):
    """A model cannot be loaded, or cannot serve in its role."""


class LedgerError(RlaifError):
    """The ledger cannot be read or written."""


class DiskFullError(LedgerError):
    """The disk has no room for the next unit; nothing already committed is lost."""


class ArtifactError(RlaifError):
    """A file that a ledger row vouches for is missing or differs from its digest."""


class StageError(RlaifError):
    """A stage cannot go on with what it was given."""


class TrainingError(StageError):
    """Training met a value that is not finite or far out of bounds, or memory ran out."""
