"""Each of PPO's settings reaches the place where it counts: what it changes is found by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from job_tools import Stopped, series, stop_after
from ppo_jobs import job_in
from torch import Tensor
from wired_ppo import BETA, Rule, logits_of, orders, second_rollout, trainer_of, value_of, with_job

from rlaif.config import GenerationConfig, PpoConfig
from rlaif.errors import ModelError
from rlaif.models.portions import Portion
from rlaif.models.scoring import Answer
from rlaif.rl import Batch, LagrangianKL
from rlaif.stages.ppo import Example, train_ppo
from rlaif.stages.ppo.__main__ import main
from rlaif.stages.ppo.learning import FIGURES, Epochs
from rlaif.stages.ppo.portions import Portions
from rlaif.stages.ppo.trainer import PpoTrainer

DEFAULTS = {"clip": 0.2, "dual_clip": None, "entropy_coefficient": 0.0, "value_clip": 0.2}


class Listening(Rule):
    """A rule that keeps what it was told of endings."""

    def __init__(self) -> None:
        self.ended: list[bool] = []

    def score(self, answers: Sequence[Answer]) -> Tensor:
        self.ended += [ended for _, _, ended in answers]
        return super().score(answers)


def loss_by_hand(trainer: PpoTrainer, batch: Batch, settings: dict[str, float | None]) -> float:
    """PPO's loss with half of the value loss, token by token of the library's own logits."""
    rollout, mask = batch.rollout, batch.response_mask
    with torch.no_grad():
        _, values = trainer.learner.critic.read(rollout)
        whole = logits_of(trainer.learner.policy, rollout)
    said = whole.log_softmax(-1)
    logprobs = said.gather(-1, rollout.response_ids.unsqueeze(-1)).squeeze(-1)[mask]
    entropy = -(said.exp() * said).sum(-1)[mask]
    ratios = (logprobs - batch.old_logprobs[mask]).exp().tolist()
    clip, dual, eps = settings["clip"], settings["dual_clip"], settings["value_clip"]
    total = 0.0
    for ratio, advantage, value, old, wanted in zip(
        ratios,
        batch.advantages[mask].tolist(),
        values.tolist(),
        batch.old_values[mask].tolist(),
        batch.returns[mask].tolist(),
        strict=True,
    ):
        gain = min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
        if dual is not None and advantage < 0:
            gain = max(gain, dual * advantage)
        near = min(max(value, old - eps), old + eps)
        total += -gain + 0.5 * 0.5 * max((value - wanted) ** 2, (near - wanted) ** 2)
    bonus = settings["entropy_coefficient"] * float(entropy.sum())
    return (total - bonus) / len(ratios)


@pytest.mark.parametrize(
    "changes",
    [{}, {"clip": 0.01}, {"dual_clip": 1.1}, {"entropy_coefficient": 0.3}, {"value_clip": 0.01}],
    ids=lambda changes: next(iter(changes), "none"),
)
def test_the_loss_is_that_of_the_settings(
    policy: str, tmp_path: Path, changes: dict[str, float]
) -> None:
    trainer = trainer_of(policy, tmp_path, critic="shared", value_coefficient=0.5, **changes)
    learner, batch = trainer.learner, second_rollout(trainer).batch
    with torch.no_grad():
        for parameter in learner.parameters:
            parameter.mul_(1.3)
    learner.policy.weights_may_have_moved()
    drawn = trainer._epochs._examples.draw(1, 0)
    told = trainer._epochs._gradients(batch, drawn, 3, batch.rollout.response_tokens, 0.0)
    loss = dict(zip((*FIGURES, "ptx_loss"), told.tolist(), strict=True))["loss"]
    usual = loss_by_hand(trainer, batch, DEFAULTS)
    assert loss == pytest.approx(loss_by_hand(trainer, batch, {**DEFAULTS, **changes}), rel=1e-4)
    assert not changes or abs(loss - usual) > 1e-3 * abs(usual)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, "No such file"),
        ({"policy": None}, "policy"),
        ({"ppo": {"minibatch": 3}}, "ppo.minibatch = 3 does not divide"),
        ({"ppo": {"kl_control": "lagrangian"}, "beta": 2e3}, "ppo.kl_beta = 2000.0 lies outside"),
        ({"beta": -1.0}, "beta = -1.0, expected: a number above 0"),
        ({"controller": {"beta": 0.0}}, "controller.beta = 0.0"),
        ({"conversations": []}, "conversations"),
        ({"device": "tpu"}, "'cuda'"),
    ],
    ids=str,
)
def test_a_job_that_cannot_be_is_refused_as_a_command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any] | None,
    said: str,
) -> None:
    path = tmp_path / "job.json"
    if changes is not None:
        job = job_in(tmp_path, "a policy").model_dump(mode="json")
        ppo = {**job["ppo"], **changes.get("ppo", {})}
        path.write_text(json.dumps({**job, **changes, "ppo": ppo}), encoding="utf-8")
    assert main(str(path)) == 78
    seen = capsys.readouterr().err
    assert str(path) in seen
    assert "to do: " in seen
    assert said in seen


@pytest.mark.parametrize("name", ["policy", "reference"])
def test_a_model_that_is_not_there_is_named(policy: str, tmp_path: Path, name: str) -> None:
    job = job_in(tmp_path, policy).model_copy(update={name: str(tmp_path / "nowhere")})
    with pytest.raises(ModelError, match=r"there is no folder .*nowhere"):
        PpoTrainer(job, Rule())


def test_what_saves_memory_may_change_between_two_checkpoints(policy: str, tmp_path: Path) -> None:
    job = job_in(tmp_path, policy)
    with pytest.raises(Stopped):
        train_ppo(job, stop_after(2), Rule())
    saving = job.ppo.model_copy(update={"micro_batch": 2, "gradient_checkpointing": True})
    done: list[int] = []
    train_ppo(job.model_copy(update={"ppo": saving}), lambda update, _: done.append(update), Rule())
    assert done == [3, 4]
    assert series(job, "micro_batch") == [8, 8, 2, 2]


def test_figures_are_means_over_the_steps(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(policy, tmp_path, epochs=3)
    batch = second_rollout(trainer).batch
    losses = iter([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    monkeypatch.setattr(Epochs, "_step", lambda *_: {"approx_kl": 0.0, "loss": next(losses)})
    assert trainer._epochs.run(batch, 1, 0.0) == {
        "approx_kl": 0.0,
        "loss": 4.0,
        "optimizer_steps": 6.0,
    }


@pytest.mark.parametrize(("limit", "steps"), [(0.1, 3), (0.09, 1), ("off", 6)])
def test_inner_epochs_stop_at_the_step_beyond_one_and_a_half_times_the_limit(
    policy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: float | str,
    steps: int,
) -> None:
    trainer = trainer_of(policy, tmp_path, epochs=3, kl_early_stop=limit)
    batch = second_rollout(trainer).batch
    seen = iter([0.14, 0.149, 0.151, 0.2, 9.0, 9.9])
    monkeypatch.setattr(Epochs, "_step", lambda *_: {"approx_kl": next(seen)})
    assert trainer._epochs.run(batch, 1, 0.0)["optimizer_steps"] == steps


def test_each_pass_and_each_update_has_an_order_of_its_own(policy: str, tmp_path: Path) -> None:
    trainer = trainer_of(policy, tmp_path)
    batch = second_rollout(trainer).batch
    shuffles = [tuple(orders(trainer, batch, update)) for update in range(3)]
    assert len(set(shuffles)) == 3
    passes = [tuple(trainer._roller.draw(update)) for update in range(3)]
    assert all(sorted(one) == list(range(8)) for one in passes)
    assert len(set(passes)) == 3


def test_each_update_samples_by_random_numbers_of_its_own(policy: str, tmp_path: Path) -> None:
    trainer = trainer_of(policy, tmp_path)
    rows = [0, 1, 2, 3]
    first, second, again = (trainer._roller._sample(update, rows) for update in (0, 1, 0))
    assert all(one.token_ids != other.token_ids for one, other in zip(first, second, strict=True))
    assert [a.token_ids for a in first] == [a.token_ids for a in again]


def test_memory_that_ran_out_in_two_kinds_of_work_counts_twice() -> None:
    portions = Portions(PpoConfig())
    portions.learning.halved, portions.rewards.halved = 1, 2
    assert portions.figures["out_of_memory"] == 3.0


def test_the_spread_and_the_endings_are_those_of_real_tokens(policy: str, tmp_path: Path) -> None:
    listening = Listening()
    trainer = trainer_of(policy, tmp_path, listening, rollout_batch=32)
    with_job(trainer, generation=GenerationConfig(max_tokens=60))
    rolled = trainer._roller.roll(0, BETA, trainer._reference.policy)
    batch, mask = rolled.batch, rolled.batch.response_mask
    assert 0 < sum(listening.ended) < 32
    assert rolled.ended == sum(listening.ended) / 32
    assert [length < 60 for length in mask.sum(1).tolist()] == [
        ended and length < 60
        for ended, length in zip(listening.ended, mask.sum(1).tolist(), strict=True)
    ]
    raw = batch.returns - batch.old_values
    assert rolled.spread == pytest.approx(float(raw[mask].std(correction=0)), rel=1e-3)


def test_the_critic_values_rows_alike_however_many_at_once(policy: str, tmp_path: Path) -> None:
    trainer = trainer_of(policy, tmp_path, critic="branch")
    trainer.update()
    rows = trainer._roller.draw(1)
    answers = trainer._roller._sample(1, rows)
    rollout = trainer._roller._rollout(rows, answers)
    streams = [answer.stream for answer in answers]
    critic = trainer.learner.critic
    whole = critic.look(rollout, streams)
    cut = critic.look(rollout, streams, Portion("valuing", 3))
    assert any(abs(value) > 1e-3 for row in whole for value in row)
    for one, other in zip(whole, cut, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_the_optimiser_is_that_of_the_settings(policy: str, tmp_path: Path) -> None:
    """No decay, which would pull to 0 and not to the reference; epsilon as in Stiennon 2020."""
    trainer = trainer_of(policy, tmp_path, value_learning_rate=7e-4)
    trainer.learner.set_rates(1, 0)
    groups = trainer.learner.optimizer.param_groups
    assert [group["lr"] for group in groups] == pytest.approx([1.5e-3, 5.25e-4])
    assert {(group["weight_decay"], group["eps"]) for group in groups} == {(0.0, 1e-5)}


def test_an_adapter_has_the_alpha_and_rank_of_the_settings(policy: str, tmp_path: Path) -> None:
    trainer = trainer_of(policy, tmp_path, lora_rank=2, lora_alpha=5.0)
    (tmp_path / "adapter").mkdir()
    trainer.learner.save_policy(tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"]) == (2, 5.0)


def test_a_lagrangian_controller_has_the_target_and_horizon_of_the_settings(
    policy: str, tmp_path: Path
) -> None:
    changes = {"kl_control": "lagrangian", "kl_target": 0.01, "kl_horizon": 77}
    trainer = trainer_of(policy, tmp_path, learning_rate=1e-2, **changes)
    by_hand = LagrangianKL(BETA, 0.01, 77.0)
    for _ in range(2):
        trainer.update()
        by_hand.update(value_of(trainer, "kl_reference"), 8)
    assert trainer.beta == pytest.approx(by_hand.beta)
    assert trainer.beta != BETA


@pytest.mark.parametrize("reference", ["incumbent", "ema"])
def test_the_loss_is_anchored_to_the_reference_that_follows(
    policy: str, tmp_path: Path, reference: str
) -> None:
    exact = {"kl_estimator": "exact", "kl_place": "loss"}
    trainer = trainer_of(policy, tmp_path, reference=reference, ema_decay=0.5, **exact)
    trainer.update()
    batch = trainer._roller.roll(1, BETA, trainer._reference.policy).batch
    anchor = trainer._epochs._anchor(batch.rollout)
    assert anchor is not None
    said = (anchor.states @ anchor.head.T).log_softmax(-1)
    tokens = batch.rollout.response_ids[batch.response_mask].unsqueeze(-1)
    expected = batch.ref_logprobs[batch.response_mask]
    torch.testing.assert_close(said.gather(-1, tokens).squeeze(-1), expected, rtol=1e-4, atol=1e-4)


def test_a_checkpoint_is_of_another_job_where_anything_differs_that_shapes_it(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name, encoding="utf-8")
    job = job_in(tmp_path, "a policy").model_copy(update={"reward_model": tmp_path / "one"})
    other = {
        "beta": 0.02,
        "controller": {"beta": 0.02},
        "reward_model": tmp_path / "two",
        "seed": 12,
        "missing_eos_score": -1.0,
        "conversations": job.conversations[1:],
        "examples": (),
        "generation": GenerationConfig(max_tokens=9),
        "ppo": job.ppo.model_copy(update={"clip": 0.3}),
    }
    own = job.fingerprint("p", "r")
    assert own not in {job.fingerprint("q", "r"), job.fingerprint("p", "q")}
    for name, value in other.items():
        assert job.model_copy(update={name: value}).fingerprint("p", "r") != own, name
    moved = {"output": tmp_path / "o", "work": tmp_path / "w", "policy": "copied elsewhere"}
    assert job.model_copy(update=moved).fingerprint("p", "r") == own
    for saving in ({"micro_batch": 2}, {"gradient_checkpointing": True}, {"checkpoint_updates": 9}):
        changed = job.model_copy(update={"ppo": job.ppo.model_copy(update=saving)})
        assert changed.fingerprint("p", "r") == own, saving


def test_examples_that_their_text_makes_too_long_are_cut(policy: str, tmp_path: Path) -> None:
    job = job_in(tmp_path, policy, ptx_coefficient=0.1)
    long = Example(messages=job.conversations[0], text="So it was. " * 200, ended=True)
    trainer = PpoTrainer(job.model_copy(update={"examples": (long,)}), Rule())
    ((asked, answer),) = trainer._epochs._examples._rows
    assert len(asked) + len(answer) == trainer.learner.policy.context
    trainer.update()
    assert value_of(trainer, "ptx_loss") > 0
