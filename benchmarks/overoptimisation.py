"""Over-optimisation in the bundled world: what the reward model says and what is true, as KL grows.

One cycle's labels train a reward model alone (K = 1) and an ensemble (K = 4, reward = mean - 1.0 x
standard deviation). From each, PPO trains a policy with the default KL control and one with next
to none (beta fixed at 1e-6). Every few updates the policy answers held-out prompts; on those
answers KL to the base (mean log-ratio, nats per sequence), the proxy (the reward that PPO is
given, in deviations of the base's rewards) and the exact grader's score are measured.

The grader's gain over the base, in deviations of the base's scores, is fitted by R(d) = d (a - b
log d), d = sqrt(KL) (Gao et al. 2022, "Scaling laws for reward model overoptimization", section
3.1); it peaks at d = exp(a / b - 1) where b > 0.

Prints JSON, and draws docs/overoptimisation.svg, for an ensemble of heads (``--kind heads``)
docs/overoptimisation_heads.svg. Run it with ``make bench-overoptimisation``.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plot import Curve, Panel, svg

from rlaif.bundled.oracle import HelpDeskOracle
from rlaif.cli.init import Choices, make_project
from rlaif.config import PpoConfig, RlaifConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.cycle.context import CycleContext
from rlaif.cycle.paying import LedgerReplies
from rlaif.cycle.training import MISSING_EOS_SCORE, REWARD_MODEL, reward_model
from rlaif.engines.local import LocalEngine
from rlaif.ledger.writer import Ledger
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.scoring import RewardScorer
from rlaif.policies import BASE
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from rlaif.records import Message, Prompt, RewardModelReport
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.evaluation import log_ratios
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.reward_model import RewardModelJob, train_reward_model

DOCS = Path(__file__).parents[1] / "docs"
PLOTS = {"trunks": "overoptimisation.svg", "heads": "overoptimisation_heads.svg"}
SEED = 20261122
UPDATES, EVERY, PROMPTS = 60, 5, 200
SIZES = (1, 4)
NO_KL = 1e-6
CPU = torch.device("cpu")
Row = dict[str, Any]


class Stopped(Exception):  # noqa: N818 - no error: the place where the labels are there
    """The cycle has its labels."""


class UpToLabels(Silent):
    """Stops a cycle where its reward model would be trained."""

    def stage(self, cycle: int, stage: str) -> None:  # noqa: ARG002 - the protocol's
        """Stop at the reward model's stage."""
        if stage == REWARD_MODEL:
            raise Stopped


class JobTaker(LocalEngine):
    """Keeps a training job instead of running it."""

    job: RewardModelJob

    def train(self, function: Callable[[Any], Any], job: Any) -> Any:  # noqa: ANN401, ARG002 - the protocol's
        """Keep the job."""
        self.job = job
        raise Stopped


@dataclass(frozen=True)
class World:
    """What all runs share: settings, labels as a job, prompts to train on and to measure on."""

    config: RlaifConfig
    job: RewardModelJob
    conversations: tuple[tuple[Message, ...], ...]
    missing_eos_score: float | None
    prompts: list[Prompt]
    base: LanguageModel


@dataclass(frozen=True)
class Measured:
    """A policy on held-out prompts, with standard errors; KL in nats per sequence."""

    update: int
    kl: float
    kl_error: float
    proxy: float
    proxy_error: float
    spread: float
    oracle: float
    oracle_error: float
    correct: float


def labelled(root: Path, seed: int, prompts: int) -> World:
    """Make a project, run its first cycle up to the labels, and take the reward model's job."""
    make_project(root, Choices())
    made = load_project(root)
    run = made.config.run.model_copy(update={"seed": seed, "device": "cpu"})
    project = Project(root, made.config.model_copy(update={"run": run}))
    taker = JobTaker()
    with suppress(Stopped):
        run_cycles(project, more=1, watcher=UpToLabels())
    with Ledger.open(project.ledger_path) as ledger:
        ctx = CycleContext(
            project=project,
            config=project.config,
            ledger=ledger,
            crew=Crew(project, project.config),
            replies=LedgerReplies(ledger, 1),
            engine=taker,
            watcher=Silent(),
            number=1,
            incumbent=BASE,
        )
        with suppress(Stopped):
            reward_model(ctx)
        answers = ledger.completions(1, "train")
        ended = 2 * sum(a.ended for a in answers) >= len(answers)
        return World(
            config=project.config,
            job=taker.job,
            conversations=tuple(p.messages for p in ledger.cycle_prompts(1, "train")),
            missing_eos_score=MISSING_EOS_SCORE if ended else None,
            prompts=ledger.cycle_prompts(1, "eval")[:prompts],
            base=load_language_model(taker.job.policy, CPU),
        )


def trained(world: World, folder: Path, members: int, kind: str) -> tuple[RewardModelJob, Row]:
    """Train a reward model; return its job and figures."""
    config = world.config.reward_model.model_copy(
        update={"ensemble": members, "ensemble_kind": kind}
    )
    job = world.job.model_copy(
        update={"config": config, "output": folder / "reward-model", "work": folder / "work-rm"}
    )
    start = time.perf_counter()
    report: RewardModelReport = train_reward_model(job)
    figures = report.model_dump(include={"accuracy", "ece", "members", "disagreement"})
    return job, {**figures, "seconds": round(time.perf_counter() - start, 1)}


class Meter:
    """Measures policies on the same held-out prompts, with the same random numbers."""

    def __init__(self, world: World, reward: Path) -> None:
        self._world = world
        self._scorer = RewardScorer.load(reward, world.base)

    def measure(self, policy: LanguageModel, update: int) -> tuple[Measured, list[float]]:
        """Return a policy's figures, and the grader's score of each answer."""
        world, sampling = self._world, self._world.config.generation
        settings = DecodeSettings(sampling.max_tokens, sampling.temperature)
        queries = [encode_conversation(policy, p.messages) for p in world.prompts]
        generator = torch_generator(derive_seed(world.config.run.seed, "overoptimisation"))
        said = decode(policy, queries, settings, generator)
        asked = list(zip(world.prompts, said, strict=True))
        answers = [(p.messages, a.text, a.ended) for p, a in asked]
        oracle = HelpDeskOracle()
        grades = [oracle.grade(p.text, a.text, a.ended) for p, a in asked]
        found = self._scorer.estimate(answers)
        cut, penalty = [not a.ended for a in said], world.missing_eos_score
        proxy = found.reward.tolist()
        if penalty is not None:
            proxy = [penalty if c else own for c, own in zip(cut, proxy, strict=True)]
        scores = [g.score for g in grades]
        measured = Measured(
            update,
            *_mean_and_error(log_ratios(policy, world.base, answers, sampling.temperature)),
            *_mean_and_error(proxy),
            float(found.std.mean()),
            *_mean_and_error(scores),
            sum(g.correct for g in grades) / len(grades),
        )
        return measured, scores


def optimised(
    world: World, folder: Path, reward: RewardModelJob, controlled: bool, updates: int, every: int
) -> Row:
    """Train a policy by PPO and measure it on the way."""
    ppo = _settings(world.config.ppo, controlled, updates, every)
    meter = Meter(world, reward.output)
    before, base_scores = meter.measure(world.base, 0)
    curve, start = [before], time.perf_counter()

    def watch(done: int, _total: int) -> None:
        if done % every == 0:
            policy = load_language_model(str(folder / f"work/update-{done:05d}/policy"), CPU)
            curve.append(meter.measure(policy, done)[0])

    job = PpoJob(
        policy=reward.policy,
        reference=reward.policy,
        reward_model=reward.output,
        conversations=world.conversations,
        generation=world.config.generation,
        ppo=ppo,
        seed=derive_seed(world.config.run.seed, "overoptimisation", "ppo"),
        device="cpu",
        missing_eos_score=world.missing_eos_score,
        beta=ppo.kl_beta,
        output=folder / "policy",
        work=folder / "work",
    )
    report = train_ppo(job, watch)
    return {
        "members": reward.config.ensemble,
        "kl_control": controlled,
        "beta_last": report.beta,
        "stopped": report.stopped,
        "seconds": round(time.perf_counter() - start, 1),
        "oracle_peak": max(m.oracle for m in curve),
        "oracle_last": curve[-1].oracle,
        "fit": fitted(curve, statistics.pstdev(base_scores)),
        "curve": [asdict(m) for m in curve],
    }


def _settings(ppo: PpoConfig, controlled: bool, updates: int, every: int) -> PpoConfig:
    changes: Row = {"updates": updates, "checkpoint_updates": every}
    if not controlled:
        changes |= {"kl_control": "fixed", "kl_beta": NO_KL}
    return ppo.model_copy(update=changes)


def fitted(curve: list[Measured], unit: float) -> Row:
    """Fit R(d) = d (a - b log d) to the grader's gain over the base by least squares.

    Args:
        curve: The base first.
        unit: The deviation of the base's scores.

    Returns:
        a, b, the share of variance explained, and the peak's place and height: None without a
        peak, or where it would lie farther out than anything that was measured.
    """
    later = [m for m in curve[1:] if m.kl > 0]
    d = np.sqrt([m.kl for m in later])
    gain = np.array([(m.oracle - curve[0].oracle) / unit for m in later])
    columns = np.stack([d, -d * np.log(d)], axis=1)
    (a, b), *_ = np.linalg.lstsq(columns, gain, rcond=None)
    left = ((gain - columns @ np.array([a, b])) ** 2).sum()
    at = math.exp(a / b - 1) if b > 0 else math.inf
    peak = at if at <= d.max() else None
    return {
        "a": round(float(a), 4),
        "b": round(float(b), 4),
        "r2": round(float(1 - left / ((gain - gain.mean()) ** 2).sum()), 3),
        "peak_sqrt_kl": None if peak is None else round(peak, 2),
        "peak_gain": None if peak is None else round(float(b) * peak, 3),
    }


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def drawn(runs: list[Row]) -> str:
    """Draw proxy and grader's score against sqrt(KL)."""

    def curves(name: str) -> list[Curve]:
        return [_curve(run, name) for run in runs]

    across = "square root of KL to the base (nats per sequence)"
    return svg(
        [
            Panel("What the reward model says", across, "reward, deviations", curves("proxy")),
            Panel("What is true", across, "oracle score, 0 to 1", curves("oracle")),
        ]
    )


def _curve(run: Row, name: str) -> Curve:
    members = "one reward model" if run["members"] == 1 else f"ensemble of {run['members']}"
    control = "with KL control" if run["kl_control"] else "without KL control"
    return Curve(
        f"{members}, {control}",
        [(math.sqrt(max(m["kl"], 0.0)), m[name]) for m in run["curve"]],
        colour=int(run["members"] > 1),
        dashed=run["kl_control"],
        errors=[m[f"{name}_error"] for m in run["curve"]],
    )


def run(scratch: Path, chosen: argparse.Namespace) -> Row:
    """Label, train the reward models, run PPO from each with and without KL control."""
    start = time.perf_counter()
    world = labelled(scratch / "project", chosen.seed, chosen.prompts)
    found: Row = {"seed": chosen.seed, "seconds_before": round(time.perf_counter() - start, 1)}
    models, runs = [], []
    for members in chosen.sizes:
        folder = scratch / f"k{members}"
        folder.mkdir()
        reward, figures = trained(world, folder, members, chosen.kind)
        models.append(figures)
        print(figures, file=sys.stderr)
        for controlled in (False, True):
            place = folder / ("controlled" if controlled else "free")
            runs.append(optimised(world, place, reward, controlled, chosen.updates, chosen.every))
            short = {k: v for k, v in runs[-1].items() if k != "curve"}
            print(short, file=sys.stderr)
    return {**found, "reward_models": models, "runs": runs}


def main() -> None:
    """Run it all; print JSON and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--every", type=int, default=EVERY, help="updates between measurements")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="held-out prompts")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="members, K")
    parser.add_argument("--kind", choices=("heads", "trunks"), default="trunks")
    parser.add_argument("--plot", type=Path, help="where the plot goes in place of docs/")
    chosen = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        found = run(Path(scratch), chosen)
    found["seconds"] = round(time.perf_counter() - start, 1)
    found["threads"] = torch.get_num_threads()
    plot = chosen.plot or DOCS / PLOTS[chosen.kind]
    plot.write_text(drawn(found["runs"]), encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
