"""Every optimiser in the bundled world, for one cycle from the same labels and reward model.

The budget is the number of completions that a method samples while it trains: 1,280, as PPO's
defaults are. RLOO and GRPO sample as many in as many rounds; best-of-n takes the n that comes
nearest over the cycle's prompts (6 of each of 208: 1,248); DPO samples none, since it trains on the
judged answers (832) that all methods share through the reward model. Beside it stand seconds of the
clock and of the processor, models' loading included.

All begin at one project whose first cycle has stopped after the reward model. Each challenger
answers every held-out prompt twice; the exact grader compares it with the base on the same prompts,
and KL to the base is the mean log-ratio of those answers, in nats per sequence.

Prints JSON, and to standard error the table that the README shows. Run it with
``make bench-optimizers``.
"""

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlaif.bundled.oracle import HelpDeskOracle
from rlaif.cli.init import Choices, make_project
from rlaif.config import RlaifConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.cycle.context import CycleContext
from rlaif.cycle.paying import LedgerReplies
from rlaif.cycle.training import PPO, artifact_folder, ppo
from rlaif.engines.local import LocalEngine
from rlaif.ledger.writer import Ledger
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.policies import BASE
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from rlaif.records import OPTIMIZER_NAMES, Message, PolicyReport, Prompt
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.evaluation import log_ratios

METHODS = tuple(OPTIMIZER_NAMES)
SEEDS = (20261122, 1)
ANSWERS = 2
BATCH = 200
CPU = torch.device("cpu")
Row = dict[str, Any]
Seconds = tuple[float, float]
Answer = tuple[tuple[Message, ...], str, bool]


class Reached(Exception):  # noqa: N818 - no error: the place where the paths part
    """The reward model is trained."""


class UpToPolicy(Silent):
    """Stops a cycle where its policy would be trained."""

    def stage(self, cycle: int, stage: str) -> None:  # noqa: ARG002 - the protocol's
        """Stop at the policy's stage."""
        if stage == PPO:
            raise Reached


@dataclass(frozen=True)
class Measured:
    """A policy's answers to the held-out prompts, in order, with their oracle grades."""

    answers: list[Answer]
    scores: list[float]
    correct: float


def prepared(root: Path, seed: int) -> Project:
    """Make a project and run its first cycle up to the policy."""
    make_project(root, Choices())
    made = load_project(root)
    run = made.config.run.model_copy(update={"seed": seed})
    project = Project(root, made.config.model_copy(update={"run": run}))
    try:
        run_cycles(project, more=1, watcher=UpToPolicy())
    except Reached:
        return project
    raise AssertionError("the cycle ended without training a policy")


def with_settings(config: RlaifConfig, method: str, overrides: list[str]) -> RlaifConfig:
    """Return settings for a method; an override is ``section.field=value`` (JSON)."""
    sections = config.model_dump(mode="json")
    sections["policy"]["optimizer"] = method
    for override in overrides:
        place, value = override.split("=", 1)
        section, field = place.split(".")
        sections[section][field] = json.loads(value)
    return RlaifConfig.model_validate(sections)


def trained(project: Project, config: RlaifConfig) -> tuple[PolicyReport, Path, Seconds]:
    """Train the challenger of a project's first cycle; return its report, folder and seconds."""
    with Ledger.open(project.ledger_path) as ledger:
        ctx = CycleContext(
            project=project,
            config=config,
            ledger=ledger,
            crew=Crew(project, config),
            replies=LedgerReplies(ledger, 1),
            engine=LocalEngine(),
            watcher=Silent(),
            number=1,
            incumbent=BASE,
        )
        start, busy = time.perf_counter(), time.process_time()
        ppo(ctx)
        seconds = (time.perf_counter() - start, time.process_time() - busy)
        report = PolicyReport.model_validate(ledger.report(1, PPO))
        return report, artifact_folder(ctx, "challenger"), seconds


def measured(policy: LanguageModel, prompts: list[Prompt], config: RlaifConfig) -> Measured:
    """Let a policy answer every prompt, and grade what it says."""
    asked = [p for p in prompts for _ in range(ANSWERS)]
    settings = DecodeSettings(config.generation.max_tokens, config.generation.temperature)
    oracle, answers, grades = HelpDeskOracle(), [], []
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        generator = torch_generator(derive_seed(config.run.seed, "optimizers", start))
        queries = [encode_conversation(policy, p.messages) for p in part]
        for prompt, said in zip(part, decode(policy, queries, settings, generator), strict=True):
            answers.append((prompt.messages, said.text, said.ended))
            grades.append(oracle.grade(prompt.text, said.text, said.ended))
    return Measured(
        answers, [g.score for g in grades], sum(g.correct for g in grades) / len(grades)
    )


def win_rate(mine: list[float], other: list[float]) -> tuple[float, float]:
    """Return the share of higher scores, ties counted half, with its standard error."""
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(mine, other, strict=True)]
    return _mean_and_error(wins)


def row(
    config: RlaifConfig,
    base: LanguageModel,
    before: Measured,
    policy: LanguageModel,
    found: Measured,
) -> Row:
    """Return a challenger's figures against the base."""
    temperature = config.generation.temperature
    ratios = log_ratios(policy, base, found.answers, temperature)
    rate, rate_error = win_rate(found.scores, before.scores)
    kl, kl_error = _mean_and_error(ratios)
    return {
        "optimizer": config.policy.optimizer,
        "oracle_win_rate": round(rate, 4),
        "oracle_win_rate_error": round(rate_error, 4),
        "oracle_score": round(statistics.fmean(found.scores), 4),
        "correct": round(found.correct, 4),
        "kl_base": round(kl, 3),
        "kl_base_error": round(kl_error, 3),
    }


def run_seed(scratch: Path, seed: int, methods: list[str], overrides: list[str]) -> Row:
    """Run every method from one seed's labels and reward model."""
    start = time.perf_counter()
    project = prepared(scratch / f"seed-{seed}", seed)
    shared = time.perf_counter() - start
    with Ledger.open(project.ledger_path) as ledger:
        prompts = ledger.cycle_prompts(1, "eval")
        judged = len(ledger.completions(1, "train"))
    base = load_language_model(project.resolve(project.config.policy.path), CPU)
    before = measured(base, prompts, project.config)
    rows = []
    for method in methods:
        copy = Project(scratch / f"seed-{seed}-{method}", project.config)
        shutil.copytree(project.root, copy.root, symlinks=True)
        config = with_settings(project.config, method, overrides)
        report, folder, seconds = trained(copy, config)
        challenger = load_language_model(str(folder), CPU)
        found = measured(challenger, prompts, config)
        rows.append(
            {
                **row(config, base, before, challenger, found),
                "seconds": round(seconds[0], 1),
                "cpu_seconds": round(seconds[1], 1),
                "samples": report.samples,
                "judged_answers_used": judged if method == "dpo" else 0,
                "updates": report.updates,
                "stopped": report.stopped,
            }
        )
        print(f"seed {seed}: {rows[-1]}", file=sys.stderr, flush=True)
    return {
        "seed": seed,
        "seconds_before": round(shared, 1),
        "base": {"oracle_score": statistics.fmean(before.scores), "correct": before.correct},
        "optimizers": rows,
    }


def table(seeds: list[Row]) -> str:
    """Return the README's table: a row per method, means over the seeds."""
    titles = (
        "optimiser",
        "oracle win rate against base",
        "right answers",
        "KL to base, nats per sequence",
        "completions sampled",
        "seconds",
        "CPU seconds",
    )
    lines = [titles, ("---",) * len(titles)]
    for place, first in enumerate(seeds[0]["optimizers"]):
        own = [seed["optimizers"][place] for seed in seeds]
        mean = {k: statistics.fmean(o[k] for o in own) for k, v in first.items() if _number(v)}
        error = {k: math.hypot(*(o[f"{k}_error"] for o in own)) / len(own) for k in _WITH_ERROR}
        lines.append(
            (
                OPTIMIZER_NAMES[first["optimizer"]],
                f"{mean['oracle_win_rate']:.1%} ± {error['oracle_win_rate']:.1%}",
                f"{mean['correct']:.0%}",
                f"{mean['kl_base']:.2f} ± {error['kl_base']:.2f}",
                f"{mean['samples']:,.0f}",
                f"{mean['seconds']:.0f}",
                f"{mean['cpu_seconds']:.0f}",
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_WITH_ERROR = ("oracle_win_rate", "kl_base")


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def main() -> None:
    """Run the seeds and methods named on the command line, or all; print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="S.F=V")
    parser.add_argument("--keep", type=Path, help="keep the projects in this folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = chosen.keep or Path(temporary)
        seeds = [run_seed(scratch, s, chosen.methods, chosen.overrides) for s in chosen.seeds]
    print(table(seeds), file=sys.stderr)
    found = {"budget": "completions sampled", "threads": torch.get_num_threads(), "seeds": seeds}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
