"""Embedders: from a folder, unit vectors, and no hub asked for what can only be a folder."""

import socket
from pathlib import Path

import numpy as np
import pytest

from rlaif.errors import ModelError
from rlaif.models.embedding import Embedder
from rlaif.project import share

MISSING = ["/no/such/embedder", "./embedder", "../embedder", "models/my/embedder"]


@pytest.mark.parametrize("path", MISSING)
def test_a_folder_that_is_not_there_is_refused_without_asking_a_hub(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="there is no folder"):
        Embedder.load(path)


def test_a_folder_that_is_no_embedder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"no modules\.json"):
        Embedder.load(str(tmp_path))
    (tmp_path / "modules.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot load the embedder"):
        Embedder.load(str(tmp_path))


def test_texts_become_unit_vectors() -> None:
    embedder = Embedder.load(str(share("policies", "tiny-embedder")))
    same, again, other = embedder.encode(["Hot and cold.", "Hot and cold.", "What is 2 + 2?"])
    assert np.linalg.norm(same) == pytest.approx(1.0, abs=1e-5)
    assert same @ again == pytest.approx(1.0, abs=1e-5)
    assert same @ other < 0.95
    assert embedder.encode([]).shape[0] == 0
