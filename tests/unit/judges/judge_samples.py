"""Records and rubrics that the tests of the judges share."""

from collections.abc import Mapping, Sequence

from rlaif.judges import JudgeCriterion, Rubric, RuleCriterion, RuleSpec
from rlaif.records import (
    Choice,
    Completion,
    CompletionScore,
    Judgement,
    Message,
    Prompt,
    Rating,
    Unscored,
    Verdict,
)

DESK = """\
name = "desk"
version = "3"
language = "en"

[[criteria]]
name = "right"
kind = "judge"
weight = 0.6
veto = true
threshold = 0.25
description = "For people."
text = "The answer is right."
choices = ["wrong", "half right", "right"]

[[criteria]]
name = "ends"
kind = "rule"
weight = 1
rule = { ends_with = ".", must_not_match = ["foo", "ba+r"], max_words = 40, language = "en" }

[[criteria]]
name = "near"
kind = "embedding"
weight = 0
near = ["a friendly answer", "a warm answer"]
"""


def prompt(text: str = "What is the capital of Peru?") -> Prompt:
    return Prompt(id="p", messages=(Message(role="user", content=text),), split="train")


def completion(name: str, text: str | None = None) -> Completion:
    return Completion(
        id=name,
        prompt_id="p",
        policy="policy",
        index=0,
        text=f"Words of {name}." if text is None else text,
        length=4,
        ended=True,
    )


def judge_criterion(name: str, weight: float = 1.0, choices: int = 3) -> JudgeCriterion:
    return JudgeCriterion(
        name=name,
        kind="judge",
        weight=weight,
        text=f"The answer is {name}.",
        choices=tuple(f"{name} {level}" for level in range(choices)),
    )


def rule_criterion(name: str, weight: float = 1.0, threshold: float | None = None) -> RuleCriterion:
    return RuleCriterion(
        name=name,
        kind="rule",
        weight=weight,
        veto=threshold is not None,
        threshold=threshold,
        rule=RuleSpec(ends_with=(".",)),
    )


def rubric(*criteria: JudgeCriterion | RuleCriterion) -> Rubric:
    return Rubric(name="r", version="1", language="en", criteria=criteria)


def judgement(criterion: str, verdict: Verdict, *ids: str) -> Judgement:
    return Judgement(
        id="-".join((criterion, *ids)),
        criterion=criterion,
        kind="pointwise" if len(ids) == 1 else "pairwise",
        completion_ids=ids,
        critique="words",
        verdict=verdict,
    )


def ratings(of: str, scores: Mapping[str, float | str]) -> list[Judgement]:
    return [judgement(name, rated(value), of) for name, value in scores.items()]


def rated(value: float | str) -> Verdict:
    return Unscored(reason=value) if isinstance(value, str) else Rating(score=value)


def choices(
    first: str, second: str, orders: Mapping[str, tuple[float | str, float | str]]
) -> list[Judgement]:
    """Judge a pair in both orders; each number is P(the one shown first is better)."""
    shown: Sequence[tuple[str, str]] = ((first, second), (second, first))
    return [
        judgement(name, chosen(value), *ids)
        for name, values in orders.items()
        for ids, value in zip(shown, values, strict=True)
    ]


def chosen(value: float | str) -> Verdict:
    return Unscored(reason=value) if isinstance(value, str) else Choice(p_first=value)


def scored(name: str, score: float | None, **rest: str) -> CompletionScore:
    return CompletionScore(completion_id=name, score=score, parts={}, **rest)
