"""Log-probabilities of given tokens, and entropies, from logits or from hidden states.

A policy that samples at temperature T is softmax(logits / T), so every function here divides by
the sampling temperature; leaving it out would bias each PPO ratio. Natural logarithms: all results
are in nats. Half-precision logits are raised to float32 before any sum over the vocabulary.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def scaled_logits(
    logits: Float[Tensor, "*batch vocab"], temperature: float
) -> Float[Tensor, "*batch vocab"]:
    """Logits divided by the sampling temperature, in float32 at least.

    Raises:
        ValueError: The temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(
            f"temperature is {temperature}, expected above 0: greedy decoding has no log-probs, "
            "so score it at temperature 1"
        )
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return wide if temperature == 1 else wide / temperature


def token_logprobs(
    logits: Float[Tensor, "*batch vocab"],
    tokens: Int[Tensor, "*batch"],
    temperature: float = 1.0,
) -> Float[Tensor, "*batch"]:
    """Log-probability of each token: z_token - logsumexp(z), where z = logits / temperature.

    Args:
        logits: Unscaled logits that predict `tokens` (already moved by one column).
        tokens: The token to score at each place.
        temperature: The sampling temperature.

    Returns:
        Nats, at most 0, in float32 (float64 for float64 logits).

    Raises:
        ValueError: The temperature is not above 0.
    """
    scaled = scaled_logits(logits, temperature)
    chosen = scaled.gather(-1, tokens.long().unsqueeze(-1)).squeeze(-1)
    return chosen - scaled.logsumexp(dim=-1)


def entropy(
    logits: Float[Tensor, "*batch vocab"], temperature: float = 1.0
) -> Float[Tensor, "*batch"]:
    """Entropy of softmax(logits / temperature), in nats; tokens at logit -inf count nothing.

    Raises:
        ValueError: The temperature is not above 0.
    """
    log_p = scaled_logits(logits, temperature).log_softmax(dim=-1)
    return -(log_p.exp() * log_p.masked_fill(log_p == -torch.inf, 0.0)).sum(dim=-1)


class HeadLogprobs(NamedTuple):
    """What `chunked_logprobs` returns.

    Attributes:
        logprobs: Nats, one for each token.
        entropy: Nats, one for each token, or None where it was not asked for.
    """

    logprobs: Float[Tensor, " tokens"]
    entropy: Float[Tensor, " tokens"] | None


def chunked_logprobs(
    hidden: Float[Tensor, "tokens width"],
    head_weight: Float[Tensor, "vocab width"],
    tokens: Int[Tensor, " tokens"],
    temperature: float = 1.0,
    chunk_size: int = 512,
    with_entropy: bool = False,
) -> HeadLogprobs:
    """Log-probabilities (and entropies) straight from hidden states, a chunk of rows at a time.

    Equal to `token_logprobs(hidden @ head_weight.T, tokens, temperature)` and its gradients, but
    logits exist only for `chunk_size` rows at once, forward and backward: the backward pass
    computes them again. Under autocast the matrix products run in the autocast type, the sums over
    the vocabulary in float32. It is for heads that are one matrix without bias or soft-capping.

    Args:
        hidden: Final hidden states at the places that predict `tokens`.
        head_weight: The language-model head.
        tokens: The token to score at each place.
        temperature: The sampling temperature.
        chunk_size: Rows whose logits may exist at once.
        with_entropy: Whether to compute entropies too (differentiable as well).

    Raises:
        ValueError: The temperature is not above 0, or the chunk size is below 1.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk size is {chunk_size}, expected at least 1")
    results = _ChunkedHead.apply(  # type: ignore[no-untyped-call]  # torch does not annotate it
        hidden, head_weight, tokens.long(), temperature, chunk_size, with_entropy
    )
    return HeadLogprobs(*results)


def _matmul_dtype(hidden: Tensor) -> torch.dtype:
    device = hidden.device.type
    if hidden.dtype != torch.float64 and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return hidden.dtype


def _chunks(count: int, chunk_size: int) -> Iterator[slice]:
    for start in range(0, count, chunk_size):
        yield slice(start, start + chunk_size)


def _logits_gradient(
    log_p: Tensor,
    tokens: Tensor,
    grad_logprobs: Tensor | None,
    entropy_and_grad: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Gradient with respect to the scaled logits of one chunk.

    d log p_a / dz = onehot(a) - p; dH / dz = -p (log p + H).
    """
    p = log_p.exp()
    grad = torch.zeros_like(p)
    if grad_logprobs is not None:
        per_row = grad_logprobs.unsqueeze(-1)
        grad = (p * -per_row).scatter_add_(-1, tokens.unsqueeze(-1), per_row)
    if entropy_and_grad is not None:
        row_entropy, grad_entropy = (x.unsqueeze(-1) for x in entropy_and_grad)
        grad -= p.mul_(log_p.add_(row_entropy)).mul_(grad_entropy)
    return grad


class _ChunkedHead(torch.autograd.Function):
    """Log-probs and entropies from a linear head, which recomputes its logits in the backward."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  # torch has no type for what one may keep on it
        hidden: Tensor,
        weight: Tensor,
        tokens: Tensor,
        temperature: float,
        chunk_size: int,
        with_entropy: bool,
    ) -> tuple[Tensor, Tensor | None]:
        dtype = _matmul_dtype(hidden)
        logprobs, normalisers, entropies = [], [], []
        with torch.autocast(hidden.device.type, enabled=False):
            head = weight.to(dtype).T
            for rows in _chunks(len(tokens), chunk_size):
                z = scaled_logits(hidden[rows].to(dtype) @ head, temperature)
                normaliser = z.logsumexp(dim=-1)
                chosen = z.gather(-1, tokens[rows].unsqueeze(-1)).squeeze(-1)
                logprobs.append(chosen - normaliser)
                normalisers.append(normaliser)
                if with_entropy:
                    log_p = z.sub_(normaliser.unsqueeze(-1))
                    entropies.append(-(log_p.exp().mul_(log_p)).sum(dim=-1))
        entropy = torch.cat(entropies) if with_entropy else None
        ctx.settings = (temperature, chunk_size, dtype)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(hidden, weight, tokens, torch.cat(normalisers), entropy)
        return torch.cat(logprobs), entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401  # as above
        grad_logprobs: Tensor | None,
        grad_entropy: Tensor | None,
    ) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        hidden, weight, tokens, normalisers, entropy = ctx.saved_tensors
        temperature, chunk_size, dtype = ctx.settings
        head = weight.to(dtype)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for rows in _chunks(len(tokens), chunk_size):
            states = hidden[rows].to(dtype)
            z = scaled_logits(states @ head.T, temperature)
            grad = _logits_gradient(
                z.sub_(normalisers[rows].unsqueeze(-1)),
                tokens[rows],
                None if grad_logprobs is None else grad_logprobs[rows],
                None if grad_entropy is None else (entropy[rows], grad_entropy[rows]),
            )
            grad = grad.div_(temperature).to(dtype)
            if grad_hidden is not None:
                grad_hidden[rows] = (grad @ head).to(hidden.dtype)
            if grad_weight is not None:
                grad_weight += (grad.T @ states).to(weight.dtype)
        return grad_hidden, grad_weight, None, None, None, None
