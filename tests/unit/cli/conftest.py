"""A filled project, and the command line pointed at it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from cli.filled import fill_project
from cli.meanings import WordEncoder, commit
from rlaif.cli import main
from rlaif.cli.critiques import likeness
from rlaif.project import Project, load_project

Rlaif = Callable[..., Result]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return fill_project(tmp_path_factory.mktemp("filled") / "project")


@pytest.fixture
def project(original: Project, tmp_path: Path) -> Project:
    """A copy of the filled project, to be changed at will."""
    root = tmp_path / "project"
    shutil.copytree(original.root, root, symlinks=True)
    return load_project(root)


@pytest.fixture
def rlaif() -> Rlaif:
    """Run a command line; an exception that is not an exit is a bug and fails the test."""

    def invoke(*args: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in args], catch_exceptions=False)

    return invoke


@pytest.fixture
def here(project: Project, rlaif: Rlaif) -> Rlaif:
    """Run a command of the filled project."""
    return lambda *args: rlaif("--project", project.root, *args)


@pytest.fixture
def told(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The filled project with complaints of three kinds, and an embedder that knows them."""
    crew = SimpleNamespace(embedder=WordEncoder)
    monkeypatch.setattr(likeness, "Crew", lambda _project, _config: crew)
    commit(project, "x1", ("It is rude and curt.", 0.1), ("Rude.", 0.2), ("wrong", 0.0))
    commit(project, "x2", ("太长 长 long", 0.3), ("cold, curt", 0.25), ("kind", 0.9))
    return project
