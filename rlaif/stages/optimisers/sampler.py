"""An order of training rows that is fixed before training begins."""

from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


class FixedOrder(Sampler[int]):
    """Yields given indices in the given order, over all epochs at once.

    So a run that goes on from a checkpoint finds its place by counting, whatever was drawn since.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)
