"""TOML files whose errors name the file, the line and the field."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rlaif.errors import ConfigError
from rlaif.expectation import expected
from rlaif.regular_file import check_regular
from rlaif.text import quoted
from rlaif.toml_bounds import check_bounds, check_keys

Location = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_HEADER = re.compile(r"^\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*("[^"]+"|'[^']+'|[A-Za-z0-9_.-]+)\s*=""")
_MULTILINE = re.compile(r"\"{3}|'{3}")
LONGEST_FILE = 1_000_000
LIKE_A_KEY = re.compile(r"key|token(?!s)|secret|password", re.IGNORECASE)
_NEAR, _VERY_NEAR = 0.6, 0.8


class Unshown:
    """Marks a field, by ``Annotated``, that people may take for the place of a key.

    No message shows what stands there.
    """


class ContradictionError(ValueError):
    """Settings that are right one by one and cannot stand together; validators raise it.

    Args:
        location: The setting to change, for instance ``("ppo", "minibatch")``.
        seen: What was found, without the setting's name.
        action: What to do.
    """

    def __init__(self, location: Location, seen: str, action: str) -> None:
        self.location = location
        self.seen = seen
        self.action = action
        super().__init__(f"{dotted(location)} {seen}: {action}")


class TomlFile:
    """A parsed TOML file that remembers where each key stands.

    Attributes:
        path: Where it was read from.
        data: The parsed document.
    """

    _within: Location = ()

    def __init__(self, path: Path, text: str, error: type[ConfigError]) -> None:
        self.path = path
        self._lines = text.split("\n")
        self._error = error
        try:
            check_keys(text)
            self.data: dict[str, Any] = tomllib.loads(text)
            check_bounds(self.data)
        except (ValueError, RecursionError) as exc:
            found = re.search(r"line (\d+)", str(exc))
            line = int(found.group(1)) if found else None
            raise error(
                f"not valid TOML: {exc}", "TOML 1.0", "mend that line", path=path, line=line
            ) from exc

    def line_of(self, location: Location) -> int | None:
        """Return the line (from 1) of the deepest part of ``location`` that the file holds."""
        for end in range(len(location), 0, -1):
            if location[:end] in self._places:
                return self._places[location[:end]]
        return None

    @cached_property
    def _places(self) -> dict[Location, int]:
        return dict(_marks(self._lines))

    def validate(self, model: type[M], data: dict[str, Any] | None = None) -> M:
        """Validate the document against ``model``.

        Args:
            model: A pydantic model that forbids unknown keys.
            data: The document, where it was changed after reading.

        Raises:
            ConfigError: The first error, with file, line, field, what was seen and expected.
        """
        try:
            return model.model_validate(self.data if data is None else data)
        except ValidationError as exc:
            raise self.explain(exc, model) from exc

    def explain(self, exc: ValidationError, model: type[BaseModel]) -> ConfigError:
        """Turn one of pydantic's errors into one that names file, line and field.

        An unknown key goes first: it is often the misspelt name of one that is then missing.
        """
        errors = sorted(exc.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
        first = errors[0]
        conflict = first.get("ctx", {}).get("error")
        if isinstance(conflict, ContradictionError):
            return self.contradiction(conflict)
        location = _real_part(model, first["loc"])
        field = dotted((*self._within, *location)) or "the file"
        if first["type"] == "extra_forbidden":
            known = _known_keys(model, location[:-1])
            seen = f"unknown key {field!r}"
            wanted = f"one of: {', '.join(sorted(known))}" if known else "a known key"
            action = _instead(model, str(location[-1]), known)
        elif first["type"] == "missing":
            seen, wanted, action = f"{field!r} is missing", expected([first]), "add it"
        else:
            same = [e for e in errors if _real_part(model, e["loc"]) == location]
            secret = _is_unshown(model, location)
            value = "(not shown, it may hold a key)" if secret else quoted(first.get("input"), 120)
            seen = f"{field} = {value}"
            wanted, action = expected(same), "correct the value"
        return self._error(seen, wanted, action, path=self.path, line=self.line_of(location))

    def contradiction(self, found: ContradictionError) -> ConfigError:
        """Turn settings that cannot stand together into an error that names file and line."""
        return self._error(
            f"{dotted(found.location)} {found.seen}",
            "settings that can stand together",
            found.action,
            path=self.path,
            line=self.line_of(found.location),
        )


def dotted(location: Location) -> str:
    """Return how people write a place in a file: ``ppo.minibatch``."""
    return ".".join(str(part) for part in location)


def read_toml(path: Path, error: type[ConfigError] = ConfigError) -> TomlFile:
    """Read a TOML file of at most ``LONGEST_FILE`` characters.

    Args:
        path: The file.
        error: The class of error to raise.

    Raises:
        ConfigError: The file is missing, no regular file, too long, not UTF-8 or not TOML.
    """
    try:
        check_regular(path, error)
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(LONGEST_FILE + 1)
    except FileNotFoundError as exc:
        raise error(
            "no such file", "a TOML file", "name an existing file, or run 'rlaif init'", path=path
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise error(
            f"cannot be read: {exc}", "a readable UTF-8 file", "check the file", path=path
        ) from exc
    if len(text) > LONGEST_FILE:
        raise error(
            f"a file of {path.stat().st_size:,} bytes",
            f"at most {LONGEST_FILE:,} characters",
            "leave out or shorten some of it",
            path=path,
        )
    return TomlFile(path, text, error)


def _marks(lines: list[str]) -> list[tuple[Location, int]]:
    """List where headers and keys stand; multi-line values are passed over by their shape."""
    marks: list[tuple[Location, int]] = []
    prefix: Location = ()
    counts: dict[Location, int] = {}
    for number, line in _outside_texts(lines):
        header = _HEADER.match(line)
        if header:
            *parents, last = _parts(header.group(2))
            prefix = (*_indexed(parents, counts), last)
            if header.group(1) == "[[":
                counts[prefix] = counts.get(prefix, -1) + 1
                prefix = (*prefix, counts[prefix])
            marks.append((prefix, number))
            continue
        key = _KEY.match(line)
        if key:
            location = prefix + _parts(key.group(1))
            marks.append((location, number))
            inline = re.findall(r"[{,]\s*([A-Za-z0-9_-]+)\s*=", line[key.end() :])
            marks.extend(((*location, name), number) for name in inline)
    return marks


def _outside_texts(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Number lines from 1, without those that begin inside a text of several lines."""
    inside = ""
    for number, line in enumerate(lines, start=1):
        if not inside:
            yield number, line
            if line.lstrip().startswith("#"):
                continue
        for fence in _MULTILINE.findall(line):
            inside = "" if fence == inside else inside or fence


def _indexed(names: list[str | int], counts: dict[Location, int]) -> Location:
    """Return a table's place, with the index of each array on the way that it belongs to."""
    place: Location = ()
    for name in names:
        place = (*place, name)
        if place in counts:
            place = (*place, counts[place])
    return place


def _parts(name: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def _instead(model: type[BaseModel], name: str, known: list[str]) -> str:
    """Say what to do about an unknown name: a model may say in ``keys_belong`` where keys do."""
    where: str = getattr(model, "keys_belong", "") if LIKE_A_KEY.search(name) else ""
    near = difflib.get_close_matches(name, known, n=1, cutoff=_VERY_NEAR if where else _NEAR)
    return f"write {near[0]!r}" if near else where or "remove it"


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that ``model`` knows at ``location``; empty where that is not a table."""
    fields = list(_fields_to(model, location))
    if len(fields) < sum(isinstance(part, str) for part in location):
        return []
    current = _inner_model(fields[-1].annotation) if fields else model
    return list(current.model_fields) if _is_model(current) else []


def _is_unshown(model: type[BaseModel], location: Location) -> bool:
    """Tell whether a field on the way to ``location`` is marked as one that is not shown."""
    marks = (mark for field in _fields_to(model, location) for mark in field.metadata)
    return any(isinstance(mark, Unshown) for mark in marks)


def _fields_to(model: type[BaseModel], location: Location) -> Iterator[FieldInfo]:
    """Yield the fields on the way to ``location``, as far as ``model`` knows them."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(part) if _is_model(current) else None
        if field is None:
            return
        yield field
        current = _inner_model(field.annotation)


def _real_part(model: type[BaseModel], location: Location) -> Location:
    """Return a location without what pydantic adds to it (members of unions, validators)."""
    current: Any = model
    real: Location = ()
    for part in location:
        if isinstance(part, int) or not _is_model(current):
            if not isinstance(part, int):
                break
        else:
            field = current.model_fields.get(part)
            if field is None:
                return (*real, part)
            current = _inner_model(field.annotation)
        real = (*real, part)
    return real


def _is_model(value: Any) -> bool:  # noqa: ANN401 - an annotation may be anything
    return isinstance(value, type) and issubclass(value, BaseModel)


def _inner_model(annotation: Any) -> Any:  # noqa: ANN401 - an annotation may be anything
    if _is_model(annotation):
        return annotation
    inner = [_inner_model(arg) for arg in getattr(annotation, "__args__", ())]
    return next((model for model in inner if _is_model(model)), None)
