"""Rows of unlike length as one tensor; what is real is known from lengths, never from ids."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rlaif.rl.batch import pad

Rows = Sequence[Sequence[int]]


def left_pad(rows: Rows, pad_id: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Pad rows on the left, as decoding needs.

    Args:
        rows: Token ids, none empty.
        pad_id: Filler.
        device: Where the tensors go.

    Returns:
        ids [rows, longest] and a mask of the same shape, True where a token is real.
    """
    ids, mask = pad(rows, pad_id, "left")
    return ids.to(device), mask.to(device)


def right_pad(rows: Rows, pad_id: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Pad rows on the right, as learning and scoring need.

    Under causal attention a real token never sees filler on its right, so no attention mask is
    needed to run the result through a model.

    Args:
        rows: Token ids, none empty.
        pad_id: Filler.
        device: Where the tensors go.

    Returns:
        ids [rows, longest] and a mask of the same shape, True where a token is real.
    """
    ids, mask = pad(rows, pad_id, "right")
    return ids.to(device), mask.to(device)
