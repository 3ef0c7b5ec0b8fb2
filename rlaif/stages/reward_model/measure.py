"""What a reward model is worth, measured on pairs that it never trained on."""

import numpy as np

from rlaif.figures import Floats


def agreement(gaps: Floats, labels: Floats) -> float | None:
    """Return the share of pairs whose reward gap is on the label's side.

    Pairs labelled 0.5 have no side and are left out; a gap of exactly 0 agrees with nothing.

    Args:
        gaps: Reward of the first minus reward of the second.
        labels: P(first is better).

    Returns:
        The share, or None where no pair has a side.
    """
    sides = np.asarray(labels, dtype=float) - 0.5
    kept = sides != 0
    if not kept.any():
        return None
    return float((np.asarray(gaps)[kept] * sides[kept] > 0).mean())
