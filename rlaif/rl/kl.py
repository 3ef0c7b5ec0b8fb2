"""Kullback-Leibler divergence of the policy from the reference.

The direction is always KL(policy || reference), estimated on tokens that the policy sampled, in
nats per token; `sequence_kl` adds tokens up to nats per sequence, the unit of the controllers.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlaif.rl.advantages import masked_sum
from rlaif.rl.logprobs import scaled_logits

LOG_RATIO_LIMIT = 20.0
LOGITS_AT_ONCE = 2**22
K3_LIMIT = 10.0

KLEstimator = Literal["k1", "k2", "k3"]


def clamped_log_ratio(
    logprobs: Float[Tensor, "*shape"], other_logprobs: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """The log-ratio log p - log q, in nats, held within +-20 so that its exponential is finite."""
    return (logprobs - other_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def k1(
    logprobs: Float[Tensor, "*shape"], ref_logprobs: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """The log-ratio log p - log q itself: unbiased, high variance, negative at times.

    Source: Schulman 2020, "Approximating KL Divergence" (also for `k2` and `k3`).
    """
    return clamped_log_ratio(logprobs, ref_logprobs)


def k2(
    logprobs: Float[Tensor, "*shape"], ref_logprobs: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Half the squared log-ratio: biased, never negative.

    As a loss on the policy's own samples its gradient is the gradient of the exact KL.
    """
    return 0.5 * clamped_log_ratio(logprobs, ref_logprobs).square()


def k3(
    logprobs: Float[Tensor, "*shape"], ref_logprobs: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """q/p - 1 - log(q/p): unbiased, never negative, less variance than `k1`; at most 10."""
    log_ratio = clamped_log_ratio(logprobs, ref_logprobs)
    return (torch.expm1(-log_ratio) + log_ratio).clamp(-K3_LIMIT, K3_LIMIT)


def token_kl(
    logprobs: Float[Tensor, "*shape"],
    ref_logprobs: Float[Tensor, "*shape"],
    estimator: KLEstimator = "k1",
) -> Float[Tensor, "*shape"]:
    """KL estimate of each sampled token, in nats, by the estimator of that name."""
    return {"k1": k1, "k2": k2, "k3": k3}[estimator](logprobs, ref_logprobs)


def exact_kl(
    logits_p: Float[Tensor, "*batch vocab"],
    logits_q: Float[Tensor, "*batch vocab"],
    temperature: float = 1.0,
) -> Float[Tensor, "*batch"]:
    """KL(p || q), in nats, of the two distributions over the whole vocabulary.

    A token that p never says counts nothing; one that p says and q never makes it infinite.

    Args:
        logits_p: Unscaled logits of the policy.
        logits_q: Unscaled logits of the reference.
        temperature: The sampling temperature, which divides both.

    Raises:
        ValueError: The temperature is not above 0.
    """
    log_p = scaled_logits(logits_p, temperature).log_softmax(dim=-1)
    log_q = scaled_logits(logits_q, temperature).log_softmax(dim=-1)
    never = log_p == -torch.inf
    gap = log_p.masked_fill(never, 0.0) - log_q.masked_fill(never, 0.0)
    return (log_p.exp() * gap).sum(dim=-1)


@torch.no_grad()
def chunked_exact_kl(
    states_p: Float[Tensor, "tokens width"],
    head_p: Float[Tensor, "vocab width"],
    states_q: Float[Tensor, "tokens width_q"],
    head_q: Float[Tensor, "vocab width_q"],
    temperature: float = 1.0,
    *,
    logits_at_once: int = LOGITS_AT_ONCE,
) -> Float[Tensor, " tokens"]:
    """`exact_kl` taken from hidden states, without gradient: logits exist for a chunk at a time.

    Summed over the tokens of a sequence that p sampled, it estimates KL(p || q) of whole sequences
    without bias, and with far less variance than log-ratios do: each step's part is its expectation
    given what came before (the chain rule of KL; Rao-Blackwell).

    Args:
        states_p: Final hidden states of the policy at the places that predict the tokens.
        head_p: The policy's language-model head.
        states_q: Those of the reference.
        head_q: The reference's head.
        temperature: The sampling temperature, which divides both logits.
        logits_at_once: Logits of a chunk of each model, about.

    Raises:
        ValueError: The temperature is not above 0.
    """
    rows = max(1, logits_at_once // head_p.shape[0])
    parts = zip(states_p.split(rows), states_q.split(rows), strict=True)
    found = [
        exact_kl(_logits(p, head_p), _logits(q, head_q), temperature) for p, q in parts if len(p)
    ]
    return torch.cat(found) if found else states_p.new_zeros(0)


def _logits(states: Tensor, head: Tensor) -> Tensor:
    return states.to(head.dtype) @ head.T


def sequence_kl(
    kl: Float[Tensor, "batch response"], response_mask: Bool[Tensor, "batch response"]
) -> Float[Tensor, " batch"]:
    """Nats per sequence: the sum of a KL in nats per token over each row's real tokens."""
    return masked_sum(kl, response_mask, dim=1)


class MeanKL(NamedTuple):
    """A mean of nats per sequence, and its standard error (NaN for fewer than two sequences)."""

    mean: float
    error: float


def mean_and_error(kl: Float[Tensor, " batch"]) -> MeanKL:
    """Mean of a KL over sequences with its standard error, sqrt(unbiased variance / n).

    Args:
        kl: Nats per sequence, one of each independent sequence.

    Raises:
        ValueError: There is no sequence.
    """
    if not len(kl):
        raise ValueError("no sequence to take the mean KL of")
    wide = kl.cpu().double()
    error = (wide.var(correction=1) / len(kl)).sqrt() if len(kl) > 1 else torch.tensor(torch.nan)
    return MeanKL(float(wide.mean()), float(error))
