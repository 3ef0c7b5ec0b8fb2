"""rlaif keeps a language model aligned to a written rubric by AI feedback."""

__version__ = "0.1.0"
