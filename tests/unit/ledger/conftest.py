"""A ledger with a begun cycle."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_samples import begun

from rlaif.ledger.writer import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with begun(path, "generation", "judging", "promotion") as opened:
        yield opened
