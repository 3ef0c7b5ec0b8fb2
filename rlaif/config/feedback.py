"""Settings of what humans say."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from rlaif.config.section import Section, Share


class FeedbackConfig(Section):
    """What human feedback does: it measures the judge, calibrates its labels, and may train."""

    train_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0,
        description="what a human's preference weighs in the reward model beside one of the "
        "judge's, times its own weight; 0: human feedback never trains",
    )
    calibration: Literal["off", "temperature", "isotonic"] = Field(
        "temperature",
        description="how the judge's soft labels are made as sure as humans find them right: "
        "temperature needs few labels, isotonic some hundreds",
    )
    min_labels: PositiveInt = Field(
        50, description="labelled pairs below which no calibration is applied"
    )
    frozen_share: Share = Field(
        0.3,
        description="share of newly labelled prompts whose labels only measure the judge, in every "
        "cycle, and never calibrate or train; a prompt stays on its side",
    )
    max_drift: Share = Field(
        0.05,
        description="how far the judge's agreement with the frozen labels may surely fall below "
        "an earlier cycle's",
    )
    on_drift: Literal["warn", "hold"] = Field(
        "hold", description="what the gate does where the judge has drifted"
    )
