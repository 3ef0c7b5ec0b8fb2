"""Every random number of a run comes from here: (run seed, names...) -> integer -> generator."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SEED_BITS = 63
WITHOUT_FLOAT64 = ("mps",)
_SEPARATOR = "\x1f"


def derive_seed(run_seed: int, *names: str | int) -> int:
    """Derive a seed from the run's seed and the place where it is used.

    Args:
        run_seed: The seed of the whole run.
        *names: The place, for instance ``(cycle, "generation", unit)``.

    Returns:
        An integer in ``[0, 2**63)``, the same on every machine.
    """
    text = _SEPARATOR.join([str(int(run_seed)), *(_part(n) for n in names)])
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def numpy_generator(seed: int) -> np.random.Generator:
    """Return a numpy generator for ``seed``."""
    return np.random.default_rng(seed)


def torch_generator(seed: int, device: str = "cpu") -> "torch.Generator":
    """Return a torch generator for ``seed`` on ``device``, or where `drawing_device` says."""
    import torch

    return torch.Generator(device=drawing_device(device)).manual_seed(seed)


def drawing_device(device: str) -> str:
    """Return where random numbers for ``device`` are drawn, and tokens by them: there, if it can.

    Tokens are drawn in float64, since float32 sums of a vocabulary's probabilities would make the
    unlikely ones likelier or impossible. Apple's GPU has no float64: the CPU draws in its place.
    """
    return "cpu" if device.partition(":")[0] in WITHOUT_FLOAT64 else device


def seed_everything(seed: int) -> None:
    """Seed the global generators, for libraries that read no other (trainers, initialisers)."""
    import random

    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries of others read the legacy state
    torch.manual_seed(seed)


def _part(name: str | int) -> str:
    """Return a name with its type, so that no two lists of names read the same."""
    if isinstance(name, str):
        return "str:" + name.replace(_SEPARATOR, 2 * _SEPARATOR)
    return f"int:{int(name)}"
