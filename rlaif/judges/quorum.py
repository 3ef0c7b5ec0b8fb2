"""How many of those asked must have a verdict, so that theirs stands for all."""


def is_quorum(verdicts: int, asked: int) -> bool:
    """Whether enough samples of a judge, or jurors, have a verdict: more than half of those asked.

    Args:
        verdicts: How many have one.
        asked: How many were asked.
    """
    # Half is not enough: those that can be read may differ from the others, and nobody outvotes.
    return 2 * verdicts > asked
