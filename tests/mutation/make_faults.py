"""Write the patches of ``faults/`` anew from ``planted/``: run it when the code has moved."""

import difflib
from pathlib import Path

from planted import TABLES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main() -> None:
    """Write all patches; a fault whose place is not found once is an error."""
    folder = HERE / "faults"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.patch"):
        old.unlink()
    for name, (path, there, fault) in (found for table in TABLES for found in table.items()):
        target = folder / f"{name}.patch"
        if target.exists():
            raise SystemExit(f"{name}: two faults of that name")
        before = (ROOT / path).read_text(encoding="utf-8")
        if before.count(there) != 1:
            raise SystemExit(f"{name}: found {before.count(there)} times in {path}")
        after = before.replace(there, fault)
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{path}",
            f"b/{path}",
            n=1,
        )
        text = f"{name.replace('-', ' ')}\n" + "".join(lines)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
