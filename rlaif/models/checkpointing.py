"""Gradient checkpointing of the library's own models: time for memory in the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def checkpointed(model: PreTrainedModel, *, wanted: bool) -> Iterator[None]:
    """Let a model's blocks keep their inputs only, in passes whose gradients are wanted.

    The library does so in training mode only, which would turn dropout on and throw caches away; so
    the blocks' calls are wrapped here, inside this context.

    Args:
        model: The model, in evaluation mode.
        wanted: Whether to do anything.
    """
    blocks: list[torch.nn.Module] = []
    if wanted and torch.is_grad_enabled():
        blocks = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    for block in blocks:
        again = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
        vars(block)["forward"] = again
    try:
        yield
    finally:
        for block in blocks:
            del vars(block)["forward"]
