"""Settings of PPO."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from rlaif.config.section import Rate, Section, Share
from rlaif.toml_source import ContradictionError

Coefficient = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=0)]
EARLY_STOP_FACTOR = 1.5
APPROX_KL_LIMIT = 10.0  # nats per token, that of rlaif.rl.k3: at it a limit would never be passed
LAGRANGIAN_BETAS = (1e-6, 1e3)  # the bounds of rlaif.rl.LagrangianKL, which settings cannot import


class PpoConfig(Section):
    """Proximal policy optimisation with KL control."""

    updates: PositiveInt = Field(20, description="rollout-and-learn rounds per cycle")
    rollout_batch: PositiveInt = Field(64, description="completions sampled per update")
    epochs: PositiveInt = Field(2, description="passes over each rollout")
    minibatch: PositiveInt = Field(16, description="completions per optimiser step")
    micro_batch: PositiveInt = Field(
        16, description="completions run through the policy at once; saves memory, changes nothing"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="type of matrix products; weights, norms and the optimiser stay float32; auto: "
        "bfloat16 where the hardware has it (elsewhere it is emulated, many times as slow)",
    )
    gradient_checkpointing: bool = Field(
        False, description="keep only each block's input for the backward pass: less memory, slower"
    )
    lora_rank: Count = Field(
        0,
        description="0: all weights are trained; else the rank of adapters on a frozen base, which "
        "reference and reward model share; an adapter that is live keeps its rank",
    )
    lora_alpha: PositiveFloat = Field(
        32.0, description="an adapter's share is multiplied by lora_alpha / lora_rank"
    )
    learning_rate: Rate = Field(
        "auto",
        description="the policy's rate; auto: by its size, up to ten times that for adapters",
    )
    critic: Literal["shared", "branch", "separate"] = Field(
        "branch",
        description="where values are read off. shared: the policy's trunk; branch: upper blocks "
        "of their own, which go on from the policy's lower ones; separate: a trunk of their own, "
        "for about twice the time of learning. With lora_rank what is their own is an adapter",
    )
    critic_blocks: PositiveInt = Field(1, description="blocks of the branch that values may have")
    value_learning_rate: Rate = Field(
        "auto",
        description="the critic's rate; auto: the policy's for critic = 'separate', three times "
        "that for 'shared', ten times for 'branch' (three times for an adapter)",
    )
    critic_warmup: Count = Field(
        0, description="first updates of a cycle that train the critic alone"
    )
    clip: PositiveFloat = Field(0.2, description="clip range of the probability ratio")
    dual_clip: Literal["off"] | Annotated[float, Field(gt=1.0)] = Field(
        "off", description="bound c of the loss where the advantage is negative; off, or 3 as usual"
    )
    value_clip: PositiveFloat = Field(0.2, description="clip range of the value's change")
    value_coefficient: Coefficient = Field(0.1, description="weight of the value loss")
    entropy_coefficient: Coefficient = Field(0.0, description="weight of the entropy bonus")
    gamma: Share = Field(1.0, description="discount")
    lam: Share = Field(0.95, description="lambda of generalised advantage estimation")
    max_grad_norm: PositiveFloat = Field(1.0, description="gradient norm clip")
    reward_clip: Literal["off"] | PositiveFloat = Field(
        "off", description="bound on a completion's reward, either way"
    )
    reward_scaling: Literal["none", "running"] = Field(
        "none", description="running: divide rewards by their running standard deviation"
    )
    length_penalty: Coefficient = Field(
        0.0, description="reward taken for each token beyond length_free"
    )
    length_free: Count = Field(0, description="tokens that cost nothing")
    ptx_coefficient: Coefficient = Field(
        0.0,
        description="weight of the likelihood of preferred completions, or of supervised text "
        "(InstructGPT's ptx term)",
    )
    ptx_path: Literal["off"] | str = Field(
        "off",
        description="the ptx term's text. off: the better completion of each pair that the reward "
        "model is trained on, replayed pairs of earlier cycles among them; or a file of supervised "
        'text, JSON lines such as {"prompt": "...", "completion": "..."} (or "messages": [...]); '
        "those to held-out prompts are left out",
    )
    kl_control: Literal["adaptive", "lagrangian", "fixed"] = Field(
        "adaptive",
        description="how beta moves: adaptive (Ziegler), lagrangian (PI control), or not at all",
    )
    kl_place: Literal["reward", "loss"] = Field(
        "reward", description="whether KL is a cost of each token's reward, or a term of the loss"
    )
    kl_estimator: Literal["k1", "k2", "k3", "exact"] = Field(
        "k1",
        description="estimator of KL per token. In the reward k1 has the right gradient on "
        "average, and k2 and k3 lead elsewhere. A loss sees each place alone, not the KL that a "
        "token leads to: there k2 has the place's gradient, and k3 that of the other direction. "
        "exact is of the whole distribution, in the loss as k2 with less noise, in the reward as "
        "k1, for another pass of the reference at each step and, in the reward, of both for each "
        "rollout",
    )
    kl_beta: PositiveFloat = Field(0.12, description="first KL coefficient; later cycles carry on")
    kl_target: PositiveFloat = Field(8.0, description="target KL, nats per sequence")
    kl_horizon: PositiveInt = Field(3_000, description="horizon of the controller, episodes")
    kl_early_stop: Literal["off"] | PositiveFloat = Field(
        0.04,
        description="inner epochs stop when approximate KL passes 1.5 times this, nats per token",
    )
    kl_ceiling: Literal["off"] | PositiveFloat = Field(
        "off",
        description="a cycle whose KL to the reference passes this, in nats per sequence, ends at "
        "its last checkpoint below; the last policy is measured too, by a rollout more",
    )
    spike_kl: Literal["off"] | PositiveFloat = Field(
        1.0,
        description="an update that moves the policy farther than this from the one that sampled, "
        "in nats per token, is undone: training goes back to the last checkpoint and on at half "
        "the rate; the third time, it ends there, or fails where no checkpoint is",
    )
    missing_eos_score: Literal["auto"] | float = Field(
        "auto",
        description="score set in place of the reward of a completion that was cut off; auto: -1 "
        "where most of the incumbent's completions end themselves, else the reward stays",
    )
    reference: Literal["base", "incumbent", "ema"] = Field(
        "base",
        description="the policy that KL is measured against, whatever the optimizer; ema, with PPO "
        "alone: an average that follows the policy from the incumbent on",
    )
    ema_decay: Share = Field(0.95, description="share of the average kept at each update")
    checkpoint_updates: PositiveInt = Field(5, description="updates between checkpoints")

    @property
    def kl_charged_exactly(self) -> bool:
        """Whether the reward pays the KL of whole distributions."""
        return self.kl_place == "reward" and self.kl_estimator == "exact"

    @property
    def kl_in_loss(self) -> bool:
        """Whether the loss has a term of KL.

        The exact KL of a place does not depend on the token drawn there, so as a cost it teaches
        what the token leads to, and nothing of the place itself: that is the loss's to add.
        """
        return self.kl_place == "loss" or self.kl_charged_exactly

    def check(self, section: str) -> None:
        """Refuse what cannot stand together.

        Args:
            section: The name of this section, for the message.

        Raises:
            ContradictionError: Two settings contradict each other.
        """
        if self.rollout_batch % self.minibatch:
            raise ContradictionError(
                (section, "minibatch"),
                f"= {self.minibatch} does not divide {section}.rollout_batch = "
                f"{self.rollout_batch}",
                "choose a divisor",
            )
        if self.kl_place == "loss" and self.kl_estimator == "k1":
            raise ContradictionError(
                (section, "kl_estimator"),
                f'= "k1" has no gradient on average, and {section}.kl_place = "loss" needs one',
                'take "k2", or put the KL into the reward',
            )
        if self.critic_warmup >= self.updates:
            raise ContradictionError(
                (section, "critic_warmup"),
                f"= {self.critic_warmup} leaves none of {section}.updates = {self.updates} to the "
                "policy",
                "set it lower",
            )
        self._check_limits(section)
        self._check_control(section)

    def _check_limits(self, section: str) -> None:
        limits = {"kl_early_stop": APPROX_KL_LIMIT / EARLY_STOP_FACTOR, "spike_kl": APPROX_KL_LIMIT}
        for name, never in limits.items():
            limit = getattr(self, name)
            if limit != "off" and limit >= never:
                raise ContradictionError(
                    (section, name),
                    f"= {limit:g} is never passed: the estimate ends at {APPROX_KL_LIMIT:g} nats "
                    "per token",
                    f'set it below {never:.3g}, or "off"',
                )

    def _check_control(self, section: str) -> None:
        most_at_once = 0.2 * self.rollout_batch
        if self.kl_control == "adaptive" and self.kl_horizon <= most_at_once:
            raise ContradictionError(
                (section, "kl_horizon"),
                f"= {self.kl_horizon} is too short for {section}.rollout_batch = "
                f"{self.rollout_batch}: beta could turn negative",
                f"set it above {most_at_once:g}",
            )
        low, high = LAGRANGIAN_BETAS
        if self.kl_control == "lagrangian" and not low <= self.kl_beta <= high:
            raise ContradictionError(
                (section, "kl_beta"),
                f"= {self.kl_beta} lies outside {low:g} to {high:g}, the bounds of "
                f'{section}.kl_control = "lagrangian"',
                "choose a beta within these bounds, or another control",
            )
