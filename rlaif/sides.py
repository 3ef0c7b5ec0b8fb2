"""Which of two answers a probability prefers, whatever the last digits of a sum say."""

ROUNDING = 1e-9  # what weights that cancel leave of one half, and 0.55 - 0.5 of 0.05


def side(p_first: float) -> int:
    """Return 1 where the first is preferred, -1 where the second is, 0 where neither."""
    gap = p_first - 0.5
    return 0 if abs(gap) <= ROUNDING else (1 if gap > 0.0 else -1)


def is_tie(p_first: float, margin: float) -> bool:
    """Return whether P(first is better) is nearer to one half than a margin; even always is.

    P and 1 - P are a tie alike.
    """
    return side(p_first) == 0 or abs(p_first - 0.5) < margin - ROUNDING
