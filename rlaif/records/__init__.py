"""One frozen record per arrow of the pipeline, in pipeline order.

    Prompt -> Completion -> Judgement -> CompletionScore, PairVerdict (, HumanLabel) -> Preference
           -> RewardModelReport -> PolicyReport -> EvaluationReport -> GateDecision

Identifiers are digests of names (run-independent places, never clocks), so that the same run
gives the same rows on any day.
"""

from rlaif.records.answers import Completion, Message, Prompt
from rlaif.records.auditing import (
    AuditFigure,
    AuditOnDemand,
    AuditReport,
    CodeAudit,
    HeldBack,
    ProbeKind,
    ProbeOutcome,
    ProbeTrial,
    Tally,
    TrialKind,
)
from rlaif.records.base import Probability, Record, canonical_json, digest_of, make_id
from rlaif.records.deciding import EvaluationReport, GateCheck, GateDecision, WinRate
from rlaif.records.judging import (
    MAX_RANKED,
    MAX_TOKENS,
    Choice,
    CompletionScore,
    JudgeCall,
    Judgement,
    JudgementKind,
    MarkedError,
    Marking,
    PairVerdict,
    Ranking,
    Rating,
    Spent,
    StoredReply,
    Unscored,
    Verdict,
    VerdictMethod,
)
from rlaif.records.preferences import HumanLabel, LabelForm, Preference, PreferenceOrigin, Revision
from rlaif.records.training import (
    OPTIMIZER_NAMES,
    ArtifactRef,
    Metric,
    Optimizer,
    PolicyReport,
    RewardModelReport,
)

__all__ = [
    "MAX_RANKED",
    "MAX_TOKENS",
    "OPTIMIZER_NAMES",
    "ArtifactRef",
    "AuditFigure",
    "AuditOnDemand",
    "AuditReport",
    "Choice",
    "CodeAudit",
    "Completion",
    "CompletionScore",
    "EvaluationReport",
    "GateCheck",
    "GateDecision",
    "HeldBack",
    "HumanLabel",
    "JudgeCall",
    "Judgement",
    "JudgementKind",
    "LabelForm",
    "MarkedError",
    "Marking",
    "Message",
    "Metric",
    "Optimizer",
    "PairVerdict",
    "PolicyReport",
    "Preference",
    "PreferenceOrigin",
    "Probability",
    "ProbeKind",
    "ProbeOutcome",
    "ProbeTrial",
    "Prompt",
    "Ranking",
    "Rating",
    "Record",
    "Revision",
    "RewardModelReport",
    "Spent",
    "StoredReply",
    "Tally",
    "TrialKind",
    "Unscored",
    "Verdict",
    "VerdictMethod",
    "WinRate",
    "canonical_json",
    "digest_of",
    "make_id",
]
