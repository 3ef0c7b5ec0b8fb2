"""A key-value cache with room to grow: a step writes its token in place and copies no history."""

from typing import Any

from torch import Tensor
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer

ROOM = 64


class RoomyLayer(DynamicLayer):
    """A dynamic layer whose tensors are views of larger ones, enlarged ``ROOM`` tokens at a time.

    ``keys`` and ``values`` [rows, heads, tokens, width] hold the same numbers as in the library's
    own layer, which copies both whole at every step: there that copy was 40% of all time.
    """

    _rooms: dict[str, Tensor]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Begin empty, with the numbers' type and place."""
        super().lazy_initialization(key_states, value_states)
        self._rooms = {}

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *args: Any,  # noqa: ANN401, ARG002 - the library's signature
        **kwargs: Any,  # noqa: ANN401, ARG002 - the library's signature
    ) -> tuple[Tensor, Tensor]:
        """Append new tokens and return all."""
        before = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._append("keys", self.keys, key_states, before)
        self.values = self._append("values", self.values, value_states, before)
        return self.keys, self.values

    def _append(self, name: str, old: Tensor | None, new: Tensor, before: int) -> Tensor:
        after = before + new.shape[-2]
        room = self._rooms.get(name)
        if room is None or not _is_view(old, room) or room.shape[-2] < after:
            room = new.new_empty(*new.shape[:2], after + ROOM, new.shape[-1])
            if before and old is not None:
                room[:, :, :before] = old
            self._rooms[name] = room
        room[:, :, before:after] = new
        return room[:, :, :after]


def growing_cache(config: PretrainedConfig) -> DynamicCache:
    """Return an empty cache for a model; its sliding and linear layers stay the library's."""
    cache = DynamicCache(config=config)
    roomy: type[Any] = RoomyLayer
    cache.layers = [roomy() if type(x) is DynamicLayer else x for x in cache.layers]
    return cache


def _is_view(old: Tensor | None, room: Tensor) -> bool:
    if old is None:
        return False
    same_rows = old.dim() == room.dim() and old.shape[:2] == room.shape[:2]
    return same_rows and old.data_ptr() == room.data_ptr()
