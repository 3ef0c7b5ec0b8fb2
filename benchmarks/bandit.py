"""PPO on a task whose optimum is known: ``make bench-bandit``.

One prompt, answers of one token, a reward table. With the KL to the reference in the reward (or in
the loss) at weight beta, the best policy is pi*(y) ~ pi_ref(y) exp(r(y) / beta). Prints, as JSON,
how far the policy is from it before and after: total variation distance, half the sum of absolute
differences.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import LanguageModel
from rlaif.models.scoring import Answer
from rlaif.records import Message
from rlaif.seeds import torch_generator
from rlaif.stages.ppo import PpoJob
from rlaif.stages.ppo.trainer import PpoTrainer
from rlaif.testing import make_tiny_lm

QUESTION = (Message(role="user", content="Q?"),)
WAYS = {
    "reward": {"kl_place": "reward", "kl_estimator": "k1"},
    "reward, exact": {"kl_place": "reward", "kl_estimator": "exact"},
    "loss, k2": {"kl_place": "loss", "kl_estimator": "k2"},
    "loss, exact": {"kl_place": "loss", "kl_estimator": "exact"},
}


class Table:
    """A reward for each one-token answer, between -1 and 1, by a seed.

    Args:
        lm: The policy, whose tokens are scored; tokens that read alike are worth the same.
        seed: Of the rewards.
    """

    def __init__(self, lm: LanguageModel, seed: int) -> None:
        size = int(lm.model.config.vocab_size)
        texts = [str(lm.tokenizer.decode([i], skip_special_tokens=True)) for i in range(size)]
        numbers = (torch.rand(size, generator=torch_generator(seed)) * 2 - 1).tolist()
        self._worth = dict(zip(texts, numbers, strict=True))
        self.of_tokens = torch.tensor([self._worth[text] for text in texts], dtype=torch.float64)

    def score(self, answers: Sequence[Answer]) -> Tensor:
        """Return the rewards of answers."""
        return torch.tensor([self._worth[text] for _, text, _ in answers])


@dataclass(frozen=True)
class Found:
    """Distances from the optimum, and what the policy earns: expected reward, KL in nats."""

    tv_before: float
    tv_after: float
    reward_optimum: float
    reward_after: float
    kl_optimum: float
    kl_after: float


def solve(folder: Path, beta: float, updates: int, way: str, rollout: int = 256) -> Found:
    """Train on the task and measure.

    Args:
        folder: Where models and checkpoints go.
        beta: The KL coefficient.
        updates: Updates.
        way: Where the KL is, and its estimator: one of ``WAYS``.
        rollout: Answers per update.
    """
    policy = str(make_tiny_lm(folder / "policy", pad_is_eos=True))
    settings: dict[str, Any] = {
        "updates": updates,
        "rollout_batch": rollout,
        "minibatch": rollout,
        "micro_batch": rollout,
        "epochs": 2,
        "learning_rate": 1e-3,
        "kl_control": "fixed",
        "kl_beta": beta,
        "kl_early_stop": "off",
        "precision": "float32",
        **WAYS[way],
    }
    job = PpoJob(
        policy=policy,
        reference=policy,
        conversations=(QUESTION,),
        generation=GenerationConfig(max_tokens=1),
        ppo=PpoConfig.model_validate(settings),
        seed=1,
        device="cpu",
        missing_eos_score=None,
        beta=beta,
        output=folder / "challenger",
        work=folder / "work",
    )
    table: list[Table] = []
    trainer = PpoTrainer(job, _Late(table))
    lm = trainer.learner.policy
    table.append(Table(lm, seed=0))
    reference = _distribution(lm)
    best = (reference.log() + table[0].of_tokens / beta).softmax(-1)
    for _ in range(updates):
        trainer.update()
    after = _distribution(lm)
    worth = table[0].of_tokens
    return Found(
        tv_before=_distance(reference, best),
        tv_after=_distance(after, best),
        reward_optimum=float(best @ worth),
        reward_after=float(after @ worth),
        kl_optimum=float(best @ (best / reference).log()),
        kl_after=float(after @ (after / reference).log()),
    )


class _Late:
    """A scorer that is known only once the trainer has loaded the policy."""

    def __init__(self, table: list[Table]) -> None:
        self._table = table

    def score(self, answers: Sequence[Answer]) -> Tensor:
        return self._table[0].score(answers)


@torch.no_grad()
def _distribution(lm: LanguageModel) -> Tensor:
    ids = torch.tensor([encode_conversation(lm, QUESTION)])
    logits: Tensor = lm.model(ids).logits[0, -1]
    return logits.double().softmax(-1)


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().sum() / 2)


def main() -> None:
    """Solve the task in each way, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--rollout", type=int, default=1024)
    given = parser.parse_args()
    found = []
    for way in WAYS:
        for beta in (0.5, 1.0):
            with tempfile.TemporaryDirectory() as folder:
                figures = solve(Path(folder), beta, given.updates, way, given.rollout)
            found.append({"kl_in": way, "beta": beta, **vars(figures)})
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
