"""The tree of errors: every message says what was seen, what was expected and what to do.

RlaifError                     exit 1
  BudgetSpentError             exit 75   a limit of the budget is spent: the cycle is parked
    TrialStoppedError                    the same for a rubric's trial or an audit on demand
  UsageError                   exit 2    the command line asks for something that is not there
  ProjectLockedError           exit 75   another process is running a cycle of this project
  ConfigError                  exit 78   rlaif.toml, or a file that it names, is wrong
    RubricError                          a rubric file
    PromptFileError                      a pool of prompts
    FeedbackFileError                    a file of human feedback
    ModelError                           a policy, judge or embedder that cannot serve
  LedgerError                            the database cannot be read or written
    DiskFullError                        there is no room left for a unit
  ArtifactError                          a file that a ledger row vouches for is missing or changed
  StageError                             a stage cannot go on
    JudgeUnreachableError                most calls to a judge's servers came to nothing
    TrainingError                        a loss that is not finite, a spike, too little memory
"""

from datetime import datetime
from pathlib import Path
from typing import ClassVar

EXIT_FAILURE = 1
EXIT_TRY_LATER = 75
EXIT_INTERRUPTED = 130


class RlaifError(Exception):
    """Base of every error that rlaif raises on purpose.

    Args:
        seen: What was found, with file, line or field where there is one.
        expected: What would have been right.
        action: What the reader should do next.

    Attributes:
        exit_code: What the process ends with.
        headline: What the command line says before the message.
    """

    exit_code: ClassVar[int] = EXIT_FAILURE
    headline: ClassVar[str] = "Error"

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


class BudgetSpentError(RlaifError):
    """A limit of the budget has no room for another call; what was paid for is kept.

    A cycle that meets it is parked, which is no failure: the same command goes on with it later.

    Args:
        limit: The setting, for instance ``budget.day_money``.
        spent: What is spent of it.
        most: The limit.
        frees: When there is room again; None: not before the limit is raised.

    Attributes:
        reason: Which limit, and when there is room again: the same until either changes.
    """

    exit_code = EXIT_TRY_LATER
    headline = "Parked"

    def __init__(self, limit: str, spent: float, most: float, frees: datetime | None) -> None:
        self.limit = limit
        self.spent = spent
        self.most = most
        self.frees = frees
        at = None if frees is None else f"{frees:%Y-%m-%d %H:%M} UTC"
        room = "room for a call" if at is None else f"room for a call, which comes at {at}"
        again = f"there is room again at {at}" if at else f"raise {limit} to go on"
        self.reason = f"{limit} is spent, which is {most:,.10g}; {again}"
        super().__init__(
            f"{limit} is spent: {spent:,.10g} of {most:,.10g}, too little left for another call",
            room,
            self._what_to_do(),
        )

    def _what_to_do(self) -> str:
        if self.frees is None:
            return f"raise {self.limit} and run again: it goes on where it stopped"
        return f"run again then, or raise {self.limit}: it goes on where it stopped"


class TrialStoppedError(BudgetSpentError):
    """The budget has no room for another call of a trial or an audit; no cycle is parked.

    Each time that one is asked for it may spend what a cycle may, and pays for nothing twice.
    """

    headline = "Stopped"

    def _what_to_do(self) -> str:
        if self.frees is not None:
            return f"ask for it again then, or raise {self.limit}: it goes on where it stopped"
        if not self.spent:
            return f"raise {self.limit}: not one call fits into it"
        return (
            f"ask for it again: it goes on where it stopped, and {self.limit} counts from 0 anew; "
            "or raise that first"
        )


class UsageError(RlaifError):
    """The command line names something that does not exist or contradicts itself."""

    exit_code = 2


class ProjectLockedError(RlaifError):
    """Another process holds the project's lock."""

    exit_code = EXIT_TRY_LATER


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


class FeedbackFileError(ConfigError):
    """A file of human feedback has a line that cannot be taken; nothing of it was."""


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


class JudgeUnreachableError(StageError):
    """Most calls to a judge's servers came to nothing: the answers are not what is at fault."""
