"""Our first update beside TRL 1.12.0's, number by number: ``make bench-agreement``.

Same weights of policy, reference, critic and reward model, same prompts, same answers (ours, given
to TRL in the place of its sampling), float32 on both sides. For each figure, as JSON: how large
TRL's is (`trl`: the largest cell), and the largest difference as a share of that

- of what our engine does (`ours`),
- of our engine's formulas under TRL's conventions (`as_trl`; see ``ppo/conventions.py``).

Steps are optimiser steps; from the second on the ratio of probabilities is not 1 and clipping
bites, and our formulas are given TRL's own weights of that moment. A figure agrees where `as_trl`
is within the tolerance; the exit status is 1 if one does not.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlaif.config import GenerationConfig, PpoConfig, hide_model_hub_noise

hide_model_hub_noise()  # before torch's libraries are imported

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "ppo"))

from conventions import AsTrl, Step, as_trl, bessel, lists_of, step_at  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from worlds import Shape, make_world  # noqa: E402

from rlaif.models.loading import load_language_model  # noqa: E402
from rlaif.models.processes import Processes  # noqa: E402
from rlaif.models.scoring import RewardScorer  # noqa: E402
from rlaif.records import Message  # noqa: E402
from rlaif.rl import Batch, k1, place_scores  # noqa: E402
from rlaif.seeds import torch_generator  # noqa: E402
from rlaif.stages.ppo import PpoJob  # noqa: E402
from rlaif.stages.ppo.actors import Learner  # noqa: E402
from rlaif.stages.ppo.examples import Examples  # noqa: E402
from rlaif.stages.ppo.learning import Epochs  # noqa: E402
from rlaif.stages.ppo.portions import Portions  # noqa: E402
from rlaif.stages.ppo.reference import Reference  # noqa: E402
from rlaif.stages.ppo.rollouts import Rolled, Roller  # noqa: E402
from rlaif.stages.ppo.shaping import RewardShaper  # noqa: E402

TRL_PYTHON = HERE.parent / ".venv-trl" / "bin" / "python"
CUT = Shape("cut", 2, 64, 4, 172, 211, 16, prompt=12, response=24, epochs=3)
WORLDS = {"answers_end": replace(CUT, mean_length=40.0), "answers_are_cut": CUT}
GOLDEN = replace(CUT, batch=6, response=10, mean_length=40.0)
BETA, TEMPERATURE, RATE = 0.05, 0.7, 1e-3
VALUE_COEFFICIENT = 0.1
TOLERANCE = 2e-5
NEVER = 1e9
CPU = torch.device("cpu")
Figures = dict[str, dict[str, float]]


class Ours:
    """Our engine on a world, for one update.

    Args:
        world: The folder.
        shape: Its shape.
        critic: ``shared``: a head on the policy's trunk; ``separate``: with a trunk of its own.

    Attributes:
        learner: The policy with its critic.
    """

    def __init__(self, world: Path, shape: Shape, critic: str = "shared") -> None:
        job = _job(world, shape, critic)
        self.learner = Learner.start(job, CPU)
        with torch.no_grad():
            head = load_file(world / "value_head.safetensors")["weight"]
            self.learner.critic.head.weight.copy_(head)
        self._reference = Reference(job, self.learner.policy, None).policy
        scorer = RewardScorer.load(world / "reward", self.learner.policy)
        alone, portions = Processes(), Portions(job.ppo)
        self._roller = Roller(job, self.learner, scorer, RewardShaper(job.ppo), portions, alone)
        examples = Examples(job, self.learner, alone)
        self._epochs = Epochs(
            job, self.learner, self._reference, examples, portions.learning, alone
        )

    def roll(self) -> Rolled:
        """Sample and score."""
        return self._roller.roll(0, BETA, self._reference)

    def step(self, batch: Batch) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return a step's losses, and gradients by TRL's names; no weight moves."""
        for group in self.learner.optimizer.param_groups:
            group["lr"] = 0.0
        losses = self._epochs.run(batch, 0, 0.0)
        critic = self.learner.critic
        named = _named("policy.", self.learner.policy.model)
        if critic.own is not None:
            named |= _named("value_model.", critic.own.model)
        named["value_model.score.weight"] = critic.head.weight
        return losses, {n: p.grad.clone() for n, p in named.items() if p.grad is not None}


def _named(prefix: str, model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {prefix + name: parameter for name, parameter in model.named_parameters()}


def make(world: Path, shape: Shape) -> None:
    """Write models and prompts: prompts of unlike lengths, reference and policy apart, a critic."""
    make_world(shape, world, 1)
    generator = torch_generator(1)
    policy = load_language_model(str(world / "policy"), CPU)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.dim() > 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise, alpha=0.1 * float(parameter.abs().median()))
    (world / "reference").mkdir()
    policy.save(world / "reference")
    head = torch.randn(1, shape.width, generator=generator) / math.sqrt(shape.width)
    save_file({"weight": head}, world / "value_head.safetensors")
    prompts = json.loads((world / "prompts.json").read_text(encoding="utf-8"))
    cut = [ids[row % 5 :] for row, ids in enumerate(prompts)]
    (world / "prompts.json").write_text(json.dumps(cut), encoding="utf-8")


def begin(world: Path, shape: Shape) -> tuple[Ours, Rolled, dict[str, Any]]:
    """Make a world, roll out on our side, and let TRL learn from that."""
    make(world, shape)
    ours = Ours(world, shape)
    rolled = ours.roll()
    for name, rows in zip(("prompts", "answers"), lists_of(rolled.batch.rollout), strict=True):
        (world / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    return ours, rolled, run_trl(world, shape.epochs)


def compare(world: Path, shape: Shape) -> dict[str, Any]:
    """Make the first update on both sides, and return the figures."""
    ours, rolled, trl = begin(world, shape)
    learner = ours.learner
    same = as_trl(
        rolled.batch, rolled.shaped, learner.policy, learner.critic.head, BETA, TEMPERATURE
    )
    figures = _before_learning(trl, rolled, same)
    cut = not rolled.ended
    for critic in ("shared", "separate"):
        engine = Ours(world, shape, critic)
        found = _engine(world, trl["steps"][0], engine, rolled.batch, cut=cut)
        figures |= {f"engine, {critic} critic, {name}": figure for name, figure in found.items()}
    for number, seen in enumerate(trl["steps"]):
        figures |= _learning(world, number, seen, same)
    return {
        "rows": rolled.batch.size,
        "tokens": int(rolled.batch.response_mask.sum()),
        "share_of_answers_that_end": rolled.ended,
        "worst": max(f["as_trl"] for f in figures.values() if "as_trl" in f),
        "figures": figures,
    }


def record(world: Path, path: Path) -> None:
    """Write the figures of TRL's first update of a small world, for a test without TRL."""
    _, _, trl = begin(world, GOLDEN)
    made = {
        "made_by": f"python benchmarks/loss_agreement.py --golden {path}",
        "trl": trl.pop("version"),
        "torch": torch.__version__,
        "beta": BETA,
        "gamma": 1.0,
        "lam": 0.95,
        "clip": 0.2,
        "value_clip": 0.2,
    }
    text = json.dumps(made | _rounded(trl), indent=1)
    # a row of numbers a line
    path.write_text(re.sub(r"(?<=[\d,\[])\s+(?=[\d\-\]])", " ", text) + "\n", encoding="utf-8")


def _rounded(found: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return numbers as short as float32 allows."""
    if isinstance(found, dict):
        return {name: _rounded(x) for name, x in found.items()}
    if isinstance(found, list):
        return [_rounded(x) for x in found]
    return float(f"{found:.9g}") if isinstance(found, float) else found


def run_trl(world: Path, epochs: int) -> dict[str, Any]:
    """Let TRL make its first update on a world's answers."""
    given = {"rate": RATE, "epochs": epochs, "beta": BETA, "temperature": TEMPERATURE}
    words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    done = subprocess.run(  # noqa: S603 - our own script
        [str(TRL_PYTHON), str(HERE / "ppo/trl_tap.py"), str(world), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"TRL's side ended:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads((world / "trl.json").read_text(encoding="utf-8"))
    return found


def _before_learning(trl: dict[str, Any], rolled: Rolled, same: AsTrl) -> Figures:
    """Compare what is fixed before the first step."""
    batch, mask, wide = rolled.batch, rolled.batch.response_mask, same.longer.response_mask
    kl = k1(batch.old_logprobs, batch.ref_logprobs)
    rewards = place_scores(BETA * kl, rolled.shaped, mask)
    whole = torch.ones(batch.size, dtype=torch.bool)
    rows = {
        "logprobs": (batch.old_logprobs, batch.old_logprobs, mask),
        "ref_logprobs": (batch.ref_logprobs, batch.ref_logprobs, mask),
        "scores": (rolled.scores, rolled.scores, whole),
        "values": (batch.old_values, same.values, wide),
        "rewards": (rewards, same.rewards, wide),
        "advantages": (batch.advantages, same.batch.advantages, mask),
        "returns": (batch.returns, same.returns, wide),
    }
    found: Figures = {}
    for name, (own, other, cells) in rows.items():
        theirs = torch.tensor(trl[name])[cells]
        found[name] = _against(theirs, ours=own[cells], as_trl=other[cells])
    largest = found["logprobs"]["trl"]  # a KL is a difference of two of them
    theirs = torch.tensor(trl["kl"])[mask]
    return found | {"kl": _against(theirs, floor=largest, ours=kl[mask], as_trl=kl[mask])}


def _engine(world: Path, seen: dict[str, Any], ours: Ours, batch: Batch, *, cut: bool) -> Figures:
    """Compare our engine's own first step; a shared trunk's gradient with the sum of TRL's two.

    Where no answer ends, the variance is all that conventions differ in, so the engine itself can
    be given TRL's.
    """
    slopes = _trl_slopes(world, 0)
    if ours.learner.critic.own is None:
        for name in [n for n in slopes if n.startswith("value_model.model.")]:
            slopes[name.replace("value_model.", "policy.", 1)] += slopes.pop(name)
    white = batch.advantages * bessel(int(batch.response_mask.sum()))
    kinds = {"ours": batch} | ({"as_trl": replace(batch, advantages=white)} if cut else {})
    steps = {kind: ours.step(own) for kind, own in kinds.items()}
    found: Figures = {}
    for name, loss in (("policy_loss", "pg_loss"), ("value_loss", "vf_loss")):
        own = {kind: torch.tensor([losses[name]]) for kind, (losses, _) in steps.items()}
        found[name] = _against(torch.tensor([seen[loss]]), floor=1.0, **own)
    for part in ("policy", "value_model"):
        names = [n for n in slopes if n.startswith(part)]
        own = {kind: _joined({n: g[n] for n in names}) for kind, (_, g) in steps.items()}
        found[f"gradient of {part}"] = _against(_joined({n: slopes[n] for n in names}), **own)
    return found


def _learning(world: Path, number: int, seen: dict[str, Any], same: AsTrl) -> Figures:
    """Compare a step at TRL's weights."""
    step = step_at(world, number, same, TEMPERATURE)
    mask, wide = same.batch.response_mask, same.longer.response_mask
    of = f"step {number + 1}, "
    pairs = {
        "logprobs": (torch.tensor(seen["new_logprobs"])[mask], step.logprobs),
        "values": (torch.tensor(seen["vpred"])[wide], step.values),
    }
    found = {of + name: _against(theirs, as_trl=own) for name, (theirs, own) in pairs.items()}
    numbers = {
        "policy_loss": ("pg_loss", step.policy.loss),
        "clip_fraction": ("pg_clipfrac", step.policy.clip_fraction),
        "value_loss": ("vf_loss", step.value.loss),
        "value_clip_fraction": ("vf_clipfrac", step.value.clip_fraction),
    }
    for name, (theirs_name, own) in numbers.items():
        theirs = torch.tensor([seen[theirs_name]])
        found[of + name] = _against(theirs, floor=1.0, as_trl=own.detach()[None])
    return found | {of + n: f for n, f in _gradients(world, number, step).items()}


def _gradients(world: Path, number: int, step: Step) -> Figures:
    slopes = _trl_slopes(world, number)
    theirs = {
        "gradient of the policy": {n: slopes[f"policy.{n}"] for n in step.policy_slopes},
        "gradient of the critic": {
            n: slopes["value_model." + ("score.weight" if n == "head" else n)]
            for n in step.critic_slopes
        },
    }
    own = {
        "gradient of the policy": step.policy_slopes,
        "gradient of the critic": {n: VALUE_COEFFICIENT * g for n, g in step.critic_slopes.items()},
    }
    return {n: _against(_joined(theirs[n]), as_trl=_joined(own[n])) for n in theirs}


def _trl_slopes(world: Path, number: int) -> dict[str, Tensor]:
    return load_file(world / f"trl_gradients_{number}.safetensors")


def _joined(named: dict[str, Tensor]) -> Tensor:
    return torch.cat([named[name].flatten() for name in sorted(named)])


def _against(theirs: Tensor, floor: float = 0.0, **own: Tensor) -> dict[str, float]:
    """Return TRL's largest number, and differences as shares of it (of `floor` where larger)."""
    size = float(theirs.abs().max())
    scale = max(size, floor)
    apart = {n: float((x - theirs).abs().max()) / scale for n, x in own.items()}
    return {"trl": _short(size), **{n: _short(x) for n, x in apart.items()}}


def _short(x: float) -> float:
    return float(f"{x:.3g}")


def _job(world: Path, shape: Shape, critic: str) -> PpoJob:
    prompts = json.loads((world / "prompts.json").read_text(encoding="utf-8"))
    texts = [" ".join(f"w{i}" for i in ids) for ids in prompts]
    return PpoJob(
        policy=str(world / "policy"),
        reference=str(world / "reference"),
        reward_model=world / "reward",
        conversations=tuple((Message(role="user", content=text),) for text in texts),
        generation=GenerationConfig(max_tokens=shape.response, temperature=TEMPERATURE),
        ppo=PpoConfig(
            updates=1,
            rollout_batch=shape.batch,
            minibatch=shape.batch,
            micro_batch=shape.batch // 2,
            epochs=1,
            critic=critic,
            precision="float32",
            kl_control="fixed",
            kl_beta=BETA,
            value_coefficient=VALUE_COEFFICIENT,
            kl_early_stop="off",
            max_grad_norm=NEVER,
        ),
        seed=1,
        device="cpu",
        missing_eos_score=None,
        beta=BETA,
        output=world / "challenger",
        work=world / "work",
    )


def main() -> None:
    """Compare, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--golden", type=Path, help="write the figures of TRL alone, on a small world, to a file"
    )
    given = parser.parse_args()
    if not TRL_PYTHON.exists():
        parser.error("TRL's environment is missing: run `make bench-agreement`, which makes it")
    if given.golden:
        with tempfile.TemporaryDirectory() as place:
            record(Path(place), given.golden)
        return
    found: dict[str, Any] = {}
    for name, shape in WORLDS.items():
        with tempfile.TemporaryDirectory() as place:
            found[name] = compare(Path(place), shape)
    agrees = all(world["worst"] <= TOLERANCE for world in found.values())
    print(json.dumps({"tolerance": TOLERANCE, "agrees": agrees, "worlds": found}, indent=2))
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
