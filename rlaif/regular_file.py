"""Files that people name are read to their end: only regular ones have one that surely comes."""

import stat
from pathlib import Path

from rlaif.errors import ConfigError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular(path: Path, error: type[ConfigError] = ConfigError) -> None:
    """Refuse what is not a regular file, or a link to one, before it is opened.

    Args:
        path: What is to be read.
        error: The class of error to raise.

    Raises:
        ConfigError: It is a folder, pipe, socket or device.
        OSError: There is nothing there, or nothing that may be looked at.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise error(
            f"{kind}, not a regular file",
            "a regular file, or a link to one",
            "name one; what a pipe or device gives, write into a file first",
            path=path,
        )
