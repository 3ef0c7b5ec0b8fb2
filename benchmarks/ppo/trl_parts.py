"""What drives TRL 1.12.0's PPO: its settings, models and trainer, and a look at its figures.

It imports nothing of ours: it runs in TRL's environment.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer


def settings(
    world: Path,
    *,
    batch: int,
    updates: int,
    response: int,
    epochs: int,
    rate: float,
    **more: Any,  # noqa: ANN401 - whatever TRL's settings have
) -> PPOConfig:
    """Return TRL's settings, everything off that is not PPO.

    Args:
        world: The folder to work in.
        batch: Rollouts per update.
        updates: Updates in all, over which the rate falls linearly.
        response: Limit of new tokens.
        epochs: Passes over each rollout.
        rate: Learning rate.
        more: Other settings, by TRL's names.
    """
    return PPOConfig(
        output_dir=str(world / "trl"),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=1,
        total_episodes=batch * updates,
        local_rollout_forward_batch_size=batch,
        response_length=response,
        num_ppo_epochs=epochs,
        learning_rate=rate,
        **{
            "num_mini_batches": 1,
            "temperature": 1.0,
            "num_sample_generations": 0,
            "adam_epsilon": 1e-5,
            "gradient_checkpointing": False,
            "bf16": False,  # its own flag does nothing here; ACCELERATE_MIXED_PRECISION does
            "use_cpu": True,
            "report_to": "none",
            "save_strategy": "no",
            "eval_strategy": "no",
            "disable_tqdm": True,
            "seed": 1,
            **more,
        },
    )


def make_trainer(
    world: Path,
    given: PPOConfig,
    prompts: list[list[int]],
    reward: nn.Module,
    critic: PreTrainedModel,
    callbacks: list[TrainerCallback],
    dtype: torch.dtype = torch.float32,
) -> PPOTrainer:
    """Return TRL's trainer on the world's policy, the reference too where there is no other."""
    folder = world / "policy"
    reference = world / "reference" if (world / "reference").is_dir() else folder
    return PPOTrainer(
        args=given,
        processing_class=AutoTokenizer.from_pretrained(folder, padding_side="left"),
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=dtype),
        ref_model=AutoModelForCausalLM.from_pretrained(reference, dtype=dtype),
        reward_model=reward,
        value_model=critic,
        train_dataset=Dataset.from_dict({"input_ids": prompts}),
        callbacks=callbacks,
    )


def scalar_model(world: Path, dtype: torch.dtype, head: torch.Tensor) -> PreTrainedModel:
    """Return the policy's trunk with a scalar head [1, width]: a reward model, or the critic."""
    model = AutoModelForSequenceClassification.from_pretrained(
        world / "policy", num_labels=1, dtype=dtype
    )
    with torch.no_grad():
        model.score.weight.copy_(head)
    return model


def keep_order(trainer: PPOTrainer) -> None:
    """Let the trainer take its prompts in the order in which they were given."""
    trainer.dataloader = DataLoader(
        trainer.train_dataset,
        batch_size=trainer.local_dataloader_batch_size,
        collate_fn=trainer.data_collator,
        drop_last=True,
    )


def locals_of_train() -> dict[str, Any]:
    """Return the local variables of the trainer's loop, from within whatever it calls.

    Raises:
        RuntimeError: No such loop is running.
    """
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code is PPOTrainer.train.__code__:
            return frame.f_locals
        frame = frame.f_back
    raise RuntimeError("TRL's training loop is not running")
