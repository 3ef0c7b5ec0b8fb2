"""What TRL's trainers of policies have in common here; importing it takes seconds."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.trainer.utils import add_fused_lm_head

from rlaif.models.loading import LanguageModel
from rlaif.models.rates import auto_learning_rate
from rlaif.records import Metric
from rlaif.seeds import derive_seed, numpy_generator
from rlaif.stages.optimisers.job import OptimiserJob
from rlaif.stages.trl_checkpoints import CheckpointedTrainer, Progress, quiet_arguments


@dataclass(frozen=True)
class Place:
    """Where a trainer works and for whom.

    Attributes:
        job: The job.
        policy: What is trained.
        fingerprint: The job's, which its checkpoints bear.
        progress: Told (updates done, updates in all).
    """

    job: OptimiserJob
    policy: LanguageModel
    fingerprint: str
    progress: Progress | None


class PolicyTrainer(CheckpointedTrainer):
    """Stands before one of TRL's trainers of policies in a class's bases.

    The model never drops anything out, padding on the left shifts no position, and what TRL
    changes about the tokenizer happens to a copy.

    Args:
        place: Where and for whom.
        probe: Token ids on which the weights are tried before they are kept.
        steps_per_update: Optimiser steps that make one update.
        **kwargs: The trainer's own.

    Attributes:
        metrics: What was measured so far, in order.
    """

    what = "the policy"
    figures: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        place: Place,
        *,
        probe: Sequence[int],
        steps_per_update: int = 1,
        **kwargs: Any,  # noqa: ANN401 - the trainer's own
    ) -> None:
        self.lm = place.policy
        self.remedy = f"lower {place.job.optimizer}.learning_rate"  # type: ignore[misc]  # each its own
        self.metrics: list[Metric] = []
        self.steps_per_update = steps_per_update
        self._probe = torch.tensor([list(probe)], device=place.policy.device)
        prepare(place.policy.model)
        super().__init__(
            model=place.policy.model,
            processing_class=_tokenizer_of(place.policy),
            work=place.job.work,
            job=place.fingerprint,
            progress=_by_update(place.progress, steps_per_update),
            **kwargs,
        )

    def remembered(self) -> dict[str, Any]:
        """Return what a checkpoint keeps beside the trainer's own state."""
        return {**super().remembered(), "metrics": [m.model_dump() for m in self.metrics]}

    def recall(self, kept: dict[str, Any]) -> None:
        """Take up what :meth:`remembered` gave."""
        super().recall(kept)
        self.metrics = [Metric.model_validate(m) for m in kept["metrics"]]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep the figures of an update; times, which differ from run to run, are not kept."""
        super().log(logs, start_time)
        if "loss" in logs:
            update = int(self.state.global_step) // self.steps_per_update - 1
            for name, value in self.measured(logs).items():
                self.metrics.append(Metric(step=update, name=name, value=value))

    def measured(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Return an update's figures under our names."""
        names = {"loss": "loss", "grad_norm": "grad_norm", "entropy": "entropy", **self.figures}
        return {mine: float(logs[theirs]) for theirs, mine in names.items() if theirs in logs}

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401 - theirs
        """Save a checkpoint unless the last step broke the weights.

        Raises:
            NotFiniteError: A weight or a logit is not finite.
        """
        with torch.no_grad():
            logits = self.lm.model(input_ids=self._probe).logits
            values = [*self.lm.model.parameters(), logits]
            sound = all(bool(torch.isfinite(value).all()) for value in values)
        if not sound:
            step = int(self.state.global_step)
            raise self.not_finite(f"weights or logits are not finite after step {step}")
        super()._save_checkpoint(model, trial)


def common_arguments(
    job: OptimiserJob, policy: LanguageModel, rate_scale: float, save_steps: int
) -> dict[str, Any]:
    """Return the arguments that every method's trainer takes.

    Args:
        job: Names settings, seed and folders.
        policy: What is trained.
        rate_scale: The automatic rate's scale.
        save_steps: Optimiser steps between checkpoints.
    """
    settings = job.settings
    size = sum(weights.numel() for weights in policy.model.parameters())
    automatic = auto_learning_rate(size, rate_scale)
    cuda = policy.device.type == "cuda"
    return {
        **quiet_arguments(
            policy.device,
            learning_rate=automatic if settings.learning_rate == "auto" else settings.learning_rate,
            seed=job.seed,
            work=Path(job.work),
            save_steps=save_steps,
        ),
        "per_device_train_batch_size": settings.micro_batch,
        "max_grad_norm": settings.max_grad_norm,
        "bf16": cuda and torch.cuda.is_bf16_supported(),
        "logging_strategy": "steps",
        "logging_first_step": False,
    }


def shuffled_passes(total: int, count: int, seed: int) -> list[int]:
    """Return ``count`` indices below ``total``: whole passes over all, each newly shuffled."""
    passes = range((count + total - 1) // total)
    orders = (numpy_generator(derive_seed(seed, "pass", n)).permutation(total) for n in passes)
    return [int(index) for order in orders for index in order][:count]


def prepare(model: nn.Module) -> None:
    """Keep a model's layers in evaluation mode, and let them know where a row begins.

    TRL passes no positions, so with padding on the left a model with learned positions would see
    others than those that it sampled with.
    """
    model.train = MethodType(_train_on_top, model)  # type: ignore[method-assign]
    model.register_forward_pre_hook(_with_positions, with_kwargs=True)


def take_logprobs_at(model: PreTrainedModel, temperature: float, outputs: tuple[str, ...]) -> None:
    """Let TRL's fused head divide logits by the sampling temperature: it is that policy we train.

    Args:
        model: A causal language model.
        temperature: The sampling temperature.
        outputs: What the head is to return.
    """
    add_fused_lm_head(model, temperature=temperature, outputs=outputs)


def _train_on_top(self: nn.Module, mode: bool = True) -> nn.Module:
    """Set the mode that trainers look at; layers below stay as they are, so nothing drops out."""
    self.training = mode
    return self


def _with_positions(
    _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    mask: Tensor | None = kwargs.get("attention_mask")
    if mask is not None and kwargs.get("position_ids") is None:
        kwargs["position_ids"] = (mask.long().cumsum(-1) - 1).clamp(min=0)
    return args, kwargs


def _tokenizer_of(policy: LanguageModel) -> PreTrainedTokenizerBase:
    """Return a copy of the tokenizer that has the padding and the end that TRL asks for."""
    tokenizer = copy.deepcopy(policy.tokenizer)
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(policy.end_id)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(policy.pad_id)
    return tokenizer


def _by_update(progress: Progress | None, steps: int) -> Progress | None:
    """Return a progress of optimiser steps that tells of whole updates."""
    if progress is None:
        return None

    def tell(done: int, total: int) -> None:
        if done % steps == 0:
            progress(done // steps, total // steps)

    return tell
