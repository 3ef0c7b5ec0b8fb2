"""Reading rows of tokens step by step, by the lean trunk or the library's models."""

from contextlib import nullcontext
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rlaif.models.cache import growing_cache
from rlaif.models.lean.stepping import LeanStepper
from rlaif.models.loading import LanguageModel
from rlaif.models.tap import Tap


class Step(NamedTuple):
    """What a step tells of each row's last column.

    Attributes:
        logits: [rows, vocabulary], unscaled.
        states: Final hidden states [rows, width], float32 at least, or None where they were not
            asked for.
    """

    logits: Tensor
    states: Tensor | None


class Stepper(Protocol):
    """Rows that grow together by columns; which columns a row sees is a mask."""

    def read(self, ids: Tensor, seen_mask: Tensor, positions: Tensor) -> Step:
        """Append columns.

        Args:
            ids: Tokens [rows, new].
            seen_mask: True = a column that the row sees [rows, columns so far + new].
            positions: Place of each token in its own row [rows, new].
        """
        ...

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be taken several times."""
        ...


def stepper(
    lm: LanguageModel, rows: int, *, with_states: bool = False, tap: Tap | None = None
) -> Stepper:
    """Return an empty stepper: lean where the model has a lean trunk, else the library's own.

    Args:
        lm: The model.
        rows: How many rows.
        with_states: Whether hidden states are wanted too; the model must have a plain linear head.
        tap: Hears the residual stream of what is read, row by row.
    """
    if lm.lean is not None:
        return _Lean(lm, rows, tap)
    return _Library(lm, tap, with_states=with_states)


class _Lean:
    def __init__(self, lm: LanguageModel, rows: int, tap: Tap | None) -> None:
        if lm.lean is None:
            raise ValueError(f"{lm.name} has no lean trunk")
        self._trunk = lm.lean
        self._stepper = LeanStepper(lm.lean, rows, tap)
        self.select = self._stepper.select

    @torch.no_grad()
    def read(self, ids: Tensor, seen_mask: Tensor, positions: Tensor) -> Step:
        states = self._stepper.read(ids, seen_mask, positions)
        return Step(states.to(self._trunk.dtype) @ self._trunk.head.T, states)


class _Library:
    def __init__(self, lm: LanguageModel, tap: Tap | None, *, with_states: bool) -> None:
        self._lm = lm
        self._tap = tap
        self._cache = growing_cache(lm.model.config)
        self._with_states = with_states
        self.select = self._cache.batch_select_indices

    @torch.no_grad()
    def read(self, ids: Tensor, seen_mask: Tensor, positions: Tensor) -> Step:
        given = {
            "input_ids": ids,
            "attention_mask": seen_mask,
            "position_ids": positions,
            "past_key_values": self._cache,
            "use_cache": True,
        }
        listening = nullcontext() if self._tap is None else self._tap.on(self._lm.model)
        with self._lm.computing(), listening:
            if not self._with_states:
                return Step(self._lm.model(**given, logits_to_keep=1).logits[:, -1], None)
            states = self._lm.model.base_model(**given).last_hidden_state[:, -1]
            return Step(self._lm.model.get_output_embeddings()(states), states.float())
