"""A rubric of a rule and two judge criteria, answers to it, and panels that judge by it."""

from collections.abc import Sequence

from judge_samples import completion, judge_criterion, prompt, rubric, rule_criterion

from rlaif.config import JudgingConfig
from rlaif.judges import (
    EmbeddingCriterion,
    Judge,
    Juror,
    Rubric,
    RubricJudge,
    SentenceEncoder,
    load_templates,
)
from rlaif.records import Completion, CompletionScore, Judgement

TEMPLATES = load_templates("detailed")
NEAR = EmbeddingCriterion(name="on-topic", kind="embedding", weight=0.5, to="prompt")
FULL = rubric(
    rule_criterion("ends", 1.0),
    judge_criterion("kind", 1.0),
    judge_criterion("right", 2.0, choices=5),
)
PROMPT = prompt("Name a colour")
GOOD, BAD = completion("good", "Blue is a good colour."), completion("bad", "No")


def taste(text: str) -> float:
    return 1.0 if "good" in text else 0.25


def panel(
    criteria: Rubric = FULL,
    judge: Judge | None = None,
    encoder: SentenceEncoder | None = None,
    judging: JudgingConfig | None = None,
    floor: float = 0.5,
) -> RubricJudge:
    return RubricJudge(
        criteria,
        judging=judging or JudgingConfig(),
        jury=(Juror("one", judge, TEMPLATES, floor),) if judge else (),
        encoder=encoder,
    )


def scores_of(
    whole: RubricJudge, answers: Sequence[Completion], rated: Sequence[Sequence[Judgement]]
) -> dict[str, CompletionScore]:
    items = [(PROMPT, answer) for answer in answers]
    return {s.completion_id: s for s in whole.scores(items, rated)}
