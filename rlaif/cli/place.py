"""Where a command works: the project that ``--project`` names."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlaif.errors import ConfigError

if TYPE_CHECKING:
    from rlaif.ledger.reader import LedgerReader
    from rlaif.project import Project


@dataclass(frozen=True)
class Place:
    """The folder that a command was pointed at.

    Attributes:
        named: What ``--project`` said, None where it was left out.
    """

    named: Path | None = None

    @property
    def root(self) -> Path:
        """The project's folder."""
        return (self.named or Path()).expanduser()

    def project(self) -> "Project":
        """Read the project's settings.

        Raises:
            ConfigError: The folder is no project, or its settings are wrong.
        """
        from rlaif.config import CONFIG_NAME
        from rlaif.project import load_project

        if not (self.root / CONFIG_NAME).is_file():
            raise ConfigError(
                f"{self.root.resolve()} has no {CONFIG_NAME}",
                "a project's folder",
                "make one with 'rlaif init DIR', or name one: 'rlaif --project DIR ...'",
            )
        return load_project(self.root)

    def reader(self) -> "LedgerReader":
        """Open the project's ledger for reading.

        Raises:
            ConfigError: The folder is no project, or its settings are wrong.
            LedgerError: No cycle was ever run.
        """
        from rlaif.ledger.reader import LedgerReader

        return LedgerReader.open(self.project().ledger_path)
