"""TRL's first update, number by number, on answers that are given; needs TRL 1.12.0.

Reads a world with ``prompts.json``, ``answers.json`` and ``value_head.safetensors``; writes
``trl.json`` and the weights and gradients of each optimiser step. TRL's trainer runs unchanged but
for where its answers come from: an optimiser hook reads the variables of its loop.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
import trl
import trl.experimental.ppo.ppo_trainer as loop
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, TrainerCallback
from trl.trainer.utils import pad
from trl_parts import keep_order, locals_of_train, make_trainer, scalar_model, settings

FIXED = ("logprobs", "ref_logprobs", "values", "scores", "kl", "rewards", "advantages", "returns")
PER_STEP = ("new_logprobs", "vpred", "pg_loss", "vf_loss")
CLIPPED = {"pg_clipfrac": ("pg_losses2", "pg_losses"), "vf_clipfrac": ("vf_losses2", "vf_losses1")}
MASKS = {"pg_clipfrac": "padding_mask", "vf_clipfrac": "padding_mask_p1"}


class Given:
    """Stands in for sampling: the given answers, and the policy's logits for them.

    Args:
        answers: Tokens of each answer, in the order of the prompts.
        temperature: By which logits are divided, as TRL does it.
    """

    def __init__(self, answers: list[list[int]], temperature: float) -> None:
        self._answers = answers
        self._temperature = temperature

    def __call__(
        self,
        model: PreTrainedModel,
        queries: torch.Tensor,
        _rows: int,
        pad_id: int,
        _config: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return queries with their answers, and logits [rows, tokens, vocabulary]."""
        padded = pad([torch.tensor(a) for a in self._answers], pad_id, "right")
        both = torch.cat([queries, padded], dim=1)
        logits = loop.forward(model, both, pad_id).logits[:, queries.shape[1] - 1 : -1]
        return both, logits / (self._temperature + 1e-7)


class Tap:
    """Reads TRL's variables at each optimiser step, in the order of the answers."""

    def __init__(self, world: Path) -> None:
        self._world = world
        self.found: dict[str, Any] = {"version": trl.__version__, "steps": []}

    def __call__(self, *_: object) -> None:
        """Keep what there is before a step."""
        seen = locals_of_train()
        if not self.found["steps"]:
            self.found |= {name: seen[name].tolist() for name in FIXED}
            self.found["lengths"] = (seen["sequence_lengths"] + 1).tolist()
        places = torch.as_tensor(seen["mini_batch_inds"]).argsort()
        step = {name: seen[name][places] if seen[name].dim() else seen[name] for name in PER_STEP}
        for name, (more, less) in CLIPPED.items():
            kept = ~seen[MASKS[name]][seen["mini_batch_inds"]]
            step[name] = (seen[more] > seen[less])[kept].float().mean()
        self._keep_tensors(seen["model"], len(self.found["steps"]))
        self.found["steps"].append({name: value.tolist() for name, value in step.items()})

    def _keep_tensors(self, model: torch.nn.Module, step: int) -> None:
        named = dict(model.named_parameters())
        weights = {n: p.detach().clone() for n, p in named.items()}
        slopes = {n: p.grad.clone() for n, p in named.items() if p.grad is not None}
        save_file(weights, self._world / f"trl_weights_{step}.safetensors")
        save_file(slopes, self._world / f"trl_gradients_{step}.safetensors")


def main() -> None:
    """Make one update, and write what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--beta", type=float, required=True)
    parser.add_argument("--temperature", type=float, required=True)
    given = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        found = _update(given)
    (given.world / "trl.json").write_text(json.dumps(found), encoding="utf-8")


def _update(given: argparse.Namespace) -> dict[str, Any]:
    world: Path = given.world
    shape, prompts, answers = (
        json.loads((world / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("shape", "prompts", "answers")
    )
    arguments = settings(
        world,
        batch=shape["batch"],
        updates=1,
        response=shape["response"],
        epochs=given.epochs,
        rate=given.rate,
        temperature=given.temperature,
        kl_coef=given.beta,
        stop_token="eos" if shape["mean_length"] else None,
    )
    reward, critic = (
        scalar_model(world, torch.float32, load_file(world / place)["weight"])
        for place in ("reward/reward_head.safetensors", "value_head.safetensors")
    )
    callbacks: list[TrainerCallback] = []
    trainer = make_trainer(world, arguments, prompts, reward, critic, callbacks)
    keep_order(trainer)
    tap = Tap(world)
    trainer.optimizer.optimizer.register_step_pre_hook(tap)
    loop.batch_generation = Given(answers, given.temperature)
    trainer.train()
    return tap.found


if __name__ == "__main__":
    main()
