"""A tap on the residual stream of a pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from rlaif.errors import ModelError


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """Return the blocks of a trunk in which a tap can listen and from which a branch can go on.

    Raises:
        ModelError: It keeps its blocks, or the norm after them, under names of its own.
    """
    base: Any = model.base_model
    blocks, norm = getattr(base, "layers", None), getattr(base, "norm", None)
    if isinstance(blocks, nn.ModuleList) and isinstance(norm, nn.Module):
        return blocks
    raise ModelError(
        f'ppo.critic = "branch", and {model.name_or_path} is a {type(base).__name__}',
        "a trunk with its blocks in `layers` and its last norm in `norm` (Llama, Qwen, Gemma, ...)",
        'set ppo.critic = "separate", or "shared", which costs less and learns less',
    )


class Tap:
    """Takes the residual stream of a pass below some of the upper blocks, without its gradient.

    Args:
        above: How many blocks lie above it.

    Attributes:
        above: As above.
    """

    def __init__(self, above: int) -> None:
        self.above = above
        self._heard: Tensor | None = None

    def hear(self, stream: Tensor) -> None:
        """Take the stream [..., width]."""
        self._heard = stream.detach()

    @property
    def heard(self) -> Tensor:
        """The stream of the last pass [..., width].

        Raises:
            ValueError: There was none.
        """
        if self._heard is None:
            raise ValueError("no pass has gone by this tap")
        return self._heard

    @contextmanager
    def on(self, model: PreTrainedModel) -> Iterator[None]:
        """Listen to the passes of one of the library's models.

        Raises:
            ModelError: Its trunk has no place to listen in.
        """
        block = blocks_of(model)[-self.above]
        hook = block.register_forward_pre_hook(lambda _, x: self.hear(x[0]))
        try:
            yield
        finally:
            hook.remove()
