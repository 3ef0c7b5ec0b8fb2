"""What PPO does when it is thrown off: it goes back to a good checkpoint, and says so."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from job_tools import Stopped, series, stop_after
from ppo_jobs import SETTINGS, Short, job_in

from rlaif.artifacts import file_sha256, verify
from rlaif.errors import TrainingError
from rlaif.models.decoding import Decoded, NonFiniteLogitsError
from rlaif.models.loading import load_language_model
from rlaif.records import PolicyReport
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.ppo.faults import SpikeError
from rlaif.stages.ppo.learning import PROBED_TOKENS, Epochs
from rlaif.stages.ppo.rollouts import Roller
from rlaif.stages.ppo.trainer import PpoTrainer
from rlaif.testing import make_tiny_lm

WILD = {"learning_rate": 0.3, "spike_kl": 0.5, "kl_early_stop": "off", "updates": 6}


@pytest.fixture
def job(policy: str, tmp_path: Path) -> PpoJob:
    return job_in(tmp_path, policy, updates=6)


def train(job: PpoJob) -> PolicyReport:
    return train_ppo(job, scorer=Short())


def poison(monkeypatch: pytest.MonkeyPatch, at: int | None) -> None:
    """Let the loss of an update, or of every one, be NaN."""
    original = Epochs._apply

    def poisoned(self: Epochs, figures: dict[str, float], update: int) -> None:
        bad = update == at or at is None
        original(self, figures | {"loss": float("nan")} if bad else figures, update)

    monkeypatch.setattr(Epochs, "_apply", poisoned)


def throw(monkeypatch: pytest.MonkeyPatch, at: int, times: int) -> list[float]:
    """Let an update move the policy far off, some times; return the rates at which it was made."""
    rates: list[float] = []
    original = PpoTrainer.update

    def thrown(self: PpoTrainer) -> None:
        here, own = self.done == at, self.learner._rates
        factor = 1e4 if here and len(rates) < times else 1.0
        self.learner._rates = (own[0] * factor, own[1])
        try:
            original(self)
        finally:
            if here:
                rates.append(self.learner.optimizer.param_groups[0]["lr"] / factor)
            self.learner._rates = own

    monkeypatch.setattr(PpoTrainer, "update", thrown)
    return rates


def test_a_loss_that_is_not_finite_ends_at_the_last_good_checkpoint(
    job: PpoJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 3)
    report = train(job)
    assert report.updates == 2
    assert "after update 2" in report.stopped
    assert len(series(job, "reward")) == 2
    verify(job.output)


def test_without_any_good_checkpoint_training_fails_and_says_so(
    job: PpoJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, None)
    with pytest.raises(TrainingError, match="update 0"):
        train(job)
    assert not job.output.exists()


@pytest.mark.parametrize("rate", [1e18, 1e25])
def test_weights_that_break_without_a_nan_loss_are_no_challenger(
    policy: str, tmp_path: Path, rate: float
) -> None:
    broken = job_in(tmp_path, policy, learning_rate=rate, epochs=1, checkpoint_updates=1)
    with pytest.raises(TrainingError):
        train(broken)
    assert not list(broken.work.glob("update-*"))


@pytest.mark.parametrize("epochs", [1, 2], ids=["in the last step", "before the last step"])
def test_a_policy_thrown_far_off_goes_back_and_on_at_half_the_rate(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    job = job_in(tmp_path, policy, updates=6, epochs=epochs)
    rates = throw(monkeypatch, at=3, times=1)
    report = train(job)
    assert report.updates == 6
    assert "once thrown far off" in report.stopped
    assert series(job, "spikes") == [0.0] * 2 + [1.0] * 4
    assert rates[1] == pytest.approx(rates[0] / 2)
    assert max(series(job, "kl_moved")) <= SETTINGS.spike_kl


def test_a_kill_after_a_spike_changes_nothing(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = (job_in(tmp_path / n, policy, updates=6) for n in ("straight", "killed"))
    with monkeypatch.context() as patched:
        throw(patched, at=3, times=1)
        train(straight)
    for update in (4, 5):
        with monkeypatch.context() as patched:
            throw(patched, at=3, times=1)
            with pytest.raises(Stopped):
                train_ppo(killed, stop_after(update), scorer=Short())
    train(killed)
    weights = "model.safetensors"
    assert file_sha256(killed.output / weights) == file_sha256(straight.output / weights)


def test_the_third_spike_ends_training_at_the_last_checkpoint(
    job: PpoJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    throw(monkeypatch, at=3, times=3)
    report = train(job)
    assert report.updates == 2
    assert "ppo.spike_kl = 1;" in report.stopped
    assert "after update 2; 2 times thrown far off" in report.stopped
    loaded = load_language_model(str(job.output), torch.device("cpu"))
    assert all(bool(p.isfinite().all()) for p in loaded.model.parameters())


def test_a_rate_that_throws_it_off_from_the_start_is_refused(policy: str, tmp_path: Path) -> None:
    wild = job_in(tmp_path, policy, learning_rate=10.0)
    with pytest.raises(TrainingError, match="spike_kl"):
        train(wild)
    assert not wild.output.exists()


def test_a_ceiling_ends_training_at_the_last_checkpoint_below_it(
    policy: str, tmp_path: Path
) -> None:
    low = job_in(tmp_path, policy, updates=12, kl_ceiling=0.5, checkpoint_updates=1)
    report = train(low)
    assert "ppo.kl_ceiling = 0.5" in report.stopped
    assert 0 < report.updates < 12
    assert all(kl <= 0.5 for kl in series(low, "kl_reference"))
    assert 0 < report.kl_reference <= 0.5


def test_a_ceiling_holds_for_the_policy_after_the_last_update(policy: str, tmp_path: Path) -> None:
    free = train(job_in(tmp_path / "free", policy, updates=1, kl_ceiling=1e9))
    assert free.kl_reference > 0.01
    held = train(job_in(tmp_path / "held", policy, updates=1, kl_ceiling=0.01))
    assert held.updates == 0
    assert f"KL to the reference was {free.kl_reference:.3g} nats" in held.stopped
    assert "no update was kept" in held.stopped
    assert held.kl_reference == pytest.approx(0.0, abs=1e-4)


def test_a_ceiling_holds_for_the_checkpoint_that_a_fault_leaves(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, 1)
    job = job_in(tmp_path, policy, checkpoint_updates=1, kl_ceiling=0.01)
    report = train(job)
    assert report.updates == 0
    assert report.stopped.startswith("loss nan")
    assert "ppo.kl_ceiling = 0.01" in report.stopped
    assert report.kl_reference == pytest.approx(0.0, abs=1e-4)
    assert report.reward_first is None


def test_a_checkpoint_whose_policy_turns_out_broken_is_not_handed_over(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Roller._sample

    def broken(self: Roller, update: int, own: list[int]) -> list[Decoded]:
        if update == 4:
            raise NonFiniteLogitsError("logits that are not finite", "finite ones", "roll back")
        return original(self, update, own)

    monkeypatch.setattr(Roller, "_sample", broken)
    report = train(job_in(tmp_path, policy, updates=6))
    assert report.updates == 2
    assert "after update 2" in report.stopped


def test_few_tokens_that_moved_far_are_no_spike_where_the_rest_did_not(
    policy: str, tmp_path: Path
) -> None:
    trainer = PpoTrainer(job_in(tmp_path, policy, rollout_batch=64), Short())
    batch = trainer._roller.roll(0, 0.0, trainer.learner.policy).batch
    lengths = batch.rollout.response_lengths
    probed = int((lengths.sort(descending=True).values.cumsum(0) < PROBED_TOKENS).sum()) + 1
    assert 1 < probed < len(lengths) // 2
    longest = lengths.argsort(stable=True, descending=True)[:probed]
    old = batch.old_logprobs.clone()
    old[longest] -= 1.2 * batch.response_mask[longest]
    shifted = dataclasses.replace(batch, old_logprobs=old)
    moved = trainer._epochs.moved(shifted)
    near, far = 0.0, math.exp(1.2) - 1 - 1.2
    share = float(lengths[longest].sum() / lengths.sum())
    assert moved == pytest.approx(share * far + (1 - share) * near, rel=1e-3)
    old -= 1.2 * batch.response_mask
    with pytest.raises(SpikeError):
        trainer._epochs.moved(shifted)


def test_what_a_ceiling_measures_at_the_end_is_what_the_next_update_would(
    policy: str, tmp_path: Path
) -> None:
    last = train(job_in(tmp_path / "one", policy, updates=1, kl_ceiling=1e9))
    trainer = PpoTrainer(job_in(tmp_path / "two", policy, updates=1, kl_ceiling=1e9), Short())
    trainer.update()
    rolled = trainer._roller.roll(1, 0.0, trainer._reference.policy)
    assert last.kl_reference == pytest.approx(float(rolled.kl.mean()), rel=1e-5)


def test_an_incumbent_beyond_the_ceiling_is_reported_with_its_own_kl(
    policy: str, tmp_path: Path
) -> None:
    far = str(make_tiny_lm(tmp_path / "far", seed=9))
    job = job_in(tmp_path, policy, kl_ceiling=0.5).model_copy(update={"reference": far})
    report = train(job)
    assert report.updates == 0
    assert report.kl_reference > 0.5
    assert "no update was kept" in report.stopped


@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_a_policy_at_rest_neither_moves_nor_gathers(
    policy: str, tmp_path: Path, critic: str
) -> None:
    job = job_in(tmp_path, policy, critic=critic, critic_warmup=1, kl_control="adaptive")
    trainer = PpoTrainer(job, Short())
    before = [p.clone() for p in trainer.learner.policy.trained]
    head = trainer.learner.critic.head.weight.clone()
    trainer.update()
    assert all(map(torch.equal, before, trainer.learner.policy.trained))
    assert not torch.equal(head, trainer.learner.critic.head.weight)
    moments = trainer.learner.optimizer.state
    assert not any(moments.get(p) for p in trainer.learner.policy.trained)
    assert trainer.beta == job.beta
    trainer.update()
    assert not all(map(torch.equal, before, trainer.learner.policy.trained))
    assert trainer.beta != job.beta


def test_two_checkpoints_are_kept(policy: str, tmp_path: Path) -> None:
    job = job_in(tmp_path, policy, updates=5, checkpoint_updates=1)
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(4), scorer=Short())
    assert [f.name for f in sorted(job.work.glob("update-*"))] == ["update-00003", "update-00004"]
