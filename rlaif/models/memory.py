"""Memory that a process has used once and will use again.

By default glibc gives large blocks back to the system as soon as they are freed, so each large
tensor is paid for page by page whenever it is made: a quarter of a PPO step (docs/LOG.md).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT = 2**30
_GROWTH = 2**26


def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, for the rest of the process.

    Returns:
        Whether it could be told so: with glibc on Linux.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _KEPT, _TOP_PAD: _GROWTH}
    return all([library.mallopt(name, value) == 1 for name, value in settings.items()])
