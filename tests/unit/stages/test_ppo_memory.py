"""PPO when memory runs out: smaller micro-batches, the same losses, and whole checkpoints."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ppo_jobs
import pytest
import torch
from job_tools import Stopped, series, stop_after
from ppo_jobs import SETTINGS, job_in

from rlaif.artifacts import file_sha256, verify
from rlaif.errors import TrainingError
from rlaif.models import actor_critic
from rlaif.models.loading import LanguageModel
from rlaif.models.processes import Processes
from rlaif.models.scoring import Answer
from rlaif.records import PolicyReport
from rlaif.rl import Rollout
from rlaif.stages.metrics import read_metrics
from rlaif.stages.ppo import PpoJob, critic, examples, learning, rollouts, train_ppo
from rlaif.stages.ppo.portions import Portions

States = Callable[..., torch.Tensor]


class Short(ppo_jobs.Short):
    """One that may be refused memory too."""

    most = 8

    def score(self, answers: Sequence[Answer]) -> torch.Tensor:
        if len(answers) > self.most:
            raise torch.OutOfMemoryError
        return super().score(answers)


@pytest.fixture
def job(policy: str, tmp_path: Path) -> PpoJob:
    return job_in(tmp_path, policy)


def limit_rows(monkeypatch: pytest.MonkeyPatch, most: int, place: object = critic) -> list[int]:
    """Let a pass over more rows than this find no memory; return the rows of each pass tried."""
    tried: list[int] = []
    original: States = actor_critic.response_states

    def states(lm: LanguageModel, rollout: Rollout, **taps: Any) -> torch.Tensor:
        tried.append(rollout.size)
        if rollout.size > most:
            raise torch.OutOfMemoryError
        return original(lm, rollout, **taps)

    monkeypatch.setattr(place, "response_states", states)
    return tried


def train(job: PpoJob, progress: Callable[[int, int], None] | None = None) -> PolicyReport:
    return train_ppo(job, progress, scorer=Short())


@pytest.mark.parametrize("changes", [{}, {"ptx_coefficient": 0.5}], ids=["plain", "ptx"])
def test_smaller_micro_batches_give_the_same_losses(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    whole = job_in(tmp_path / "whole", policy, updates=1, **changes)
    cut = job_in(tmp_path / "cut", policy, updates=1, **changes)
    undisturbed = train(whole)
    tried = limit_rows(monkeypatch, 3)
    limit_rows(monkeypatch, 3, examples)
    report = train(cut)
    assert tried[:3] == [8, 4, 2]
    assert set(tried[3:]) == {2}
    for name in ("loss", "policy_loss", "value_loss", "approx_kl", "grad_norm", "ptx_loss"):
        assert series(cut, name) == pytest.approx(series(whole, name), rel=1e-3, abs=1e-6)
    assert (series(whole, "micro_batch"), series(whole, "out_of_memory")) == ([8.0], [0.0])
    assert (series(cut, "micro_batch"), series(cut, "out_of_memory")) == ([2.0], [2.0])
    assert report.memory == "memory ran out in learning: 2 rows at once"
    assert undisturbed.memory == ""


def test_gradients_of_a_failed_attempt_do_not_count(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two micro-batches fails once, when the first has left its gradients."""
    whole = job_in(tmp_path / "whole", policy, updates=1, micro_batch=4)
    train(whole)
    passes: list[int] = []
    original: States = actor_critic.response_states

    def states(lm: LanguageModel, rollout: Rollout, **taps: Any) -> torch.Tensor:
        passes.append(rollout.size)
        if len(passes) == 2:
            raise torch.OutOfMemoryError
        return original(lm, rollout, **taps)

    monkeypatch.setattr(critic, "response_states", states)
    cut = job_in(tmp_path / "cut", policy, updates=1, micro_batch=4)
    train(cut)
    assert passes[:6] == [4, 4, 2, 2, 2, 2]
    assert series(cut, "grad_norm") == pytest.approx(series(whole, "grad_norm"), rel=1e-3)


def test_a_run_that_was_killed_after_it_goes_on_to_the_same_bits(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is short in the first update only: what was halved then is what decides later on."""
    jobs = [job_in(tmp_path / name, policy) for name in ("straight", "killed", "never")]
    straight, killed, never = jobs
    train(never)
    limit_rows(monkeypatch, 3)
    with pytest.raises(Stopped):
        train(straight, stop_after(3))
    with pytest.raises(Stopped):
        train(killed, stop_after(3))
    monkeypatch.undo()
    train(killed)
    limit_rows(monkeypatch, 3)
    train(straight)
    same = [file_sha256(j.output / "model.safetensors") for j in jobs]
    assert same[0] == same[1] != same[2]
    assert read_metrics(killed.output) == read_metrics(straight.output)
    assert series(killed, "micro_batch") == [2.0] * 4


def test_a_row_that_does_not_fit_ends_it_and_leaves_the_checkpoint_whole(
    job: PpoJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        train(job, stop_after(2))
    (before,) = job.work.glob("update-*")
    digest = verify(before)
    tried = limit_rows(monkeypatch, 0)
    with pytest.raises(TrainingError, match="one row at a time"):
        train(job)
    assert tried == [8, 4, 2, 1]
    assert not job.output.exists()
    assert list(job.work.glob("update-*")) == [before]
    assert verify(before) == digest
    monkeypatch.undo()
    assert train(job).updates == 4


def test_sampling_is_cut_too_and_says_the_same(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = (job_in(tmp_path / name, policy, updates=1) for name in ("whole", "cut"))
    train(whole)
    original = rollouts.decode

    def decode(lm: LanguageModel, prompts: Sequence[Sequence[int]], *args: Any, **kw: Any) -> Any:
        if len(prompts) > 3:
            raise torch.OutOfMemoryError
        return original(lm, prompts, *args, **kw)

    monkeypatch.setattr(rollouts, "decode", decode)
    report = train(cut)
    assert report.memory == "memory ran out in sampling: 2 rows at once"
    for name in ("reward", "length", "entropy", "loss", "grad_norm"):
        assert series(cut, name) == pytest.approx(series(whole, name), rel=1e-3, abs=1e-6)


def test_processes_agree_on_the_least() -> None:
    class Two(Processes):
        def gather(self, own: Any) -> Any:
            other = Portions(SETTINGS)
            other.learning.run(fits(2), 8)
            return [own, other.state_dict()]

    here = Portions(SETTINGS)
    here.scoring.run(fits(4), 8)
    here.agree(Two(0, 2))
    assert (here.learning.rows, here.learning.halved) == (2, 2)
    assert (here.scoring.rows, here.scoring.halved) == (4, 1)


def fits(most: int) -> Callable[[int], None]:
    def work(rows: int) -> None:
        if rows > most:
            raise torch.OutOfMemoryError

    return work


@pytest.mark.parametrize("what", ["scoring by the reference", "scoring by the reward model"])
def test_scoring_is_cut_too(job: PpoJob, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if "reward" in what:
        monkeypatch.setattr(Short, "most", 3)
    else:
        limit_rows(monkeypatch, 3, actor_critic)
    report = train(job)
    assert report.memory == f"memory ran out in {what}: 2 rows at once"
    assert series(job, "out_of_memory") == [2.0] * 4
    assert series(job, "kl_reference")[0] == pytest.approx(0.0, abs=1e-4)


def test_memory_that_runs_out_elsewhere_is_told_too(
    job: PpoJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(learning.Epochs, "_apply", step)
    with pytest.raises(TrainingError, match="stepping or checking in update 0"):
        train(job)
