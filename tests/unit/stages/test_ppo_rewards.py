"""Rewards that are not finite end PPO where any other fault would, in every process."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from rewarded_ppo_jobs import SETTINGS

from rlaif.config import GenerationConfig
from rlaif.models.processes import Processes
from rlaif.models.scoring import Answer
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.ppo.faults import NonFiniteLossError


class Breaking:
    """Rewards that are not finite after so many good batches."""

    def __init__(self, good: int, broken: float) -> None:
        self._good = good
        self._broken = broken

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        self._good -= 1
        scores = torch.tensor([float(len(text)) for _, text, _ in answers])
        scores[-1] = scores[-1] if self._good >= 0 else self._broken
        return scores


@pytest.mark.parametrize("scaling", ["none", "running"])
@pytest.mark.parametrize("broken", [float("nan"), float("-inf")])
def test_a_reward_that_is_not_finite_ends_at_the_last_good_checkpoint(
    job: PpoJob, scaling: str, broken: float
) -> None:
    settings = SETTINGS.model_copy(update={"reward_scaling": scaling, "checkpoint_updates": 1})
    job = job.model_copy(update={"ppo": settings})
    report = train_ppo(job, scorer=Breaking(2, broken))
    assert report.updates == 2
    assert report.stopped.startswith(f"a reward of {broken} for ")
    assert "after update 2" in report.stopped
    with pytest.raises(NonFiniteLossError, match=r"update 0(.|\n)*expected: (.|\n)*to do: "):
        train_ppo(job.model_copy(update={"work": job.work / "anew"}), scorer=Breaking(0, broken))


def test_a_reward_of_the_constant_may_stand_for_one_that_is_not_finite(job: PpoJob) -> None:
    cut = {"missing_eos_score": -1.0, "generation": GenerationConfig(max_tokens=1)}
    settings = SETTINGS.model_copy(update={"updates": 1, "rollout_batch": 8})
    report = train_ppo(
        job.model_copy(update={"ppo": settings, **cut}), scorer=Breaking(0, math.nan)
    )
    assert report.updates == 1


def test_a_reward_that_breaks_in_one_process_ends_all(job: PpoJob) -> None:
    class Others(Processes):
        """As if another process had scored the last row, and badly."""

        def join_rows(self, own: Sequence[Any]) -> list[Any]:
            return [*own[:-1], own[-1]._replace(score=math.nan)]

    with pytest.raises(NonFiniteLossError, match="a reward of nan"):
        train_ppo(job, scorer=Breaking(9, 0.0), processes=Others())
