"""Jobs for the reward model's stage on a tiny policy, with a preference that can be learned."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from job_tools import user

from rlaif.config import RewardModelConfig
from rlaif.models.loading import load_language_model
from rlaif.models.scoring import RewardScorer
from rlaif.stages.reward_model import CalibrationAnswer, RewardModelJob, RewardPair

WORDS = ("mat", "cat", "blue", "rain", "old", "tea")


def pair(
    number: int,
    answers: tuple[str, str],
    label: float,
    split: Literal["train", "heldout"] = "train",
    ended: tuple[bool, bool] = (True, True),
) -> RewardPair:
    first, second = answers
    return RewardPair(
        prompt=user(f"Tell me {number}"),
        first=first,
        first_ended=ended[0],
        second=second,
        second_ended=ended[1],
        label=label,
        split=split,
    )


def planted(count: int, label: float = 0.97, heldout: int = 0) -> tuple[RewardPair, ...]:
    """Pairs in which the answer with 'please' is better, whatever stands around it."""
    rng = np.random.default_rng(7)

    def answer(polite: bool) -> str:
        words = [str(word) for word in rng.choice(WORDS, size=2)]
        return " ".join([*words, "please"] if polite else [*words, "now"])

    made = []
    for number in range(count + heldout):
        better_first = bool(rng.random() < 0.5)
        answers = (answer(better_first), answer(not better_first))
        split: Literal["train", "heldout"] = "train" if number < count else "heldout"
        made.append(pair(number, answers, label if better_first else 1 - label, split))
    return tuple(made)


PAIRS = planted(30, heldout=5)
CALIBRATION = tuple(
    CalibrationAnswer(prompt=user(f"Say {n}"), text=f"{WORDS[n]} {WORDS[-n]}", ended=n % 2 == 0)
    for n in range(6)
)


def make_job(
    policy: Path, folder: Path, pairs: tuple[RewardPair, ...], **changes: Any
) -> RewardModelJob:
    settings = {"learning_rate": 3e-3, "epochs": 2, "batch_size": 8, **changes}
    return RewardModelJob(
        policy=str(policy),
        pairs=pairs,
        calibration=CALIBRATION,
        config=RewardModelConfig.model_validate(settings),
        seed=11,
        device="cpu",
        output=folder / "reward-model",
        work=folder / "work",
    )


def scorer(job: RewardModelJob) -> RewardScorer:
    lm = load_language_model(job.policy, torch.device("cpu"))
    return RewardScorer.load(job.output, lm)
