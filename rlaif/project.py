"""Where a project keeps its files, and where the files that ship with rlaif lie."""

from importlib import resources
from pathlib import Path

from rlaif.config import CONFIG_NAME, RlaifConfig, read_config
from rlaif.errors import ConfigError

BUNDLED = "bundled:"


class Project:
    """A project folder: ``rlaif.toml``, ``prompts/``, ``policies/``, ``state/``.

    Attributes:
        root: The folder, absolute.
        config: Its settings.
    """

    def __init__(self, root: Path, config: RlaifConfig) -> None:
        self.root = root.resolve()
        self.config = config

    @property
    def config_path(self) -> Path:
        """The settings file."""
        return self.root / CONFIG_NAME

    @property
    def ledger_path(self) -> Path:
        """The ledger's database file."""
        return self.root / "state" / "ledger.db"

    @property
    def lock_path(self) -> Path:
        """The file that the one running process locks."""
        return self.root / "state" / "project.lock"

    @property
    def artifacts(self) -> Path:
        """Where training stages leave their folders."""
        return self.root / "state" / "artifacts"

    @property
    def policies(self) -> Path:
        """Where promoted policies live, and the link ``current``."""
        return self.root / "policies"

    @property
    def functions(self) -> Path | None:
        """The owner's file with the functions of python criteria, or None."""
        name = self.config.rubric.python
        return None if name == "off" else self.file(name)

    def resolve(self, name: str) -> str:
        """Return what ``from_pretrained`` takes for a model named in the settings.

        Args:
            name: ``bundled:NAME``, a folder (relative to the project), or a hub id.

        Returns:
            An absolute folder where there is one, else ``name`` as it is.
        """
        if name.startswith(BUNDLED):
            return str(share("policies", name.removeprefix(BUNDLED)))
        folder = (self.root / Path(name).expanduser()).resolve()
        return str(folder) if folder.is_dir() else name

    def file(self, name: str) -> Path:
        """Return the path of a file named in the settings, relative to the project."""
        return (self.root / Path(name).expanduser()).resolve()


def share(*parts: str) -> Path:
    """Return the path of a data file that ships with rlaif.

    In a wheel these lie inside the package; in a checkout, in the repository's top folders.

    Raises:
        ConfigError: There is no such file.
    """
    package = Path(str(resources.files("rlaif")))
    for root in (package / "_share", package.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise ConfigError(
        f"{'/'.join(parts)} does not ship with this rlaif",
        "a bundled file",
        "check the name, or install rlaif again",
    )


def load_project(root: Path) -> Project:
    """Read a project's settings.

    Args:
        root: The project's folder.

    Raises:
        ConfigError: ``rlaif.toml`` is missing or wrong.
    """
    return Project(root, read_config(root / CONFIG_NAME))
