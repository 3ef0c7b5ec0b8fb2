"""TRL's reward trainer on soft labels, its checkpoints trusted only where their manifest holds.

Importing this module imports TRL, which takes seconds.

What differs from TRL's own: losses on soft labels, pooling that knows no padding id, batches that
are fixed beforehand, no telemetry, no model card, no pickled arguments in a checkpoint.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from rlaif.artifacts import verify, write_atomically, write_manifest
from rlaif.config import RewardModelConfig
from rlaif.errors import ArtifactError, TrainingError
from rlaif.models.padding import right_pad
from rlaif.models.reward import RewardModel
from rlaif.models.training_state import saving
from rlaif.rl.losses import bradley_terry_loss, listwise_loss, pairwise_hinge_loss

Loss = Literal["bradley_terry", "hinge", "listwise"]
Progress = Callable[[int, int], None]
_PROGRESS = "progress.json"
_PREFIX = "checkpoint-"


class SoftRewardTrainer(RewardTrainer):
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
        self.reward_model = model
        self.loss: Loss = settings.loss
        self.work = work
        self.job = job
        self.losses: list[float] = []
        self.progress = progress
        self.rows = Dataset.from_list(list(rows))
        super().__init__(
            model=model,  # type: ignore[arg-type]  # any module with a config serves
            args=_arguments(model.device, settings, learning_rate, seed, work),
            data_collator=_Collator(pad_id),
            train_dataset=self.rows,
            processing_class=_Filler(pad_id),  # type: ignore[arg-type]  # only its padding is read
        )
        self.remove_callback(PrinterCallback)

    def fit(self) -> list[float]:
        """Train from the last good checkpoint of this job, or from the start.

        Returns:
            The loss of every step, those before the checkpoint included.

        Raises:
            TrainingError: The loss or a gradient is not finite; checkpoints stay.
        """
        checkpoint = last_good_checkpoint(self.work, self.job)
        if checkpoint is not None:
            self.losses = _read_progress(checkpoint)["losses"]
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        return self.losses

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002 - the trainer's signature
    ) -> Any:  # noqa: ANN401 - as above
        """Return the batch's loss, and the raw rewards where the trainer asks for them."""
        raw = model(inputs["input_ids"], inputs["attention_mask"])
        loss = soft_loss(self.loss, raw[inputs["places"]], inputs["values"], inputs["real"])
        return (loss, {"raw": raw}) if return_outputs else loss

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - as above
        """Run one step, and stop before the weights are touched by what is not finite.

        Raises:
            TrainingError: The loss or a gradient is not finite.
        """
        loss: Tensor = super().training_step(*args, **kwargs)  # type: ignore[no-untyped-call]  # theirs
        gradients = [p.grad for p in self.reward_model.parameters() if p.grad is not None]
        finite = torch.stack([loss.isfinite(), *(g.isfinite().all() for g in gradients)]).all()
        if not finite:
            raise _not_finite(float(loss), int(self.state.global_step) + 1, self.work, self.job)
        self.losses.append(float(loss))
        if self.progress is not None:
            self.progress(len(self.losses), int(self.state.max_steps))
        return loss

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        """Write no card: a checkpoint is not a model for others."""

    def _save(self, output_dir: str | None = None, *_: Any) -> None:  # noqa: ANN401 - as above
        """Save the weights alone, as the trainer will look for them."""
        folder = Path(output_dir or self.work)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.reward_model, str(folder / "model.safetensors"))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401 - as above
        folder = self.work / f"{_PREFIX}{self.state.global_step}"
        with saving(folder):
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]  # theirs
        progress = {"job": self.job, "losses": self.losses}
        write_atomically(folder / _PROGRESS, json.dumps(progress))
        write_manifest(folder)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:  # noqa: ANN401 - as above
        return dataset

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:  # noqa: ANN401 - as above
        return SequentialSampler(self.rows)

    def _send_telemetry(self) -> None:
        """Send nothing: a daemon tells no one what it trains."""


def soft_loss(loss: Loss, scores: Tensor, values: Tensor, real: Tensor) -> Tensor:
    """Return the loss of comparisons.

    Args:
        loss: Which one.
        scores: Raw rewards [comparisons, answers].
        values: P(better) of each answer of a pair, or strengths in a list; the same shape.
        real: True = a real answer; the same shape.
    """
    if loss == "bradley_terry":
        return bradley_terry_loss(scores[:, 0], scores[:, 1], values[:, 0])
    if loss == "hinge":
        return pairwise_hinge_loss(scores[:, 0], scores[:, 1], values[:, 0])
    return tied_listwise_loss(scores, values, real)


def tied_listwise_loss(scores: Tensor, strengths: Tensor, real: Tensor) -> Tensor:
    """Return the listwise loss, the mean of both orders where strengths are tied.

    So a tie of two costs what Bradley-Terry costs at p = 0.5.

    Args:
        scores: Raw rewards [lists, answers].
        strengths: What the order is made from; the same shape.
        real: True = a real answer; the same shape.
    """
    strengths = strengths.masked_fill(~real, -torch.inf)
    last = strengths.shape[1] - 1
    forward = strengths.argsort(dim=1, descending=True, stable=True)
    backward = last - strengths.flip(1).argsort(dim=1, descending=True, stable=True)
    orders = torch.cat([forward, backward])
    return listwise_loss(scores.repeat(2, 1).gather(1, orders), real.repeat(2, 1).gather(1, orders))


def last_good_checkpoint(work: Path, job: str) -> Path | None:
    """Return the newest checkpoint of a job whose files are those that were written.

    Newer ones that were cut short or changed, and those of other jobs, are removed: the trainer
    would load or overwrite them.
    """
    folders = {int(p.name.removeprefix(_PREFIX)): p for p in work.glob(f"{_PREFIX}*")}
    for _, folder in sorted(folders.items(), reverse=True):
        if _is_good(folder, job):
            return folder
        shutil.rmtree(folder)
    return None


def _is_good(folder: Path, job: str) -> bool:
    try:
        verify(folder)
    except ArtifactError:
        return False
    return bool(_read_progress(folder)["job"] == job)


def _read_progress(checkpoint: Path) -> dict[str, Any]:
    progress: dict[str, Any] = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    return progress


def _not_finite(loss: float, step: int, work: Path, job: str) -> TrainingError:
    checkpoint = last_good_checkpoint(work, job)
    kept = "no checkpoint was written yet" if checkpoint is None else f"{checkpoint} is kept"
    return TrainingError(
        f"the reward model's loss is {loss} at step {step}, or its gradient is not finite; {kept}",
        "finite numbers",
        "lower reward_model.learning_rate, or check the policy's weights, and run again",
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
        }


def _arguments(
    device: torch.device, settings: RewardModelConfig, learning_rate: float, seed: int, work: Path
) -> RewardConfig:
    arguments = RewardConfig(
        output_dir=str(work),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        adam_epsilon=1e-5,
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=seed % 2**32,
        use_cpu=device.type == "cpu",
        bf16=False,
        gradient_checkpointing=None,  # type: ignore[arg-type]  # off under its old and its new name
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,
        eval_strategy="no",
        logging_strategy="no",
        log_level="error",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    # One process takes one device; more of them are the launcher's business.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
