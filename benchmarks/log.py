"""How fast the critique log answers, and how fast it is written: ``make bench-log``.

Fills a ledger through ``Ledger.unit`` (one commit per unit, ``synchronous=FULL``, checkpoints after
each cycle as the conductor makes them), then asks everything that ``rlaif critiques`` can ask,
through a read-only connection, several times each. Prints JSON: the rate of writing, p50 and p95 of
every query in seconds, and the slowest. Vectors are of 384 dimensions.

The rate counts the seconds from the unit's beginning to its commit; making texts up is not in it.
``cpu`` is what the process itself computed in that time, where others shared the machine.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "critique_log"))

from asking import ChanceEncoder, measured, queries  # noqa: E402
from filling import Filled, fill  # noqa: E402

from rlaif.cli.critiques.vectors import CritiqueVectors  # noqa: E402
from rlaif.ledger.reader import LedgerReader  # noqa: E402

SEED = 20261129
REPEATS = 9


def main() -> None:
    """Fill, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--critiques", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rlaif-log-", dir=given.folder) as folder:
        print(json.dumps(measure(Path(folder), given), indent=2))


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    path = folder / "ledger.db"
    filled = fill(path, given.critiques, given.seed)
    encoder = ChanceEncoder(given.seed)
    vectors = CritiqueVectors(folder, encoder)
    with LedgerReader.open(path) as reads:
        vectors.fill(reads)
        asked = measured(reads, queries(filled, vectors, encoder), given.repeats)
    slowest = sorted(asked, key=lambda name: -asked[name]["p95"] / asked[name]["limit"])[:8]
    return {
        "critiques": filled.critiques,
        "writing": writing(filled),
        "ledger_megabytes": round(path.stat().st_size / 1e6, 1),
        "over_the_limit": [name for name, row in asked.items() if not row["kept"]],
        "slowest": {name: asked[name] for name in slowest},
        "queries": asked,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "at": time.strftime("%F")},
    }


def writing(filled: Filled) -> dict[str, float]:
    """Return critiques a second: by the clock, by the clock with checkpoints, and of CPU time."""
    return {
        "per_second": round(filled.critiques / filled.seconds),
        "per_second_with_checkpoints": round(
            filled.critiques / (filled.seconds + filled.checkpoint_seconds)
        ),
        "per_cpu_second": round(filled.critiques / filled.cpu_seconds),
        "units": filled.units,
    }


if __name__ == "__main__":
    main()
