"""The files of a judge template: messages and parts, their fences, and what they include."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rlaif.errors import ConfigError
from rlaif.judges.fencing import bracketed, fence_of
from rlaif.judges.messages import KINDS, REQUIRED
from rlaif.regular_file import check_regular

_SUFFIX = ".jinja"
_TOO_DEEP = "its expressions are nested too deeply"
_FENCE_NAME = re.compile(r"[A-Za-z]\w*")


class TemplateFolder:
    """A template's files, read and parsed.

    Attributes:
        texts: Source of each message and part by name.
        fences: What the fences of all of them are called.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.texts: Mapping[str, str] = _read_folder(folder)
        self._trees = {name: _parse(text, self.path(name)) for name, text in self.texts.items()}
        self._fences = {name: self._fences_of(name, tree) for name, tree in self._trees.items()}
        self.fences = sorted(set().union(*self._fences.values()))
        for name in self.texts:
            if name in self.included(name):
                raise broken(self.path(name), "it includes itself")
        self._environment = _environment(self.texts)
        self._environment.filters["fenced"] = fence_of(self.fences)
        self._environment.filters["bracketed"] = bracketed

    def path(self, name: str) -> Path:
        """Return the file of a message or part."""
        return self._folder / f"{name}{_SUFFIX}"

    def fences_beside(self, names: Iterable[str]) -> list[str]:
        """Return the fences that none of some messages and parts name, but that others do."""
        return sorted(set(self.fences).difference(*(self._fences[name] for name in names)))

    def compile(self, kind: str) -> jinja2.Template:
        """Compile a message.

        Raises:
            ConfigError: It, or a part that it includes, is no template.
        """
        try:
            for name in (*self.included(kind), kind):
                compiled = self._environment.get_template(f"{name}{_SUFFIX}")
        except jinja2.TemplateSyntaxError as exc:
            raise broken(self.path(name), str(exc), exc.lineno) from exc
        except RecursionError as exc:
            raise broken(self.path(name), _TOO_DEEP) from exc
        return compiled

    def included(self, kind: str) -> list[str]:
        """Return the parts that a message includes, directly or by way of another.

        Raises:
            ConfigError: It includes what is no part of this template.
        """
        found: dict[str, None] = {}
        waiting = [kind]
        while waiting:
            name = waiting.pop()
            for file in meta.find_referenced_templates(self._trees[name]):
                part = (file or "").removesuffix(_SUFFIX)
                if file != f"{part}{_SUFFIX}" or part not in self._trees:
                    raise broken(self.path(name), f"it includes {file!r}, which is not beside it")
                if part not in found:
                    found[part] = None
                    waiting.append(part)
        return list(found)

    def _fences_of(self, name: str, tree: nodes.Template) -> set[str]:
        calls = [call for call in tree.find_all(nodes.Filter) if call.name == "fenced"]
        for call in calls:
            if not (len(call.args) == 1 and _FENCE_NAME.fullmatch(_constant(call.args[0]))):
                seen = 'fenced takes one name of letters in quotes: fenced("answer")'
                raise broken(self.path(name), seen, call.lineno)
        return {_constant(call.args[0]) for call in calls}


def broken(path: Path, seen: str, line: int | None = None) -> ConfigError:
    """Return the error for a template that cannot be used."""
    return ConfigError(
        seen,
        "a Jinja template that shows the criterion, the conversation and what is to be judged",
        "mend the template",
        path=path,
        line=line,
    )


def _read_folder(folder: Path) -> dict[str, str]:
    names = dict.fromkeys((*REQUIRED, *sorted(path.stem for path in folder.glob(f"*{_SUFFIX}"))))
    for name in names:
        if name not in KINDS and not name.startswith("_"):
            raise ConfigError(
                f"a message called {name!r}",
                f"one of: {', '.join(KINDS)}; or a part that they include, named with a leading _",
                "rename the file",
                path=folder / f"{name}{_SUFFIX}",
            )
    return {name: _read(folder / f"{name}{_SUFFIX}") for name in names}


def _read(path: Path) -> str:
    try:
        check_regular(path)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"cannot be read: {exc}",
            "a judge template with pointwise.jinja and pairwise.jinja",
            "add the file, or name another template in [judge] template",
            path=path,
        ) from exc


def _parse(text: str, path: Path) -> nodes.Template:
    try:
        return _environment({}).parse(text)
    except jinja2.TemplateSyntaxError as exc:
        raise broken(path, str(exc), exc.lineno) from exc
    except RecursionError as exc:
        raise broken(path, _TOO_DEEP) from exc


def _environment(texts: Mapping[str, str]) -> jinja2.Environment:
    return ImmutableSandboxedEnvironment(
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.DictLoader({f"{name}{_SUFFIX}": text for name, text in texts.items()}),
    )


def _constant(argument: nodes.Expr) -> str:
    return str(argument.value) if isinstance(argument, nodes.Const) else ""
