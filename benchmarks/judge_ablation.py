"""What each care that judging takes is worth in the end: one-cycle runs of the bundled world.

One setting is switched at a time; every switch runs with the same seeds. What counts is the
oracle's win rate of the challenger against the base, after the gate has decided, promoted or not;
beside it the reward model's held-out accuracy, and how many preferences trained. A cycle that was
left without a challenger, as nothing or too little had a verdict, leaves the base: it counts 50%.

Each run's figures are kept in a file as soon as it has ended, so a command that was stopped goes on
where it was. They are kept under a digest of the package, what ships with it, and the run's
settings: after a change of any of these, a run is made anew, and the old one is not shown.

Prints JSON, and to standard error a table of means with their standard errors and the paired
difference to the settings as shipped. Run it with ``make bench-judge-ablation``.
"""

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlaif.artifacts import write_atomically
from rlaif.records import digest_of

SEEDS = (20261122, 1, 2)
SHIPPED = "as shipped"
SWITCHES: dict[str, dict[str, str]] = {
    SHIPPED: {},
    "hard labels": {"RLAIF_PREFERENCES__LABELS": "hard"},
    "no quarantine of flips": {"RLAIF_JUDGING__FLIP_THRESHOLD": "1.0"},
    "flips over 0.6 apart quarantined": {"RLAIF_JUDGING__FLIP_THRESHOLD": "0.6"},
    "comparisons alone": {"RLAIF_PREFERENCES__UNCOMPARED": "drop"},
    "ratings alone": {"RLAIF_JUDGING__PAIRWISE_WEIGHT": "0.0"},
    "no critique before the verdict": {"RLAIF_JUDGE__CRITIQUE": "false"},
    "the judge's probability within 0.4 to 0.6": {"RLAIF_JUDGING__CLAMP": "0.4"},
    "no critique, and verdicts read off any label mass": {
        "RLAIF_JUDGE__CRITIQUE": "false",
        "RLAIF_JUDGE__MIN_LABEL_MASS": "0.0",
    },
    "verdicts read off any label mass": {"RLAIF_JUDGE__MIN_LABEL_MASS": "0.0"},
    "ties kept": {"RLAIF_PREFERENCES__TIES": "keep"},
}
FIGURES = ("win_rate", "preferences", "judgements", "unscored")
NO_GAIN = 0.5  # the base against itself
ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("rlaif", "prompts", "policies/tiny", "policies/tiny-judge", "policies/tiny-embedder")

Row = dict[str, Any]


def rlaif(*words: str, settings: dict[str, str]) -> str:
    """Run the command line and return what it prints."""
    found = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "rlaif.cli", *words],
        env={**os.environ, **settings},  # noqa: TID251 - a benchmark, not the package
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if found.returncode:
        sys.exit(f"{' '.join(words)} failed with {found.returncode}:\n{found.stderr[-2000:]}")
    return found.stdout


def settings_of(switch: str, seed: int) -> dict[str, str]:
    """Return what a run sets, as variables of its environment."""
    return {**SWITCHES[switch], "RLAIF_RUN__SEED": str(seed)}


def source_digest(root: Path = ROOT) -> str:
    """Return a digest of code, rubrics, prompts and models: all that decides a run but settings."""
    files = sorted(
        path
        for folder in SOURCES
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    found = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    return digest_of(found)


def key_of(switch: str, seed: int, source: str) -> str:
    """Return the key that a run's figures are kept under.

    Args:
        switch: What is switched.
        seed: The run's seed.
        source: From ``source_digest``.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - a benchmark, not the package
        if name.upper().startswith("RLAIF_")
    }
    return digest_of({"source": source, "settings": {**inherited, **settings_of(switch, seed)}})


def run(switch: str, seed: int) -> Row:
    """Run one cycle with a setting switched, and return its figures."""
    settings = settings_of(switch, seed)
    with tempfile.TemporaryDirectory() as folder:
        project = f"{folder}/project"
        rlaif("init", project, settings={})
        rlaif("--project", project, "run", "--cycles", "1", settings=settings)
        (cycle,) = json.loads(rlaif("--project", project, "report", "--json", settings=settings))[
            "cycles"
        ]
    challenged = cycle["oracle"] is not None
    return {
        "switch": switch,
        "seed": seed,
        "challenger": challenged,
        "win_rate": cycle["oracle"]["win_rate_vs_base"] if challenged else NO_GAIN,
        "reward_accuracy": cycle["reward_model"]["accuracy"] if challenged else None,
        "preferences": cycle["preferences"],
        "judgements": cycle["judgements"],
        "unscored": cycle["unscored"],
        "decision": cycle["gate"]["decision"],
    }


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Return a mean and its standard error, which is not known of a single value."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def summary(rows: list[Row]) -> list[Row]:
    """Return a row per switch: means over the seeds, and the difference to the shipped settings."""
    shipped = {row["seed"]: row["win_rate"] for row in rows if row["switch"] == SHIPPED}
    found = []
    for switch in SWITCHES:
        own = [row for row in rows if row["switch"] == switch]
        if not own:
            continue
        gains = [r["win_rate"] - shipped[r["seed"]] for r in own if r["seed"] in shipped]
        means = {name: statistics.fmean(float(r[name]) for r in own) for name in FIGURES}
        right = [r["reward_accuracy"] for r in own if r["challenger"]]
        error = mean_and_error([r["win_rate"] for r in own])[1]
        gain, gain_error = mean_and_error(gains) if gains else (math.nan, math.nan)
        found.append(
            {
                "switch": switch,
                "seeds": len(own),
                "challengers": len(right),
                "reward_accuracy": round(statistics.fmean(right), 4) if right else None,
                **{name: round(value, 4) for name, value in means.items()},
                "win_rate_error": round(error, 4),
                "gain": round(gain, 4),
                "gain_error": round(gain_error, 4),
            }
        )
    return found


def table(found: list[Row]) -> str:
    """Return the summary as a table in Markdown."""
    titles = (
        "switched",
        "oracle win rate against base",
        "difference",
        "challengers",
        "reward model right",
        "preferences",
        "without a verdict",
    )
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in found:
        gain = "-" if row["switch"] == SHIPPED else f"{row['gain']:+.1%} ± {row['gain_error']:.1%}"
        right = "-" if row["reward_accuracy"] is None else f"{row['reward_accuracy']:.1%}"
        lines.append(
            f"| {row['switch']} | {row['win_rate']:.1%} ± {row['win_rate_error']:.1%} | {gain} | "
            f"{row['challengers']} of {row['seeds']} | {right} | "
            f"{row['preferences']:.0f} | {row['unscored'] / row['judgements']:.1%} |"
        )
    return "\n".join(lines)


def completed(path: Path, seeds: Sequence[int], switches: Sequence[str]) -> list[Row]:
    """Run what is missing, keep it, and return the rows of what is asked, no older ones.

    Args:
        path: The file that keeps runs; those of other code and settings stay in it.
        seeds: Which seeds.
        switches: Which switches.
    """
    kept: list[Row] = json.loads(path.read_text("utf-8")) if path.is_file() else []
    done = {row["key"]: row for row in kept if "key" in row}
    source = source_digest()
    found = []
    for seed in seeds:
        for switch in switches:
            key = key_of(switch, seed, source)
            if key not in done:
                done[key] = {"key": key, **run(switch, seed)}
                kept.append(done[key])
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps(kept, indent=1) + "\n")
                print(done[key], file=sys.stderr, flush=True)
            found.append(done[key])
    return found


def main() -> None:
    """Run what is missing, keep it, and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--switches", nargs="+", choices=list(SWITCHES), default=list(SWITCHES))
    parser.add_argument("--kept", type=Path, default=Path("state/judge-ablation.json"))
    given = parser.parse_args()
    rows = completed(given.kept, given.seeds, given.switches)
    found = summary(rows)
    print(table(found), file=sys.stderr)
    print(json.dumps({"runs": rows, "summary": found}, indent=1))


if __name__ == "__main__":
    main()
