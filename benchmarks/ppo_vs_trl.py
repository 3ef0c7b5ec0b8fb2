"""PPO's speed and memory beside TRL 1.12.0: ``make bench-ppo``.

Both sides live in processes of their own and make updates in turn, so what else the machine does
hits both. Same weights, prompts, batch, lengths, epochs and precision; the first update of
each is left out. Figures are medians; ratios above 1 are in our favour.

The gate is mixed precision on both sides: bfloat16 products over float32 weights, for TRL by
``ACCELERATE_MIXED_PRECISION=bf16``. Its figures are each shape's own; ``beside`` them lie float32
on both sides, and TRL with bfloat16 weights against ours as in the gate.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "ppo"))

from peak import matmul_peak  # noqa: E402
from worlds import SHAPES, Shape, flops_of_update, make_world  # noqa: E402

from rlaif.models.precision import computes_in_bfloat16  # noqa: E402

TRL_PYTHON = HERE.parent / ".venv-trl" / "bin" / "python"
GATE = "mixed"
MODES = {
    GATE: ("bfloat16", "float32", "bf16"),
    "float32": ("float32", "float32", "no"),
    "bfloat16_weights": ("bfloat16", "bfloat16", "no"),
}
OURS = {"ours": "branch"}
CRITICS = {
    **OURS,
    "ours_with_a_shared_trunk": "shared",
    "ours_with_a_separate_critic": "separate",
}


class Runner:
    """One side in its process.

    Args:
        command: What to run.
        mixed: Accelerate's mixed precision.
    """

    def __init__(self, command: list[str], mixed: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(  # noqa: S603 - our own scripts
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "ACCELERATE_MIXED_PRECISION": mixed},  # noqa: TID251
        )
        self.seen: list[dict[str, float]] = []
        self._read()

    def update(self) -> None:
        """Let it make one update."""
        self._write("go")
        self.seen.append(self._read())

    def close(self) -> None:
        """Let it end."""
        self._write("stop")
        self._process.wait(timeout=60)

    def median(self, name: str) -> float:
        """Return the median of a figure, the first update left out."""
        return statistics.median(seen[name] for seen in self.seen[1:])

    def _write(self, word: str) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the process has no input")
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")
            raise RuntimeError(f"a side ended:\n{said[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found


def compare(shape: Shape, mode: str, updates: int, folder: Path) -> dict[str, Any]:
    """Run all sides in turn and return their figures."""
    precision, weights, mixed = MODES[mode]
    peak = matmul_peak(getattr(torch, precision))
    common = [str(folder), "--updates", str(updates + 1)]
    own = [sys.executable, str(HERE / "ppo/our_side.py"), *common, "--precision", precision]
    critics = CRITICS if mode == GATE else OURS
    sides = {name: Runner([*own, "--critic", critic], "no") for name, critic in critics.items()}
    trl = Runner(
        [str(TRL_PYTHON), str(HERE / "ppo/trl_side.py"), *common, "--weights", weights], mixed
    )
    sides["trl"] = trl
    for _ in range(updates + 1):
        for side in sides.values():
            side.update()
    length = sides["ours"].median("length")
    found: dict[str, Any] = {
        name: _figures(side, flops_of_update(shape, length), peak) for name, side in sides.items()
    }
    for side in sides.values():
        side.close()
    found["mean_length"] = round(length, 1)
    for side_name in critics:
        side, name = sides[side_name], side_name.removeprefix("ours")
        found[f"speed_ratio{name}"] = round(trl.median("seconds") / side.median("seconds"), 2)
        memory = side.median("peak_rss_gb") / trl.median("peak_rss_gb")
        found[f"memory_ratio{name}"] = round(memory, 3)
    return found


def _figures(side: Runner, flops: float, peak: float) -> dict[str, float]:
    seconds = side.median("seconds")
    return {
        "seconds_per_update": round(seconds, 2),
        "peak_rss_gb": round(side.median("peak_rss_gb"), 2),
        "gflops": round(flops / seconds / 1e9, 1),
        "share_of_matmul_peak": round(flops / seconds / 1e9 / peak, 3),
    }


def worthwhile_modes() -> list[str]:
    """Return the modes whose products this CPU's hardware computes."""
    if computes_in_bfloat16(torch.device("cpu")):
        return list(MODES)
    emulated = [name for name, (precision, _, _) in MODES.items() if precision == "bfloat16"]
    left_out = ", ".join(emulated)
    print(f"left out, as this CPU has no bfloat16 products: {left_out}", file=sys.stderr)
    return [name for name in MODES if name not in emulated]


def main() -> None:
    """Compare, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--modes", nargs="+", choices=MODES)
    parser.add_argument("--updates", type=int, default=3, help="measured updates of each side")
    given = parser.parse_args()
    if not TRL_PYTHON.exists():
        parser.error("TRL's environment is missing: run `make bench-ppo`, which makes it")
    modes = given.modes or worthwhile_modes()
    found: dict[str, dict[str, Any]] = {}
    for name in given.shapes:
        for mode in modes:
            with tempfile.TemporaryDirectory() as place:
                make_world(SHAPES[name], Path(place), given.updates + 1)
                figures = compare(SHAPES[name], mode, given.updates, Path(place))
            shape = found.setdefault(name, {})
            shape.update(figures if mode == GATE else {})
            if mode != GATE:
                shape.setdefault("beside", {})[mode] = figures
            print(f"{mode} {name}: {json.dumps(figures)}", file=sys.stderr, flush=True)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
