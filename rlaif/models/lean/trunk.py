"""A model's trunk, run lean: over a layout for learning and scoring."""

from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from transformers import PreTrainedModel

from rlaif.models.lean.block import Kept, Plan, Rotation, block_backward, block_forward
from rlaif.models.lean.layout import Layout
from rlaif.models.lean.weights import (
    BlockWeights,
    WorkingCopies,
    is_supported,
    masters_of,
    sizes_of,
    wide_of,
)


class LeanTrunk:
    """The blocks of a Llama-like model, with working copies of its weights.

    Args:
        model: A causal language model, or the trunk of one, on the CPU.
        dtype: The type in which matrix products run: float32 or bfloat16 (float64 in tests).
        checkpointing: Keep only each block's input for the backward pass, and run it again.

    Attributes:
        sizes: The model's sizes.
        dtype: The type that computes.
    """

    def __init__(
        self, model: PreTrainedModel, dtype: torch.dtype, *, checkpointing: bool = False
    ) -> None:
        base: Any = model.base_model
        self.sizes = sizes_of(model)
        self.dtype = dtype
        self.checkpointing = checkpointing
        self._embedding = base.get_input_embeddings().weight
        self._norm = base.norm.weight
        self._rotary = base.rotary_emb
        self._masters = [masters_of(layer) for layer in base.layers]
        head = model.get_output_embeddings()
        self._copies = WorkingCopies(
            self._masters, None if head is None else head.weight, self.sizes, dtype
        )

    @classmethod
    def of(cls, model: PreTrainedModel, dtype: torch.dtype, **settings: bool) -> Self | None:
        """Return a model's lean trunk, or None where its blocks are of another kind."""
        return cls(model, dtype, **settings) if is_supported(model) else None

    @property
    def blocks(self) -> list[BlockWeights]:
        """Working copies, up to date."""
        self._copies.refresh(self._masters)
        return self._copies.blocks

    @property
    def head(self) -> Tensor:
        """The working copy of the language-model head [vocabulary, width], up to date.

        Raises:
            ValueError: The trunk was given without a head.
        """
        self._copies.refresh(self._masters)
        if self._copies.head is None:
            raise ValueError("this trunk has no language-model head: make it from the whole model")
        return self._copies.head

    def outdate(self) -> None:
        """Say that the masters have changed, where a fused optimiser has moved them."""
        self._copies.outdate()

    def states(self, layout: Layout, wanted: Tensor | None = None) -> Tensor:
        """Run the trunk, the final norm included, with gradient where the masters want it.

        Args:
            layout: The tokens.
            wanted: Places whose states are wanted, in order; None for all.

        Returns:
            Hidden states [wanted, width], float32 (float64 where that computes).
        """
        plan = Plan(self.sizes, layout.buckets, self.rotation(layout.positions))
        x = self.embed(layout.ids)
        last = len(self._masters) - 1
        for number, (weights, masters) in enumerate(zip(self.blocks, self._masters, strict=True)):
            places = wanted if number == last else None
            if torch.is_grad_enabled() and masters.query.requires_grad:
                given = (x, weights, plan, places, self.checkpointing, *masters)
                x = _Block.apply(*given)  # type: ignore[no-untyped-call]  # torch's is not typed
            else:
                x = block_forward(x, weights, plan, places)[0]
        return self.final_norm(x)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the residual stream that tokens begin with."""
        return torch.nn.functional.embedding(ids, self._embedding).to(wide_of(self.dtype))

    def final_norm(self, x: Tensor) -> Tensor:
        """Return the norm of the residual stream after the last block."""
        weight = self._norm.to(x.dtype)
        return torch.rms_norm(x, (x.shape[-1],), weight, self.sizes.epsilon)

    @torch.no_grad()
    def rotation(self, positions: Tensor) -> Rotation:
        """Return the angles of positions [tokens], by the model's own rotary embedding."""
        probe = torch.empty(1, dtype=wide_of(self.dtype))
        cosine, sine = (
            x[0, :, None, : self.sizes.head // 2].contiguous()
            for x in self._rotary(probe, positions.unsqueeze(0))
        )
        angles = torch.complex(cosine, sine)
        return Rotation(query=angles * self.sizes.head**-0.5, key=angles)


class _Block(torch.autograd.Function):
    """A block whose gradients are written out."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # torch has no type for what one may keep on it
        x: Tensor,
        weights: BlockWeights,
        plan: Plan,
        wanted: Tensor | None,
        checkpointing: bool,
        *masters: Tensor | None,  # noqa: ARG004  # autograd sees by them whom the gradients belong to
    ) -> Tensor:
        y, kept = block_forward(x, weights, plan, wanted)
        ctx.fixed = (weights, plan, wanted)
        ctx.save_for_backward(*([x] if checkpointing else kept))
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401  # as above
        grad: Tensor,
    ) -> tuple[Tensor | None, ...]:
        weights, plan, wanted = ctx.fixed
        saved = ctx.saved_tensors
        kept = Kept(*saved) if len(saved) > 1 else block_forward(saved[0], weights, plan, wanted)[1]
        x_grad, masters = block_backward(grad, kept, weights, plan, wanted)
        typed = (None if x is None else x.to(x_grad.dtype) for x in masters)
        return (x_grad, None, None, None, None, *typed)
