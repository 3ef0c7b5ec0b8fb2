"""The formulas against a recorded update of TRL 1.12.0's PPO, taken from its own running loop.

`trl_update.json` says which command made it. Answers have 1 to 10 tokens; some end by themselves,
some are cut. TRL's conventions are ours but for two: where an answer ends with room to spare, its
score stands on the cell after the end token, which the critic then sees too; and advantages are
whitened with the variance of a sample.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlaif.rl import gae, k1, place_scores, policy_loss, value_loss, whiten

RECORDED = json.loads((Path(__file__).parent / "trl_update.json").read_text(encoding="utf-8"))
STEPS = range(len(RECORDED["steps"]))
FLOAT32 = {"rtol": 2e-5, "atol": 2e-6}


def told(name: str, of: dict[str, Any] = RECORDED) -> Tensor:
    return torch.tensor(of[name])


def answers() -> Tensor:
    """True = a token of an answer."""
    return torch.arange(told("logprobs").shape[1]) < told("lengths")[:, None]


def with_the_cell_after() -> Tensor:
    return torch.arange(told("logprobs").shape[1]) <= told("lengths")[:, None]


def close(found: Tensor, name: str, mask: Tensor) -> None:
    torch.testing.assert_close(found[mask], told(name)[mask], **FLOAT32)


def test_the_record_holds_what_decides() -> None:
    lengths, width = told("lengths"), told("logprobs").shape[1]
    assert (lengths < width).any()
    assert (lengths == width).any()
    assert RECORDED["trl"] == "1.12.0"
    assert max(step["pg_clipfrac"] for step in RECORDED["steps"]) > 0.1
    assert max(step["vf_clipfrac"] for step in RECORDED["steps"]) > 0


def test_kl() -> None:
    close(k1(told("logprobs"), told("ref_logprobs")), "kl", answers())


def test_rewards() -> None:
    costs = RECORDED["beta"] * k1(told("logprobs"), told("ref_logprobs"))
    found = place_scores(costs.masked_fill(~answers(), 0.0), told("scores"), with_the_cell_after())
    close(found, "rewards", with_the_cell_after())


def test_advantages_and_returns() -> None:
    found = gae(
        told("rewards"), told("values"), with_the_cell_after(), RECORDED["gamma"], RECORDED["lam"]
    )
    close(found.returns, "returns", with_the_cell_after())
    tokens = int(answers().sum())
    of_a_sample = math.sqrt((tokens - 1) / tokens)
    close(whiten(found.advantages, answers()) * of_a_sample, "advantages", answers())


@pytest.mark.parametrize("number", STEPS)
def test_policy_loss(number: int) -> None:
    step = RECORDED["steps"][number]
    found = policy_loss(
        told("new_logprobs", step),
        told("logprobs"),
        told("advantages"),
        answers(),
        int(answers().sum()),
        RECORDED["clip"],
    )
    torch.testing.assert_close(found.loss, told("pg_loss", step), **FLOAT32)
    torch.testing.assert_close(found.clip_fraction, told("pg_clipfrac", step), **FLOAT32)


@pytest.mark.parametrize("number", STEPS)
def test_value_loss(number: int) -> None:
    step = RECORDED["steps"][number]
    found = value_loss(
        told("vpred", step),
        told("values"),
        told("returns"),
        with_the_cell_after(),
        int(with_the_cell_after().sum()),
        RECORDED["value_clip"],
    )
    torch.testing.assert_close(found.loss, told("vf_loss", step), **FLOAT32)
    torch.testing.assert_close(found.clip_fraction, told("vf_clipfrac", step), **FLOAT32)
