"""Write the patches of ``faults/`` anew from ``planted/``: run it when the code has moved.

Patches that no table names, a reviewer's, are left as they are.
"""

import difflib
from pathlib import Path

from planted import TABLES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
Fault = tuple[str, str, str]


def main() -> None:
    """Write all patches, or none where the place of one is not found once."""
    faults = [found for table in TABLES for found in table.items()]
    names = [name for name, _ in faults]
    wrong = [f"{name}: two faults of that name" for name in set(names) if names.count(name) > 1]
    wrong += [f"{name}: its place is not there once" for name, f in faults if not is_there(f)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    for name, fault in faults:
        text = f"{name.replace('-', ' ')}\n{difference(fault)}"
        (HERE / "faults" / f"{name}.patch").write_text(text, encoding="utf-8")


def is_there(fault: Fault) -> bool:
    """Whether what a fault replaces stands in its file exactly once."""
    path, there, _ = fault
    return (ROOT / path).read_text(encoding="utf-8").count(there) == 1


def difference(fault: Fault) -> str:
    """Return a fault as a unified diff."""
    path, there, instead = fault
    before = (ROOT / path).read_text(encoding="utf-8")
    sides = (text.splitlines(keepends=True) for text in (before, before.replace(there, instead)))
    return "".join(difflib.unified_diff(*sides, f"a/{path}", f"b/{path}", n=1))


if __name__ == "__main__":
    main()
