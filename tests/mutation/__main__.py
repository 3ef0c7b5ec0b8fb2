"""``python -m tests.mutation``: the mutation score, as JSON.

With patches as arguments it is theirs; without, that of ``faults/``. What killed those of ``faults/`` is
noted in ``killers.json``.
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
there = {path.name for path in (HERE / "faults").glob("*.patch")}
known = json.loads((HERE / "killers.json").read_text(encoding="utf-8"))
killers = known | {f["patch"]: f["by"] for f in found if f["by"]}
text = json.dumps(
    {k: killers[k] for k in sorted(killers) if k in there}, indent=2, ensure_ascii=False
)
(HERE / "killers.json").write_text(text + "\n", encoding="utf-8")
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
