"""Trainers whose settings are given one by one, to look at what an update is made of."""

from collections.abc import Sequence
from pathlib import Path

import torch
from job_tools import questions
from ppo_jobs import job_in
from torch import Tensor

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.models.loading import LanguageModel
from rlaif.models.scoring import Answer
from rlaif.rl import Batch, Rollout
from rlaif.stages.ppo import Example
from rlaif.stages.ppo.rollouts import Rolled, Scorer
from rlaif.stages.ppo.trainer import PpoTrainer

BETA = 0.3


class Rule:
    """Scores that differ from answer to answer."""

    def score(self, answers: Sequence[Answer]) -> Tensor:
        return torch.tensor([len(text) % 5 - 1.5 for _, text, _ in answers])


def trainer_of(
    policy: str, folder: Path, scorer: Scorer | None = None, **changes: object
) -> PpoTrainer:
    settings = {
        "updates": 4,
        "rollout_batch": 8,
        "minibatch": 4,
        "micro_batch": 4,
        "learning_rate": 2e-3,
        "precision": "float32",
        "kl_control": "fixed",
        "spike_kl": "off",
        **changes,
    }
    asked = questions(8)
    texts = ("Fine.", "So it is, and so it was.", "No")
    job = job_in(folder, policy).model_copy(
        update={
            "conversations": asked,
            "examples": tuple(
                Example(messages=asked[0], text=t, ended=t.endswith(".")) for t in texts
            ),
            "generation": GenerationConfig(max_tokens=6),
            "ppo": PpoConfig.model_validate(settings),
            "seed": 7,
            "beta": BETA,
        }
    )
    return PpoTrainer(job, scorer or Rule())


def with_job(trainer: PpoTrainer, **changes: object) -> PpoTrainer:
    """Begin again with a job in which some fields are others."""
    trainer._job = trainer._job.model_copy(update=changes)
    trainer.restore()
    return trainer


def trainer_at(temperature: float, policy: str, folder: Path, **changes: object) -> PpoTrainer:
    """A trainer whose policy samples at a temperature."""
    generation = GenerationConfig(max_tokens=6, temperature=temperature)
    return with_job(trainer_of(policy, folder, **changes), generation=generation)


def second_rollout(trainer: PpoTrainer) -> Rolled:
    """What the policy says once it and its critic have learned a little."""
    trainer.update()
    return trainer._roller.roll(1, trainer.beta, trainer._reference.policy)


def value_of(trainer: PpoTrainer, name: str) -> float:
    return [m.value for m in trainer.metrics if m.name == name][-1]


def orders(trainer: PpoTrainer, batch: Batch, update: int) -> list[int]:
    """The rows of an update's minibatches, one after the other."""
    marked = Batch(
        batch.rollout,
        torch.arange(float(batch.size)).unsqueeze(1).expand_as(batch.old_logprobs),
        *(getattr(batch, n) for n in ("ref_logprobs", "old_values", "advantages", "returns")),
    )
    parts = trainer._epochs._minibatches(marked, update)
    return [int(row) for part in parts for row in part.old_logprobs[:, 0]]


def logits_of(lm: LanguageModel, rollout: Rollout) -> Tensor:
    """The library's own logits at the places that predict the response."""
    mask = rollout.token_mask.long()
    logits: Tensor = lm.model(rollout.input_ids, attention_mask=mask).logits
    return logits[:, rollout.query_width - 1 : -1]
