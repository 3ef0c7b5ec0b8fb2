"""Averages that follow parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def ema_update(averages: Sequence[Tensor], parameters: Sequence[Tensor], decay: float) -> None:
    """Move averages towards parameters, in place: average <- decay average + (1 - decay) parameter.

    Source: Polyak and Juditsky 1992; exponential, as in Lillicrap et al. 2015 (DDPG), section 3.

    Args:
        averages: In float32 at least: in half precision small moves are lost.
        parameters: As many, of the same shapes.
        decay: Share of the average that is kept, from 0 (a copy) to 1 (frozen).

    Raises:
        ValueError: The decay is not within 0 and 1, or the numbers of tensors differ.
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay is {decay}, expected from 0 to 1")
    for average, parameter in zip(averages, parameters, strict=True):
        average.lerp_(parameter.to(average.dtype), 1.0 - decay)
