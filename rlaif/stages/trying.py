"""A rubric tried on answers and pairs outside of any cycle: what is said, and what it takes."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import Field

from rlaif.judges import RubricJudge
from rlaif.judges.panel import ComparedItem, RatedItem
from rlaif.progress import Began, nobody
from rlaif.records import CompletionScore, Judgement, PairVerdict, Record

Item = TypeVar("Item")


class Cost(Record):
    """What judging took.

    Attributes:
        calls: Questions that were put to a judge.
        prompt_tokens: Tokens that the judges read.
        reply_tokens: Tokens that they wrote.
        seconds: Time on the clock, models loaded; None where it was not measured.
        money: In the currency of the prices in the settings; None where no call has a price.
    """

    calls: int = Field(0, ge=0)
    prompt_tokens: int = Field(0, ge=0)
    reply_tokens: int = Field(0, ge=0)
    seconds: float | None = Field(None, ge=0.0)
    money: float | None = Field(None, ge=0.0)

    def __add__(self, other: "Cost") -> "Cost":
        """Return what both took; time and money are known where either's are."""
        return Cost(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            reply_tokens=self.reply_tokens + other.reply_tokens,
            seconds=_sum(self.seconds, other.seconds),
            money=_sum(self.money, other.money),
        )

    def untimed(self) -> "Cost":
        """Return the same without a time: what was kept before takes none, which says nothing."""
        return self.model_copy(update={"seconds": None})

    def times(self, factor: float) -> "Cost":
        """Return what so many times as much would take."""
        return Cost(
            calls=round(factor * self.calls),
            prompt_tokens=round(factor * self.prompt_tokens),
            reply_tokens=round(factor * self.reply_tokens),
            seconds=None if self.seconds is None else factor * self.seconds,
            money=None if self.money is None else factor * self.money,
        )


@dataclass(frozen=True)
class Tried:
    """What a panel said of answers and pairs.

    Attributes:
        answers: Prompts and answers that were rated, each once.
        pairs: Those that were compared, in both orders.
        ratings: Of each answer, its judgements.
        comparisons: Of each pair, its judgements; none where the rubric does not compare.
        scores: By completion id.
        verdicts: Of each pair.
        rating_cost: What rating took.
        comparing_cost: What comparing took.
    """

    answers: tuple[RatedItem, ...]
    pairs: tuple[ComparedItem, ...]
    ratings: list[list[Judgement]]
    comparisons: list[list[Judgement]]
    scores: dict[str, CompletionScore]
    verdicts: list[PairVerdict]
    rating_cost: Cost
    comparing_cost: Cost

    @property
    def judgements(self) -> list[Judgement]:
        """All that was said, ratings first."""
        return [j for judged in (*self.ratings, *self.comparisons) for j in judged]

    @property
    def cost(self) -> Cost:
        """What all of it took."""
        return self.rating_cost + self.comparing_cost


def try_panel(
    panel: RubricJudge,
    answers: Iterable[RatedItem],
    pairs: Sequence[ComparedItem],
    began: Began = nobody,
) -> Tried:
    """Let a panel rate answers and compare pairs; nothing is kept but what is returned.

    Args:
        panel: The rubric with its judges.
        answers: What is rated; those of the pairs are rated too.
        pairs: What is compared.
        began: Told of rating and of comparing.
    """
    items = {answer.id: (prompt, answer) for prompt, answer in answers}
    for prompt, *both in pairs:
        items.update({answer.id: (prompt, answer) for answer in both})
    rated = tuple(items.values())
    began("rating answers")
    ratings, rating_cost = timed(panel.rate, rated)
    began("comparing pairs")
    comparisons, comparing_cost = timed(panel.compare, pairs)
    scores = {score.completion_id: score for score in panel.scores(rated, ratings)}
    return Tried(
        answers=rated,
        pairs=tuple(pairs),
        ratings=ratings,
        comparisons=comparisons,
        scores=scores,
        verdicts=panel.pair_verdicts(pairs, scores, comparisons),
        rating_cost=rating_cost,
        comparing_cost=comparing_cost,
    )


def timed(
    ask: Callable[[Sequence[Item]], list[list[Judgement]]], items: Sequence[Item]
) -> tuple[list[list[Judgement]], Cost]:
    """Let a panel judge items; return what it said of each, and what that took."""
    start = time.perf_counter()
    judged = ask(items)
    return judged, cost_of((j for js in judged for j in js), time.perf_counter() - start)


def cost_of(judgements: Iterable[Judgement], seconds: float | None = None) -> Cost:
    """Return what the calls behind judgements took.

    Args:
        judgements: Those that no call was made for cost nothing; those whose verdict was read from
            a critique that another call wrote cost both.
        seconds: Time on the clock, where it was measured.
    """
    calls = [call for j in judgements for call in (j.writing, j.call) if call is not None]
    return Cost(
        calls=len(calls),
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        reply_tokens=sum(call.reply_tokens for call in calls),
        seconds=seconds,
        money=sum(call.cost for call in calls) or None,
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)
