from pathlib import Path

import pytest
from transformers_samples import CONFIG, load

from rlaif.judges import TransformersJudge
from rlaif.models.loading import LanguageModel
from rlaif.testing import make_tiny_lm


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("judge") / "tiny", context=512)


@pytest.fixture
def tiny_lm(tiny_folder: Path) -> LanguageModel:
    return load(tiny_folder)


@pytest.fixture
def judge(tiny_lm: LanguageModel) -> TransformersJudge:
    return TransformersJudge(tiny_lm, CONFIG)
