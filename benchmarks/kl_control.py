"""KL against its target over a long run: ``make bench-kl``.

PPO runs on the bundled policy under a rule that pays for the letter e, so KL would grow without
end, in cycles: each begins with the policy, the beta and the controller's state that the last one
ended with, while KL is measured against the first. Prints JSON and draws docs/kl_control.svg.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlaif.config import GenerationConfig, PpoConfig, hide_model_hub_noise

hide_model_hub_noise()  # before torch is imported: it also says how torch takes memory

import torch  # noqa: E402
from plot import Curve, Panel, svg  # noqa: E402
from ppo.rule import reward  # noqa: E402

from rlaif.models.scoring import Answer  # noqa: E402
from rlaif.project import share  # noqa: E402
from rlaif.records import Message, PolicyReport  # noqa: E402
from rlaif.stages.metrics import read_metrics  # noqa: E402
from rlaif.stages.ppo import PpoJob, train_ppo  # noqa: E402

PLOT = Path(__file__).resolve().parents[1] / "docs" / "kl_control.svg"
TARGET = 6.0
NEAR = 0.25
BATCH = 32
WINDOW = 5
FIRST_BETA = 0.02
CONTROLS = {
    "fixed": {"kl_control": "fixed"},
    "adaptive": {"kl_control": "adaptive", "kl_horizon": 60},  # its error is clipped at a fifth
    "lagrangian": {"kl_control": "lagrangian", "kl_horizon": 300},
}
PROMPTS = (
    "What is the capital of Kenya?", "What is 4 plus 7?", "Name the capital of Peru.",
    "What do you call a baby cow?", "What is 9 minus 3?", "Give me the past tense of find.",
    "Do you know the name of a baby duck?", "What is 2 plus 2?", "What is the capital of Italy?",
)  # fmt: skip


class Rule:
    """Pays for the letter e: an answer has to say something, and can always say it otherwise."""

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        """Return the reward of each answer."""
        return torch.tensor([reward(text) for _, text, _ in answers])


def cycle(
    folder: Path, number: int, updates: int, control: str, before: PolicyReport | None
) -> PpoJob:
    """Return the job of a cycle, which goes on from the one before."""
    base = str(share("policies", "tiny"))
    settings = PpoConfig.model_validate(
        {
            "updates": updates,
            "rollout_batch": BATCH,
            "minibatch": 16,
            "epochs": 2,
            "kl_target": TARGET,
            "checkpoint_updates": updates,
            "precision": "float32",
            **CONTROLS[control],
        }
    )
    return PpoJob(
        policy=base if before is None else str(folder / f"cycle-{number - 1}"),
        reference=base,
        conversations=tuple((Message(role="user", content=text),) for text in PROMPTS),
        generation=GenerationConfig(max_tokens=32),
        ppo=settings,
        seed=number,
        device="cpu",
        missing_eos_score=-4.0,
        beta=FIRST_BETA if before is None or before.beta is None else before.beta,
        controller={} if before is None else before.controller,
        output=folder / f"cycle-{number}",
        work=folder / f"work-{number}",
    )


def run(control: str, cycles: int, updates: int) -> dict[str, list[float]]:
    """Return KL and beta of every update of all cycles."""
    found: dict[str, list[float]] = {"kl": [], "beta": [], "reward": []}
    with tempfile.TemporaryDirectory() as place:
        report: PolicyReport | None = None
        for number in range(cycles):
            job = cycle(Path(place), number, updates, control, report)
            report = train_ppo(job, scorer=Rule())
            metrics = read_metrics(job.output)
            for own, name in (("kl", "kl_reference"), ("beta", "beta"), ("reward", "reward")):
                found[own] += [m.value for m in metrics if m.name == name]
    return found


def summary(found: dict[str, list[float]], updates: int) -> dict[str, Any]:
    """Return how well the target was held in the last half, and across the cycles' borders."""
    kl = smoothed(found["kl"])
    late = kl[len(kl) // 2 :]
    borders = range(updates, len(kl), updates)
    return {
        "mean_kl": round(statistics.fmean(late), 2),
        "deviation": round(statistics.pstdev(late), 2),
        "share_near_target": round(statistics.fmean(abs(x / TARGET - 1) <= NEAR for x in late), 2),
        "largest_kl": round(max(kl), 2),
        "beta_at_the_end": round(found["beta"][-1], 4),
        "beta_before_and_after_borders": [
            [round(found["beta"][b - 1], 4), round(found["beta"][b], 4)] for b in borders
        ],
        "reward_at_the_end": round(statistics.fmean(found["reward"][-20:]), 2),
    }


def smoothed(values: Sequence[float]) -> list[float]:
    """Return running means: a rollout's own KL is noisy."""
    return [statistics.fmean(values[max(0, n - WINDOW + 1) : n + 1]) for n in range(len(values))]


def draw(runs: dict[str, dict[str, list[float]]]) -> str:
    """Draw KL and beta by update; the target is a line of its own."""
    names = list(runs)
    length = len(runs[names[0]]["kl"])
    kls = [_curve(name, smoothed(runs[name]["kl"]), n) for n, name in enumerate(names)]
    target = Curve("target", [(0.0, TARGET), (float(length), TARGET)], 1, dashed=True)
    betas = [_curve(name, runs[name]["beta"], n) for n, name in enumerate(names)]
    return svg(
        [
            Panel("KL to base", "update", "nats per sequence", [*kls, target]),
            Panel("beta", "update", "reward per nat", betas),
        ]
    )


def _curve(name: str, values: Sequence[float], number: int) -> Curve:
    points = [(float(n), value) for n, value in enumerate(values)]
    return Curve(name, points[::3], number // 2, dashed=number == 0)


def main() -> None:
    """Run every kind of control and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--updates", type=int, default=50, help="of each cycle")
    given = parser.parse_args()
    runs = {name: run(name, given.cycles, given.updates) for name in CONTROLS}
    PLOT.write_text(draw(runs), encoding="utf-8")
    found = {name: summary(values, given.updates) for name, values in runs.items()}
    print(
        json.dumps({"target": TARGET, "updates": given.cycles * given.updates, **found}, indent=1)
    )


if __name__ == "__main__":
    main()
