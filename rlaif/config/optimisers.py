"""Settings of the optimisers that may stand in PPO's place, each from TRL."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from rlaif.config.section import Rate, Section
from rlaif.toml_source import ContradictionError


class DpoConfig(Section):
    """Direct preference optimisation on the pairs that the reward model is trained on."""

    epochs: PositiveInt = Field(2, description="passes over the preferences")
    batch_size: PositiveInt = Field(32, description="pairs per optimiser step")
    micro_batch: PositiveInt = Field(
        16, description="pairs run through the policy at once; saves memory"
    )
    learning_rate: Rate = Field("auto", description="peak rate, or auto: by the policy's size")
    beta: PositiveFloat = Field(
        0.3,
        description="the optimal policy is the reference times exp(reward / beta): lower goes "
        "farther from the reference",
    )
    labels: Literal["soft", "hard"] = Field(
        "soft",
        description="soft: the judge's probability is what a pair's probability is to become; "
        "hard: the better one is taken for surely better",
    )
    max_grad_norm: PositiveFloat = Field(1.0, description="gradient norm clip")
    checkpoint_steps: PositiveInt = Field(20, description="optimiser steps between checkpoints")


class GroupConfig(Section):
    """What the methods share that compare a group of answers to one prompt."""

    updates: PositiveInt = Field(20, description="rollout-and-learn rounds per cycle")
    rollout_batch: PositiveInt = Field(64, description="completions sampled per update")
    group_size: Annotated[int, Field(ge=2)] = Field(
        4, description="completions of one prompt that are compared with each other"
    )
    epochs: PositiveInt = Field(2, description="passes over each rollout")
    minibatch: PositiveInt = Field(16, description="completions per optimiser step")
    micro_batch: PositiveInt = Field(
        16, description="completions run through the policy at once; saves memory"
    )
    learning_rate: Rate = Field("auto", description="first rate, or auto: by the policy's size")
    clip: PositiveFloat = Field(0.2, description="clip range of the probability ratio")
    max_grad_norm: PositiveFloat = Field(1.0, description="gradient norm clip")
    checkpoint_updates: PositiveInt = Field(5, description="updates between checkpoints")

    def check(self, section: str) -> None:
        """Refuse sizes that do not divide each other.

        Args:
            section: The name of this section, for the message.

        Raises:
            ContradictionError: One of them does not.
        """
        for part, whole in (
            ("group_size", "rollout_batch"),
            ("minibatch", "rollout_batch"),
            ("micro_batch", "minibatch"),
        ):
            small, large = getattr(self, part), getattr(self, whole)
            if large % small:
                raise ContradictionError(
                    (section, part),
                    f"= {small} does not divide {section}.{whole} = {large}",
                    "choose a divisor",
                )


class RlooConfig(GroupConfig):
    """REINFORCE, each answer's baseline being the mean of its group's others."""

    kl_beta: Annotated[float, Field(ge=0.0)] = Field(
        0.12, description="reward taken off per nat of KL to the reference, per sequence"
    )


class GrpoConfig(GroupConfig):
    """Group-relative policy optimisation: a group's rewards are centred, and the loss clipped."""

    kl_beta: Annotated[float, Field(ge=0.0)] = Field(
        0.04, description="weight of the KL to the reference in the loss, per token"
    )
    scale_rewards: Literal["group", "batch", "none"] = Field(
        "none",
        description="whose standard deviation advantages are divided by; rewards have deviation 1 "
        "on the reference's answers as it is",
    )
    loss: Literal["grpo", "dapo", "dr_grpo"] = Field(
        "dapo",
        description="what a token weighs: grpo: by its answer's length; dapo: all alike; dr_grpo: "
        "all alike, over the limit of tokens",
    )


class BestOfNConfig(Section):
    """Supervised training on the best of n answers by reward."""

    samples: Annotated[int, Field(ge=2)] = Field(6, description="answers sampled per prompt: the n")
    epochs: PositiveInt = Field(6, description="passes over the best answers")
    batch_size: PositiveInt = Field(32, description="answers per optimiser step")
    micro_batch: PositiveInt = Field(
        16, description="answers run through the policy at once; saves memory, changes nothing"
    )
    learning_rate: Rate = Field("auto", description="peak rate, or auto: by the policy's size")
    max_grad_norm: PositiveFloat = Field(1.0, description="gradient norm clip")
    checkpoint_steps: PositiveInt = Field(20, description="optimiser steps between checkpoints")


def check_micro_batch(section: str, micro_batch: int, batch_size: int) -> None:
    """Refuse a micro-batch that does not divide the batch.

    Raises:
        ContradictionError: It does not.
    """
    if batch_size % micro_batch:
        raise ContradictionError(
            (section, "micro_batch"),
            f"= {micro_batch} does not divide {section}.batch_size = {batch_size}",
            "choose a divisor",
        )
