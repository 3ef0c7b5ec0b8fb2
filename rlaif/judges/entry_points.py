"""Objects that installed packages offer by name, with a digest of the code that they came from."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rlaif.errors import ConfigError
from rlaif.judges.foreign import ForeignError, guarded, printing_aside, words_of
from rlaif.records import digest_of

Refuse = Callable[[str, str, str], ConfigError]


@dataclass(frozen=True)
class Offer:
    """What an installed package offers under a name.

    Attributes:
        value: The object.
        origin: Where it comes from, for people: ``package 1.2 (module:attribute)``.
        file: The file of the entry point's module.
        digest: Over the package's name and version, the entry point and the source of its module
            and of the module that the object says it is from.
    """

    value: Any
    origin: str
    file: Path
    digest: str


def names_in(group: str) -> list[str]:
    """List the names that installed packages offer in a group of entry points, sorted."""
    return sorted({entry.name for entry in metadata.entry_points(group=group)})


def is_offered(group: str, name: str) -> str | None:
    """Return the packages that offer a name in a group, for people, or None."""
    found = metadata.entry_points(group=group, name=name)
    return " and ".join(sorted(map(_origin, found))) or None


@printing_aside()
def take(group: str, name: str, refuse: Refuse) -> Offer | None:
    """Load what is offered under a name; nothing else of the group is imported.

    Args:
        group: The group of entry points.
        name: The name in it.
        refuse: Makes the error to raise, of what was seen, what was expected and what to do.

    Returns:
        The object, or None where no package offers that name.

    Raises:
        ConfigError: Two packages offer it, or it cannot be imported.
    """
    found = list(metadata.entry_points(group=group, name=name))
    if not found:
        return None
    if len(found) > 1:
        raise refuse(
            f"{name!r} is offered by {is_offered(group, name)}",
            f"one installed package with {name!r} in its {group}",
            "remove all but one of these packages",
        )
    (entry,) = found
    origin = _origin(entry)
    try:
        with guarded():
            value = entry.load()
    except ForeignError as theirs:
        raise refuse(
            f"{name!r} of {origin} cannot be imported: {words_of(theirs.raised)}",
            "a package that imports without an error",
            "mend or reinstall that package",
        ) from theirs.raised
    modules = dict.fromkeys((entry.module, getattr(value, "__module__", None) or entry.module))
    files = [_source(module) for module in modules]
    if files[0] is None:
        raise refuse(
            f"{name!r} of {origin} has no file of source",
            "a module that is a file, so that its changes are seen",
            "name such a module in the package's entry point",
        )
    return Offer(value, origin, files[0], _digest(entry, filter(None, files)))


def _origin(entry: metadata.EntryPoint) -> str:
    package = "a package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    return f"{package} ({entry.value})"


def _digest(entry: metadata.EntryPoint, files: Iterable[Path]) -> str:
    sources = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return digest_of([_origin(entry), sources])


def _source(module: str) -> Path | None:
    """Return the file of an imported module, None where it is no file of its own."""
    spec = getattr(sys.modules.get(module), "__spec__", None) or importlib.util.find_spec(module)
    path = Path(spec.origin) if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None
