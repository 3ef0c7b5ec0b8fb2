"""A tap on the residual stream of a pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel


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
        """Listen to the passes of one of the library's models."""
        base: Any = model.base_model
        hook = base.layers[-self.above].register_forward_pre_hook(lambda _, x: self.hear(x[0]))
        try:
            yield
        finally:
            hook.remove()
