"""What is measured of a challenger, and what the gate makes of it."""

from typing import Literal

from pydantic import Field

from rlaif.records.base import Probability, Record


class WinRate(Record):
    """A win rate with its confidence interval: wins, with ties counted half, over prompts.

    ``tied`` counts the duels that ended in a tie, ``unscored`` those that have no outcome.
    """

    rate: Probability
    low: Probability
    high: Probability
    length_controlled: Probability | None
    prompts: int = Field(ge=0)
    tied: int = Field(ge=0)
    unscored: int = Field(ge=0)


class EvaluationReport(Record):
    """The challenger against incumbent and base on held-out prompts, as the judge sees it.

    Lengths in tokens, KL in nats per sequence, diversity as the share of distinct word bigrams.
    ``score_*`` are mean rubric scores over the prompts on which both challenger and incumbent have
    one; None where there is no such prompt. ``kl_base_high`` is the upper end of the interval of
    ``kl_base``: None, as its standard error is, for fewer than two answers with a token, and in
    ledgers of before they were measured. ``self_grading`` says which judges are a policy of this
    project themselves.
    """

    vs_incumbent: WinRate
    vs_base: WinRate
    score_challenger: Probability | None
    score_incumbent: Probability | None
    diversity_challenger: Probability
    diversity_base: Probability
    length_challenger: float
    length_base: float
    kl_base: float
    kl_base_error: float | None = None
    kl_base_high: float | None = None
    rubric_hash: str
    judge_path: str
    judge_is_trainer: bool
    self_grading: tuple[str, ...] = ()


class GateCheck(Record):
    """One condition of the gate, with the figures that decided it."""

    name: str
    passed: bool
    reason: str


class GateDecision(Record):
    """Promote or hold, with every check that was made."""

    decision: Literal["promote", "hold"]
    checks: tuple[GateCheck, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons, in words: the failed checks of a hold, all checks of a promotion."""
        failed = tuple(c.reason for c in self.checks if not c.passed)
        return failed or tuple(c.reason for c in self.checks)
