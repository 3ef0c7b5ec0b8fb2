"""Long texts in fewer bytes: a text that says itself whether it is packed.

Servers' replies with log-probs are most of a ledger after months, and the same names over and over.
A packed text is ``zlib:`` and the deflated UTF-8 in base64, since the column holds text alone;
anything else is the text itself, as all rows of before are.
"""

import base64
import zlib

from rlaif.errors import LedgerError
from rlaif.text import quoted

_MARK = "zlib:"
_LEVEL = 1


def packed(text: str) -> str:
    """Return a text as it is stored: packed where that is shorter, or where it looks packed."""
    whole = text.encode("utf-8")
    short = _MARK + base64.b64encode(zlib.compress(whole, _LEVEL)).decode("ascii")
    return short if len(short) < len(whole) or text.startswith(_MARK) else text


def unpacked(stored: str) -> str:
    """Return the text of a stored one.

    Raises:
        LedgerError: It says that it is packed, and cannot be unpacked.
    """
    if not stored.startswith(_MARK):
        return stored
    try:
        whole = base64.b64decode(stored.removeprefix(_MARK), validate=True)
        return zlib.decompress(whole).decode("utf-8")
    except (ValueError, zlib.error) as exc:
        raise LedgerError(
            f"a stored text is damaged ({exc}): {quoted(stored[:40])}",
            "zlib: and deflated UTF-8 in base64, as it was written",
            "restore the ledger from a copy",
        ) from exc
