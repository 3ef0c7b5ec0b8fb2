"""A filled project, and the command line pointed at it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.filled import fill_project
from rlaif.cli import main
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
