"""What each of TRL's trainers gets from us: checkpoints that can be trusted, and silence.

Importing this module imports transformers' trainer, which takes seconds.

What differs from TRL's own: a checkpoint bears a manifest and the fingerprint of its job, and holds
no pickled arguments; nothing that is not finite reaches it; no telemetry, no model card, no print.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from safetensors.torch import save_file, save_model
from torch import Tensor, nn
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from rlaif.artifacts import verify, write_atomically, write_manifest
from rlaif.errors import ArtifactError, TrainingError
from rlaif.models.training_state import saving

Progress = Callable[[int, int], None]
WEIGHTS = "model.safetensors"
ADAM_EPS = 1e-5
_PROGRESS = "progress.json"
_PREFIX = "checkpoint-"


class NotFiniteError(TrainingError):
    """A loss, a gradient or a weight was NaN or infinite."""


class CheckpointedTrainer(Trainer):
    """Stands before one of TRL's trainers in a class's bases, and keeps its checkpoints.

    Args:
        *args: The trainer's own.
        work: Folder of the checkpoints.
        job: Fingerprint that a checkpoint must bear to be resumed.
        progress: Called with (optimiser steps done, steps in all) after each step.
        **kwargs: The trainer's own.

    Attributes:
        losses: The loss of every pass of a micro-batch, those before a checkpoint included.
    """

    what: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - the trainer's own
        work: Path,
        job: str,
        progress: Progress | None = None,
        **kwargs: Any,  # noqa: ANN401 - as above
    ) -> None:
        self.work = work
        self.job = job
        self.losses: list[float] = []
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)
        if progress is not None:
            self.add_callback(_Teller(progress))

    def fit(self) -> list[float]:
        """Train from the last good checkpoint of this job, or from the start.

        Returns:
            The losses.

        Raises:
            NotFiniteError: A loss, a gradient or a weight is not finite; checkpoints stay.
        """
        checkpoint = last_good_checkpoint(self.work, self.job)
        if checkpoint is not None:
            self.recall(read_progress(checkpoint))
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        return self.losses

    def remembered(self) -> dict[str, Any]:
        """Return what a checkpoint keeps beside the trainer's own state: plain JSON values."""
        return {"losses": self.losses}

    def recall(self, kept: dict[str, Any]) -> None:
        """Take up what :meth:`remembered` gave."""
        self.losses = kept["losses"]

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - the trainer's
        """Run one pass, and stop before the weights are touched by what is not finite.

        Raises:
            NotFiniteError: The loss or a gradient is not finite.
        """
        loss: Tensor = super().training_step(*args, **kwargs)
        gradients = [p.grad for p in self._module.parameters() if p.grad is not None]
        finite = torch.stack([loss.isfinite(), *(g.isfinite().all() for g in gradients)]).all()
        if not finite:
            step = int(self.state.global_step) + 1
            raise self.not_finite(
                f"{self.what}'s loss is {float(loss)} at step {step}, or its gradient is not finite"
            )
        self.losses.append(float(loss))
        return loss

    def not_finite(self, seen: str) -> NotFiniteError:
        """Return the error for what was seen, which says what is kept."""
        checkpoint = last_good_checkpoint(self.work, self.job)
        kept = "no checkpoint was written yet" if checkpoint is None else f"{checkpoint} is kept"
        return NotFiniteError(f"{seen}; {kept}", "finite numbers", self.remedy)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the trainer's
        """Write no card: a checkpoint is not a model for others."""

    @property
    def _module(self) -> nn.Module:
        """The model, as what it is to torch."""
        module: Any = self.model
        return cast("nn.Module", module)

    def _save(self, output_dir: str | None = None, *_: Any) -> None:  # noqa: ANN401 - as above
        """Save the weights alone, as the trainer will look for them; frozen ones stay away."""
        folder = Path(output_dir or self.work)
        folder.mkdir(parents=True, exist_ok=True)
        parameters = dict(self._module.named_parameters())
        trained = {name: p.detach() for name, p in parameters.items() if p.requires_grad}
        if len(trained) == len(parameters):
            save_model(self._module, str(folder / WEIGHTS))
        else:
            save_file(trained, str(folder / WEIGHTS))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401 - as above
        folder = self.work / f"{_PREFIX}{self.state.global_step}"
        with saving(folder):
            super()._save_checkpoint(model, trial)
        progress = {"job": self.job, **self.remembered()}
        write_atomically(folder / _PROGRESS, json.dumps(progress, allow_nan=False))
        write_manifest(folder)

    def _send_telemetry(self) -> None:
        """Send nothing: a daemon tells no one what it trains."""


def last_good_checkpoint(work: Path, job: str) -> Path | None:
    """Return the newest checkpoint of a job whose files are those that were written.

    Newer ones that were cut short or changed, and those of other jobs, are removed: the trainer
    would load or overwrite them.
    """
    folders = {step_of(p): p for p in work.glob(f"{_PREFIX}*")}
    for _, folder in sorted(folders.items(), reverse=True):
        if _is_good(folder, job):
            return folder
        shutil.rmtree(folder)
    return None


def step_of(checkpoint: Path) -> int:
    """Return the number of optimiser steps after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """Return what a checkpoint keeps beside the trainer's own state."""
    progress: dict[str, Any] = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    return progress


def quiet_arguments(
    device: torch.device, *, learning_rate: float, seed: int, work: Path, save_steps: int
) -> dict[str, Any]:
    """Return what every trainer's arguments have in common.

    Adam as everywhere here, a rate that falls linearly to 0, no evaluation, no logging to anywhere.

    Args:
        device: Where to train.
        learning_rate: Peak rate.
        seed: Seed of the global generators.
        work: Folder of the checkpoints.
        save_steps: Optimiser steps between two of them.
    """
    return {
        "output_dir": str(work),
        "num_train_epochs": 1,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "linear",
        "adam_epsilon": ADAM_EPS,
        "weight_decay": 0.0,
        "seed": seed % 2**32,
        "use_cpu": device.type == "cpu",
        "gradient_checkpointing": None,  # off under its old and its new name
        "save_strategy": "steps",
        "save_steps": save_steps,
        "save_total_limit": 2,
        "eval_strategy": "no",
        "log_level": "error",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
    }


def on_one_device(arguments: TrainingArguments) -> None:
    """Let one process take one device; more of them are the launcher's business."""
    arguments._n_gpu = min(arguments.n_gpu, 1)


class _Teller(TrainerCallback):
    """Tells of each optimiser step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the trainer's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002 - as above
        **_: Any,  # noqa: ANN401 - as above
    ) -> None:
        self._progress(int(state.global_step), int(state.max_steps))


def _is_good(folder: Path, job: str) -> bool:
    try:
        verify(folder)
    except ArtifactError:
        return False
    return bool(read_progress(folder)["job"] == job)
