"""The rubric file: what good means, as strict data.

A criterion is of kind ``judge``, ``rule``, ``embedding`` or ``python``; unknown kinds, unknown
keys, weights that cannot be weighed and patterns that do not compile are refused with file, line
and field.
"""

from rlaif.judges.rubric.criteria import (
    KINDS,
    AnyCriterion,
    Criterion,
    EmbeddingCriterion,
    Example,
    JudgeCriterion,
    PairExample,
    PythonCriterion,
    RatingExample,
    RuleCriterion,
    RuleSpec,
)
from rlaif.judges.rubric.fields import MAX_CHOICES, MAX_CRITERIA
from rlaif.judges.rubric.model import Reference, Rubric, rubric_hash
from rlaif.judges.rubric.reading import asks_the_same, examined, load_rubric

__all__ = [
    "KINDS",
    "MAX_CHOICES",
    "MAX_CRITERIA",
    "AnyCriterion",
    "Criterion",
    "EmbeddingCriterion",
    "Example",
    "JudgeCriterion",
    "PairExample",
    "PythonCriterion",
    "RatingExample",
    "Reference",
    "Rubric",
    "RuleCriterion",
    "RuleSpec",
    "asks_the_same",
    "examined",
    "load_rubric",
    "rubric_hash",
]
