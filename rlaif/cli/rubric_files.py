"""Where rubrics are: the project's own, those that ship, or any file; and how a new one begins."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rlaif.cli.place import Place
from rlaif.config import CONFIG_NAME
from rlaif.errors import RubricError, UsageError
from rlaif.project import share

if TYPE_CHECKING:
    from rlaif.judges.rubric import Rubric

FOLDER = Path("prompts", "rubrics")
LANGUAGES = ("en", "zh")

_NAME = re.compile(r"\w[\w.-]*")
_NAME_LINE = re.compile(r"^name *= *\"[^\"\n]*\"", re.MULTILINE)


@dataclass(frozen=True)
class Listed:
    """A rubric in the list.

    Attributes:
        name: What the file is called.
        where: Whose it is.
        path: The file.
        active: Whether the project judges by it.
        rubric: Its content; None where it cannot be read.
        error: Why it cannot be read.
    """

    name: str
    where: Literal["project", "shipped"]
    path: Path
    active: bool
    rubric: "Rubric | None"
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        found = self.rubric
        return {
            "name": self.name,
            "where": self.where,
            "path": str(self.path),
            "active": self.active,
            "version": found and found.version,
            "language": found and found.language,
            "criteria": [criterion.name for criterion in found.criteria] if found else [],
            "content_hash": found and found.content_hash,
            "error": self.error,
        }


def list_rubrics(place: Place) -> list[Listed]:
    """List the project's rubrics, the active one first where it lies elsewhere, and the shipped.

    Outside of a project, only the shipped. A rubric that cannot be read is listed with the reason.

    Raises:
        ConfigError: The project's settings are wrong.
    """
    own: list[Path] = []
    active: Path | None = None
    if (place.root / CONFIG_NAME).is_file():
        project = place.project()
        active = project.file(project.config.rubric.path)
        own = _files(project.root / FOLDER)
        own = own if active in own else [active, *own]
    return [
        *(_listed(path, "project", path == active) for path in own),
        *(_listed(path, "shipped", False) for path in _files(share(*FOLDER.parts))),
    ]


def find_rubric(place: Place, name: str) -> Path:
    """Return the file of a rubric: the project's own of that name, that file, or the shipped one.

    Args:
        place: Where to look.
        name: A rubric's name, or a path.

    Raises:
        UsageError: There is no such rubric.
    """
    for path in _candidates(place, name):
        if path.is_file():
            return path
    shipped = ", ".join(path.stem for path in _files(share(*FOLDER.parts)))
    raise UsageError(
        f"there is no rubric {name!r}",
        f"a file, a rubric in {place.root / FOLDER}, or one that ships: {shipped}",
        "see 'rlaif rubric list'",
    )


def is_name(name: str) -> bool:
    """Tell whether a rubric may be called so: a path with folders or ``.toml`` is a file's."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".toml")


def new_rubric(place: Place, name: str, language: str, origin: str | None) -> Path:
    """Write a new rubric into the project.

    Args:
        place: The project.
        name: What it is called, and its file without ``.toml``.
        language: The language of the template, one of ``LANGUAGES``.
        origin: A rubric to begin with instead; it is copied, comments and all.

    Returns:
        The file.

    Raises:
        UsageError: The name cannot be a file's, the file exists, or there is no such origin.
        ConfigError: The folder is no project.
        RubricError: The origin is broken.
    """
    if not is_name(name):
        raise UsageError(
            f"a rubric called {name!r}",
            "a name of letters, digits, '-', '_' and '.', without .toml",
            "name it otherwise",
        )
    text = _copied(find_rubric(place, origin), name) if origin else _template(name, language)
    path = place.project().root / FOLDER / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError as exc:
        raise UsageError(
            f"{path} exists already", "a name that is free", "edit that file, or name another"
        ) from exc
    return path


def _template(name: str, language: str) -> str:
    path = share("prompts", "new-rubric", f"{language}.toml")
    return path.read_text(encoding="utf-8").replace("NAME", name)


def _copied(origin: Path, name: str) -> str:
    from rlaif.judges.rubric import load_rubric

    load_rubric(origin)
    text = origin.read_text(encoding="utf-8-sig")
    renamed, count = _NAME_LINE.subn(lambda _: f'name = "{name}"', text, count=1)
    if not count or text.index("[[") < _NAME_LINE.search(text).start():  # type: ignore[union-attr]
        raise RubricError(
            'no line of the form name = "..." above the first criterion',
            "the rubric's name on a line of its own",
            "write it so, then copy the rubric",
            path=origin,
        )
    return renamed


def _candidates(place: Place, name: str) -> Iterator[Path]:
    if is_name(name):
        yield place.root / FOLDER / f"{name}.toml"
    yield Path(name).expanduser()
    if is_name(name):
        yield share(*FOLDER.parts) / f"{name}.toml"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"), key=lambda path: path.stem)


def _listed(path: Path, where: Literal["project", "shipped"], active: bool) -> Listed:
    from rlaif.judges.rubric import load_rubric

    try:
        return Listed(path.stem, where, path, active, load_rubric(path))
    except RubricError as exc:
        return Listed(path.stem, where, path, active, None, str(exc.args[0]))
