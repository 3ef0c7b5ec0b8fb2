"""TRL's side of the comparison: its own trainer, stepped by the parent; needs TRL 1.12.0.

It imports nothing of ours but how to talk with the parent: it runs in an environment of its own.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file
from side import RATE, Side
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer


class Stepper(TrainerCallback):
    """Waits for the parent before each update, and tells it after each."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def on_train_begin(self, *_: object, **__: object) -> None:
        """Say that everything is loaded."""
        self._side.ready()
        self._wait()

    def on_step_end(self, *_: object, **__: object) -> None:
        """Tell how long the update took."""
        self._side.done()
        self._wait()

    def _wait(self) -> None:
        if not self._side.wait():
            sys.exit(0)


def main() -> None:
    """Load the world that is named and train on it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--weights", choices=["float32", "bfloat16"], required=True)
    given = parser.parse_args()
    side = Side()
    trainer = _trainer(given.world, given.updates, getattr(torch, given.weights), side)
    with contextlib.redirect_stdout(sys.stderr):
        trainer.train()


def _trainer(world: Path, updates: int, dtype: torch.dtype, side: Side) -> PPOTrainer:
    shape = json.loads((world / "shape.json").read_text(encoding="utf-8"))
    prompts = json.loads((world / "prompts.json").read_text(encoding="utf-8"))
    folder = world / "policy"
    batch = shape["batch"]
    arguments = PPOConfig(
        output_dir=str(world / "trl"),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=1,
        num_mini_batches=1,
        total_episodes=batch * updates,
        local_rollout_forward_batch_size=batch,
        response_length=shape["response"],
        stop_token="eos" if shape["mean_length"] else None,
        temperature=1.0,
        num_ppo_epochs=shape["epochs"],
        num_sample_generations=0,
        learning_rate=RATE,
        adam_epsilon=1e-5,
        gradient_checkpointing=False,
        bf16=False,  # its own flag does nothing here; ACCELERATE_MIXED_PRECISION does
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        eval_strategy="no",
        disable_tqdm=True,
        seed=1,
    )
    return PPOTrainer(
        args=arguments,
        processing_class=AutoTokenizer.from_pretrained(folder, padding_side="left"),
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=dtype),
        ref_model=AutoModelForCausalLM.from_pretrained(folder, dtype=dtype),
        reward_model=_scalar(world, dtype, zero=False),
        value_model=_scalar(world, dtype, zero=True),
        train_dataset=Dataset.from_dict({"input_ids": prompts}),
        callbacks=[Stepper(side)],
    )


def _scalar(world: Path, dtype: torch.dtype, *, zero: bool) -> PreTrainedModel:
    """Return a model with a scalar head: the reward model's, or zeros for the critic."""
    model = AutoModelForSequenceClassification.from_pretrained(
        world / "policy", num_labels=1, dtype=dtype
    )
    head = load_file(world / "reward" / "reward_head.safetensors")["weight"]
    with torch.no_grad():
        model.score.weight.copy_(torch.zeros_like(head) if zero else head)
    return model


if __name__ == "__main__":
    main()
