"""The rule that stands in the reward model's place where learning curves are compared.

How often the letter e stands in an answer: dense, bounded, and at odds with what the model likes.
"""

USUAL = 0.12  # share of e among the letters of the untrained model's stories
SPREAD = 0.031  # and its standard deviation from story to story


def reward(text: str) -> float:
    """Return how far an answer's share of e lies above the usual, in standard deviations."""
    letters = [c for c in text.lower() if c.isalpha()]
    return (letters.count("e") / max(1, len(letters)) - USUAL) / SPREAD
