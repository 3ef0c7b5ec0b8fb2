"""Judges: rubrics, criteria, templates, verdicts, and the models behind them.

torch is imported only when ``TransformersJudge`` is first asked for: a rubric can be read, checked
and, if it has no judge criteria, used without it.
"""

from typing import TYPE_CHECKING, Any

from rlaif.judges.aggregation import pair_verdict, score_completion
from rlaif.judges.backend import Judge, SentenceEncoder, Writer
from rlaif.judges.code_criteria import (
    CriterionContext,
    CriterionFunction,
    LoadedFunction,
    Score,
)
from rlaif.judges.code_sources import load_code
from rlaif.judges.fencing import as_data
from rlaif.judges.juror import Juror
from rlaif.judges.panel import RubricJudge
from rlaif.judges.plugins import JudgeContext, JudgeFactory, make_judge
from rlaif.judges.protocol import (
    PAIR_LABELS,
    JudgeReply,
    JudgeRequest,
    WriteReply,
    WriteRequest,
    parse_verdict,
    rating_labels,
    request_hash,
    verdict_from_labels,
    verdict_of,
)
from rlaif.judges.rendering import Templates, load_templates
from rlaif.judges.rubric import (
    EmbeddingCriterion,
    JudgeCriterion,
    PairExample,
    PythonCriterion,
    RatingExample,
    Reference,
    Rubric,
    RuleCriterion,
    RuleSpec,
    load_rubric,
    rubric_hash,
)
from rlaif.judges.rules import judge_by_rule
from rlaif.judges.similarity import Similarity
from rlaif.judges.weighing import VerdictSettings, p_from_scores

if TYPE_CHECKING:
    from rlaif.judges.transformers_judge import TransformersJudge

__all__ = [
    "PAIR_LABELS",
    "CriterionContext",
    "CriterionFunction",
    "EmbeddingCriterion",
    "Judge",
    "JudgeContext",
    "JudgeCriterion",
    "JudgeFactory",
    "JudgeReply",
    "JudgeRequest",
    "Juror",
    "LoadedFunction",
    "PairExample",
    "PythonCriterion",
    "RatingExample",
    "Reference",
    "Rubric",
    "RubricJudge",
    "RuleCriterion",
    "RuleSpec",
    "Score",
    "SentenceEncoder",
    "Similarity",
    "Templates",
    "TransformersJudge",
    "VerdictSettings",
    "WriteReply",
    "WriteRequest",
    "Writer",
    "as_data",
    "judge_by_rule",
    "load_code",
    "load_rubric",
    "load_templates",
    "make_judge",
    "p_from_scores",
    "pair_verdict",
    "parse_verdict",
    "rating_labels",
    "request_hash",
    "rubric_hash",
    "score_completion",
    "verdict_from_labels",
    "verdict_of",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any attribute, or none
    if name == "TransformersJudge":
        from rlaif.judges.transformers_judge import TransformersJudge

        return TransformersJudge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
