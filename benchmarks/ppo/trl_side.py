"""TRL's side of the comparison: its own trainer, stepped by the parent; needs TRL 1.12.0.

It imports nothing of ours but how to talk with the parent: it runs in an environment of its own.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from side import RATE, Side
from transformers import TrainerCallback
from trl.experimental.ppo import PPOTrainer
from trl_parts import make_trainer, scalar_model, settings


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
    given = settings(
        world,
        batch=shape["batch"],
        updates=updates,
        response=shape["response"],
        epochs=shape["epochs"],
        rate=RATE,
        stop_token="eos" if shape["mean_length"] else None,
    )
    head = load_file(world / "reward" / "reward_head.safetensors")["weight"]
    reward = scalar_model(world, dtype, head)
    critic = scalar_model(world, dtype, torch.zeros_like(head))
    return make_trainer(world, given, prompts, reward, critic, [Stepper(side)], dtype)


if __name__ == "__main__":
    main()
