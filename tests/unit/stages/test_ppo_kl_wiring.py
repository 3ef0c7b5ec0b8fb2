"""The KL estimator that the settings name is the one that training pays for, or learns from.

Estimators are written out here by hand (Schulman 2020), of log-ratios of policy to reference; k3 is
held at 10 at most.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rewarded_ppo_jobs import SETTINGS, make_job
from torch import Tensor
from wired_ppo import logits_of

from rlaif.rl import token_kl
from rlaif.stages.ppo import PpoJob, train_ppo
from rlaif.stages.ppo.learning import FIGURES
from rlaif.stages.ppo.rollouts import Rolled
from rlaif.stages.ppo.trainer import PpoTrainer
from rlaif.testing import make_tiny_lm

BETA = 0.3
BY_HAND: dict[str, Callable[[Tensor], Tensor]] = {
    "k1": lambda gap: gap,
    "k2": lambda gap: gap * gap / 2,
    "k3": lambda gap: ((-gap).exp() - 1 + gap).clamp(max=10.0),
}


@pytest.fixture
def job(models: tuple[str, Path], tmp_path: Path) -> PpoJob:
    """A job whose reference is another policy, so that no two estimators agree.

    Padding is no token that is said, or the library would not let its embedding learn.
    """
    policy, reference = (str(make_tiny_lm(tmp_path / str(seed), seed=seed)) for seed in (0, 4))
    return make_job(models, tmp_path).model_copy(update={"policy": policy, "reference": reference})


def changed(job: PpoJob, **changes: object) -> PpoJob:
    return job.model_copy(update={"ppo": SETTINGS.model_copy(update=changes)})


def first_rollout(trainer: PpoTrainer) -> Rolled:
    return trainer._roller.roll(0, BETA, trainer._reference.policy)


@pytest.mark.parametrize("estimator", BY_HAND)
def test_a_rollout_is_charged_beta_times_the_estimator(job: PpoJob, estimator: str) -> None:
    """With gamma and lambda at 1 a first token's return is all that its answer earns and costs."""
    trainer = PpoTrainer(changed(job, kl_estimator=estimator, gamma=1.0, lam=1.0))
    rolled = first_rollout(trainer)
    batch, mask = rolled.batch, rolled.batch.response_mask
    gap = (batch.old_logprobs - batch.ref_logprobs).masked_fill(~mask, 0.0)
    assert float(gap.abs().sum()) > 1
    costs = BETA * BY_HAND[estimator](gap)
    torch.testing.assert_close(
        batch.returns[:, 0], rolled.shaped - costs.sum(1), rtol=1e-4, atol=1e-4
    )
    said = trainer._roller._costs(batch.old_logprobs, batch.ref_logprobs, BETA)
    kl = token_kl(batch.old_logprobs, batch.ref_logprobs, estimator)
    torch.testing.assert_close(said, BETA * kl, rtol=0, atol=0)


@torch.no_grad()
def test_a_rollout_is_charged_the_exact_kl_of_each_tokens_distribution(job: PpoJob) -> None:
    trainer = PpoTrainer(changed(job, kl_estimator="exact", gamma=1.0, lam=1.0))
    rolled = first_rollout(trainer)
    batch, rollout = rolled.batch, rolled.batch.rollout
    models = trainer.learner.policy.model, trainer._reference.policy.model
    costs = []
    for asked, answer in zip(rollout.rows(), batch.response_mask.sum(1).tolist(), strict=True):
        ids = torch.tensor([asked])
        own, other = (m(ids).logits[0, -answer - 1 : -1].log_softmax(-1) for m in models)
        costs.append(float((own.exp() * (own - other)).sum()))
    assert min(costs) > 1
    wanted = rolled.shaped - BETA * torch.tensor(costs)
    torch.testing.assert_close(batch.returns[:, 0], wanted, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="not known"):
        trainer._roller._costs(batch.old_logprobs, batch.ref_logprobs, BETA)


@pytest.mark.parametrize("estimator", BY_HAND)
def test_the_controller_hears_k1_whatever_the_estimator(job: PpoJob, estimator: str) -> None:
    rolled = first_rollout(PpoTrainer(changed(job, kl_estimator=estimator)))
    batch = rolled.batch
    gap = (batch.old_logprobs - batch.ref_logprobs).masked_fill(~batch.response_mask, 0.0)
    torch.testing.assert_close(rolled.kl, gap.sum(1))


@pytest.mark.parametrize(
    ("estimator", "place"),
    [("k2", "loss"), ("k3", "loss"), ("exact", "loss"), ("exact", "reward")],
)
def test_a_loss_learns_from_the_mean_of_the_estimator(
    job: PpoJob, estimator: str, place: str
) -> None:
    """As a cost the exact KL teaches what a token leads to; the place itself is the loss's."""
    trainer = PpoTrainer(changed(job, kl_estimator=estimator, kl_place=place))
    learner, batch = trainer.learner, first_rollout(trainer).batch
    if place == "loss":
        assert not trainer._roller._costs(batch.old_logprobs, batch.ref_logprobs, BETA).any()
    drawn = trainer._epochs._examples.draw(0, 0)
    found = []
    for beta in (0.0, BETA):
        told = trainer._epochs._gradients(batch, drawn, 5, batch.rollout.response_tokens, beta)
        figures = dict(zip((*FIGURES, "ptx_loss"), told.tolist(), strict=True))
        grads = [p.grad.clone() for p in learner.policy.trained if p.grad is not None]
        found.append((figures, grads))
    (without, plain), (with_kl, slopes) = found
    rollout = batch.rollout
    learner.optimizer.zero_grad()
    logits = logits_of(learner.policy, rollout)
    ids = rollout.response_ids.unsqueeze(-1)
    logprobs = logits.log_softmax(-1)
    if estimator == "exact":
        with torch.no_grad():
            other = logits_of(trainer._reference.policy, rollout).log_softmax(-1)
        gap = (logprobs.exp() * (logprobs - other)).sum(-1)
        total = gap[batch.response_mask].mean()
    else:
        gap = logprobs.gather(-1, ids).squeeze(-1) - batch.ref_logprobs
        total = BY_HAND[estimator](gap[batch.response_mask]).mean()
    (BETA * total).backward()
    assert with_kl["kl_loss"] == pytest.approx(float(total.detach()), rel=1e-4)
    assert with_kl["loss"] - without["loss"] == pytest.approx(BETA * with_kl["kl_loss"], rel=1e-3)
    expected = [p.grad for p in learner.policy.trained if p.grad is not None]
    for slope, base, wanted in zip(slopes, plain, expected, strict=True):
        torch.testing.assert_close(slope - base, wanted, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_an_update_tells_the_estimators_mean(job: PpoJob, estimator: str) -> None:
    """Before the only step the policy is the one that sampled: the figure is the rollout's."""
    once = {"epochs": 1, "minibatch": 16, "kl_place": "loss", "kl_estimator": estimator}
    trainer = PpoTrainer(changed(job, **once))
    batch = first_rollout(trainer).batch
    gap = (batch.old_logprobs - batch.ref_logprobs)[batch.response_mask]
    trainer.update()
    (told,) = [m.value for m in trainer.metrics if m.name == "kl_loss"]
    assert told == pytest.approx(float(BY_HAND[estimator](gap).mean()), rel=1e-4)


@pytest.mark.parametrize("control", ["adaptive", "lagrangian"])
def test_the_next_job_goes_on_with_the_controller_that_a_report_carries(
    job: PpoJob, tmp_path: Path, control: str
) -> None:
    settings = {"kl_control": control, "kl_horizon": 40, "updates": 2}
    first = changed(job, **settings)
    report = train_ppo(first)
    assert report.beta != first.beta
    assert report.controller["beta"] == report.beta
    carried = {"beta": report.beta, "controller": report.controller, "work": tmp_path / "next"}
    going_on = PpoTrainer(changed(job, **settings).model_copy(update=carried))
    assert going_on.controller_state == report.controller
    other = {"adaptive": "lagrangian", "lagrangian": "adaptive"}[control]
    anew = PpoTrainer(changed(job, **settings | {"kl_control": other}).model_copy(update=carried))
    assert anew.beta == pytest.approx(report.beta)
