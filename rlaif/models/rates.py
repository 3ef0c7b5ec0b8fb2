"""Learning rates that follow a model's size, for settings that say ``auto``."""

LOWEST_RATE = 1e-7
HIGHEST_RATE = 1e-3
ADAPTER_RATE_FACTOR = 10.0  # Schulman et al. 2025, "LoRA Without Regret": about ten times the full


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
    if parameters < 1 or scale <= 0:
        raise ValueError(
            f"{parameters} parameters and scale {scale}: expected at least one, and a scale above 0"
        )
    rate = float(scale * 1e-3 * (1e6 / parameters) ** 0.75)
    return min(max(rate, LOWEST_RATE), HIGHEST_RATE)
