"""Kullback-Leibler divergence of the policy from the reference, and control of its weight beta.

The direction is always KL(policy || reference), estimated on tokens that the policy sampled, in
nats per token; `sequence_kl` adds tokens up to nats per sequence, the unit of the controllers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlaif.rl.advantages import masked_sum
from rlaif.rl.logprobs import scaled_logits

LOG_RATIO_LIMIT = 20.0
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


def sequence_kl(
    kl: Float[Tensor, "batch response"], response_mask: Bool[Tensor, "batch response"]
) -> Float[Tensor, " batch"]:
    """Nats per sequence: the sum of a KL in nats per token over each row's real tokens."""
    return masked_sum(kl, response_mask, dim=1)


class KLController(Protocol):
    """What decides beta, the weight of the KL in the reward or in the loss.

    Attributes:
        beta: The weight in force: units of reward per nat.
    """

    beta: float

    def update(self, kl: float, episodes: int) -> float:
        """Take in the mean KL (nats per sequence) of some episodes; return the new beta."""
        ...

    def state_dict(self) -> dict[str, float]:
        """What changes over time, as plain numbers that go into a checkpoint."""
        ...

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a state that `state_dict` gave."""
        ...


def _check_kl(kl: float, episodes: int) -> None:
    if not math.isfinite(kl) or episodes < 0:
        raise ValueError(
            f"KL {kl} over {episodes} episodes: expected a finite number of nats per sequence and "
            "no negative count; a KL that is not finite means that training has diverged"
        )


def _beta_from(state: Mapping[str, float]) -> float:
    beta = state.get("beta", math.nan)
    if set(state) != {"beta"} or not (math.isfinite(beta) and beta >= 0):
        raise ValueError(
            f"controller state is {dict(state)}, expected beta alone, finite and not negative: "
            "load the state of a checkpoint that this version wrote"
        )
    return beta


@dataclass
class FixedKL:
    """A beta that stays what it is.

    Attributes:
        beta: Weight of the KL, in units of reward per nat; 0 or more.
    """

    beta: float

    def __post_init__(self) -> None:
        """Check the weight.

        Raises:
            ValueError: `beta` is negative or not finite.
        """
        _beta_from({"beta": self.beta})

    def update(self, kl: float, episodes: int) -> float:
        """Return beta, which no KL changes.

        Raises:
            ValueError: `kl` is not finite, or `episodes` is negative.
        """
        _check_kl(kl, episodes)
        return self.beta

    def state_dict(self) -> dict[str, float]:
        """Beta."""
        return {"beta": self.beta}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Take over beta from a checkpoint.

        Raises:
            ValueError: The state is not one of this controller's.
        """
        self.beta = _beta_from(state)


@dataclass
class AdaptiveKL:
    """A beta that rises while the KL is above a target and falls while it is below.

    beta <- beta (1 + clip(KL / target - 1, -limit, limit) * episodes / horizon): Ziegler et al.
    2019, "Fine-Tuning Language Models from Human Preferences", section 2.2.

    Attributes:
        beta: Weight of the KL, in units of reward per nat; above 0, or it could never change.
        target: Wanted KL, in nats per sequence.
        horizon: Episodes over which an error of 100% would double beta, were it not clipped.
        error_limit: Bound of the proportional error.
    """

    beta: float
    target: float = 6.0
    horizon: float = 10_000.0
    error_limit: float = 0.2

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: One of them is not finite and above 0.
        """
        for name in ("beta", "target", "horizon", "error_limit"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, expected a finite number above 0")

    def update(self, kl: float, episodes: int) -> float:
        """Move beta towards the target and return it.

        Args:
            kl: Mean KL of the latest episodes, in nats per sequence.
            episodes: How many episodes (responses) that is.

        Raises:
            ValueError: `kl` is not finite, or so many episodes come at once for this horizon that
                one update could make beta negative.
        """
        _check_kl(kl, episodes)
        if self.error_limit * episodes >= self.horizon:
            raise ValueError(
                f"{episodes} episodes at once are too many for a horizon of {self.horizon:g}: "
                f"beta could turn negative, so set it above {self.error_limit * episodes:g}"
            )
        error = min(max(kl / self.target - 1.0, -self.error_limit), self.error_limit)
        self.beta *= 1.0 + error * episodes / self.horizon
        return self.beta

    def state_dict(self) -> dict[str, float]:
        """Beta: the target and the horizon are settings, not state."""
        return {"beta": self.beta}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Take over beta from a checkpoint.

        Raises:
            ValueError: The state is not one of this controller's.
        """
        self.beta = _beta_from(state)
