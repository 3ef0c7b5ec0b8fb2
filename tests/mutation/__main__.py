"""``python -m tests.mutation``: the mutation score, as JSON.

With patches as arguments it is theirs; without, that of ``faults/``, and ``killers.json`` is written anew.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GIVEN = sys.argv[1:]
FAULTS = GIVEN or sorted((HERE / "faults").glob("*.patch"))
done = subprocess.run(
    [sys.executable, str(HERE / "runner.py"), *map(str, FAULTS)],
    stdout=subprocess.PIPE,
    text=True,
    check=True,
)
found = [json.loads(line) for line in done.stdout.splitlines()]
if not GIVEN:
    killers = {f["patch"]: f["by"] for f in sorted(found, key=lambda f: f["patch"]) if f["by"]}
    text = json.dumps(killers, indent=2, ensure_ascii=False) + "\n"
    (HERE / "killers.json").write_text(text, encoding="utf-8")
survivors = [f["patch"] for f in found if not f["red"]]
killed = len(found) - len(survivors)
sys.stdout.write(
    json.dumps(
        {
            "faults": len(found),
            "killed": killed,
            "score": round(killed / len(found), 3),
            "survivors": survivors,
        }
    )
    + "\n"
)
