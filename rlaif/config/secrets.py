"""Keys of servers: read here, from the environment or a file of the owner's, and shown nowhere."""

import errno
import os
import re
import stat
import urllib.parse
from pathlib import Path
from typing import NoReturn

from rlaif.errors import ConfigError

REDACTED = "[key]"
SHORTEST = 8
_OWNER_ONLY = 0o600
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL))
_LONGEST = 4096
_KEY = re.compile(r"[!#-&(-\[\]-~]+")  # printable ASCII without spaces, quotes and backslashes
_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")


class Secret:
    """A key that only ``reveal`` shows: neither ``repr``, ``str``, a copy nor a pickle does.

    Args:
        value: The key.
    """

    __slots__ = ("_forms", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        forms = {value, value.replace("/", "\\/"), urllib.parse.quote(value, safe="")}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def reveal(self) -> str:
        """Return the key, for the one line that sends it."""
        return self._value

    def redact(self, text: str) -> str:
        """Return a text with ``REDACTED`` for the key, as it is, in JSON and in an address."""
        if "\\u00" in text:
            plain = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text)
            text = plain if any(form in plain for form in self._forms) else text
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return text

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not to be pickled or copied; hand the object on as it is")


def read_key(variable: str, file: str, folder: Path) -> Secret | None:
    """Read the key that the settings name.

    Args:
        variable: A variable of the environment that holds it, or nothing.
        file: A file that holds nothing else, relative to ``folder``, or nothing.
        folder: The project's folder.

    Returns:
        The key; None where the settings name none.

    Raises:
        ConfigError: The variable or file is missing or empty, others than the owner may read the
            file, or what it holds cannot be a key. No message shows what was read.
    """
    if variable:
        return _checked(_from_environment(variable), f"the environment's {variable}")
    if file:
        path = folder / file
        return _checked(_from_file(path), str(path))
    return None


def _from_environment(variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value.strip():
        raise ConfigError(
            f"{variable} is not set, or empty",
            "the judge's key in this variable of the environment",
            f"export {variable}, or name another variable in key_variable, or a file in key_file",
        )
    return value


def _from_file(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:  # noqa: PTH123 - what was checked is read
            _check_owner_only(path, os.fstat(file.fileno()))
            return file.read(_LONGEST + 1)
    except UnicodeDecodeError:
        raise _no_key(str(path), "not UTF-8") from None
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "no file can have that name"
        number = exc.errno if isinstance(exc, OSError) else errno.EINVAL
        there = number not in _NOT_THERE  # else its name may be the key, put in its place
        raise ConfigError(
            f"the judge's key cannot be read from the file that key_file names: {why}",
            "a file that holds the key",
            "write it, or name another in key_file; the key itself never stands in the settings",
            path=path if there else None,
        ) from (exc if there else None)


def _check_owner_only(path: Path, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError("not a file", "a plain file that holds the key", "name one", path=path)
    if mode != _OWNER_ONLY:
        raise ConfigError(
            f"the mode of a key's file is {mode:04o}",
            "0600: its owner reads and writes it, and nobody else",
            f"chmod 600 {path}",
            path=path,
        )
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"a key's file belongs to user {found.st_uid}",
            f"a file of user {os.geteuid()}, who runs this",
            "copy the key to a file of your own",
            path=path,
        )


def _checked(value: str, place: str) -> Secret:
    key = value.strip()
    if len(key) > _LONGEST:
        raise _no_key(place, f"over {_LONGEST} characters")
    if len(key) < SHORTEST:
        raise _no_key(place, f"{len(key)} characters")
    if not _KEY.fullmatch(key):
        raise _no_key(place, "more than one word, quotes, backslashes, or other than ASCII")
    return Secret(key)


def _no_key(place: str, seen: str) -> ConfigError:
    return ConfigError(
        f"{place} holds no key: {seen}",
        f"one word of {SHORTEST} to {_LONGEST} characters, as providers give them out",
        "mend it; for a server that asks for no key leave key_variable and key_file empty",
    )
