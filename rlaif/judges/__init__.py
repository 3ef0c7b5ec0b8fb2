"""Judges: rubrics, criteria, templates, verdicts, and the models behind them.

Nothing here imports torch; the local model's judge is in ``judges.transformers_judge``, and
``open_rubric_judge`` loads it only for a rubric that needs one.
"""

from rlaif.judges.aggregation import VerdictSettings, pair_verdict, score_completion
from rlaif.judges.assembly import open_rubric_judge
from rlaif.judges.backend import Judge, SentenceEncoder
from rlaif.judges.panel import RubricJudge
from rlaif.judges.protocol import (
    PAIR_LABELS,
    JudgeReply,
    JudgeRequest,
    parse_verdict,
    rating_labels,
    request_hash,
    verdict_from_labels,
    verdict_of,
)
from rlaif.judges.rendering import Templates, as_data, load_templates
from rlaif.judges.rubric import (
    EmbeddingCriterion,
    JudgeCriterion,
    Rubric,
    RuleCriterion,
    RuleSpec,
    load_rubric,
    rubric_hash,
)
from rlaif.judges.rules import judge_by_rule
from rlaif.judges.similarity import Similarity

__all__ = [
    "PAIR_LABELS",
    "EmbeddingCriterion",
    "Judge",
    "JudgeCriterion",
    "JudgeReply",
    "JudgeRequest",
    "Rubric",
    "RubricJudge",
    "RuleCriterion",
    "RuleSpec",
    "SentenceEncoder",
    "Similarity",
    "Templates",
    "VerdictSettings",
    "as_data",
    "judge_by_rule",
    "load_rubric",
    "load_templates",
    "open_rubric_judge",
    "pair_verdict",
    "parse_verdict",
    "rating_labels",
    "request_hash",
    "rubric_hash",
    "score_completion",
    "verdict_from_labels",
    "verdict_of",
]
