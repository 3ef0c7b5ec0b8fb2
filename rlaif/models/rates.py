"""Learning rates that follow a model's size, for settings that say ``auto``."""

LOWEST_RATE = 1e-7
HIGHEST_RATE = 1e-3
ADAPTER_FACTOR = 10.0
HIGHEST_ADAPTER_RATE = 2e-3


def auto_learning_rate(parameters: int, scale: float = 1.0) -> float:
    """Return a peak rate for Adam from the number of weights.

    1e-3 (1e6 / N)^0.75, a straight line in logarithms between what nets of a million weights bear
    (1e-3) and what fine-tuning of seven billion with human feedback uses (about 1e-6). A rule of
    thumb, not a law: a setting overrides it.

    Args:
        parameters: Trained weights, embeddings included.
        scale: How much faster than a policy's this model may move.

    Returns:
        The rate, held within 1e-7 and 1e-3.

    Raises:
        ValueError: `parameters` is below 1 or `scale` is not positive.
    """
    _refuse(parameters, scale)
    rate = float(scale * 1e-3 * (1e6 / parameters) ** 0.75)
    return min(max(rate, LOWEST_RATE), HIGHEST_RATE)


def auto_adapter_rate(parameters: int, scale: float = 1.0) -> float:
    """Return a peak rate for Adam on the adapters of a model.

    Ten times that of all weights (Schulman et al. 2025, "LoRA Without Regret", who found it so at
    every size they tried), but no more than 2e-3 times the scale: nets of a million weights bear
    1e-3 as it is, and ten times that broke adapters there (docs/LOG.md).

    Args:
        parameters: Weights of the whole model.
        scale: As for `auto_learning_rate`.

    Raises:
        ValueError: As there.
    """
    full = auto_learning_rate(parameters, scale)
    return min(ADAPTER_FACTOR * full, scale * HIGHEST_ADAPTER_RATE)


def _refuse(parameters: int, scale: float) -> None:
    if parameters < 1 or scale <= 0:
        raise ValueError(
            f"{parameters} parameters and scale {scale}: expected at least one, and a scale above 0"
        )
