"""The reward model's job as plain data."""

from pathlib import Path
from typing import Any

import pytest

from rlaif.config import RewardModelConfig
from rlaif.records import Message
from rlaif.stages.reward_model.job import CalibrationAnswer, RewardModelJob, RewardPair

PROMPT = (Message(role="user", content="Why?"),)
PAIRS = tuple(
    RewardPair(
        prompt=PROMPT,
        first=f"Because of {number}.",
        first_ended=True,
        second="No idea",
        second_ended=False,
        label=0.8,
        split="heldout" if number == 2 else "train",
    )
    for number in range(3)
)
JOB = RewardModelJob(
    policy="policies/tiny",
    pairs=PAIRS,
    calibration=(CalibrationAnswer(prompt=PROMPT, text="So.", ended=True),),
    config=RewardModelConfig(),
    seed=1,
    device="cpu",
    output=Path("out"),
    work=Path("work"),
)


def test_a_job_survives_being_written_down() -> None:
    again = RewardModelJob.model_validate_json(JOB.model_dump_json())
    assert again == JOB
    assert again.fingerprint("x") == JOB.fingerprint("x")


@pytest.mark.parametrize(
    "change",
    [
        {"work": Path("/elsewhere")},
        {"output": Path("/elsewhere")},
        {"policy": "moved/there"},
        {"pairs": PAIRS[:2]},
        {"calibration": ()},
        {"config": RewardModelConfig(checkpoint_steps=5)},
        {"config": RewardModelConfig(ensemble_penalty=0.25)},
    ],
)
def test_what_does_not_shape_the_weights_leaves_the_fingerprint(change: dict[str, Any]) -> None:
    assert JOB.model_copy(update=change).fingerprint("x") == JOB.fingerprint("x")


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"device": "cuda"},
        {"pairs": PAIRS[1:]},
        {"pairs": (PAIRS[0].model_copy(update={"label": 0.81}), *PAIRS[1:])},
        {"config": RewardModelConfig(epochs=9)},
        {"config": RewardModelConfig(loss="hinge")},
        {"config": RewardModelConfig(ensemble=2)},
        {"config": RewardModelConfig(ensemble_kind="heads")},
    ],
)
def test_what_shapes_the_weights_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert JOB.model_copy(update=change).fingerprint("x") != JOB.fingerprint("x")


def test_another_policys_files_change_the_fingerprint() -> None:
    assert JOB.fingerprint("x") != JOB.fingerprint("y")


def test_the_trunks_of_an_ensemble_share_neither_seed_nor_folder_nor_checkpoints() -> None:
    whole = JOB.model_copy(update={"config": RewardModelConfig(ensemble=3)})
    jobs = [whole, *(whole.member(n) for n in range(3))]
    assert len({job.seed for job in jobs}) == 4
    assert len({job.work for job in jobs}) == 4
    assert len({job.fingerprint("x") for job in jobs}) == 4
    assert {job.config.ensemble for job in jobs[1:]} == {1}
    assert {job.pairs for job in jobs} == {PAIRS}
