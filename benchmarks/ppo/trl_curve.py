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
from datasets import Dataset
from rule import reward
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    TrainerCallback,
    set_seed,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer


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
        """Keep reward and KL."""
        self.seen.append({"reward": logs["objective/scores"], "kl": logs["objective/kl"]})


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
    tokenizer = AutoTokenizer.from_pretrained(world["model"], padding_side="left")
    tokenizer.pad_token_id = 0
    policy, reference = (
        AutoModelForCausalLM.from_pretrained(world["model"], dtype=torch.float32) for _ in range(2)
    )
    critic = AutoModelForSequenceClassification.from_pretrained(
        world["model"], num_labels=1, dtype=torch.float32
    )
    nn.init.zeros_(critic.score.weight)
    arguments = PPOConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=world["batch"],
        gradient_accumulation_steps=1,
        num_mini_batches=world["batch"] // world["minibatch"],
        total_episodes=world["batch"] * world["updates"],
        local_rollout_forward_batch_size=world["batch"],
        response_length=world["response"],
        stop_token=None,
        temperature=1.0,
        num_ppo_epochs=world["epochs"],
        num_sample_generations=0,
        learning_rate=world["rate"],
        lr_scheduler_type="linear",
        adam_epsilon=1e-5,
        weight_decay=0.0,
        kl_coef=world["beta"],
        kl_estimator="k1",
        vf_coef=world["value_coefficient"],
        cliprange=0.2,
        cliprange_value=0.2,
        gamma=1.0,
        lam=0.95,
        whiten_rewards=False,
        missing_eos_penalty=None,
        bf16=False,
        use_cpu=True,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        eval_strategy="no",
        disable_tqdm=True,
        seed=seed,
    )
    return PPOTrainer(
        args=arguments,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=Rule(tokenizer, world["prompt"]),
        value_model=critic,
        train_dataset=Dataset.from_dict({"input_ids": world["ids"]}),
        callbacks=[listener],
    )


if __name__ == "__main__":
    main()
