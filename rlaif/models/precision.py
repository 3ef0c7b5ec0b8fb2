"""In which type matrix products run."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

WORTH_HALVING = 3_000_000

Precision = Literal["auto", "float32", "bfloat16"]


def product_dtype(setting: Precision, device: torch.device, parameters: int) -> torch.dtype:
    """Return the type for a setting.

    ``auto`` takes bfloat16 where the hardware computes in it and products are large enough to gain
    by it: on a CPU a model of a million weights is faster in float32 (docs/LOG.md).

    Args:
        setting: The setting.
        device: Where products run.
        parameters: Weights of the model.
    """
    if setting != "auto":
        return torch.bfloat16 if setting == "bfloat16" else torch.float32
    large = device.type != "cpu" or parameters >= WORTH_HALVING
    return torch.bfloat16 if large and computes_in_bfloat16(device) else torch.float32


def casting_once(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which autocast casts each trained weight once, not at each call.

    It keeps its casts until the outermost of its contexts ends, so this is one that does nothing
    else. No weight may move inside, and no gradient be taken.

    Args:
        device: Where products run.
    """
    return torch.autocast(device.type, enabled=False)


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device's hardware multiplies in bfloat16, which it may also do by emulation.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False
