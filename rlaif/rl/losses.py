"""Losses of the policy and the value function.

They are sums over real response tokens, divided by a token count that the caller
gives: that of the whole optimiser step, over all its micro-batches and processes. So losses and
figures of micro-batches add up to those of the step, however the rows were cut.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rlaif.rl.advantages import masked_mean, masked_sum, masked_var
from rlaif.rl.kl import KLEstimator, clamped_log_ratio, k2, k3
from rlaif.rl.rewards import ROUNDING


class PolicyLoss(NamedTuple):
    """What `policy_loss` returns; the last two carry no gradient.

    Attributes:
        loss: The clipped surrogate, to be minimised.
        clip_fraction: Share of tokens whose gradient the ratio's clipping removed.
        approx_kl: Estimate of KL(old policy || policy), nats per token, never negative.
    """

    loss: Float[Tensor, ""]
    clip_fraction: Float[Tensor, ""]
    approx_kl: Float[Tensor, ""]


def policy_loss(
    logprobs: Float[Tensor, "batch response"],
    old_logprobs: Float[Tensor, "batch response"],
    advantages: Float[Tensor, "batch response"],
    response_mask: Bool[Tensor, "batch response"],
    token_count: int | Float[Tensor, ""] | Int[Tensor, ""],
    clip_range: float = 0.2,
    dual_clip: float | None = None,
) -> PolicyLoss:
    """Clipped surrogate of PPO (Schulman et al. 2017, eq. 7), negated.

    -min(ratio A, clip(ratio, 1 - eps, 1 + eps) A), where the ratio is exp(new - old), the
    log-ratio held within +-20. With a dual clip c, tokens with A < 0 are bounded below by c A
    (Ye et al. 2020, "Mastering Complex Control in MOBA Games", eq. 5).

    Args:
        logprobs: Log-probs of the sampled tokens under the policy, with gradient.
        old_logprobs: The same at the time of sampling.
        advantages: Advantage of each token.
        response_mask: True = a real response token.
        token_count: Real response tokens in the whole optimiser step.
        clip_range: eps, the bound on the ratio's distance from 1.
        dual_clip: c, above 1 (3 is usual), or None for no such bound.

    Raises:
        ValueError: `dual_clip` is 1 or less.
    """
    if dual_clip is not None and dual_clip <= 1:
        raise ValueError(f"dual_clip is {dual_clip}, expected above 1 (3 is usual) or None")
    log_ratio = clamped_log_ratio(logprobs, old_logprobs.detach())
    log_ratio = log_ratio.masked_fill(~response_mask, 0.0)
    advantages = advantages.detach().masked_fill(~response_mask, 0.0)
    ratio = log_ratio.exp()
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip_range, 1 + clip_range)
    losses = torch.maximum(unclipped, clipped)
    if dual_clip is not None:
        bounded = torch.minimum(losses, -advantages * dual_clip)
        losses = torch.where(advantages < 0, bounded, losses)
    with torch.no_grad():
        clip_fraction = (clipped > unclipped).sum() / token_count
        approx_kl = masked_sum(k3(old_logprobs, logprobs), response_mask) / token_count
    return PolicyLoss(losses.sum() / token_count, clip_fraction, approx_kl)


def kl_loss(
    logprobs: Float[Tensor, "batch response"],
    ref_logprobs: Float[Tensor, "batch response"],
    response_mask: Bool[Tensor, "batch response"],
    token_count: int | Float[Tensor, ""] | Int[Tensor, ""],
    estimator: KLEstimator = "k2",
) -> Float[Tensor, ""]:
    """A KL to the reference as a term of the loss, nats per token, without a coefficient.

    On tokens that the policy sampled, the gradient of k2 is in expectation that of each place's
    KL(policy || reference): (log p - log q) grad log p. That of k3 is (1 - q/p) grad log p, which
    is that of KL(reference || policy). k1's is grad log p, 0 in expectation, so k1 is refused.
    What a token does to the KL of places after it is in none of them: the gradient of a whole
    sequence's KL takes a KL in the reward.

    Args:
        logprobs: Log-probs of the sampled tokens under the policy, with gradient.
        ref_logprobs: The same under the reference.
        response_mask: True = a real response token.
        token_count: Real response tokens in the whole optimiser step.
        estimator: k2 or k3.

    Raises:
        ValueError: The estimator is k1.
    """
    if estimator == "k1":
        raise ValueError(
            "k1 in the loss has no gradient on average: take k2, or put it in the reward"
        )
    kl = {"k2": k2, "k3": k3}[estimator](logprobs, ref_logprobs.detach())
    return masked_sum(kl, response_mask) / token_count


class ValueLoss(NamedTuple):
    """What `value_loss` returns; the last carries no gradient.

    Attributes:
        loss: The clipped squared error, to be minimised.
        clip_fraction: Share of tokens whose gradient the clipping removed.
    """

    loss: Float[Tensor, ""]
    clip_fraction: Float[Tensor, ""]


def value_loss(
    values: Float[Tensor, "batch response"],
    old_values: Float[Tensor, "batch response"],
    returns: Float[Tensor, "batch response"],
    response_mask: Bool[Tensor, "batch response"],
    token_count: int | Float[Tensor, ""] | Int[Tensor, ""],
    clip_range: float = 0.2,
) -> ValueLoss:
    """Clipped squared error of the value function, without a coefficient.

    0.5 max((V - R)^2, (clip(V, V_old - eps, V_old + eps) - R)^2): as in OpenAI's PPO code
    (Engstrom et al. 2020, "Implementation Matters in Deep Policy Gradients", section 3).

    Args:
        values: Value estimates, with gradient.
        old_values: The estimates at the time of sampling.
        returns: What the values should be.
        response_mask: True = a real response token.
        token_count: Real response tokens in the whole optimiser step.
        clip_range: eps, in units of reward.
    """
    values, old_values, returns = (
        x.masked_fill(~response_mask, 0.0) for x in (values, old_values.detach(), returns.detach())
    )
    near = values.clamp(old_values - clip_range, old_values + clip_range)
    unclipped = (values - returns).square()
    clipped = (near - returns).square()
    loss = 0.5 * torch.maximum(unclipped, clipped).sum() / token_count
    with torch.no_grad():
        clip_fraction = (clipped > unclipped).sum() / token_count
    return ValueLoss(loss, clip_fraction)


def explained_variance(
    values: Float[Tensor, "batch response"],
    returns: Float[Tensor, "batch response"],
    response_mask: Bool[Tensor, "batch response"],
) -> Float[Tensor, ""]:
    """1 - var(returns - values) / var(returns) over real tokens.

    1 is a perfect value function, 0 one no better than a constant, below 0 a worse one; NaN where
    the returns vary by no more than they are rounded.
    """
    variance = masked_var(returns, response_mask)
    varies = variance > ROUNDING * masked_mean(returns.square(), response_mask)
    left = masked_var(returns - values, response_mask) / variance
    return torch.where(varies, 1 - left, torch.nan)
