"""Control of beta, the weight of the KL in the reward or in the loss.

Controllers take in nats per sequence, averaged over the latest episodes, and give units of reward
per nat. Their state is plain numbers, so that it goes into a checkpoint and on to the next cycle.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


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


def _check_positive(controller: object, *names: str) -> None:
    for name in names:
        value = getattr(controller, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}, expected a finite number above 0")


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
        _check_positive(self, "beta", "target", "horizon", "error_limit")

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


@dataclass
class LagrangianKL:
    """A beta that a PI controller moves until the KL is its target: a constraint's multiplier.

    With e = clip(KL / target - 1, -limit, limit) and n = episodes / horizon,

        integral <- integral + n e;   log beta = log(first beta) + gain e n' + integral

    where n' = min(n, 1) bounds the proportional part of one update. Moving the logarithm keeps beta
    above 0 and makes a step a share of it. The integral alone is Ziegler's controller in the limit
    of small steps; the proportional part damps its swing (Stooke et al. 2020, "Responsive Safety in
    Reinforcement Learning by PID Lagrangian Methods", section 5). At the bounds the integral stops
    (anti-windup), so beta comes back as soon as the error turns.

    Attributes:
        beta: Weight of the KL, in units of reward per nat; above 0.
        target: Wanted KL, in nats per sequence.
        horizon: Episodes over which an error of 100% would move beta e-fold, were it not clipped.
        gain: Weight of the proportional part.
        error_limit: Bound of the proportional error.
        lowest: Lower bound of beta.
        highest: Upper bound of beta.
    """

    beta: float
    target: float = 6.0
    horizon: float = 2_000.0
    gain: float = 1.0
    error_limit: float = 1.0
    lowest: float = 1e-6
    highest: float = 1e3

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: One of them is not finite and above 0, or beta is out of its bounds.
        """
        _check_positive(self, "beta", "target", "horizon", "error_limit", "lowest", "highest")
        if not (math.isfinite(self.gain) and self.gain >= 0):
            raise ValueError(f"gain is {self.gain}, expected a finite number, 0 or more")
        if not self.lowest <= self.beta <= self.highest:
            raise ValueError(
                f"beta is {self.beta}, expected within its bounds {self.lowest} and {self.highest}"
            )
        self._slow = math.log(self.beta)

    def update(self, kl: float, episodes: int) -> float:
        """Move beta towards the target and return it.

        Args:
            kl: Mean KL of the latest episodes, in nats per sequence.
            episodes: How many episodes (responses) that is.

        Raises:
            ValueError: `kl` is not finite, or `episodes` is negative.
        """
        _check_kl(kl, episodes)
        error = min(max(kl / self.target - 1.0, -self.error_limit), self.error_limit)
        share = episodes / self.horizon
        low, high = math.log(self.lowest), math.log(self.highest)
        self._slow = min(max(self._slow + share * error, low), high)
        quick = self.gain * error * min(share, 1.0)
        self.beta = math.exp(min(max(self._slow + quick, low), high))
        return self.beta

    def state_dict(self) -> dict[str, float]:
        """Beta, and the logarithm that the integral has moved."""
        return {"beta": self.beta, "slow": self._slow}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Take over beta and the integral from a checkpoint.

        Raises:
            ValueError: The state is not one of this controller's.
        """
        found = {name: state.get(name, math.nan) for name in ("beta", "slow")}
        good = set(state) == set(found) and all(math.isfinite(x) for x in found.values())
        if not good or found["beta"] <= 0:
            raise ValueError(
                f"controller state is {dict(state)}, expected beta above 0 and slow, both finite: "
                "load the state of a checkpoint that this version wrote"
            )
        self.beta, self._slow = found["beta"], found["slow"]
