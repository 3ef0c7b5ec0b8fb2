"""A loss of log-probs taken straight from hidden states, its gradients made chunk by chunk.

Where a loss is a sum over tokens, a chunk's loss and its gradients are known as soon as the chunk's
logits are. So logits exist for one chunk at a time, are computed once, and are gone before the
backward pass begins (Hsu et al. 2024, "Liger Kernel", section 3.2, does so for cross-entropy).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

LOGITS_AT_ONCE = {"cpu": 2**24}
LOGITS_ELSEWHERE = 2**27  # each chunk reads and writes the head's gradient: few are best


class Said(NamedTuple):
    """What the head says at some places, nats; None what was not asked for.

    Attributes:
        logprobs: Log-prob of each token.
        entropy: Entropy of each place's distribution.
        kl: KL(p || q) of each place's whole distribution from the anchor's.
    """

    logprobs: Float[Tensor, " tokens"]
    entropy: Float[Tensor, " tokens"] | None = None
    kl: Float[Tensor, " tokens"] | None = None


LossOf = Callable[[Said, slice], Tensor]


class HeadLoss(NamedTuple):
    """What `head_loss` returns; only the loss carries a gradient.

    Attributes:
        loss: The sum of the chunks' losses.
        said: What the head says of all tokens.
    """

    loss: Float[Tensor, ""]
    said: Said


class Anchor(NamedTuple):
    """What KL is measured against: a frozen model's states at the same places, and its head."""

    states: Float[Tensor, "tokens width_q"]
    head: Float[Tensor, "vocab width_q"]


def head_loss(
    hidden: Float[Tensor, "tokens width"],
    head: Float[Tensor, "vocab width"],
    tokens: Int[Tensor, " tokens"],
    loss_of: LossOf,
    temperature: float = 1.0,
    *,
    working_head: Float[Tensor, "vocab width"] | None = None,
    with_entropy: bool = False,
    anchor: Anchor | None = None,
    logits_at_once: int | None = None,
) -> HeadLoss:
    """Return the sum over chunks of `loss_of`(what the head says, places).

    Its value and gradients are those of the loss taken of `token_logprobs`, `entropy` and
    `exact_kl` of `hidden @ head.T` as a whole.

    Args:
        hidden: Final hidden states at the places that predict `tokens`.
        head: The language-model head, which the gradient goes to.
        tokens: The token to score at each place.
        loss_of: Gives the share of the loss [] of some places, from what the head says there and
            the slice of places; a sum over tokens, or it would depend on where chunks end.
        temperature: The sampling temperature.
        working_head: The head in the type in which products run; None: `head` itself.
        with_entropy: Whether the loss needs entropies.
        anchor: Where the loss needs the exact KL, what from.
        logits_at_once: Logits of a chunk, about; None: by the device.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected above 0")
    working = head if working_head is None else working_head
    usual = LOGITS_AT_ONCE.get(head.device.type, LOGITS_ELSEWHERE)
    rows = max(1, (logits_at_once or usual) // head.shape[0])
    settings = _Settings(loss_of, temperature, rows, with_entropy, anchor, working.detach())
    loss, *said = _HeadLoss.apply(  # type: ignore[no-untyped-call]
        hidden, head, tokens.long(), settings
    )
    return HeadLoss(loss, Said(*said))


class _Settings(NamedTuple):
    loss_of: LossOf
    temperature: float
    rows: int
    with_entropy: bool
    anchor: Anchor | None
    head: Tensor


class _Chunk(NamedTuple):
    """A chunk's probabilities [rows, vocabulary], which may be written over, and what follows.

    The gap is log p - log q of the anchor, [rows, vocabulary].
    """

    probs: Tensor
    said: Said
    gap: Tensor | None


def _scaled(states: Tensor, head: Tensor, temperature: float) -> Tensor:
    logits = states.to(head.dtype) @ head.T
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return wide if temperature == 1 else wide.div_(temperature)


def _chunk(states: Tensor, tokens: Tensor, places: slice, settings: _Settings) -> _Chunk:
    wide = _scaled(states, settings.head, settings.temperature)
    shifted = wide.sub_(wide.amax(dim=-1, keepdim=True))
    chosen = shifted.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    kept = shifted.clone() if settings.with_entropy or settings.anchor is not None else None
    probs = shifted.exp_()
    total = probs.sum(dim=-1)
    probs.mul_(total.reciprocal().unsqueeze(-1))
    log_total = total.log()
    logprobs = chosen - log_total
    if kept is None:
        return _Chunk(probs, Said(logprobs), None)
    surprise = kept.sub_(log_total.unsqueeze(-1)).masked_fill_(probs == 0, 0.0)
    entropy = -(probs * surprise).sum(dim=-1) if settings.with_entropy else None
    if settings.anchor is None:
        return _Chunk(probs, Said(logprobs, entropy), None)
    far, far_head = settings.anchor
    log_q = _scaled(far[places], far_head, settings.temperature).log_softmax(dim=-1)
    gap = surprise.sub_(log_q.masked_fill_(probs == 0, 0.0))
    return _Chunk(probs, Said(logprobs, entropy, (probs * gap).sum(dim=-1)), gap)


def _slopes(said: Said, places: slice, settings: _Settings) -> tuple[Tensor, Said]:
    """A chunk's loss, and its gradients with respect to what was said."""
    leaves = {name: x.detach().requires_grad_() for name, x in _given(said).items()}
    with torch.enable_grad():
        loss = settings.loss_of(Said(**leaves), places)
        grads = torch.autograd.grad(
            loss, list(leaves.values()), allow_unused=True, materialize_grads=True
        )
    return loss.detach(), Said(**dict(zip(leaves, grads, strict=True)))


def _given(said: Said) -> dict[str, Tensor]:
    return {name: x for name, x in said._asdict().items() if x is not None}


def _logit_slopes(chunk: _Chunk, tokens: Tensor, slopes: Said, settings: _Settings) -> Tensor:
    """Gradient with respect to the logits z.

    d log p_a / dz = 1_a - p; dH / dz = -p (log p + H); dKL / dz = p (log p - log q - KL).
    """
    (probs, said, gap), per_row = chunk, slopes.logprobs.unsqueeze(-1)
    inner = -per_row
    if slopes.entropy is not None and said.entropy is not None:
        surprise = probs.log().masked_fill_(probs == 0, 0.0)
        surprise.add_(said.entropy.unsqueeze(-1)).mul_(slopes.entropy.unsqueeze(-1))
        inner = inner - surprise
    if slopes.kl is not None and said.kl is not None and gap is not None:
        inner = gap.sub_(said.kl.unsqueeze(-1)).mul_(slopes.kl.unsqueeze(-1)).add_(inner)
    grad = probs.mul_(inner)
    grad.scatter_add_(-1, tokens.unsqueeze(-1), per_row)
    return grad if settings.temperature == 1 else grad.div_(settings.temperature)


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Join the chunks' numbers; None where there are none."""
    given = [x for x in parts if x is not None]
    return torch.cat(given) if given else None


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # torch has no type for what one may keep on it
        hidden: Tensor,
        head: Tensor,
        tokens: Tensor,
        settings: _Settings,
    ) -> tuple[Tensor | None, ...]:
        to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        to_head = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        losses, said = [], []
        for start in range(0, len(tokens), settings.rows):
            places = slice(start, min(start + settings.rows, len(tokens)))
            states = hidden[places].to(settings.head.dtype)
            chunk = _chunk(states, tokens[places], places, settings)
            loss, slopes = _slopes(chunk.said, places, settings)
            grad = _logit_slopes(chunk, tokens[places], slopes, settings).to(states.dtype)
            if to_hidden is not None:
                to_hidden[places] = grad @ settings.head
            if to_head is not None:
                to_head += grad.T @ states
            losses.append(loss)
            said.append(chunk.said)
        ctx.save_for_backward(to_hidden, to_head)
        found = [_joined(parts) for parts in zip(*said, strict=True)]
        ctx.mark_non_differentiable(*(x for x in found if x is not None))
        return torch.stack(losses).sum(), *found

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401  # as above
        grad: Tensor,
        *_: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        to_hidden, to_head = (None if x is None else x.mul_(grad) for x in ctx.saved_tensors)
        return to_hidden, to_head, None, None
