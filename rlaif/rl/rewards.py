"""From scores of completions to rewards of tokens."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

ROUNDING = 1e-12  # of a squared mean: what float32 scores that should be equal differ by


def place_scores(
    kl_penalty: Float[Tensor, "batch response"],
    scores: Float[Tensor, " batch"],
    response_mask: Bool[Tensor, "batch response"],
) -> Float[Tensor, "batch response"]:
    """Reward of each token: minus its KL penalty, plus the score on the last real token.

    r_t = -penalty_t + score * [t is last] (Ouyang et al. 2022, eq. 2, spread over tokens).

    Args:
        kl_penalty: Cost of each token in units of reward: beta times its KL estimate, positive
            where the policy is likelier than the reference to say the token.
        scores: One score for each response.
        response_mask: True = a real response token.

    Returns:
        Rewards, 0 outside the mask. A row without a real token gets none.
    """
    rewards = (-kl_penalty).masked_fill(~response_mask, 0.0)
    places = torch.arange(1, response_mask.shape[1] + 1, device=response_mask.device)
    is_last = response_mask & (places == response_mask.sum(dim=1, keepdim=True))
    return rewards + torch.where(is_last, scores.unsqueeze(1), 0.0)


def clip_scores(scores: Float[Tensor, " batch"], limit: float) -> Float[Tensor, " batch"]:
    """Scores held within -limit and limit.

    Raises:
        ValueError: The limit is not above 0.
    """
    if not limit > 0:
        raise ValueError(f"the limit is {limit}, expected above 0")
    return scores.clamp(-limit, limit)


def length_penalty(
    lengths: Int[Tensor, " batch"], free: int, per_token: float
) -> Float[Tensor, " batch"]:
    """What a response's length costs: `per_token` for each token beyond the first `free`.

    Args:
        lengths: Real tokens of each response.
        free: Tokens that cost nothing.
        per_token: Units of reward per token.
    """
    return (lengths - free).clamp(min=0) * float(per_token)


def ensemble_score(
    scores: Float[Tensor, "members batch"], penalty: float
) -> Float[Tensor, " batch"]:
    """Mean over an ensemble, less `penalty` standard deviations (Coste et al. 2023, section 3).

    The deviation is the population's, 0 for one member: one member's score is itself.
    """
    return scores.mean(dim=0) - penalty * scores.std(dim=0, correction=0)


class RunningScale:
    """Mean and variance of all scores seen so far, merged batch by batch.

    Source: Chan, Golub and LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances". In double precision, whatever the scores are in.
    """

    def __init__(self) -> None:
        self._count = 0.0
        self._mean = 0.0
        self._squares = 0.0

    @property
    def std(self) -> float:
        """Population standard deviation; 1 until scores differ by more than they are rounded."""
        variance = self._squares / self._count if self._count else 0.0
        return math.sqrt(variance) if variance > ROUNDING * self._mean**2 else 1.0

    def update(self, scores: Float[Tensor, " batch"]) -> None:
        """Take in a batch.

        Raises:
            ValueError: A score is not finite.
        """
        if not torch.isfinite(scores).all():
            raise ValueError("a score is not finite: it would spoil all that follow")
        wide = scores.cpu().double()
        count = float(len(wide))
        if not count:
            return
        mean = float(wide.mean())
        squares = float((wide - mean).square().sum())
        total = self._count + count
        gap = mean - self._mean
        self._squares += squares + gap * gap * self._count * count / total
        self._mean += gap * count / total
        self._count = total

    def scale(self, scores: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Scores divided by the standard deviation; the mean stays, as it tells good from bad."""
        return scores / self.std

    def state_dict(self) -> dict[str, float]:
        """Count, mean, and sum of squared distances from it."""
        return {"count": self._count, "mean": self._mean, "squares": self._squares}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a state that `state_dict` gave."""
        self._count, self._mean, self._squares = (state[n] for n in ("count", "mean", "squares"))
