"""``rlaif.toml`` -> a frozen :class:`RlaifConfig`; the only module that reads the environment.

Every field has a default and a description; ``rlaif init`` writes them all. A setting can be
overridden for one process by ``RLAIF_<SECTION>__<FIELD>``, for instance ``RLAIF_RUN__SEED=7``.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from rlaif.errors import ConfigError
from rlaif.records import digest_of
from rlaif.toml_source import ContradictionError, TomlFile, read_toml

CONFIG_NAME = "rlaif.toml"
ENV_PREFIX = "RLAIF_"

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Literal["auto"] | PositiveFloat


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class RunConfig(Section):
    """What belongs to the whole run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        20261122, description="every random number of the run is derived from it"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where models run; auto takes cuda, then mps, then cpu"
    )


class PolicyConfig(Section):
    """The language model that is being aligned."""

    path: str = Field(
        "bundled:tiny", description="base policy: a folder, a hub id, or bundled:tiny"
    )


class JudgeConfig(Section):
    """The model that critiques and compares."""

    path: str = Field(
        "bundled:tiny-judge", description="judge: a folder, a hub id, or bundled:tiny-judge"
    )
    template: str = Field(
        "compact",
        description="folder under prompts/judge with pointwise.jinja and pairwise.jinja: "
        "compact (the bundled judge was trained on it) or detailed (for general models)",
    )
    max_critique_tokens: PositiveInt = Field(
        48, description="tokens that a critique may take before the verdict is asked for"
    )
    min_label_mass: Share = Field(
        0.5,
        description="a verdict whose labels hold less probability than this is unscored",
    )
    batch_size: PositiveInt = Field(96, description="judgements decoded together")


class RubricConfig(Section):
    """What good means."""

    path: str = Field("prompts/rubrics/helpdesk.toml", description="the rubric file")


class EmbedderConfig(Section):
    """The sentence-transformers model behind coverage, duplicates and embedding criteria."""

    path: str = Field("bundled:tiny-embedder", description="a folder, a hub id, or a bundled one")


class SamplingConfig(Section):
    """Which prompts a cycle works on."""

    pools: str = Field("prompts/pools/*.jsonl", description="glob of the prompt files")
    prompts_per_cycle: PositiveInt = Field(208, description="training prompts drawn per cycle")
    strategy: Literal["uniform", "coverage", "hard"] = Field(
        "uniform",
        description="uniform; coverage: spread over embedding space; hard: low margin or low "
        "reward last time first",
    )
    duplicate_similarity: Share = Field(
        0.995, description="cosine above which two prompts of one split count as one"
    )
    eval_share: Share = Field(
        0.2, description="share of prompts without a split that is held out, by stable hash"
    )
    eval_prompts: PositiveInt = Field(300, description="held-out prompts that an evaluation uses")


class GenerationConfig(Section):
    """How policies answer."""

    completions_per_prompt: Annotated[int, Field(ge=2)] = Field(
        4, description="answers sampled per prompt"
    )
    temperature: PositiveFloat = Field(1.0, description="sampling temperature")
    max_tokens: PositiveInt = Field(48, description="tokens that an answer may take")
    batch_size: PositiveInt = Field(192, description="answers decoded together: one unit")
    duplicate_similarity: Share = Field(
        0.999,
        description="cosine above which a completion is marked as a duplicate and not judged twice",
    )


class JudgingConfig(Section):
    """How completions are judged."""

    pairs_per_prompt: PositiveInt = Field(1, description="pairs compared per prompt")
    pairwise_weight: Share = Field(
        0.5, description="weight of the judge's own pairwise probability in P(first better)"
    )
    score_temperature: PositiveFloat = Field(
        0.15, description="P(first better) = sigmoid((score1 - score2) / score_temperature)"
    )
    flip_threshold: Share = Field(
        0.6,
        description="quarantine when the two orders' P(first better) differ by more than this "
        "and fall on different sides of 0.5",
    )


class PreferencesConfig(Section):
    """Which judged pairs become training data."""

    min_margin: Share = Field(0.05, description="pairs with |P - 0.5| below this are ties")
    uncompared: Literal["ratings", "drop"] = Field(
        "ratings",
        description="pairs that were rated but not compared: labelled from the ratings, or dropped",
    )
    ties: Literal["drop", "keep"] = Field("drop", description="drop ties, or keep them as 0.5")
    heldout_share: Share = Field(
        0.15, description="share of prompts whose pairs only measure the reward model"
    )


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
    checkpoint_steps: PositiveInt = Field(20, description="optimiser steps between checkpoints")


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


class EvaluationConfig(Section):
    """How the challenger is measured."""

    judge: JudgeConfig | None = Field(
        None, description="another judge for the gate; absent: the training judge"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(
        0.95, description="level of the win rate's interval"
    )
    tie_margin: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.05, description="a duel with |P(better) - 0.5| below this is a tie: half a win"
    )


class GateConfig(Section):
    """When a challenger is promoted."""

    min_win_rate: Share = Field(
        0.5, description="the interval's lower bound against the incumbent must pass this"
    )
    min_score_gain: Annotated[float, Field(ge=-1.0, le=1.0)] = Field(
        0.0, description="the mean rubric score must rise by at least this against the incumbent"
    )
    max_kl_base: PositiveFloat = Field(30.0, description="ceiling on KL to base, nats per sequence")
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


class RlaifConfig(Section):
    """All settings of a project."""

    run: RunConfig = RunConfig()
    policy: PolicyConfig = PolicyConfig()
    judge: JudgeConfig = JudgeConfig()
    rubric: RubricConfig = RubricConfig()
    embedder: EmbedderConfig = EmbedderConfig()
    sampling: SamplingConfig = SamplingConfig()
    generation: GenerationConfig = GenerationConfig()
    judging: JudgingConfig = JudgingConfig()
    preferences: PreferencesConfig = PreferencesConfig()
    reward_model: RewardModelConfig = RewardModelConfig()
    ppo: PpoConfig = PpoConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()
    oracle: OracleConfig = OracleConfig()

    @model_validator(mode="after")
    def _consistent(self) -> "RlaifConfig":
        n = self.generation.completions_per_prompt
        most = n * (n - 1) // 2
        if self.judging.pairs_per_prompt > most:
            raise ContradictionError(
                ("judging", "pairs_per_prompt"),
                f"= {self.judging.pairs_per_prompt}, but {n} completions make only {most} pairs",
                "raise generation.completions_per_prompt or lower judging.pairs_per_prompt",
            )
        if self.ppo.rollout_batch % self.ppo.minibatch:
            raise ContradictionError(
                ("ppo", "minibatch"),
                f"= {self.ppo.minibatch} does not divide ppo.rollout_batch = "
                f"{self.ppo.rollout_batch}",
                "choose a divisor",
            )
        most_at_once = 0.2 * self.ppo.rollout_batch
        if self.ppo.kl_control == "adaptive" and self.ppo.kl_horizon <= most_at_once:
            raise ContradictionError(
                ("ppo", "kl_horizon"),
                f"= {self.ppo.kl_horizon} is too short for ppo.rollout_batch = "
                f"{self.ppo.rollout_batch}: beta could turn negative",
                f"set it above {most_at_once:g}",
            )
        if self.generation.batch_size < n:
            raise ContradictionError(
                ("generation", "batch_size"),
                f"= {self.generation.batch_size} holds not even one prompt's {n} completions",
                "raise it",
            )
        return self

    @property
    def evaluation_judge(self) -> JudgeConfig:
        """The judge that the gate listens to."""
        return self.evaluation.judge or self.judge

    def fingerprint(self) -> str:
        """Return a digest over every setting but paths, so that it is the same in every folder."""
        sections = self.model_dump(mode="json")
        return digest_of(_without_paths(sections))


def _without_paths(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        return value
    return {k: _without_paths(v) for k, v in value.items() if k not in {"path", "pools"}}


def read_config(path: Path) -> RlaifConfig:
    """Read a settings file.

    Args:
        path: The file, usually ``rlaif.toml``.

    Raises:
        ConfigError: The file is missing or wrong, or a variable of the environment is.
    """
    source = read_toml(path)
    own, overrides = source.validate(RlaifConfig), _overrides()
    if not overrides:
        return own
    data = {k: dict(v) if isinstance(v, dict) else v for k, v in source.data.items()}
    for (section, field), (_, value) in overrides.items():
        data.setdefault(section, {})[field] = value
    names = ", ".join(name for name, _ in overrides.values())
    return TomlFile(Path(names), "", ConfigError).validate(RlaifConfig, data)


def hide_model_hub_noise() -> None:
    """Quieten libraries whose progress bars and warnings would drown rlaif's own lines."""
    for key, value in {
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }.items():
        os.environ.setdefault(key, value)


def _overrides() -> dict[tuple[str, str], tuple[str, str | float | bool]]:
    """Return what ``RLAIF_SECTION__FIELD`` sets: (section, field) -> the variable and its value."""
    found: dict[tuple[str, str], tuple[str, str | float | bool]] = {}
    for key, text in sorted(os.environ.items()):
        section, separator, field = key.removeprefix(ENV_PREFIX).lower().partition("__")
        if key.startswith(ENV_PREFIX) and separator:
            found[section, field] = (key, _toml_reading(text))
    return found


def _toml_reading(text: str) -> str | float | bool:
    """Read an environment variable as a TOML value, or as bare text."""
    try:
        value: str | float | bool = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value
