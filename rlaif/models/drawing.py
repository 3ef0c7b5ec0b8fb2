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


def uniforms(rows: int, tokens: int, generator: torch.Generator | None) -> Tensor:
    """Return the random numbers that rows are drawn by: float64 [rows, tokens], each in [0, 1).

    A row's numbers are its own: what it draws does not depend on the rows it is decoded with. They
    lie on the generator's device, which is the CPU where the model's own has no float64
    (`seeds.drawing_device`).
    """
    device = "cpu" if generator is None else generator.device
    return torch.rand(rows, tokens, dtype=torch.float64, device=device, generator=generator)


def draw(logits: Tensor, temperature: float, uniform: Tensor) -> Drawn:
    """Draw a token of each row from softmax(logits / temperature).

    By inversion: the first token at which the cumulative probability, summed in float64, passes the
    row's number. Logits that are not finite give log-probs that are not.

    It is done where the numbers lie, since not every device that gives logits has float64 (Apple's
    GPU has none); what is drawn goes back to the logits.

    Args:
        logits: [rows, vocabulary].
        temperature: Above 0.
        uniform: The rows' numbers [rows], float64 in [0, 1).
    """
    scaled = scaled_logits(logits.to(uniform.device), temperature)
    normaliser = scaled.logsumexp(dim=-1, keepdim=True)
    cumulative = (scaled - normaliser).exp_().cumsum(dim=-1, dtype=torch.float64)
    wanted = uniform.unsqueeze(-1) * cumulative[:, -1:]
    places = torch.searchsorted(cumulative, wanted, right=True)
    tokens = places.clamp_(max=logits.shape[-1] - 1)
    logprobs = scaled.gather(-1, tokens) - normaliser
    drawn = Drawn(tokens.squeeze(-1), logprobs.squeeze(-1))
    return Drawn(*(x.to(logits.device) for x in drawn))
