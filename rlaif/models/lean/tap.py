"""A tap on the residual stream of a pass."""

from torch import Tensor


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
