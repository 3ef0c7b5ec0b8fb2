"""What is said where a model cannot be written."""

from pathlib import Path

import pytest
from safetensors import SafetensorError

from rlaif.errors import StageError
from rlaif.models.training_state import saving


@pytest.mark.parametrize(
    "fault",
    [
        SafetensorError("No space left on device"),
        RuntimeError("file write failed"),
        Exception("No space left on device (os error 28)"),
    ],
)
def test_a_library_that_cannot_write_is_told_with_the_folder(fault: Exception) -> None:
    with pytest.raises(StageError, match="could not be written") as caught, saving(Path("policy")):
        raise fault
    assert "make room" in str(caught.value)
    assert "policy" in str(caught.value)


@pytest.mark.parametrize(
    "fault", [OSError(28, "No space left on device"), ValueError("no"), KeyError("no")]
)
def test_what_says_so_itself_passes(fault: Exception) -> None:
    with pytest.raises(type(fault)) as caught, saving(Path("policy")):
        raise fault
    assert caught.value is fault
