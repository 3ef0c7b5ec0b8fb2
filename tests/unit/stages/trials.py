"""A judge whose every word is written in the answers themselves, and rubrics that it judges by."""

from typing import Literal

from rlaif.config import JudgingConfig
from rlaif.judges import JudgeCriterion, Juror, Rubric, RubricJudge, RuleCriterion, load_templates
from rlaif.judges.protocol import PAIR_LABELS, JudgeRequest
from rlaif.judges.rubric import RuleSpec
from rlaif.records import Completion, CompletionScore, Message, Prompt
from rlaif.testing import ScriptedJudge

CHINESE = "\u4f60\u597d\uff0c\u4e16\u754c \U0001f600"
CHOICES = ("bad", "so-so", "good")


def worth(text: str) -> float:
    """The number after the last ``=`` in an answer, and one half where there is none."""
    return float(text.rpartition("=")[2].split()[0]) if "=" in text else 0.5


def script(request: JudgeRequest) -> dict[str, float] | str:
    """Rate by worth; prefer by half the difference in worth, but for answers that say otherwise.

    ``mumble`` gets no verdict, and of two of which one says ``bias`` the first shown is better.
    """
    if any("mumble" in text for text in request.shown):
        return "Well, well."
    values = [worth(text) for text in request.shown]
    if request.labels != PAIR_LABELS:
        place = values[0] * (len(request.labels) - 1)
        return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}
    bias = any("bias" in text for text in request.shown)
    p = 1.0 if bias else 0.5 + (values[0] - values[1]) / 2.0
    return {"A": p, "B": 1.0 - p}


def judged_by(*names: str) -> tuple[JudgeCriterion, ...]:
    return tuple(
        JudgeCriterion(name=name, kind="judge", weight=1.0, text=f"It is {name}.", choices=CHOICES)
        for name in names
    )


ENDS = RuleCriterion(name="ends", kind="rule", weight=1.0, rule=RuleSpec(ends_with=("!",)))


def panel_of(
    *criteria: JudgeCriterion | RuleCriterion,
    pairwise_weight: float = 1.0,
    jurors: int = 1,
    compare: Literal["pairs", "lists"] = "pairs",
) -> RubricJudge:
    """A panel whose P(first is better) is the judge's own, unless told otherwise."""
    jury = [
        Juror(f"juror-{i}", ScriptedJudge(script, f"juror-{i}"), load_templates("detailed"), 0.5)
        for i in range(jurors)
    ]
    return RubricJudge(
        Rubric(name="r", version="1", language="en", criteria=criteria),
        judging=JudgingConfig(pairwise_weight=pairwise_weight, compare=compare),
        jury=jury,
    )


def prompt(name: str) -> Prompt:
    message = Message(role="user", content=f"Asked {name}: {CHINESE}")
    return Prompt(id=name, messages=(message,), split="train")


def answer(name: str, text: str) -> Completion:
    return Completion(
        id=name, prompt_id=name[:2], policy="d", index=0, text=text, length=3, ended=True
    )


def scored(name: str, score: float | None, **parts: float) -> CompletionScore:
    unscored = None if score is not None else "mumbled"
    return CompletionScore(completion_id=name, score=score, parts=parts, unscored=unscored)
