"""Settings of the evaluation, the gate and the oracle."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from rlaif.config.judging import JudgeConfig
from rlaif.config.section import Section, Share


class EvaluationConfig(Section):
    """How the challenger is measured."""

    judge: JudgeConfig | None = Field(
        None, description="another judge for the gate; absent: the training judge"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(
        0.95, description="level of the win rate's interval"
    )
    tie_margin: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.05,
        description="a duel with |P(better) - 0.5| below this, or 0, is a tie: half a win",
    )


class GateConfig(Section):
    """When a challenger is promoted."""

    min_win_rate: Share = Field(
        0.5, description="the interval's lower bound against the incumbent must pass this"
    )
    min_score_gain: Annotated[float, Field(ge=-1.0, le=1.0)] = Field(
        0.0, description="the mean rubric score must rise by at least this against the incumbent"
    )
    max_kl_base: PositiveFloat = Field(
        20.0,
        description="lifetime ceiling: the KL to base over all cycles, the upper bound of its "
        "estimate on held-out prompts, in nats per sequence",
    )
    min_diversity: Share = Field(
        0.25, description="floor on the challenger's diversity, as a share of the base's"
    )
    max_length_growth: PositiveFloat = Field(
        2.0, description="ceiling on mean length, as a multiple of the base's"
    )
    max_unscored: Share = Field(
        0.1, description="ceiling on the share of held-out pairs that the judge could not score"
    )
    min_reward_accuracy: Share = Field(
        0.55, description="floor on the reward model's held-out accuracy"
    )


class OracleConfig(Section):
    """An exact grader that only measures, after the gate has decided."""

    grader: Literal["", "bundled"] = Field(
        "", description="'bundled' grades the bundled help desk; empty: no oracle"
    )
