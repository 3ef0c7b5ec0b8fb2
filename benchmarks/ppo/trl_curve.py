"""TRL's learning curve under the rule, one seed; needs TRL 1.12.0 and nothing of ours."""

import argparse
import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rule import reward
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback, set_seed
from trl.experimental.ppo import PPOTrainer
from trl_parts import locals_of_train, make_trainer, scalar_model, settings


@dataclass
class Output:
    """What TRL looks for in a trunk's output."""

    hidden_states: tuple[Tensor, ...]


class Ids(nn.Module):
    """A trunk whose hidden states are the token ids themselves."""

    def forward(self, input_ids: Tensor, **_: object) -> Output:
        """Return ids [batch, tokens, 1]."""
        return Output((input_ids.unsqueeze(-1).float(),))


class Rule(nn.Module):
    """The rule as TRL wants a reward model: a trunk, and a score of each place."""

    base_model_prefix = "ids"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: int) -> None:
        super().__init__()
        self.ids = Ids()
        self._tokenizer = tokenizer
        self._prompt = prompt

    def score(self, states: Tensor) -> Tensor:
        """Return the reward of each row at all its places [batch, tokens, 1]."""
        rows = states[..., 0].long()[:, self._prompt :].tolist()
        texts = self._tokenizer.batch_decode(rows, skip_special_tokens=True)
        found = torch.tensor([reward(text) for text in texts])
        return found.view(-1, 1, 1).expand(states.shape)


class Listener(TrainerCallback):
    """Keeps what TRL says of each update."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    def on_log(self, *_: object, logs: Mapping[str, float], **__: object) -> None:
        """Keep reward, KL, length, and how much of the returns the critic explains."""
        loop = locals_of_train()
        self.seen.append(
            {
                "reward": logs["objective/scores"],
                "kl": logs["objective/kl"],
                "length": float((loop["sequence_lengths"] + 1).float().mean()),
                "explained_variance": _explained(
                    loop["values"], loop["returns"], ~loop["padding_mask"]
                ),
            }
        )


def _explained(values: Tensor, returns: Tensor, answers: Tensor) -> float:
    """Return 1 - var(returns - values) / var(returns) over the answers' tokens."""
    left = (returns - values)[answers].var(correction=0)
    return float(1 - left / returns[answers].var(correction=0))


def main() -> None:
    """Train, and print the curve as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    world = json.loads((given.world / "world.json").read_text(encoding="utf-8"))
    listener = Listener()
    set_seed(given.seed)
    with contextlib.redirect_stdout(sys.stderr):
        _trainer(world, given.world, given.seed, listener).train()
    print(json.dumps(listener.seen))


def _trainer(world: dict[str, Any], folder: Path, seed: int, listener: Listener) -> PPOTrainer:
    given = settings(
        folder,
        batch=world["batch"],
        updates=world["updates"],
        response=world["response"],
        epochs=world["epochs"],
        rate=world["rate"],
        num_mini_batches=world["batch"] // world["minibatch"],
        stop_token_id=world["end"],
        kl_coef=world["beta"],
        vf_coef=world["value_coefficient"],
        logging_steps=1,
        seed=seed,
    )
    tokenizer = AutoTokenizer.from_pretrained(folder / "policy", padding_side="left")
    critic = scalar_model(folder, torch.float32, torch.zeros(1, 1))
    rule = Rule(tokenizer, world["prompt"])
    return make_trainer(folder, given, world["ids"], rule, critic, [listener])


if __name__ == "__main__":
    main()
