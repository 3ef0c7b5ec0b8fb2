"""Direct preference optimisation on soft labels (Rafailov et al. 2023, eq. 7).

With soft labels the loss is the cross-entropy of the pair's probability p that the chosen one is
better: -p log s(z) - (1 - p) log s(-z) = -log s(z) + (1 - p) z, with z beta times the difference of
the two answers' log-ratios to the reference (Mitchell 2023, "A note on DPO with noisy
preferences", eq. 3, with each pair's own p). Its minimum is at p = s(z), so labels that are not
sure do not pull without end; TRL's own loss knows hard labels only. Each pair's loss is multiplied
by its weight, weights being of mean 1 over all pairs.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.utils.data import Sampler
from transformers import PreTrainedModel
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from rlaif.config import DpoConfig
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.models.loading import LanguageModel
from rlaif.stages.optimisers.job import PolicyPair
from rlaif.stages.optimisers.policy_trainer import (
    Place,
    PolicyTrainer,
    common_arguments,
    prepare,
    shuffled_passes,
    take_logprobs_at,
)
from rlaif.stages.optimisers.sampler import FixedOrder
from rlaif.stages.trl_checkpoints import on_one_device

RATE_SCALE = 0.85  # 6e-4 for the bundled policy
_OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")
_P_CHOSEN, _WEIGHT = "p_chosen", "pair_weight"


class DpoTrainer(PolicyTrainer, DPOTrainer):
    """DPO on preferences, in an order that is fixed beforehand.

    Args:
        place: Where and for whom.
        settings: The section of the settings.
        reference: Frozen; asked once for every answer, and let go.
    """

    figures: ClassVar[dict[str, str]] = {
        "rewards/margins": "margin",
        "rewards/accuracies": "accuracy",
        "logps/chosen": "logprob_chosen",
        "logps/rejected": "logprob_rejected",
    }

    def __init__(self, place: Place, settings: DpoConfig, reference: LanguageModel) -> None:
        job = place.job
        sided = [pair for pair in job.pairs if pair.label != 0.5]
        mean = math.fsum(pair.weight for pair in sided) / max(len(sided), 1)
        rows = [_row(place.policy, pair, settings.labels, pair.weight / mean) for pair in sided]
        self._temperature = job.generation.temperature
        self._order = shuffled_passes(len(rows), len(rows) * settings.epochs, job.seed)
        prepare(reference.model)
        common = common_arguments(job, place.policy, RATE_SCALE, settings.checkpoint_steps)
        arguments = DPOConfig(
            **common,
            gradient_accumulation_steps=settings.batch_size // settings.micro_batch,
            logging_steps=1,
            beta=settings.beta,
            max_length=None,
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=settings.micro_batch,
        )
        on_one_device(arguments)
        super().__init__(
            place,
            probe=rows[0]["prompt_ids"],
            ref_model=reference.model,
            args=arguments,
            data_collator=_Collator(pad_token_id=place.policy.pad_id),
            train_dataset=Dataset.from_list(rows),
        )
        self.ref_model = None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - the trainer's signature
        """Return TRL's loss, and what the chance that the label is wrong and weights add to it."""
        p_chosen, weights = inputs.pop(_P_CHOSEN), inputs.pop(_WEIGHT)
        heard = _Recorder(model)
        loss = super().compute_loss(heard, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        chosen, rejected = heard.logprobs.sum(dim=1).chunk(2)
        ratios = chosen - inputs["ref_chosen_logps"], rejected - inputs["ref_rejected_logps"]
        gap = ratios[0] - ratios[1]
        loss = loss + ((1 - p_chosen) * self.beta * gap).mean()
        if (weights == 1.0).all():
            return loss
        own = (1 - p_chosen) * self.beta * gap - logsigmoid(self.beta * gap)
        return loss + ((weights - 1.0) * own).mean()

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:  # noqa: ANN401 - theirs
        return dataset

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:  # noqa: ANN401 - theirs
        return FixedOrder(self._order)

    def _precompute_ref_logps(self, dataset: Dataset, _name: str, batch_size: int) -> Dataset:
        """Ask the reference once for every answer; TRL's own keeps a cache of its own on disk."""
        reference = cast("PreTrainedModel", self.ref_model)
        take_logprobs_at(reference, self._temperature, ("log_probs",))
        take_logprobs_at(self.lm.model, self._temperature, _OUTPUTS)
        chosen: list[float] = []
        rejected: list[float] = []
        for start in range(0, len(dataset), batch_size):
            rows = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
            batch = self._prepare_inputs(self.data_collator(rows))
            del batch[_P_CHOSEN], batch[_WEIGHT]
            first, second = self.compute_ref_log_probs(reference, batch)  # type: ignore[no-untyped-call]
            chosen += first.tolist()
            rejected += second.tolist()
        kept = dataset.add_column("ref_chosen_logps", chosen)
        return kept.add_column("ref_rejected_logps", rejected)


class _Recorder:
    """Calls a model and keeps the log-probabilities that it gave."""

    logprobs: Tensor

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __call__(self, **inputs: Any) -> Any:  # noqa: ANN401 - the model's own
        outputs = self._model(**inputs)
        self.logprobs = outputs.log_probs
        return outputs


class _Collator(DataCollatorForPreference):
    """Pads pairs as TRL does and puts their labels and weights beside them."""

    def torch_call(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(list(examples))
        for name in (_P_CHOSEN, _WEIGHT):
            batch[name] = torch.tensor([e[name] for e in examples], dtype=torch.float32)
        return batch


def _row(policy: LanguageModel, pair: PolicyPair, labels: str, weight: float) -> dict[str, Any]:
    """Write a pair as token ids, the better answer as the chosen one."""
    prompt = encode_conversation(policy, pair.prompt)
    room = policy.context - len(prompt)
    first = encode_answer(policy, pair.first, pair.first_ended)[:room]
    second = encode_answer(policy, pair.second, pair.second_ended)[:room]
    chosen, rejected = (first, second) if pair.label > 0.5 else (second, first)
    sure = max(pair.label, 1 - pair.label) if labels == "soft" else 1.0
    return {
        "prompt_ids": prompt,
        "chosen_ids": chosen,
        "rejected_ids": rejected,
        _P_CHOSEN: sure,
        _WEIGHT: weight,
    }
