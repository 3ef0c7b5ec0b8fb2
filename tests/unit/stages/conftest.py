"""Models and jobs that several files of these tests begin with; a file may have its own."""

from pathlib import Path

import pytest
import rewarded_ppo_jobs
from job_tools import make_models
from optimiser_jobs import Maker, maker_of

from rlaif.stages.ppo import PpoJob
from rlaif.testing import make_tiny_lm


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_lm(tmp_path_factory.mktemp("models") / "policy"))


@pytest.fixture
def job(models: tuple[str, Path], tmp_path: Path) -> PpoJob:
    return rewarded_ppo_jobs.make_job(models, tmp_path)


@pytest.fixture
def make_job(models: tuple[str, Path], tmp_path: Path) -> Maker:
    return maker_of(models, tmp_path)
