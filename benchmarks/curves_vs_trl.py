"""Learning curves of our PPO and TRL 1.12.0's: one small real model, one rule, several seeds.

Weights, prompts, hyper-parameters and precision (float32) are the same; random numbers cannot be.
Two tasks: in `story` every answer is cut at its limit, in `sentence` it ends with its first full
stop, where TRL puts the reward on the cell after the end and ours on the end itself.
Prints JSON and draws docs/curves_vs_trl.svg (`sentence`: docs/curves_vs_trl_sentence.svg).
"""

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlaif.config import GenerationConfig, PpoConfig, hide_model_hub_noise

hide_model_hub_noise()  # before torch is imported: it also says how torch takes memory

import torch  # noqa: E402
from plot import Curve, Panel, svg  # noqa: E402
from ppo.rule import reward  # noqa: E402

from rlaif.models.encoding import encode_conversation  # noqa: E402
from rlaif.models.loading import load_language_model  # noqa: E402
from rlaif.models.scoring import Answer  # noqa: E402
from rlaif.records import Message  # noqa: E402
from rlaif.stages.metrics import read_metrics  # noqa: E402
from rlaif.stages.ppo import PpoJob, train_ppo  # noqa: E402
from rlaif.stages.ppo.actors import VALUE_RATE_FACTORS  # noqa: E402

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "shared" / "models" / "stories260K"
TRL_PYTHON = HERE.parent / ".venv-trl" / "bin" / "python"
DOCS = HERE.parent / "docs"
PLOTS = {"story": "curves_vs_trl.svg", "sentence": "curves_vs_trl_sentence.svg"}
FIGURES = {"reward": "reward", "kl": "kl_reference", "length": "length",
           "explained_variance": "explained_variance"}  # fmt: skip
LAST = 10
SMOOTHED = 5
CRITICS = {
    "ours, branch": "branch",
    "ours, separate critic": "separate",
    "ours, shared trunk": "shared",
}
TRL = "TRL 1.12.0"
NEVER = 1e9
PATIENCE = 1200
NAMES = ("Lily", "Tom", "Ben", "Mia", "Sam", "Anna", "Max", "Sue", "Tim", "Lucy", "Jack", "Amy")
DEEDS = ("saw", "had", "found", "got")
THINGS = ("dog", "cat", "ball", "tree", "bird", "fish", "car", "hat", "boat", "bear", "box", "cake")


@dataclass(frozen=True)
class World:
    """What both sides are told.

    Attributes:
        end: The token that ends an answer; None: the model's own, which it never says.
        prompts: The prompts.
        ids: Their tokens, all equally many.
        prompt: How many.
        updates: Rollouts.
        batch: Answers in each.
        minibatch: Answers of an optimiser step.
        epochs: Passes over a rollout.
        response: Tokens of an answer.
        rate: Adam's first rate, which falls linearly; of policy and critic.
        beta: Cost of a nat.
        value_coefficient: Weight of the value loss.
    """

    end: int | None
    prompts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    prompt: int
    updates: int
    batch: int = 64
    minibatch: int = 16
    epochs: int = 2
    response: int = 32
    rate: float = 3e-4
    beta: float = 0.3
    value_coefficient: float = 0.1


class Rule:
    """The rule as our engine wants it."""

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        """Return the reward of each answer."""
        return torch.tensor([reward(text) for _, text, _ in answers])


Points = list[dict[str, float]]


def make_world(updates: int, task: str) -> World:
    """Choose prompts of one length."""
    lm = load_language_model(str(MODEL), torch.device("cpu"))
    parts = itertools.product(NAMES, DEEDS, THINGS)
    texts = [f"One day, {name} {deed} a {thing}." for name, deed, thing in parts]
    ids = {t: tuple(encode_conversation(lm, [Message(role="user", content=t)])) for t in texts}
    length = statistics.mode(len(row) for row in ids.values())
    chosen = tuple(t for t in texts if len(ids[t]) == length)
    if len(chosen) < World.batch:  # TRL would look for a whole batch for ever
        raise ValueError(f"{len(chosen)} prompts of {length} tokens do not fill a batch")
    stop = int(lm.tokenizer.convert_tokens_to_ids(".")) if task == "sentence" else None
    return World(stop, chosen, tuple(ids[t] for t in chosen), length, updates)


def lay_out(world: World, folder: Path) -> None:
    """Put the model, with the world's end token, and the world into a temporary folder."""
    shutil.copytree(MODEL, folder / "policy", copy_function=shutil.copyfile)
    if world.end is not None:
        path = folder / "policy" / "generation_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**config, "eos_token_id": world.end}), encoding="utf-8")
    (folder / "world.json").write_text(json.dumps(asdict(world)), encoding="utf-8")


def ours(world: World, folder: Path, seed: int, critic: str) -> Points:
    """Train with our engine, its critic on the policy's trunk, a branch, or, as TRL's, its own.

    A branch learns at a rate of its own, as it does by default; TRL knows one rate for all.
    """
    factor = VALUE_RATE_FACTORS["branch"] if critic == "branch" else 1.0
    job = PpoJob(
        policy=str(folder / "policy"),
        reference=str(folder / "policy"),
        conversations=tuple((Message(role="user", content=text),) for text in world.prompts),
        generation=GenerationConfig(max_tokens=world.response),
        ppo=PpoConfig(
            updates=world.updates,
            rollout_batch=world.batch,
            minibatch=world.minibatch,
            micro_batch=world.minibatch,
            epochs=world.epochs,
            learning_rate=world.rate,
            value_learning_rate=world.rate * factor,
            value_coefficient=world.value_coefficient,
            critic=critic,
            precision="float32",
            kl_control="fixed",
            kl_beta=world.beta,
            kl_early_stop="off",
            spike_kl="off",
            max_grad_norm=NEVER,
            checkpoint_updates=world.updates,
        ),
        seed=seed,
        device="cpu",
        missing_eos_score=None,
        beta=world.beta,
        output=folder / f"ours-{critic}",
        work=folder / f"work-{critic}",
    )
    train_ppo(job, scorer=Rule())
    found = read_metrics(job.output)
    columns = ([m.value for m in found if m.name == name] for name in FIGURES.values())
    return [dict(zip(FIGURES, row, strict=True)) for row in zip(*columns, strict=True)]


def trls(folder: Path, seed: int) -> Points:
    """Train with TRL, in its own environment."""
    script = [str(TRL_PYTHON), str(HERE / "ppo/trl_curve.py"), str(folder), "--seed", str(seed)]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603 - our own
    if done.returncode:
        raise RuntimeError(f"TRL's side ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: Points = json.loads(done.stdout.splitlines()[-1])
    return found


def summary(runs: Sequence[Points]) -> dict[str, Any]:
    """Return the last updates' mean reward and KL, with standard errors over the seeds."""
    found: dict[str, Any] = {}
    for name in ("reward", "kl"):
        means = [_last(run, name) for run in runs]
        error = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else None
        found |= {name: statistics.fmean(means), f"{name}_standard_error": error}
    for name in ("length", "explained_variance"):
        found[name] = statistics.fmean(_last(run, name) for run in runs)
    return found | {"reward_by_seed": [_last(run, "reward") for run in runs]}


def verdict(mine: Sequence[Points], theirs: Sequence[Points], beta: float) -> dict[str, Any]:
    """Compare what both maximise, reward less beta times KL, over the last updates."""
    aims = [
        [_last(run, "reward") - beta * _last(run, "kl") for run in runs] for runs in (mine, theirs)
    ]
    difference = statistics.fmean(aims[0]) - statistics.fmean(aims[1])
    error = sum(statistics.variance(a) / len(a) for a in aims) ** 0.5 if len(mine) > 1 else None
    kls = [statistics.fmean(_last(run, "kl") for run in runs) for runs in (mine, theirs)]
    within = [statistics.fmean(best_within(r, min(kls)) for r in runs) for runs in (mine, theirs)]
    return {
        "objective": statistics.fmean(aims[0]),
        "objective_of_trl": statistics.fmean(aims[1]),
        "difference": difference,
        "standard_error": error,
        "ours_is_no_worse": error is None or difference > -2 * error,
        "within_kl": min(kls),
        "best_reward_within_it": within[0],
        "best_reward_of_trl_within_it": within[1],
    }


def best_within(run: Points, kl: float) -> float:
    """Return the best reward of a few updates in a row whose mean KL is at most so much."""
    windows = [run[start : start + SMOOTHED] for start in range(len(run) - SMOOTHED + 1)]
    near = (w for w in windows if statistics.fmean(p["kl"] for p in w) <= kl)
    rewards = (statistics.fmean(p["reward"] for p in window) for window in near)
    return max(rewards, default=run[0]["reward"])  # the first rollout is the reference's own


def by_update(runs: Sequence[Points]) -> list[dict[str, float]]:
    """Return each update's mean over the seeds, and the range of reward and KL."""
    found = []
    for seen in zip(*runs, strict=True):
        row = {name: statistics.fmean(p[name] for p in seen) for name in FIGURES}
        for name in ("reward", "kl"):
            row |= {f"{name}_{of.__name__}": of(p[name] for p in seen) for of in (min, max)}
        found.append({name: round(value, 3) for name, value in row.items()})
    return found


def draw(sides: dict[str, list[Points]]) -> str:
    """Draw all sides' means over the seeds, with half the range as bars."""
    panels = []
    for name, label in (("reward", "reward, standard deviations"), ("kl", "KL, nats per sequence")):
        curves = [
            _curve(side, [[p[name] for p in run] for run in runs]) for side, runs in sides.items()
        ]
        panels.append(Panel(f"{name} by update", "update", label, curves))
    return svg(panels)


def _curve(side: str, runs: list[list[float]]) -> Curve:
    columns = list(zip(*runs, strict=True))
    points = [(float(n), statistics.fmean(column)) for n, column in enumerate(columns)]
    errors = [(max(column) - min(column)) / 2 for column in columns]
    colour = list((*CRITICS, TRL)).index(side)
    return Curve(side, points, colour, errors=errors)


def main() -> None:
    """Run both sides, one seed after the other, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--task", choices=PLOTS, default="story")
    given = parser.parse_args()
    if not MODEL.is_dir():
        parser.error(f"the story model is not at {MODEL}: it never travels with this project")
    if not TRL_PYTHON.exists():
        parser.error("TRL's environment is missing: run `make bench-curves`, which makes it")
    world = make_world(given.updates, given.task)
    runs: dict[str, list[Points]] = {side: [] for side in (*CRITICS, TRL)}
    for seed in range(1, given.seeds + 1):
        with tempfile.TemporaryDirectory() as place:
            lay_out(world, Path(place))
            for side, critic in CRITICS.items():
                runs[side].append(ours(world, Path(place), seed, critic))
            runs[TRL].append(trls(Path(place), seed))
        last = {side: round(_last(found[-1], "reward"), 2) for side, found in runs.items()}
        print(f"seed {seed}: {last}", file=sys.stderr, flush=True)
    (DOCS / PLOTS[given.task]).write_text(draw(runs), encoding="utf-8")
    settings = {k: v for k, v in asdict(world).items() if k not in {"prompts", "ids"}}
    found: dict[str, Any] = {"settings": settings}
    for side, points in runs.items():
        found[side] = summary(points)
        if side != TRL:
            found[side]["against_trl"] = verdict(points, runs[TRL], world.beta)
    found["by_update"] = {side: by_update(points) for side, points in runs.items()}
    print(json.dumps(found, indent=1))


def _last(run: Points, name: str) -> float:
    return statistics.fmean(point[name] for point in run[-LAST:])


if __name__ == "__main__":
    main()
