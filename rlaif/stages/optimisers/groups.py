"""RLOO (Ahmadian et al. 2024) and GRPO (Shao et al. 2024): groups of answers to one prompt.

Answers are sampled by our own decoder from a seed of the update's own, so a run that goes on draws
what an undisturbed one would have drawn. RLOO takes the KL off the reward (k1, per sequence), GRPO
adds it to the loss (k3, per token).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from rlaif.config import GrpoConfig, RlooConfig
from rlaif.config.optimisers import GroupConfig
from rlaif.models.decoding import DecodeSettings, NonFiniteLogitsError, decode
from rlaif.models.encoding import check_context, encode_conversation
from rlaif.models.loading import LanguageModel
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.optimisers.policy_trainer import (
    Place,
    PolicyTrainer,
    common_arguments,
    prepare,
    shuffled_passes,
    take_logprobs_at,
)
from rlaif.stages.optimisers.rewards import Rewards
from rlaif.stages.trl_checkpoints import NotFiniteError, on_one_device

RATE_SCALE = 0.7  # as PPO: 5e-4 for the bundled policy
Tokens = list[int]


class GroupTrainer(PolicyTrainer):
    """Stands before TRL's RLOO or GRPO: prompts, sampling, rewards and the reference are ours.

    Args:
        place: Where and for whom.
        settings: The section of the settings.
        reference: Frozen: what KL is measured against.
        arguments: The trainer's.
        kl_beta: The KL coefficient.
    """

    figures: ClassVar[Mapping[str, str]] = {
        "reward": "reward",
        "reward_std": "reward_std",
        "frac_reward_zero_std": "groups_without_a_difference",
        "completions/mean_length": "length",
        "ended": "ended",
        "clip_ratio/region_mean": "clip_fraction",
    }

    beta: float
    ref_model: Any

    def __init__(
        self,
        place: Place,
        settings: GroupConfig,
        reference: LanguageModel,
        arguments: RLOOConfig | GRPOConfig,
        kl_beta: float,
    ) -> None:
        job = place.job
        self._job = job
        self._queries = [encode_conversation(place.policy, c) for c in job.conversations]
        longest = max(map(len, self._queries))
        check_context(place.policy, longest, job.generation.max_tokens, "a rollout")
        self._rewards = Rewards(job, reference)
        on_one_device(arguments)
        super().__init__(
            place,
            probe=self._queries[0],
            steps_per_update=_steps_per_update(settings),
            reward_funcs=self.reward,
            args=arguments,
            train_dataset=_drawn(settings, len(self._queries), job.seed),
        )
        self._measure_against(reference, kl_beta)

    def reward(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        completion_ids: Sequence[Tokens],
        log_metric: Any,  # noqa: ANN401 - TRL's own
        **_: Any,  # noqa: ANN401 - as above
    ) -> list[float]:
        """Return the rewards of sampled answers, for TRL."""
        ended = [ids[-1] in self.lm.eos_ids for ids in completion_ids]
        log_metric("ended", sum(ended) / len(ended))
        answers = [
            (self._job.conversations[int(prompt)], text, whole)
            for prompt, text, whole in zip(prompts, completions, ended, strict=True)
        ]
        rewards: list[float] = self._rewards.of(answers).tolist()
        return rewards

    def measured(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Return an update's figures; TRL's KL per token becomes one per sequence."""
        found = super().measured(logs)
        if "kl" in logs and "length" in found:
            found["kl_reference"] = float(logs["kl"]) * found["length"]
        return {**found, "beta": self.beta}

    def _measure_against(self, reference: LanguageModel, kl_beta: float) -> None:
        """Put our reference where TRL would load the incumbent once more."""
        self.beta = kl_beta
        if kl_beta:
            prepare(reference.model)
            take_logprobs_at(reference.model, self._job.generation.temperature, ("log_probs",))
            self.ref_model = reference.model

    def _tokenize_prompts(
        self, prompts: Sequence[str]
    ) -> tuple[list[Tokens], None, dict[str, Any]]:
        """Encode prompts, given by their numbers, as PPO and generation do."""
        return [self._queries[int(prompt)] for prompt in prompts], None, {}

    def _sampled(self, queries: Sequence[Tokens]) -> list[Tokens]:
        """Sample an answer to each query; the end token is in it.

        Raises:
            NotFiniteError: The weights are broken.
        """
        update = int(self.state.global_step) // self.steps_per_update
        seed = derive_seed(self._job.seed, "update", update, "rollout")
        generation = self._job.generation
        try:
            with self.accelerator.autocast():
                answers = decode(
                    self.lm,
                    queries,
                    DecodeSettings(generation.max_tokens, generation.temperature),
                    torch_generator(seed, str(self.lm.device)),
                )
        except NonFiniteLogitsError as exc:
            raise NotFiniteError(exc.seen, exc.expected, self.remedy) from exc
        return [list(answer.token_ids) for answer in answers]


class RlooTrainer(GroupTrainer, RLOOTrainer):
    """RLOO with our prompts, sampling, rewards and reference."""

    def __init__(self, place: Place, settings: RlooConfig, reference: LanguageModel) -> None:
        arguments = RLOOConfig(**_arguments(place, settings), beta=0.0)
        super().__init__(place, settings, reference, arguments, settings.kl_beta)

    def _generate_single_turn(self, prompt_ids: Sequence[Tokens], *_: Any) -> list[Tokens]:  # noqa: ANN401 - theirs
        return self._sampled(prompt_ids)


class GrpoTrainer(GroupTrainer, GRPOTrainer):
    """GRPO with our prompts, sampling, rewards and reference."""

    def __init__(self, place: Place, settings: GrpoConfig, reference: LanguageModel) -> None:
        arguments = GRPOConfig(
            **_arguments(place, settings),
            beta=0.0,
            scale_rewards=settings.scale_rewards,
            loss_type=settings.loss,
        )
        super().__init__(place, settings, reference, arguments, settings.kl_beta)

    def _generate_single_turn(
        self,
        prompt_ids: Sequence[Tokens],
        *_: Any,  # noqa: ANN401 - theirs
    ) -> tuple[list[Tokens], None]:
        return self._sampled(prompt_ids), None


def _arguments(place: Place, settings: GroupConfig) -> dict[str, Any]:
    job, steps = place.job, _steps_per_update(settings)
    save_steps = settings.checkpoint_updates * steps
    return {
        **common_arguments(job, place.policy, RATE_SCALE, save_steps),
        "gradient_accumulation_steps": settings.minibatch // settings.micro_batch,
        "generation_batch_size": settings.rollout_batch,
        "num_generations": settings.group_size,
        "num_iterations": settings.epochs,
        "epsilon": settings.clip,
        "logging_steps": steps,
        "max_completion_length": job.generation.max_tokens,
        "temperature": job.generation.temperature,
        "shuffle_dataset": False,
    }


def _steps_per_update(settings: GroupConfig) -> int:
    return settings.epochs * settings.rollout_batch // settings.minibatch


def _drawn(settings: GroupConfig, prompts: int, seed: int) -> Dataset:
    """Return the prompts of all updates in order, by their numbers."""
    count = settings.updates * settings.rollout_batch // settings.group_size
    order = shuffled_passes(prompts, count, seed)
    return Dataset.from_list([{"prompt": str(index)} for index in order])
