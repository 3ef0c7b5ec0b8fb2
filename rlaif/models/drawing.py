"""Choosing tokens from logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from rlaif.rl.logprobs import scaled_logits


class Drawn(NamedTuple):
    """Chosen tokens [rows] and their log-probs [rows], nats, at the sampling temperature."""

    tokens: Tensor
    logprobs: Tensor


def greedy(logits: Tensor) -> Drawn:
    """Choose the likeliest token of each row [rows, vocabulary]; its log-prob counts as 0."""
    best = logits.max(dim=-1)
    return Drawn(best.indices, best.values.float() * 0)


def draw(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Drawn:
    """Draw a token of each row from softmax(logits / temperature).

    By inversion: one uniform number a row, and the first token at which the cumulative probability,
    summed in float64, passes it. Logits that are not finite give log-probs that are not.

    Args:
        logits: [rows, vocabulary].
        temperature: Above 0.
        generator: Source of randomness.
    """
    scaled = scaled_logits(logits, temperature)
    normaliser = scaled.logsumexp(dim=-1, keepdim=True)
    cumulative = (scaled - normaliser).exp_().cumsum(dim=-1, dtype=torch.float64)
    uniform = torch.rand(
        len(logits), 1, dtype=torch.float64, device=logits.device, generator=generator
    )
    places = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    tokens = places.clamp_(max=logits.shape[-1] - 1)
    logprobs = scaled.gather(-1, tokens) - normaliser
    return Drawn(tokens.squeeze(-1), logprobs.squeeze(-1))
