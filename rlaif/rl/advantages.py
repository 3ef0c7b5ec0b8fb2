"""Masked statistics and generalised advantage estimation.

Throughout, `response_mask` is True at a real response token, the EOS included, and each row's real
tokens are the beginning of the row. Cells outside the mask never influence a result, whatever they
hold (NaN too), and are 0 in results that have cells.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_sum(
    x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], dim: int | None = None
) -> Float[Tensor, "..."]:
    """Sum of `x` where `mask` is True, over everything or along `dim`."""
    kept = x.masked_fill(~mask, 0.0)
    return kept.sum() if dim is None else kept.sum(dim=dim)


def masked_mean(
    x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], dim: int | None = None
) -> Float[Tensor, "..."]:
    """Mean of `x` where `mask` is True, over everything or along `dim`; NaN where nothing is."""
    return masked_sum(x, mask, dim) / (mask.sum() if dim is None else mask.sum(dim=dim))


def masked_var(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Population variance (divided by n, not n - 1) of `x` where `mask` is True."""
    kept = x.masked_fill(~mask, 0.0)
    return masked_mean((kept - masked_mean(kept, mask)).square(), mask)


def whiten(
    x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], shift_mean: bool = True
) -> Float[Tensor, "*shape"]:
    """Scale `x` to variance 1 over the whole mask, and shift its mean to 0 if asked.

    Advantages are whitened with the mean shifted, rewards without (Ziegler et al. 2019 and its
    code; Huang et al. 2024, "The N+ Implementation Details of RLHF with PPO").

    Args:
        x: Numbers to whiten.
        mask: True = a cell that counts.
        shift_mean: Whether the result has mean 0 (else it keeps its mean).

    Returns:
        The whitened numbers, 0 outside the mask. Equal numbers stay finite.
    """
    kept = x.masked_fill(~mask, 0.0)
    mean = masked_mean(kept, mask)
    white = (kept - mean) * (masked_var(kept, mask) + 1e-8).rsqrt()
    return (white if shift_mean else white + mean).masked_fill(~mask, 0.0)


class Advantages(NamedTuple):
    """What `gae` returns.

    Attributes:
        advantages: Estimated advantage of each token, not whitened.
        returns: Advantage plus value: the target of the value function.
    """

    advantages: Float[Tensor, "batch response"]
    returns: Float[Tensor, "batch response"]


@torch.no_grad()
def gae(
    rewards: Float[Tensor, "batch response"],
    values: Float[Tensor, "batch response"],
    response_mask: Bool[Tensor, "batch response"],
    gamma: float = 1.0,
    lam: float = 0.95,
) -> Advantages:
    """Generalised advantage estimation (Schulman et al. 2016, eqs. 11, 12 and 16).

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lam A_{t+1}; an episode ends with
    its last real token, after which value and advantage are 0.

    Args:
        rewards: Reward of each response token.
        values: Value estimate of the state in which each token was chosen.
        response_mask: True = a real response token.
        gamma: Discount for each token.
        lam: 0 trusts the values (one-step), 1 the rewards (Monte Carlo).

    Returns:
        Advantages and returns, without gradient, 0 outside the mask.
    """
    rewards = rewards.masked_fill(~response_mask, 0.0)
    values = values.masked_fill(~response_mask, 0.0)
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    deltas = rewards + gamma * next_values - values
    advantages = torch.empty_like(deltas)
    following = torch.zeros_like(deltas[:, 0])
    for column in reversed(range(deltas.shape[1])):
        following = deltas[:, column] + gamma * lam * following
        advantages[:, column] = following
    return Advantages(advantages, advantages + values)
