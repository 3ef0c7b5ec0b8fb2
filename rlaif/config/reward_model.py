"""Settings of the reward model."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from rlaif.config.section import Rate, Section
from rlaif.toml_source import ContradictionError


class RewardModelConfig(Section):
    """How the reward model is trained."""

    loss: Literal["bradley_terry", "hinge", "listwise"] = Field(
        "bradley_terry", description="bradley_terry on soft labels, pairwise hinge, or listwise"
    )
    learning_rate: Rate = Field("auto", description="peak rate, or auto: by the model's size")
    lora_rank: Annotated[int, Field(ge=0)] = Field(
        0,
        description="0: all weights are trained; else the rank of an adapter on the policy's base",
    )
    lora_alpha: PositiveFloat = Field(
        32.0, description="an adapter's share is multiplied by lora_alpha / lora_rank"
    )
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
    ensemble_kind: Literal["heads", "trunks", "adapters"] = Field(
        "trunks",
        description="what the members of an ensemble have of their own: a head on a shared trunk, "
        "which costs next to nothing, a whole trunk, or an adapter on a shared base (with "
        "lora_rank), both of which are trained as many times as there are",
    )
    ensemble_penalty: Annotated[float, Field(ge=0.0)] = Field(
        1.0, description="reward = mean over the members - this times their standard deviation"
    )
    checkpoint_steps: PositiveInt = Field(20, description="optimiser steps between checkpoints")

    def check(self, section: str) -> None:
        """Refuse members of an ensemble that contradict how each is trained.

        Args:
            section: The name of this section, for the message.

        Raises:
            ContradictionError: Adapters without a rank, or whole trunks with one.
        """
        wanted = {"adapters": True, "trunks": False}.get(self.ensemble_kind)
        if self.ensemble > 1 and wanted not in (None, self.lora_rank > 0):
            raise ContradictionError(
                (section, "ensemble_kind"),
                f'= "{self.ensemble_kind}", and {section}.lora_rank = {self.lora_rank}',
                'with a rank take "adapters" or "heads", without one "trunks" or "heads"',
            )
