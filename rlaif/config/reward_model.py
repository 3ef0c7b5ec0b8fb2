"""Settings of the reward model."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from rlaif.config.section import Rate, Section


class RewardModelConfig(Section):
    """How the reward model is trained."""

    loss: Literal["bradley_terry", "hinge", "listwise"] = Field(
        "bradley_terry", description="bradley_terry on soft labels, pairwise hinge, or listwise"
    )
    learning_rate: Rate = Field("auto", description="peak rate, or auto: by the model's size")
    epochs: PositiveInt = Field(3, description="passes over the preferences")
    batch_size: PositiveInt = Field(32, description="pairs per optimiser step")
    replay: Annotated[float, Field(ge=0.0)] = Field(
        2.0,
        description="pairs of earlier cycles that are trained on again, per pair of this cycle",
    )
    calibration_prompts: PositiveInt = Field(
        64, description="reference completions on which rewards are re-centred to mean 0, std 1"
    )
    ensemble: PositiveInt = Field(1, description="reward models that score together, K")
    ensemble_kind: Literal["heads", "trunks"] = Field(
        "trunks",
        description="what the members of an ensemble have of their own: a head on a shared trunk, "
        "which costs next to nothing, or a whole trunk, which costs as many times as there are",
    )
    ensemble_penalty: Annotated[float, Field(ge=0.0)] = Field(
        1.0, description="reward = mean over the members - this times their standard deviation"
    )
    checkpoint_steps: PositiveInt = Field(20, description="optimiser steps between checkpoints")
