"""Supervised training on the best of n answers by reward (best-of-n distillation).

The best of n drawn from the incumbent lies log n - (n - 1) / n nats from it at most (Beirami et
al. 2024, "Theoretical guarantees on the best-of-n alignment policy"), which bounds how far this
method goes; no other KL control is needed or there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import Sampler
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from rlaif.artifacts import landing, verify
from rlaif.config import BestOfNConfig
from rlaif.errors import ArtifactError
from rlaif.models.decoding import Decoded, DecodeSettings, decode
from rlaif.models.encoding import check_context, encode_conversation
from rlaif.models.training_state import load_state, save_state, saving
from rlaif.records import Metric
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.optimisers.policy_trainer import (
    Place,
    PolicyTrainer,
    common_arguments,
    shuffled_passes,
    take_logprobs_at,
)
from rlaif.stages.optimisers.rewards import Rewards
from rlaif.stages.optimisers.sampler import FixedOrder
from rlaif.stages.trl_checkpoints import on_one_device

RATE_SCALE = 0.7  # as PPO: 5e-4 for the bundled policy
PROMPTS_AT_ONCE = 32
_OUTPUTS = ("log_probs", "entropy", "is_top1")
_NO_LOSS = -100
_DRAWN = "best"


class BestOfNTrainer(PolicyTrainer, SFTTrainer):
    """Draws n answers to each prompt, keeps the best, and trains on those.

    Args:
        place: Where and for whom.
        settings: The section of the settings.
    """

    figures: ClassVar[dict[str, str]] = {"mean_token_accuracy": "token_accuracy"}

    def __init__(self, place: Place, settings: BestOfNConfig) -> None:
        job = place.job
        kept = _drawn(place, settings)
        rows = kept["rows"]
        self._order = shuffled_passes(len(rows), len(rows) * settings.epochs, job.seed)
        common = common_arguments(job, place.policy, RATE_SCALE, settings.checkpoint_steps)
        arguments = SFTConfig(
            **common,
            gradient_accumulation_steps=settings.batch_size // settings.micro_batch,
            logging_steps=1,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        on_one_device(arguments)
        super().__init__(
            place,
            probe=rows[0]["input_ids"],
            args=arguments,
            train_dataset=Dataset.from_list(rows),
        )
        take_logprobs_at(self.lm.model, job.generation.temperature, _OUTPUTS)
        self.metrics = [Metric(step=0, name=name, value=v) for name, v in kept["figures"].items()]

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:  # noqa: ANN401 - theirs
        return FixedOrder(self._order)


def _drawn(place: Place, settings: BestOfNConfig) -> dict[str, Any]:
    """Return the best answers as training rows, drawn now or before a kill."""
    target = Path(place.job.work) / _DRAWN
    try:
        verify(target)
        kept = load_state(target)
    except ArtifactError:
        kept = {}
    if kept.get("job") != place.fingerprint:
        kept = {"job": place.fingerprint, **_draw(place, settings.samples)}
        with saving(target), landing(target) as folder:
            save_state(kept, folder)
    return kept


def _draw(place: Place, samples: int) -> dict[str, Any]:
    job, policy = place.job, place.policy
    queries = [encode_conversation(policy, c) for c in job.conversations]
    check_context(policy, max(map(len, queries)), job.generation.max_tokens, "an answer")
    rewards = Rewards(job, policy)
    rows: list[dict[str, list[int]]] = []
    tables: list[Tensor] = []
    for start in range(0, len(queries), PROMPTS_AT_ONCE):
        part = queries[start : start + PROMPTS_AT_ONCE]
        answers = _answers(place, part, samples, start)
        scored = [
            (job.conversations[start + row // samples], answer.text, answer.ended)
            for row, answer in enumerate(answers)
        ]
        table = rewards.of(scored).view(len(part), samples)
        picks = (table.argmax(dim=1) + torch.arange(len(part)) * samples).tolist()
        rows += [_row(q, answers[p].token_ids) for q, p in zip(part, picks, strict=True)]
        tables.append(table)
    drawn = torch.cat(tables)
    best = drawn.max(dim=1).values
    figures = {"reward_drawn": float(drawn.mean()), "reward_best": float(best.mean())}
    return {"rows": rows, "figures": figures}


def _answers(place: Place, queries: Sequence[list[int]], samples: int, start: int) -> list[Decoded]:
    """Sample some answers to each query, those of one query after the other."""
    job = place.job
    generator = torch_generator(derive_seed(job.seed, "draw", start), str(place.policy.device))
    return decode(
        place.policy,
        [query for query in queries for _ in range(samples)],
        DecodeSettings(job.generation.max_tokens, job.generation.temperature),
        generator,
    )


def _row(query: Sequence[int], answer: Sequence[int]) -> dict[str, list[int]]:
    """Write a query and its answer as a training row; the loss is the answer's alone."""
    return {"input_ids": [*query, *answer], "labels": [_NO_LOSS] * len(query) + list(answer)}
