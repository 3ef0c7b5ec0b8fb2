"""Reading a ledger: a read-only connection, standard library only."""

from pathlib import Path
from typing import Self
from urllib.parse import quote

from rlaif.errors import LedgerError
from rlaif.ledger.connected import connect
from rlaif.ledger.faults import translated
from rlaif.ledger.identity import require_current
from rlaif.ledger.reads import LedgerReads


class LedgerReader(LedgerReads):
    """A read-only view of a ledger, also while another process writes it; see :meth:`open`."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger for reading.

        Raises:
            LedgerError: There is none, it is another program's, or its schema is not this one.
        """
        if not path.is_file():
            raise LedgerError(
                f"{path} does not exist",
                "the ledger of a project that has run",
                "run a cycle first (rlaif run), or name the project with --project DIR",
            )
        with translated(path):
            uri = f"file:{quote(str(path.resolve()))}?mode=ro"
            connection = connect(uri, lambda found: require_current(found, path), uri=True)
        return cls(connection, path)
