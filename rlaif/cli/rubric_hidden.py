"""Characters in a rubric that a judge reads and people do not see."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from rlaif.toml_source import Location

_CODE = frozenset(("rule", "options", "python"))  # a pattern may look for such characters
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
_JOINERS = "\u200c\u200d"  # they shape words of several scripts, and faces
_MAYBE = re.compile(rf"[^\n\t -~\u00a1-\u00ac\u00ae-\u052f{_JOINERS}\u4e00-\u9fff]")
_HIDDEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))


def hidden_characters(value: Any, location: Location = ()) -> Iterator[tuple[Location, list[str]]]:  # noqa: ANN401 - TOML
    """Yield where in a rubric's data hidden characters stand, with their code points and names.

    Control, format and direction marks, characters without a meaning, and blanks that are letters
    to a program. Each text is told once, and each character once in it; code and patterns are
    left out.
    """
    if isinstance(value, str):
        found = [char for char in dict.fromkeys(_MAYBE.findall(value)) if _is_hidden(char)]
        if found:
            yield location, [_named(char) for char in found]
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _CODE:
                yield from hidden_characters(inner, (*location, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from hidden_characters(inner, (*location, place))


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN or char in _BLANK


def _named(char: str) -> str:
    return f"U+{ord(char):04X} ({unicodedata.name(char, 'without a name')})"
