"""A lean trunk that reads rows token by token, with the keys and values of what it has read."""

import torch
from torch import Tensor

from rlaif.models.lean.attention import attend
from rlaif.models.lean.block import Plan, feed_forward, normed, project_heads
from rlaif.models.lean.products import product
from rlaif.models.lean.trunk import LeanTrunk
from rlaif.models.lean.weights import wide_of
from rlaif.models.tap import Tap

ROOM = 64


class _Cells:
    """Which cells of a rectangle [rows, new] hold tokens; what fills the others costs nothing.

    Args:
        real_mask: True = a token [rows, new].
    """

    def __init__(self, real_mask: Tensor) -> None:
        rows, new = self._shape = real_mask.shape
        flat = real_mask.flatten()
        self._real = None if bool(flat.all()) else flat.nonzero().squeeze(1)
        self._ending = real_mask[:, -1].nonzero().squeeze(1)
        ends = torch.arange(new - 1, rows * new, new) if self._real is None else flat.cumsum(0) - 1
        self._ends = ends if self._real is None else ends[new - 1 :: new][self._ending]
        self._narrow = self._real is None and new == 1

    def listed(self, x: Tensor) -> Tensor:
        """[rows * new, ...] -> [tokens, ...]."""
        return x if self._real is None else x[self._real]

    def laid_out(self, x: Tensor) -> Tensor:
        """[tokens, ...] -> [rows * new, ...], zeros where there is no token."""
        rows, new = self._shape
        return x if self._real is None else _spread(x, self._real, rows * new)

    def last(self, x: Tensor) -> Tensor:
        """[tokens, ...] -> those in the last column."""
        return x if self._narrow else x[self._ends]

    def by_row(self, x: Tensor) -> Tensor:
        """What :meth:`last` gives -> [rows, ...], zeros where a row has no token there."""
        return x if self._real is None else _spread(x, self._ending, self._shape[0])


def _spread(x: Tensor, places: Tensor, size: int) -> Tensor:
    return x.new_zeros(size, *x.shape[1:]).index_copy_(0, places, x)


class LeanStepper:
    """Rows that grow together by columns; which columns a row sees is a mask.

    Keys and values lie in buffers that grow by `ROOM` columns at a time, so a step writes in place.

    Args:
        trunk: The model's trunk, with its head.
        rows: How many rows, all empty.
        tap: Hears the residual stream of each reading [rows * new, width].
    """

    def __init__(self, trunk: LeanTrunk, rows: int, tap: Tap | None = None) -> None:
        self._trunk = trunk
        self._tap = tap
        self._read = 0
        shape = (rows * trunk.sizes.key_heads, 0, trunk.sizes.head)
        self._wide = wide_of(trunk.dtype)
        self._keys = [torch.empty(shape, dtype=self._wide) for _ in trunk.layers]
        self._values = [torch.empty(shape, dtype=self._wide) for _ in trunk.layers]

    @torch.no_grad()
    def read(self, ids: Tensor, seen_mask: Tensor, positions: Tensor) -> Tensor:
        """Append columns of tokens and run the trunk over them.

        Args:
            ids: Tokens [rows, new].
            seen_mask: True = a column that the row sees [rows, columns so far + new].
            positions: Place of each token in its own row [rows, new].

        Returns:
            Final hidden states of the last column [rows, width]; zeros where a row has no token
            there.
        """
        rows, new = ids.shape
        self._make_room(new)
        cells = _Cells(seen_mask[:, -new:])
        rotation = self._trunk.rotation(cells.listed(positions.flatten()))
        plan = Plan(self._trunk.sizes, (), rotation)
        bias = self._bias(seen_mask, new)
        x = self._trunk.embed(cells.listed(ids.flatten()))
        layers = self._trunk.layers
        for number, layer in enumerate(layers):
            if self._tap is not None and self._tap.above == len(layers) - number:
                self._tap.hear(cells.laid_out(x))
            fed = normed(x, layer.weights.attention_norm, layer, plan)
            heads = [
                self._by_row(cells.laid_out(part), rows) for part in project_heads(fed, layer, plan)
            ]
            mixed = self._attend(number, *heads, bias=bias)
            by_row = mixed.reshape(rows, -1, new, self._trunk.sizes.head).transpose(1, 2)
            mixed = cells.listed(by_row.reshape(rows * new, -1))
            if number == len(layers) - 1:  # nothing reads the other columns of the last block
                x, mixed = cells.last(x), cells.last(mixed)
            x = x + product(layer, "out", mixed.to(fed.dtype))
            x = feed_forward(x, layer, plan)[0]
        self._read += new
        return self._trunk.final_norm(cells.by_row(x))

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be taken several times."""
        heads = self._trunk.sizes.key_heads
        places = (rows.unsqueeze(1) * heads + torch.arange(heads)).flatten()
        self._keys = [self._taken(x, places) for x in self._keys]
        self._values = [self._taken(x, places) for x in self._values]

    def _attend(
        self, number: int, query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None
    ) -> Tensor:
        """Append keys and values to a block's buffers and attend to all columns so far."""
        columns = slice(self._read, self._read + key.shape[1])
        self._keys[number][:, columns] = key
        self._values[number][:, columns] = value
        keys, values = (x[number][:, : columns.stop] for x in (self._keys, self._values))
        return attend(query, keys, values, bias)

    def _by_row(self, x: Tensor, rows: int) -> Tensor:
        """[rows * new, heads, head width] -> [rows * key heads, heads per key head * new, ...]."""
        sizes = self._trunk.sizes
        split: Tensor = x.unflatten(0, (rows, -1))
        return split.transpose(1, 2).reshape(rows * sizes.key_heads, -1, sizes.head)

    def _bias(self, seen_mask: Tensor, new: int) -> Tensor | None:
        """0 where a new token may look, a large negative number where not; None if anywhere.

        A finite one: a row's filler sees nothing, and a softmax over nothing would be NaN.
        """
        columns = seen_mask.shape[1]
        later = torch.ones(new, columns, dtype=torch.bool).triu(columns - new + 1)
        hidden = ~seen_mask.unsqueeze(1) | later
        if not hidden.any():
            return None
        bias = torch.zeros(hidden.shape, dtype=self._wide).masked_fill_(hidden, -1e30)
        sizes = self._trunk.sizes
        return bias.repeat(1, sizes.group, 1).repeat_interleave(sizes.key_heads, dim=0)

    def _make_room(self, new: int) -> None:
        if self._read + new <= self._keys[0].shape[1]:
            return
        room = self._read + new + ROOM
        self._keys = [self._grown(x, room) for x in self._keys]
        self._values = [self._grown(x, room) for x in self._values]

    def _taken(self, x: Tensor, places: Tensor) -> Tensor:
        """Copy what has been read of some slices; indexing by a tensor takes ten times as long."""
        taken = x.new_empty(len(places), *x.shape[1:])
        read = slice(self._read)
        torch.index_select(x[:, read], 0, places, out=taken[:, read])
        return taken

    def _grown(self, x: Tensor, room: int) -> Tensor:
        grown = x.new_empty(len(x), room, x.shape[2])
        grown[:, : self._read] = x[:, : self._read]
        return grown
