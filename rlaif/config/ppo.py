"""Settings of PPO."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from rlaif.config.section import Rate, Section, Share


class PpoConfig(Section):
    """Proximal policy optimisation with KL control."""

    updates: PositiveInt = Field(20, description="rollout-and-learn rounds per cycle")
    rollout_batch: PositiveInt = Field(64, description="completions sampled per update")
    epochs: PositiveInt = Field(2, description="passes over each rollout")
    minibatch: PositiveInt = Field(16, description="completions per optimiser step")
    micro_batch: PositiveInt = Field(
        16, description="completions run through the policy at once; saves memory, changes nothing"
    )
    learning_rate: Rate = Field("auto", description="the policy's rate, or auto: by its size")
    value_learning_rate: Rate = Field("auto", description="the value head's rate")
    clip: PositiveFloat = Field(0.2, description="clip range of the probability ratio")
    value_clip: PositiveFloat = Field(0.2, description="clip range of the value's change")
    value_coefficient: Annotated[float, Field(ge=0.0)] = Field(
        0.1, description="weight of the value loss"
    )
    entropy_coefficient: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="weight of the entropy bonus"
    )
    gamma: Share = Field(1.0, description="discount")
    lam: Share = Field(0.95, description="lambda of generalised advantage estimation")
    max_grad_norm: PositiveFloat = Field(1.0, description="gradient norm clip")
    kl_control: Literal["adaptive", "fixed"] = Field("adaptive", description="how beta moves")
    kl_beta: PositiveFloat = Field(0.12, description="first KL coefficient; later cycles carry on")
    kl_target: PositiveFloat = Field(8.0, description="target KL, nats per sequence (adaptive)")
    kl_horizon: PositiveInt = Field(3_000, description="horizon of the controller, episodes")
    kl_early_stop: PositiveFloat = Field(
        0.04,
        description="inner epochs stop when approximate KL per token passes 1.5 times this",
    )
    missing_eos_score: Literal["auto"] | float = Field(
        "auto",
        description="score set in place of the reward of a completion that was cut off; auto: -1 "
        "where most of the incumbent's completions end themselves, else the reward stays",
    )
    reference: Literal["base", "incumbent"] = Field(
        "base", description="the frozen policy that KL is measured against"
    )
    checkpoint_updates: PositiveInt = Field(5, description="updates between checkpoints")
