"""The bundled world over several run seeds: how far three cycles bring it, and at what price.

Prints JSON: the goals with whether each was reached, a summary, and per seed the oracle's and the
judge's figures after each cycle, seconds and memory of the whole run, and whether a planted bad
challenger was held; and to standard error the table that the README shows. Run it with
``make bench-demo``; it takes about four and a half minutes a seed on two cores,
the fourth cycle included.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

SEEDS = (20261122, 1, 2, 3, 4)
CYCLES = 3
BAD_RATE = "0.05"
UNGUARDED = "1e9"
PEAK = "peak memory "

Report = dict[str, Any]


def rlaif(*words: str, **settings: str) -> str:
    """Run the command line and return what it prints."""
    command = [sys.executable, "-m", "rlaif.cli", *words]
    environment = {**os.environ, **settings}  # noqa: TID251 - a benchmark, not the package
    found = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if found.returncode:
        sys.exit(f"{' '.join(words)} failed with {found.returncode}:\n{found.stderr[-2000:]}")
    return found.stdout


def report_of(project: Path) -> Report:
    """Return a project's report."""
    found: Report = json.loads(rlaif("--project", str(project), "report", "--json"))
    return found


def run_seed(folder: Path, seed: int) -> Report:
    """Run one seed: three cycles, then a fourth whose challenger is ruined on purpose."""
    project = folder / f"seed-{seed}"
    start = time.monotonic()
    printed = rlaif(
        "demo", "--dir", str(project), "--cycles", str(CYCLES), RLAIF_RUN__SEED=str(seed)
    )
    seconds = time.monotonic() - start
    cycles = report_of(project)["cycles"]
    bad = planted_challenger(project, seed)
    promoted = [c for c in cycles if c["gate"]["decision"] == "promote"]
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "peak_memory": next(x for x in printed.splitlines() if PEAK in x).split(PEAK)[1],
        "oracle_win_rate": promoted[-1]["oracle"]["win_rate_vs_base"] if promoted else 0.5,
        "oracle_base": cycles[-1]["oracle"]["base"],
        "oracle_final": live_score(cycles[-1]),
        "judge_agreement": [c["oracle"]["judge_agreement"] for c in cycles],
        "promotions": len(promoted),
        "promoted_though_oracle_fell": sum(
            c["oracle"]["challenger"] < c["oracle"]["incumbent"] for c in promoted
        ),
        "bad_challenger": bad,
        "cycles": cycles,
    }


def live_score(cycle: Report) -> float:
    """Return the mean oracle score of the policy that is live after a cycle."""
    role = "challenger" if cycle["gate"]["decision"] == "promote" else "incumbent"
    score: float = cycle["oracle"][role]
    return score


def planted_challenger(project: Path, seed: int) -> Report:
    """Ruin the next challenger with a rate far too high and return what the gate said.

    PPO's own guard would go back before any harm reached the gate, so it is off.
    """
    settings = {
        "RLAIF_PPO__LEARNING_RATE": BAD_RATE,
        "RLAIF_PPO__SPIKE_KL": UNGUARDED,
        "RLAIF_RUN__SEED": str(seed),
    }
    rlaif("--project", str(project), "run", "--cycles", "1", **settings)
    last = report_of(project)["cycles"][-1]
    return {
        "decision": last["gate"]["decision"],
        "oracle_challenger": last["oracle"]["challenger"],
        "oracle_incumbent": last["oracle"]["incumbent"],
    }


def summary(seeds: list[Report]) -> Report:
    """Return the figures that the README quotes."""
    rates = [s["oracle_win_rate"] for s in seeds]
    agreements = [a for s in seeds for a in s["judge_agreement"] if a is not None]
    return {
        "oracle_win_rate_mean": sum(rates) / len(rates),
        "oracle_win_rate_worst": min(rates),
        "oracle_base_mean": sum(s["oracle_base"] for s in seeds) / len(seeds),
        "oracle_final_mean": sum(s["oracle_final"] for s in seeds) / len(seeds),
        "judge_agreement_range": [min(agreements), max(agreements)],
        "promotions_per_seed": [s["promotions"] for s in seeds],
        "promoted_though_oracle_fell": sum(s["promoted_though_oracle_fell"] for s in seeds),
        "bad_challengers_held": sum(s["bad_challenger"]["decision"] == "hold" for s in seeds),
        "seconds": [s["seconds"] for s in seeds],
        "peak_memory": [s["peak_memory"] for s in seeds],
        "machine": f"{os.cpu_count()} x {platform.processor() or platform.machine()}",
    }


def table(seeds: list[Report]) -> str:
    """Return the README's table: a row per seed."""
    titles = (
        "run seed",
        "oracle win rate of challengers 1, 2, 3 (* promoted)",
        "live policy",
        "oracle score, base -> live",
        "right answers, base -> live",
        "judge agrees",
        "bad challenger",
        "time",
        "memory",
    )
    rows = [titles, ("---",) * len(titles), *(_cells(seed) for seed in seeds)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(seed: Report) -> tuple[str, ...]:
    cycles, bad = seed["cycles"], seed["bad_challenger"]
    promoted = [c["oracle"] for c in cycles if c["gate"]["decision"] == "promote"]
    right = promoted[-1]["correct_challenger"] if promoted else cycles[-1]["oracle"]["correct_base"]
    stars = ["*" if c["gate"]["decision"] == "promote" else "" for c in cycles]
    rates = [f"{c['oracle']['win_rate_vs_base']:.1%}" for c in cycles]
    return (
        str(seed["seed"]),
        ", ".join(rate + star for rate, star in zip(rates, stars, strict=True)),
        f"{seed['oracle_win_rate']:.1%}",
        f"{seed['oracle_base']:.2f} -> {seed['oracle_final']:.2f}",
        f"{cycles[-1]['oracle']['correct_base']:.0%} -> {right:.0%}",
        ", ".join(f"{a:.1%}" for a in seed["judge_agreement"]),
        f"{bad['decision']} ({bad['oracle_challenger']:.2f})",
        f"{seed['seconds'] // 60:.0f} min {seed['seconds'] % 60:02.0f} s",
        seed["peak_memory"],
    )


def goals(found: Report) -> dict[str, bool]:
    """Return which goals a summary reaches."""
    seeds = len(found["seconds"])
    return {
        "mean oracle win rate at least 85%": found["oracle_win_rate_mean"] >= 0.85,
        "worst oracle win rate at least 75%": found["oracle_win_rate_worst"] >= 0.75,
        "a promotion in every seed": min(found["promotions_per_seed"]) >= 1,
        "no promotion though the oracle's score fell": not found["promoted_though_oracle_fell"],
        "every bad challenger held": found["bad_challengers_held"] == seeds,
        "at most 6 minutes": max(found["seconds"]) <= 360,
    }


def main() -> None:
    """Run the seeds named on the command line, or all; print JSON; fail where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument(
        "--at-once", type=int, default=1, help="seeds that share the machine, a thread each"
    )
    parser.add_argument("--keep", type=Path, help="keep the projects in this folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        if chosen.at_once > 1:
            os.environ["OMP_NUM_THREADS"] = "1"  # noqa: TID251 - a benchmark, not the package
        with ThreadPoolExecutor(chosen.at_once) as pool:
            seeds = list(pool.map(partial(run_seed, folder), chosen.seeds))
    found = summary(seeds)
    reached = goals(found)
    print(table(seeds), file=sys.stderr)
    print(json.dumps({"goals": reached, "summary": found, "seeds": seeds}, indent=1))
    sys.exit(0 if all(reached.values()) else 1)


if __name__ == "__main__":
    main()
