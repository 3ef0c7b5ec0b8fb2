"""What training writes: tensors in safetensors, the rest in JSON, nothing pickled."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlaif.errors import StageError

TENSORS = "optimizer.safetensors"
STATE = "state.json"


def save_optimizer(optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Write an optimizer's moments into ``folder``."""
    state = optimizer.state_dict()["state"]
    tensors: dict[str, Tensor] = {
        f"{index}.{name}": value.contiguous()
        for index, moments in state.items()
        for name, value in moments.items()
    }
    save_file(tensors, str(folder / TENSORS))


def load_optimizer(optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Restore moments that :func:`save_optimizer` wrote; rates stay as the optimizer has them."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(str(folder / TENSORS)).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_state(state: dict[str, Any], folder: Path) -> None:
    """Write plain numbers and texts into ``folder``."""
    text = json.dumps(state, ensure_ascii=False, sort_keys=True, allow_nan=False)
    (folder / STATE).write_text(text, encoding="utf-8")


def load_state(folder: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote."""
    state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    return state


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Tell which folder could not be written, where a library that writes models fails in doing so.

    torch and safetensors raise errors of their own, tokenizers a bare ``Exception``. Faults of the
    system itself (``OSError``) say so themselves and pass.

    Raises:
        StageError: A library could not write.
    """
    try:
        yield
    except Exception as exc:
        if type(exc) is not Exception and not isinstance(exc, SafetensorError | RuntimeError):
            raise
        raise StageError(
            f"{folder} could not be written: {exc}",
            "room on the disk and the right to write there",
            "make room; the same command then goes on from the last good checkpoint",
        ) from exc
