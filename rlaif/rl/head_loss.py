"""A loss of log-probs taken straight from hidden states, its gradients made chunk by chunk.

Where a loss is a sum over tokens, a chunk's loss and its gradients are known as soon as the chunk's
logits are. So logits exist for one chunk at a time, are computed once, and are gone before the
backward pass begins (Hsu et al. 2024, "Liger Kernel", section 3.2, does so for cross-entropy).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

LOGITS_AT_ONCE = {"cpu": 2**24}
LOGITS_ELSEWHERE = 2**27  # each chunk reads and writes the head's gradient: few are best

LossOf = Callable[[Tensor, Tensor | None, slice], Tensor]


class HeadLoss(NamedTuple):
    """What `head_loss` returns; only the loss carries a gradient.

    Attributes:
        loss: The sum of the chunks' losses.
        logprobs: Log-prob of each token, nats.
        entropy: Entropy at each token, nats, or None where it was not asked for.
    """

    loss: Float[Tensor, ""]
    logprobs: Float[Tensor, " tokens"]
    entropy: Float[Tensor, " tokens"] | None


def head_loss(
    hidden: Float[Tensor, "tokens width"],
    head: Float[Tensor, "vocab width"],
    tokens: Int[Tensor, " tokens"],
    loss_of: LossOf,
    temperature: float = 1.0,
    *,
    working_head: Float[Tensor, "vocab width"] | None = None,
    with_entropy: bool = False,
    logits_at_once: int | None = None,
) -> HeadLoss:
    """Return the sum over chunks of `loss_of`(log-probs, entropies, places).

    Its value and gradients are those of the loss taken of `token_logprobs(hidden @ head.T, tokens,
    temperature)` as a whole.

    Args:
        hidden: Final hidden states at the places that predict `tokens`.
        head: The language-model head, which the gradient goes to.
        tokens: The token to score at each place.
        loss_of: Gives the share of the loss [] of some places, from their log-probs, their
            entropies (None if not asked for) and the slice of places; a sum over tokens, or it
            would depend on where chunks end.
        temperature: The sampling temperature.
        working_head: The head in the type in which products run; None: `head` itself.
        with_entropy: Whether the loss needs entropies.
        logits_at_once: Logits of a chunk, about; None: by the device.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected above 0")
    working = head if working_head is None else working_head
    usual = LOGITS_AT_ONCE.get(head.device.type, LOGITS_ELSEWHERE)
    rows = max(1, (logits_at_once or usual) // head.shape[0])
    settings = _Settings(loss_of, temperature, rows, with_entropy, working.detach())
    found = _HeadLoss.apply(hidden, head, tokens.long(), settings)  # type: ignore[no-untyped-call]
    return HeadLoss(*found)


class _Settings(NamedTuple):
    loss_of: LossOf
    temperature: float
    rows: int
    with_entropy: bool
    head: Tensor


class _Chunk(NamedTuple):
    """A chunk's probabilities [rows, vocabulary], which may be written over, and what follows."""

    probs: Tensor
    logprobs: Tensor
    entropy: Tensor | None


def _chunk(states: Tensor, tokens: Tensor, settings: _Settings) -> _Chunk:
    logits = states @ settings.head.T
    wide = logits if logits.dtype == torch.float64 else logits.float()
    if settings.temperature != 1:
        wide = wide.div_(settings.temperature)
    top = wide.amax(dim=-1, keepdim=True)
    shifted = wide.sub_(top)
    chosen = shifted.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    kept = shifted.clone() if settings.with_entropy else None
    probs = shifted.exp_()
    total = probs.sum(dim=-1)
    probs.mul_(total.reciprocal().unsqueeze(-1))
    log_total = total.log()
    entropy = None
    if kept is not None:
        entropy = log_total - (probs * kept.clamp_(min=torch.finfo(kept.dtype).min)).sum(dim=-1)
    return _Chunk(probs, chosen - log_total, entropy)


def _slopes(chunk: _Chunk, places: slice, settings: _Settings) -> tuple[Tensor, list[Tensor]]:
    """A chunk's loss, and its gradients with respect to log-probs and entropies."""
    leaves = [x.detach().requires_grad_() for x in (chunk.logprobs, chunk.entropy) if x is not None]
    with torch.enable_grad():
        loss = settings.loss_of(leaves[0], leaves[1] if len(leaves) > 1 else None, places)
        grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    pairs = zip(grads, leaves, strict=True)
    return loss.detach(), [torch.zeros_like(x) if g is None else g for g, x in pairs]


def _logit_slopes(
    chunk: _Chunk, tokens: Tensor, slopes: list[Tensor], settings: _Settings
) -> Tensor:
    """Gradient with respect to the logits: d log p_a / dz = 1_a - p; dH / dz = -p (log p + H)."""
    per_row = slopes[0].unsqueeze(-1)
    if chunk.entropy is None:
        grad = chunk.probs.mul_(-per_row)
    else:
        surprise = chunk.probs.log().masked_fill_(chunk.probs == 0, 0.0)
        inner = surprise.add_(chunk.entropy.unsqueeze(-1)).mul_(slopes[1].unsqueeze(-1))
        grad = inner.add_(per_row).mul_(chunk.probs).neg_()
    grad.scatter_add_(-1, tokens.unsqueeze(-1), per_row)
    return grad if settings.temperature == 1 else grad.div_(settings.temperature)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # torch has no type for what one may keep on it
        hidden: Tensor,
        head: Tensor,
        tokens: Tensor,
        settings: _Settings,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        to_head = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        losses, logprobs, entropies = [], [], []
        for start in range(0, len(tokens), settings.rows):
            places = slice(start, min(start + settings.rows, len(tokens)))
            states = hidden[places].to(settings.head.dtype)
            chunk = _chunk(states, tokens[places], settings)
            loss, slopes = _slopes(chunk, places, settings)
            grad = _logit_slopes(chunk, tokens[places], slopes, settings).to(states.dtype)
            if to_hidden is not None:
                to_hidden[places] = grad @ settings.head
            if to_head is not None:
                to_head += grad.T @ states
            losses.append(loss)
            logprobs.append(chunk.logprobs)
            entropies.append(chunk.entropy)
        ctx.save_for_backward(to_hidden, to_head)
        entropy = (
            torch.cat([e for e in entropies if e is not None]) if settings.with_entropy else None
        )
        found = torch.cat(logprobs)
        ctx.mark_non_differentiable(*([found] if entropy is None else [found, entropy]))
        return torch.stack(losses).sum(), found, entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401  # as above
        grad: Tensor,
        *_: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        to_hidden, to_head = (None if x is None else x.mul_(grad) for x in ctx.saved_tensors)
        return to_hidden, to_head, None, None
