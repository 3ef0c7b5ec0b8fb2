"""What the policy's stage is given to train on: by the ledger, the settings and the project."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlaif.artifacts import landing, verify
from rlaif.config import RlaifConfig
from rlaif.cycle.context import CycleContext
from rlaif.cycle.training import ppo, reference_version
from rlaif.errors import ConfigError
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import ArtifactRef, Message, Metric, PolicyReport, Prompt
from rlaif.stages.metrics import write_metrics
from rlaif.stages.ppo import PpoJob

LEFT = {"beta": 0.25, "slow": -1.5}
RUBRIC = "r" * 64
Settings = dict[str, object]


class Engine:
    """Trains nothing: keeps the job, and reports what a test wants reported."""

    def __init__(self, **report: Any) -> None:
        self.jobs: list[Any] = []
        self._report = report

    def train(self, _function: Callable[..., Any], job: Any) -> PolicyReport:
        self.jobs.append(job)
        with landing(job.output) as folder:
            write_metrics(folder, [Metric(step=0, name="reward", value=1.0)])
        told = {
            "updates": 1,
            "kl_reference": 1.0,
            "beta": LEFT["beta"],
            "controller": LEFT,
            "reward_first": 0.0,
            "reward_last": 1.0,
            "stopped": "all 1 updates done",
            "artifact": ArtifactRef(name=job.output.name, digest=verify(job.output)),
        }
        return PolicyReport.model_validate(told | self._report)


class BySigns:
    """An embedder to which two texts with "eval" in them are one, and others as far as can be."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        places = [0 if "eval" in text.lower() else 1 + n for n, text in enumerate(texts)]
        return np.eye(1 + len(texts))[places]


class Cycles:
    """A project whose cycles have nothing but the policy's stage."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.root = root
        self.ledger = ledger
        self.number = 0
        for version in ("v0000", "v0001"):
            (root / "policies" / version).mkdir(parents=True)
        ledger.add_rubric(RUBRIC, "rubric", "1", "")
        ledger.register_base("v0000", "b" * 64, "policies/v0000", {})

    def run(self, settings: Settings, optimizer: str = "ppo", **report: Any) -> PpoJob:
        """Run the next cycle; return its job."""
        self.number += 1
        ctx, engine = self.context(settings, optimizer), Engine(optimizer=optimizer, **report)
        self._begin(ctx)
        ctx = CycleContext(**{**vars(ctx), "engine": engine})
        ppo(ctx)
        for stage in ("sampling", "reward_model", "ppo"):
            self.ledger.finish_stage(self.number, stage)
        self.ledger.finish_cycle(self.number)
        (job,) = engine.jobs
        return job

    def context(self, settings: Settings, optimizer: str = "ppo") -> CycleContext:
        sections = {"ppo": settings, "policy": {"optimizer": optimizer}}
        config = RlaifConfig.model_validate(sections)
        incumbent = "v0000" if self.number < 2 else "v0001"
        crew: Any = SimpleNamespace(release=lambda: None, embedder=lambda: BySigns())
        replies: Any = None
        engine: Any = None
        project = Project(self.root, config)
        return CycleContext(
            project, config, self.ledger, crew, replies, engine, Silent(), self.number, incumbent
        )

    def _begin(self, ctx: CycleContext) -> None:
        self.ledger.begin_cycle(
            self.number,
            run_seed=1,
            config=ctx.config.model_dump(mode="json"),
            config_hash="h",
            rubric_hash=RUBRIC,
            incumbent=ctx.incumbent,
        )
        with landing(self.root / f"state/artifacts/cycle-{self.number:04d}/reward-model") as folder:
            (folder / "some.json").write_text("{}", encoding="utf-8")
        rewards = self.root / f"state/artifacts/cycle-{self.number:04d}/reward-model"
        for stage in ("sampling", "reward_model", "ppo"):
            self.ledger.begin_stage(self.number, stage)
        with self.ledger.unit(self.number, "sampling", "prompts") as rows:
            rows.add_prompts([asked("train"), asked("eval")])
            rows.add_cycle_prompts("train", ["train"])
            rows.add_cycle_prompts("eval", ["eval"])
            if self.number == 1:
                rows.add_policy("v0001", "c" * 64, "policies/v0001", "v0000", {})
        with self.ledger.unit(self.number, "reward_model", "train") as rows:
            reference = ArtifactRef(name=rewards.name, digest=verify(rewards))
            rows.add_artifact(reference, rewards.relative_to(self.root).as_posix())


def asked(split: str) -> Prompt:
    words = f"Is this for {split}?"
    message = Message(role="user", content=words)
    return Prompt.model_validate({"id": split, "messages": (message,), "split": split})


@pytest.fixture
def cycles(tmp_path: Path) -> Iterator[Cycles]:
    (tmp_path / "state").mkdir()
    with Ledger.open(tmp_path / "state" / "ledger.db") as ledger:
        yield Cycles(tmp_path.resolve(), ledger)


@pytest.mark.parametrize("control", ["adaptive", "lagrangian"])
def test_the_controller_goes_on_where_the_last_cycle_left_it(cycles: Cycles, control: str) -> None:
    settings = {"kl_control": control, "kl_beta": 0.5}
    first = cycles.run(settings)
    assert (first.beta, first.controller) == (0.5, {})
    second = cycles.run(settings, beta=0.75, controller={"beta": 0.75})
    assert (second.beta, second.controller) == (LEFT["beta"], LEFT)
    third = cycles.run(settings)
    assert (third.beta, third.controller) == (0.75, {"beta": 0.75})


def test_a_fixed_beta_is_that_of_the_settings_in_every_cycle(cycles: Cycles) -> None:
    jobs = [cycles.run({"kl_control": "fixed", "kl_beta": beta}) for beta in (0.5, 0.75)]
    assert [(job.beta, job.controller) for job in jobs] == [(0.5, {}), (0.75, {})]


@pytest.mark.parametrize(("left", "expected"), [(2e3, 1e3), (1e-9, 1e-6), (0.5, 0.5)])
def test_a_beta_that_another_control_left_is_held_within_the_multipliers_bounds(
    cycles: Cycles, left: float, expected: float
) -> None:
    cycles.run({}, beta=left, controller={"beta": left})
    job = cycles.run({"kl_control": "lagrangian"})
    assert job.beta == expected
    assert cycles.run({}).beta == LEFT["beta"]


def test_cycles_of_another_optimiser_leave_no_beta(cycles: Cycles) -> None:
    cycles.run({})
    cycles.run({}, optimizer="rloo", beta=9.0, controller={})
    job = cycles.run({})
    assert (job.beta, job.controller) == (LEFT["beta"], LEFT)


@pytest.mark.parametrize(
    ("reference", "version", "optimizer"),
    [
        ("base", "v0000", "ppo"),
        ("base", "v0000", "rloo"),
        ("incumbent", "v0001", "ppo"),
        ("incumbent", "v0001", "grpo"),
        ("ema", "v0001", "ppo"),
    ],
)
def test_kl_is_against_the_base_or_the_incumbent_as_the_settings_say(
    cycles: Cycles, reference: str, version: str, optimizer: str
) -> None:
    settings: Settings = {"reference": reference}
    policies = cycles.root / "policies"
    assert cycles.run(settings, optimizer).reference == str(policies / "v0000")
    job = cycles.run(settings, optimizer)
    assert job.policy == str(policies / "v0001")
    assert job.reference == str(policies / version)
    assert reference_version(cycles.context(settings, optimizer)) == version


def test_supervised_text_is_what_the_ptx_term_gets(cycles: Cycles) -> None:
    lines = [
        '{"prompt": "Who?", "completion": "I."}',
        '{"prompt": "Is this for EVAL", "completion": "Yes."}',
        '{"prompt": "Not drawn?", "completion": "No, and held out."}',
        '{"prompt": "谁?", "completion": "我。"}',
        '{"prompt": "Is this, too, for eval\uff1f", "completion": "Nearly."}',
    ]
    pools = cycles.root / "prompts" / "pools"
    pools.mkdir(parents=True)
    pool = [
        '{"prompt": "Not drawn?", "split": "eval"}',
        '{"prompt": "Who else?", "split": "train"}',
    ]
    (pools / "some.jsonl").write_text("\n".join(pool), encoding="utf-8")
    path = cycles.root / "text.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    settings = {"ptx_path": "text.jsonl", "ptx_coefficient": 0.1}
    job = cycles.run(settings)
    assert [(e.messages[0].content, e.text, e.ended) for e in job.examples] == [
        ("Who?", "I.", True),
        ("谁?", "我。", True),
    ]
    assert cycles.run({"ptx_path": "text.jsonl"}).examples == ()
    path.write_text(lines[0], encoding="utf-8")
    assert cycles.run(settings).examples == job.examples[:1]
    path.write_text(lines[-1], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"every example nearly asks .* \(1 in all\)"):
        cycles.run(settings)
    reports = [cycles.ledger.report(n, "ppo") or {} for n in (1, 2, 3)]
    digests = [report["supervised"] for report in reports]
    assert digests[1] is None
    assert len(set(digests)) == 3
