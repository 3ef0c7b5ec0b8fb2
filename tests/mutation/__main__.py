"""``python -m tests.mutation``: the mutation score, as JSON."""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAULTS = sorted((HERE / "faults").glob("*.patch"))
done = subprocess.run(
    [sys.executable, str(HERE / "runner.py"), *map(str, FAULTS)],
    stdout=subprocess.PIPE,
    text=True,
    check=True,
)
found = [json.loads(line) for line in done.stdout.splitlines()]
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
