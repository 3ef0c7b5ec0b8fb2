"""PPO in two processes: the same run as in one, written once, and no process waits for ever."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlaif.artifacts import verify
from rlaif.config import GenerationConfig, PpoConfig
from rlaif.errors import TrainingError
from rlaif.models.processes import Processes
from rlaif.models.reward import RewardModel
from rlaif.records import Message, PolicyReport
from rlaif.stages.metrics import read_metrics
from rlaif.stages.ppo import Example, PpoJob, train_ppo
from rlaif.stages.ppo.trainer import PpoTrainer
from rlaif.testing import make_tiny_lm

PATIENCE = 120  # seconds; a run takes ten
SAME = ("loss", "policy_loss", "value_loss", "ptx_loss", "approx_kl", "grad_norm", "reward",
        "length", "kl_reference", "entropy", "optimizer_steps")  # fmt: skip
SETTINGS = PpoConfig(
    updates=3,
    rollout_batch=10,
    minibatch=5,
    epochs=2,
    micro_batch=2,
    checkpoint_updates=1,
    learning_rate=1e-3,
    precision="float32",
    ptx_coefficient=0.2,
    kl_beta=0.05,
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> PpoJob:
    root = tmp_path_factory.mktemp("models")
    policy = str(make_tiny_lm(root / "policy"))
    RewardModel.from_policy(policy, seed=3).save(root / "reward")
    turns = tuple((Message(role="user", content=f"Question {i}?"),) for i in range(12))
    return PpoJob(
        policy=policy,
        reference=policy,
        reward_model=root / "reward",
        conversations=turns,
        examples=(Example(messages=turns[0], text="Fine.", ended=True),),
        generation=GenerationConfig(max_tokens=8),
        ppo=SETTINGS,
        seed=11,
        device="cpu",
        missing_eos_score=None,
        beta=0.05,
        output=root / "challenger",
        work=root / "work",
    )


def at(job: PpoJob, root: Path, **changes: object) -> PpoJob:
    return job.model_copy(update={"output": root / "out", "work": root / "work", **changes})


def launch(job: PpoJob, root: Path, *code: str) -> subprocess.CompletedProcess[str]:
    """Run a job under ``accelerate launch`` in two processes on the loopback.

    With ``--cpu`` it would start one process, whatever number is asked for, unless MPI is there;
    its launcher for several devices does not mind that they are CPUs.
    """
    written = root / "job.json"
    written.write_text(job.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    command += [*(code or ("-m", "rlaif.stages.ppo")), str(written)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_two_processes_do_what_one_does_and_write_once(job: PpoJob, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    alone, both = at(job, tmp_path / "one"), at(job, tmp_path / "two")
    expected = train_ppo(alone)
    done = launch(both, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PPO in 2 process(es)" in done.stderr
    report = PolicyReport.model_validate(json.loads(done.stdout[done.stdout.index("{") :]))
    assert verify(both.output) == report.artifact.digest
    assert report.updates == expected.updates == 3
    for name in SAME:
        one, two = (
            [m.value for m in read_metrics(j.output) if m.name == name] for j in (alone, both)
        )
        assert two == pytest.approx(one, rel=1e-4, abs=1e-5), name
    kept = sorted(p.name for p in both.work.iterdir())
    assert kept == sorted(p.name for p in alone.work.iterdir())
    changed, same = (
        torch.cat([w.flatten() for w in weights(j.output).values()]) for j in (both, alone)
    )
    torch.testing.assert_close(changed, same, rtol=1e-3, atol=1e-5)


def series(job: PpoJob, name: str) -> list[float]:
    return [m.value for m in read_metrics(job.output) if m.name == name]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


BREAK = """
import sys, torch
from rlaif.models.processes import Processes
from rlaif.stages.ppo import rollouts
from rlaif.stages.ppo.__main__ import main
from rlaif.models.decoding import NonFiniteLogitsError

sample = rollouts.Roller._sample

def broken(self, update, own):
    if update == 3 and self._processes.rank == 1:
        raise NonFiniteLogitsError("logits that are not finite", "finite ones", "roll back")
    return sample(self, update, own)

rollouts.Roller._sample = broken
code = main(sys.argv[1])
if torch.distributed.is_initialized():
    sys.exit("the group is still there: at the interpreter's end its threads may abort it")
sys.exit(code)
"""


class StoppedError(Exception):
    """Raised by a progress callback in place of a kill."""


def test_two_go_on_from_ones_checkpoint_and_what_breaks_in_one_ends_both(
    job: PpoJob, tmp_path: Path
) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 1:
            raise StoppedError

    longer = job.ppo.model_copy(update={"updates": 4})
    job = at(job, tmp_path).model_copy(update={"ppo": longer})
    with pytest.raises(StoppedError):
        train_ppo(job, stop)
    first = sorted(p.name for p in job.work.iterdir())
    script = tmp_path / "broken.py"
    script.write_text(BREAK, encoding="utf-8")
    done = launch(job, tmp_path, str(script))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["updates"] == 2
    assert "not finite" in report["stopped"]
    assert len(series(job, "reward")) == 2
    assert first != sorted(p.name for p in job.work.iterdir())


@pytest.mark.parametrize("rows", [0, 1, 4, 7])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_are_all_rows_once_and_join_in_order(
    rows: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = list(range(rows))
    group = [Processes(rank, size) for rank in range(size)]
    parts = [everything[member.share] for member in group]
    assert sorted(itertools.chain.from_iterable(parts)) == everything
    monkeypatch.setattr(Processes, "gather", lambda _self, _own: parts)
    assert group[0].join_rows(parts[0]) == everything


class Beside(Processes):
    """One of two, beside a process that has what this one had at first."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.first: list[Any] = []

    def gather(self, own: Any) -> list[Any]:
        self.first = self.first or [own]
        return [own, self.first[0]]


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_weights_that_differ_by_their_order_and_sign_alone_have_come_apart(
    job: PpoJob, tmp_path: Path, lora_rank: int
) -> None:
    settings = SETTINGS.model_copy(update={"lora_rank": lora_rank})
    trainer = PpoTrainer(at(job, tmp_path, ppo=settings), processes=Beside())
    trainer._refuse_drift()
    for parameter in trainer.learner.parameters:
        moved = parameter.detach().clone().flip(0).neg()
        if torch.equal(moved, parameter):
            continue
        with torch.no_grad():
            parameter.copy_(moved)
        with pytest.raises(TrainingError, match="weights differ"):
            trainer._refuse_drift()
        with torch.no_grad():
            parameter.copy_(moved.flip(0).neg())
        trainer._refuse_drift()


def test_tensors_of_any_kind_are_compared_to_the_bit() -> None:
    tensors = [torch.tensor(1.5), torch.arange(6.0).view(2, 3).T, torch.ones(2).bfloat16()]
    beside = Beside()
    assert beside.hold_the_same(tensors)
    assert beside.hold_the_same([x.clone() for x in tensors])
    assert not beside.hold_the_same([tensors[0], tensors[1].flip(0), tensors[2]])
    assert not beside.hold_the_same([tensors[0] + 2**-23, *tensors[1:]])
    assert Processes().hold_the_same(tensors)


def test_alone_nothing_is_changed() -> None:
    alone, tensor = Processes(), torch.ones(2)
    alone.add_up([tensor])
    alone.wait()
    alone.leave()
    assert (alone.main, alone.gather("own"), tensor.tolist()) == (True, ["own"], [1.0, 1.0])
