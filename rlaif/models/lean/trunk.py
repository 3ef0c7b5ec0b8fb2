"""A model's trunk, run lean: over a layout for learning and scoring."""

from copy import copy
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from transformers import PreTrainedModel

from rlaif.models.lean.block import Kept, Plan, Rotation, block_backward, block_forward
from rlaif.models.lean.layout import Layout
from rlaif.models.lean.pairs import WorkingPairs, pairs_of
from rlaif.models.lean.products import Layer
from rlaif.models.lean.weights import (
    WorkingCopies,
    is_supported,
    masters_of,
    sizes_of,
    wide_of,
)
from rlaif.models.tap import Tap


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
        self._checkpointing = checkpointing
        self._embedding = base.get_input_embeddings().weight
        self._norm = base.norm.weight
        self._rotary = base.rotary_emb
        self._masters = [masters_of(layer) for layer in base.layers]
        head = model.get_output_embeddings()
        self._copies = WorkingCopies(
            self._masters, None if head is None else head.weight, self.sizes, dtype
        )
        self._worn: WorkingPairs | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, dtype: torch.dtype, **settings: bool) -> Self | None:
        """Return a model's lean trunk, or None where its blocks are of another kind."""
        return cls(model, dtype, **settings) if is_supported(model) else None

    def take_over(self, model: PreTrainedModel) -> None:
        """Become the only holder of a frozen model's weights, so that none lies in memory twice.

        The library's own forward pass fails from then on, loudly: its queries and keys are gone.

        Args:
            model: The model that this trunk was made from.
        """
        self._copies.let_go_of_masters()
        layers: Any = model.base_model.layers
        for layer in layers:
            for part in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                part.weight.data = part.weight.data.new_empty(0)
        self._masters = [masters_of(layer) for layer in layers]

    def wearing(
        self, model: PreTrainedModel, adapter: str, *, checkpointing: bool = False
    ) -> "LeanTrunk":
        """Return this trunk, its weights shared, with one of a model's adapters on it.

        Args:
            model: The model that the trunk was made from, with adapters put in.
            adapter: The name of one.
            checkpointing: As above.
        """
        worn = copy(self)
        layers: Any = model.base_model.layers
        masters = [pairs_of(layer, adapter) for layer in layers]
        worn._checkpointing = checkpointing
        worn._worn = WorkingPairs(masters, self.sizes, self.dtype)
        return worn

    @property
    def layers(self) -> list[Layer]:
        """Working copies, up to date."""
        self._copies.refresh(self._masters)
        if self._worn is None:
            return [Layer(weights) for weights in self._copies.blocks]
        return list(map(Layer, self._copies.blocks, self._worn.blocks))

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
        """Say that what is trained has changed, where a fused optimiser has moved it."""
        if self._worn is not None:
            self._worn.outdate()
        elif self._masters[0].query.requires_grad:
            self._copies.outdate()

    def states(
        self,
        layout: Layout,
        wanted: Tensor | None = None,
        *,
        tap: Tap | None = None,
        begin: Tap | None = None,
    ) -> Tensor:
        """Run the trunk, the final norm included, with gradient where the masters want it.

        Args:
            layout: The tokens.
            wanted: Places whose states are wanted, in order; None for all.
            tap: Takes what it asks for.
            begin: A tap that has heard the same layout; the blocks below it are left out.

        Returns:
            Hidden states [wanted, width], float32 (float64 where that computes).
        """
        plan = Plan(self.sizes, layout.buckets, self.rotation(layout.positions))
        x = self.embed(layout.ids) if begin is None else begin.heard
        blocks = list(zip(self.layers, self._trained(), strict=True))
        for above in range(len(blocks) if begin is None else begin.above, 0, -1):
            layer, trained = blocks[-above]
            places = wanted if above == 1 else None
            if tap is not None and tap.above == above:
                tap.hear(x)
            if torch.is_grad_enabled() and _wants_gradient(x, *trained):
                given = (x, layer, plan, places, self._checkpointing, *trained)
                x = _Block.apply(*given)  # type: ignore[no-untyped-call]  # torch's is not typed
            else:
                x = block_forward(x, layer, plan, places)[0]
        return self.final_norm(x)

    def _trained(self) -> list[tuple[Tensor | None, ...]]:
        """What may be trained in each block, in the order of its gradients."""
        if self._worn is None:
            return [tuple(masters) for masters in self._masters]
        return [tuple(pairs.leaves) for pairs in self._worn.masters]

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


def _wants_gradient(*tensors: Tensor | None) -> bool:
    return any(x is not None and x.requires_grad for x in tensors)


class _Block(torch.autograd.Function):
    """A block whose gradients are written out."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # torch has no type for what one may keep on it
        x: Tensor,
        layer: Layer,
        plan: Plan,
        wanted: Tensor | None,
        checkpointing: bool,
        *trained: Tensor | None,  # noqa: ARG004  # autograd sees by them whom the gradients belong to
    ) -> Tensor:
        y, kept = block_forward(x, layer, plan, wanted)
        ctx.fixed = (layer, plan, wanted)
        ctx.save_for_backward(*([x] if checkpointing else kept))
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401  # as above
        grad: Tensor,
    ) -> tuple[Tensor | None, ...]:
        layer, plan, wanted = ctx.fixed
        saved = ctx.saved_tensors
        kept = Kept(*saved) if len(saved) > 1 else block_forward(saved[0], layer, plan, wanted)[1]
        x_grad, slopes = block_backward(grad, kept, layer, plan, wanted)
        typed = (None if x is None else x.to(x_grad.dtype) for x in slopes)
        return (x_grad, None, None, None, None, *typed)
