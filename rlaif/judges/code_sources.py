"""Where the functions of python criteria come from: the owner's file, or installed packages.

Never from a rubric, the ledger or the network. The owner's file is compiled from the very bytes
that its digest is taken of; nothing is put on Python's search path for it.
"""

import hashlib
import inspect
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from rlaif.errors import RubricError
from rlaif.judges.code_criteria import LoadedFunction
from rlaif.judges.entry_points import is_offered, names_in, take
from rlaif.judges.foreign import ForeignError, guarded, line_in, printing_aside, words_of
from rlaif.judges.rubric import Rubric
from rlaif.records import digest_of
from rlaif.regular_file import check_regular
from rlaif.toml_source import read_toml

GROUP = "rlaif.criteria"
_CONTRACT = "a function (prompt, completion, context) -> Score | Unscored"


@printing_aside()
def load_code(rubric: Rubric, path: Path, python: Path | None) -> dict[str, LoadedFunction]:
    """Find and check the functions of a rubric's python criteria.

    Without such criteria nothing is imported or run.

    Args:
        rubric: The rubric.
        path: Its file, for errors.
        python: The owner's file of functions, or None.

    Returns:
        The functions by name.

    Raises:
        RubricError: The owner's file or a package cannot be imported; a function is missing, is in
            two places, or cannot be called with prompt, completion and context.
    """
    names = dict.fromkeys(criterion.function for criterion in rubric.python_criteria)
    if not names:
        return {}
    owner = None if python is None else _OwnerFile(python)
    return {name: _found(name, rubric, path, owner) for name in names}


class _OwnerFile:
    """The owner's file, run once as a module of its own.

    Raises:
        RubricError: It cannot be read or run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            check_regular(path, RubricError)
            code = path.read_bytes()
        except OSError as exc:
            raise RubricError(
                f"cannot be read: {exc.strerror}",
                "a Python file with the functions of python criteria",
                "correct [rubric] python, or add the file",
                path=path,
            ) from exc
        self.digest = hashlib.sha256(code).hexdigest()
        self._module = self._run(code)

    def function(self, name: str) -> Any:  # noqa: ANN401 - whatever the owner calls so
        """Return what the file calls ``name``, or None."""
        return vars(self._module).get(name)

    def _run(self, code: bytes) -> ModuleType:
        """Run the file; it is registered under a name of its own, as dataclasses need."""
        module = ModuleType(f"rlaif_owner_{digest_of([str(self.path), self.digest])[:20]}")
        module.__file__ = str(self.path)
        sys.modules[module.__name__] = module
        try:
            with guarded():
                program = compile(code, str(self.path), "exec", dont_inherit=True)
                exec(program, vars(module))  # noqa: S102 - the owner's own file
        except ForeignError as theirs:
            del sys.modules[module.__name__]
            raise RubricError(
                f"cannot be run: {words_of(theirs.raised)}",
                "a Python file that runs without an error",
                "mend it; what it imports must be an installed package",
                path=self.path,
                line=line_in(self.path, theirs.raised),
            ) from theirs.raised
        return module


def _found(name: str, rubric: Rubric, path: Path, owner: _OwnerFile | None) -> LoadedFunction:
    own = owner.function(name) if owner else None
    offered = is_offered(GROUP, name)
    refuse = partial(_refused, name, rubric, path)
    if owner and own is not None and offered:
        raise refuse(
            f"function = {name!r} is both in {owner.path} and in {offered}",
            "one place, so that it is clear which one judges",
            "rename the one in your file, or remove the package",
        )
    if owner and own is not None:
        return _checked(LoadedFunction(name, own, owner.path, owner.digest), str(owner.path))
    offer = take(GROUP, name, refuse)
    if offer is None:
        raise _missing(name, rubric, path, owner)
    return _checked(LoadedFunction(name, offer.value, offer.file, offer.digest), offer.origin)


def _checked(function: LoadedFunction, origin: str) -> LoadedFunction:
    """Return the function, if it can be called as the contract says."""
    wrong = _wrong_with(function.call)
    if wrong is None:
        return function
    code = getattr(inspect.unwrap(function.call), "__code__", None)
    raise RubricError(
        f"{function.name!r} of {origin} {wrong}",
        _CONTRACT,
        "correct it",
        path=function.file,
        line=code.co_firstlineno if code and code.co_filename == str(function.file) else None,
    )


def _wrong_with(function: object) -> str | None:
    if not callable(function):
        return f"is of type {type(function).__name__}, not a function"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is async"
    if inspect.isgeneratorfunction(function):
        return "is a generator: it yields, and does not return"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as exc:
        return f"has no signature: {exc}"
    try:
        signature.bind("prompt", "completion", "context")
    except TypeError as exc:
        return f"takes {signature}: {exc}"
    return None


def _missing(name: str, rubric: Rubric, path: Path, owner: _OwnerFile | None) -> RubricError:
    installed = ", ".join(names_in(GROUP)) or "none"
    where = f"in {owner.path}" if owner else "and [rubric] python names no file"
    return _refused(
        name,
        rubric,
        path,
        f"function = {name!r} is not {where}, nor offered by an installed package"
        if owner
        else f"function = {name!r} is not offered by an installed package, {where}",
        f"{_CONTRACT} of that name (installed: {installed})",
        f"define it in {owner.path.name}, or correct the name"
        if owner
        else "define it in a Python file and name that in rlaif.toml under [rubric] python",
    )


def _refused(
    name: str, rubric: Rubric, path: Path, seen: str, expected: str, action: str
) -> RubricError:
    """Make an error that names the line of the rubric where the function is asked for."""
    place = next(
        i for i, c in enumerate(rubric.criteria) if c.kind == "python" and c.function == name
    )
    line = read_toml(path, RubricError).line_of(("criteria", place, "function"))
    return RubricError(seen, expected, action, path=path, line=line)
