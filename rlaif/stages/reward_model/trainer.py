"""TRL's reward trainer on soft labels.

Importing this module imports TRL, which takes seconds.

What differs from TRL's own: losses on soft labels, pooling that knows no padding id, batches that
are fixed beforehand, and what ``rlaif.stages.trl_checkpoints`` says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from rlaif.config import RewardModelConfig
from rlaif.models.padding import right_pad
from rlaif.models.reward import RewardModel
from rlaif.rl.preference_losses import bradley_terry_loss, listwise_loss, pairwise_hinge_loss
from rlaif.stages.trl_checkpoints import (
    CheckpointedTrainer,
    Progress,
    on_one_device,
    quiet_arguments,
)

Loss = Literal["bradley_terry", "hinge", "listwise"]


class SoftRewardTrainer(CheckpointedTrainer, RewardTrainer):
    """Trains a reward model on a fixed sequence of batches.

    Args:
        model: The reward model.
        rows: The batches in order, one per optimiser step, as ``schedule.as_row`` writes them.
        settings: The reward model's settings.
        learning_rate: Peak rate; it falls linearly to 0.
        seed: Seed of the global generators, which nothing here draws from.
        work: Folder of the checkpoints.
        job: Fingerprint that a checkpoint must bear to be resumed.
        pad_id: Filler for batches, any token.
        progress: Called with (steps done, steps in all) after each step.
    """

    what = "the reward model"
    remedy = "lower reward_model.learning_rate, or check the policy's weights, and run again"

    def __init__(
        self,
        model: RewardModel,
        rows: Sequence[dict[str, Any]],
        *,
        settings: RewardModelConfig,
        learning_rate: float,
        seed: int,
        work: Path,
        job: str,
        pad_id: int,
        progress: Progress | None = None,
    ) -> None:
        self.loss: Loss = settings.loss
        self.rows = Dataset.from_list(list(rows))
        super().__init__(
            model=model,
            args=_arguments(model.device, settings, learning_rate, seed, work),
            data_collator=_Collator(pad_id),
            train_dataset=self.rows,
            processing_class=_Filler(pad_id),
            work=work,
            job=job,
            progress=progress,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002 - the trainer's signature
    ) -> Any:  # noqa: ANN401 - as above
        """Return the batch's loss, and the raw rewards where the trainer asks for them."""
        raw = model(inputs["input_ids"], inputs["attention_mask"])
        scores = raw[inputs["places"]]
        loss = members_loss(
            self.loss,
            scores,
            inputs["values"],
            inputs["real"],
            draws=inputs["draws"],
            weights=inputs["weights"],
        )
        return (loss, {"raw": raw}) if return_outputs else loss

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:  # noqa: ANN401 - as above
        return dataset

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:  # noqa: ANN401 - as above
        return SequentialSampler(self.rows)


def members_loss(
    loss: Loss,
    scores: Tensor,
    values: Tensor,
    real: Tensor,
    *,
    draws: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the mean over an ensemble's members of each one's loss on what it drew.

    A member's loss is its sum divided by the comparisons of the batch, drawn or not: so one that
    drew little of a batch also learns little from it.

    Args:
        loss: Which one.
        scores: Raw rewards [comparisons, answers, members].
        values: P(better) of each answer of a pair, or strengths in a list [comparisons, answers].
        real: True = a real answer [comparisons, answers].
        draws: How often each comparison counts, integers [members, comparisons].
        weights: What each comparison's loss is multiplied by [comparisons]; None: each by 1.
    """
    total = scores.sum() * 0.0  # all may have drawn nothing, and a step needs its gradient
    for own, counts in zip(scores.unbind(dim=-1), draws, strict=True):
        rows = torch.arange(len(own), device=own.device).repeat_interleave(counts)
        if len(rows):
            share = len(rows) / len(own)
            chosen = None if weights is None else weights[rows]
            mean = soft_loss(loss, own[rows], values[rows], real[rows], chosen)
            total = total + share * mean
    return total / len(draws)


def soft_loss(
    loss: Loss, scores: Tensor, values: Tensor, real: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the loss of comparisons.

    Args:
        loss: Which one.
        scores: Raw rewards [comparisons, answers].
        values: P(better) of each answer of a pair, or strengths in a list; the same shape.
        real: True = a real answer; the same shape.
        weights: What each comparison's loss is multiplied by [comparisons]; None: each by 1.
    """
    if loss == "bradley_terry":
        return bradley_terry_loss(scores[:, 0], scores[:, 1], values[:, 0], weights)
    if loss == "hinge":
        return pairwise_hinge_loss(scores[:, 0], scores[:, 1], values[:, 0], weights=weights)
    return tied_listwise_loss(scores, values, real, weights)


def tied_listwise_loss(
    scores: Tensor, strengths: Tensor, real: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the listwise loss, the mean of both orders where strengths are tied.

    So a tie of two costs what Bradley-Terry costs at p = 0.5.

    Args:
        scores: Raw rewards [lists, answers].
        strengths: What the order is made from; the same shape.
        real: True = a real answer; the same shape.
        weights: Of the lists [lists]; None: each is 1.
    """
    strengths = strengths.masked_fill(~real, -torch.inf)
    last = strengths.shape[1] - 1
    forward = strengths.argsort(dim=1, descending=True, stable=True)
    backward = last - strengths.flip(1).argsort(dim=1, descending=True, stable=True)
    orders = torch.cat([forward, backward])
    twice = None if weights is None else weights.repeat(2)
    return listwise_loss(
        scores.repeat(2, 1).gather(1, orders), real.repeat(2, 1).gather(1, orders), twice
    )


class _Filler:
    """Stands where TRL wants a tokenizer, to learn a padding token that our batches do not need.

    So tokenizers without a padding or end token work, and none is changed.
    """

    pad_token = eos_token = "filler"  # noqa: S105 - a token of a tokenizer

    def __init__(self, pad_id: int) -> None:
        self.pad_token_id = pad_id

    def get_vocab(self) -> dict[str, int]:
        """Return the one token."""
        return {self.pad_token: self.pad_token_id}


class _Collator:
    """Turns the one row of a step into tensors."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        (row,) = rows
        input_ids, attention_mask = right_pad(row["sequences"], self.pad_id)
        places, real = right_pad(row["places"], 0)
        width = places.shape[1]
        values = [v + [0.0] * (width - len(v)) for v in row["values"]]
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "places": places,
            "real": real,
            "values": torch.tensor(values, dtype=torch.float32),
            "draws": torch.tensor(row["draws"]),
            "weights": torch.tensor(row["weights"], dtype=torch.float32),
        }


def _arguments(
    device: torch.device, settings: RewardModelConfig, learning_rate: float, seed: int, work: Path
) -> RewardConfig:
    arguments = RewardConfig(
        **quiet_arguments(
            device,
            learning_rate=learning_rate,
            seed=seed,
            work=work,
            save_steps=settings.checkpoint_steps,
        ),
        per_device_train_batch_size=1,
        max_grad_norm=1.0,
        bf16=False,
        logging_strategy="no",
    )
    on_one_device(arguments)
    return arguments
