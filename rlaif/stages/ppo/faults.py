"""What ends or bends a PPO run, apart from its end."""

from rlaif.errors import TrainingError


class NonFiniteLossError(TrainingError):
    """A loss, a gradient, a weight or a reward was NaN or infinite."""


class BrokenPolicyError(NonFiniteLossError):
    """The policy that an update began with gives logits that are not finite."""


class SpikeError(TrainingError):
    """The policy was thrown far off by the steps of one update."""
