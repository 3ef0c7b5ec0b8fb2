"""Several processes that train one model together, each on rows of its own.

They are started by a launcher (``accelerate launch``, ``torchrun``), which also tells each its rank
and where the others are; alone, every collective call is free.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Item = TypeVar("Item")


class Processes:
    """A group of processes that hold the same weights; by default the only member of its own.

    Args:
        rank: This process's place among them, from 0.
        size: How many there are.

    Attributes:
        rank: As above.
        size: As above.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @classmethod
    def launched(cls, device: torch.device) -> "Processes":
        """Join the group that a launcher has announced, if one has.

        Args:
            device: Where models run: gloo joins processes on CPUs, NCCL those on GPUs.
        """
        # Importing it takes a while, which nobody should pay who trains alone.
        from accelerate import PartialState

        state = PartialState(cpu=device.type == "cpu")
        return cls(state.process_index, state.num_processes)

    @property
    def main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Which of the rows before them all is this process's: every `size`-th."""
        return slice(self.rank, None, self.size)

    def join_rows(self, own: Sequence[Item]) -> list[Item]:
        """Return the rows of all processes, in the order that `share` took them from.

        Args:
            own: What became of this process's share, row by row; it is pickled.
        """
        if self.size == 1:
            return list(own)
        parts = self.gather(list(own))
        found: list[Item] = []
        for place in range(max(map(len, parts))):
            found += [part[place] for part in parts if place < len(part)]
        return found

    def gather(self, own: Item) -> list[Item]:
        """Return what each process has, in the order of their ranks; it is pickled."""
        if self.size == 1:
            return [own]
        found: list[Item | None] = [None] * self.size
        dist.all_gather_object(found, own)
        return found  # type: ignore[return-value]  # all are filled now

    def hold_the_same(self, tensors: Sequence[Tensor]) -> bool:
        """Whether all processes have the same bytes in these tensors; a digest of them is sent."""
        if self.size == 1:
            return True
        seen = hashlib.blake2b()
        for tensor in tensors:
            plain = tensor.detach().cpu().contiguous().flatten()
            seen.update(plain.view(torch.uint8).numpy().data)
        return len(set(self.gather(seen.hexdigest()))) == 1

    @torch.no_grad()
    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor."""
        if self.size == 1:
            return
        flat = torch.cat([x.flatten() for x in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """Take the group down before the process ends.

        Left to the interpreter's end, its threads may still run while what they use is torn down.
        """
        if self.size > 1:
            dist.destroy_process_group()
