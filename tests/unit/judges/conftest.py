from pathlib import Path

import pytest
import torch

from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.testing import make_tiny_lm


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("judge") / "tiny", context=512)


@pytest.fixture
def tiny_lm(tiny_folder: Path) -> LanguageModel:
    return load_language_model(str(tiny_folder), torch.device("cpu"))
