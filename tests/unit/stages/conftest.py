"""Models and a job that several files of PPO's tests begin with; a file may have its own."""

from pathlib import Path

import pytest
from rewarded_ppo_jobs import make_job, make_models

from rlaif.stages.ppo import PpoJob
from rlaif.testing import make_tiny_lm


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def job(models: tuple[str, Path], tmp_path: Path) -> PpoJob:
    return make_job(models, tmp_path)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_lm(tmp_path_factory.mktemp("models") / "policy"))
