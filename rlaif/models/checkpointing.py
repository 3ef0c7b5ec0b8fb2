"""Gradient checkpointing of the library's own models: time for memory in the backward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from rlaif.models.loading import LanguageModel


@contextmanager
def checkpointed(lm: LanguageModel) -> Iterator[None]:
    """Let a model's blocks keep their inputs only, in passes whose gradients are wanted.

    The library does so in training mode only, which would turn dropout on and throw caches away; so
    the blocks' calls are wrapped here, inside this context.

    By the time of the backward pass another model may have put its adapter on the base that they
    share. So a block that is run again puts its own on first.

    Args:
        lm: The model, in evaluation mode; its `checkpointing` says whether to do anything.
    """
    blocks: list[torch.nn.Module] = []
    if lm.checkpointing and torch.is_grad_enabled():
        blocks = [m for m in lm.model.modules() if isinstance(m, GradientCheckpointingLayer)]
    for block in blocks:
        dressed = partial(_dressed, lm, block.forward)
        again = partial(checkpoint, dressed, use_reentrant=False, preserve_rng_state=False)
        vars(block)["forward"] = again
    try:
        yield
    finally:
        for block in blocks:
            del vars(block)["forward"]


def _dressed(lm: LanguageModel, forward: Callable[..., Any], *args: object, **kw: object) -> object:
    """Run a block under its model's adapter, which is on already the first time."""
    if lm.worn is not None:
        lm.worn.put_on()
    return forward(*args, **kw)
