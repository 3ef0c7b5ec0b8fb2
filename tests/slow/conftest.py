"""Where real models for the slow tests lie, beside a checkout; they are never part of it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def stories() -> Path:
    folder = SHARED / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"the story model is not at {folder}")
    return folder
