"""A ledger with a begun cycle."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_samples import begun

from rlaif.ledger.writer import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose first cycle has begun its stages; copied, because syncing takes time."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    begun(path, "generation", "judging", "promotion").close()
    return path


@pytest.fixture
def ledger(path: Path, template: Path) -> Iterator[Ledger]:
    path.parent.mkdir()
    shutil.copyfile(template, path)
    with Ledger.open(path) as opened:
        yield opened
