"""An update puts the formulas together as the settings say: each part is found again by hand."""

from pathlib import Path

import pytest
import torch
from wired_ppo import BETA, orders, second_rollout, trainer_at, trainer_of, value_of

from rlaif.models.actor_critic import score_responses
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.stages.ppo.learning import Epochs


def test_advantages_and_returns_are_those_of_the_settings(policy: str, tmp_path: Path) -> None:
    trainer = trainer_of(policy, tmp_path, gamma=0.9, lam=0.6, length_penalty=0.1, length_free=0)
    rolled = second_rollout(trainer)
    batch = rolled.batch
    assert batch.old_values.any()
    costs = 0.1 * batch.rollout.response_lengths.float()
    torch.testing.assert_close(rolled.shaped, rolled.scores - costs)
    raw, returns = [], []
    for row in range(batch.size):
        length = int(batch.response_mask[row].sum())
        values = [*batch.old_values[row, :length].tolist(), 0.0]
        gaps = (batch.old_logprobs - batch.ref_logprobs)[row, :length].tolist()
        rewards = [-BETA * gap for gap in gaps]
        rewards[-1] += float(rolled.shaped[row])
        following = 0.0
        found = []
        for t in reversed(range(length)):
            following = rewards[t] + 0.9 * values[t + 1] - values[t] + 0.9 * 0.6 * following
            found.append(following)
        raw += found[::-1]
        returns += [a + v for a, v in zip(found[::-1], values, strict=False)]
    advantages = torch.tensor(raw)
    mask = batch.response_mask
    torch.testing.assert_close(batch.returns[mask], torch.tensor(returns))
    white = (advantages - advantages.mean()) / advantages.std(correction=0)
    torch.testing.assert_close(batch.advantages[mask], white, rtol=1e-4, atol=1e-4)
    assert rolled.spread == pytest.approx(float(advantages.std(correction=0)), rel=1e-3)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_log_probs_are_those_of_the_policy_that_sampled_and_of_the_reference(
    policy: str, tmp_path: Path, temperature: float
) -> None:
    trainer = trainer_at(temperature, policy, tmp_path)
    batch = second_rollout(trainer).batch
    mask = batch.response_mask
    models = trainer.learner.policy, trainer._reference.policy
    for model, kept in zip(models, (batch.old_logprobs, batch.ref_logprobs), strict=True):
        said = score_responses(model, batch.rollout, temperature).logprobs
        torch.testing.assert_close(kept[mask], said[mask], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_after_a_step_everyone_computes_with_the_moved_weights(
    policy: str, tmp_path: Path, critic: str
) -> None:
    trainer = trainer_of(policy, tmp_path, critic=critic, precision="bfloat16")
    rollout = second_rollout(trainer).batch.rollout
    trainer.update()
    learner = trainer.learner
    found = learner.critic.read(rollout)
    for model in (learner.policy, learner.critic.own or learner.policy):
        model.weights_may_have_moved()
    for seen, expected in zip(found, learner.critic.read(rollout), strict=True):
        torch.testing.assert_close(seen, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("cap", "scaling"), [("off", "running"), (0.4, "none"), (0.4, "running")])
def test_scores_are_scaled_by_all_seen_then_clipped(
    policy: str, tmp_path: Path, cap: float | str, scaling: str
) -> None:
    trainer = trainer_of(policy, tmp_path, reward_clip=cap, reward_scaling=scaling)
    first = trainer._roller.roll(0, 0.0, trainer.learner.policy).scores
    last = second_rollout(trainer)
    seen = torch.cat([first, first, last.scores])  # the update rolled the first one again
    scale = seen.std(correction=0) if scaling == "running" else torch.ones(())
    limit = torch.inf if cap == "off" else float(cap)
    torch.testing.assert_close(last.shaped, (last.scores / scale).clamp(-limit, limit))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_average_follows_the_policy_by_its_decay(
    policy: str, tmp_path: Path, precision: str
) -> None:
    changes = {"ema_decay": 0.75, "precision": precision}
    trainer = trainer_of(policy, tmp_path, reference="ema", **changes)
    before = [p.detach().clone() for p in trainer._reference.policy.own]
    trainer.update()
    now = trainer._reference.policy.own
    for old, average, parameter in zip(before, now, trainer.learner.policy.own, strict=True):
        torch.testing.assert_close(average, 0.75 * old + 0.25 * parameter)
    assert any(not torch.equal(old, average) for old, average in zip(before, now, strict=True))


def test_a_controller_is_told_nats_per_sequence(policy: str, tmp_path: Path) -> None:
    measured = trainer_of(policy, tmp_path / "fixed", learning_rate=1e-2)
    for _ in range(2):
        measured.update()
    target = value_of(measured, "kl_reference") / 1.1
    changes = {"kl_control": "adaptive", "kl_target": target, "kl_horizon": 20}
    trainer = trainer_of(policy, tmp_path, learning_rate=1e-2, **changes)
    betas, errors = [trainer.beta], []
    for _ in range(2):
        trainer.update()
        betas.append(trainer.beta)
        errors.append(value_of(trainer, "kl_reference") / target - 1)
    assert betas[1] == pytest.approx(betas[0] * (1 - 0.2 * 8 / 20))  # as far as one step may go
    assert abs(errors[1]) < 0.2
    assert betas[2] == pytest.approx(betas[1] * (1 + errors[1] * 8 / 20))


@pytest.mark.parametrize(("at_most", "expected"), [(1e9, 1.0), (1e-3, 1e-3)])
def test_gradients_are_clipped_together(
    policy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_most: float,
    expected: float,
) -> None:
    trainer = trainer_of(policy, tmp_path, max_grad_norm=at_most)
    seen: list[tuple[float, float]] = []
    apply = Epochs._apply

    def watched(self: Epochs, figures: dict[str, float], update: int) -> float:
        parameters = trainer.learner.parameters
        norms = [p.grad.norm() for p in parameters if p.grad is not None]
        seen.append((float(torch.stack(norms).norm()), figures["grad_norm"]))
        return apply(self, figures, update)

    monkeypatch.setattr(Epochs, "_apply", watched)
    trainer.update()
    for left, told in seen:
        assert left == pytest.approx(expected if expected < 1 else told, rel=1e-3)


def test_minibatches_are_shuffled_anew_in_each_epoch(policy: str, tmp_path: Path) -> None:
    trainer = trainer_of(policy, tmp_path, epochs=3)
    batch = second_rollout(trainer).batch
    rows = orders(trainer, batch, 0)
    epochs = [rows[start : start + 8] for start in (0, 8, 16)]
    assert all(sorted(epoch) == list(range(8)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, list(range(8))]}) == 4


def test_rates_fall_to_nothing_and_halve_with_each_spike(policy: str, tmp_path: Path) -> None:
    learner = trainer_of(policy, tmp_path, critic="shared").learner
    rates = []
    for done, spikes in ((0, 0), (1, 0), (2, 0), (3, 0), (1, 2)):
        learner.set_rates(done, spikes)
        rates.append([group["lr"] for group in learner.optimizer.param_groups])
    policys, critics = zip(*rates, strict=True)
    assert policys == pytest.approx([2e-3, 1.5e-3, 1e-3, 5e-4, 3.75e-4])
    assert critics == pytest.approx([6e-3, 4.5e-3, 3e-3, 1.5e-3, 1.125e-3])


@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_the_warm_up_trains_the_whole_critic_and_it_alone(
    policy: str, tmp_path: Path, critic: str
) -> None:
    trainer = trainer_of(policy, tmp_path, critic=critic, critic_warmup=1)
    groups = [group["params"] for group in trainer.learner.optimizer.param_groups]
    before = [[p.detach().clone() for p in group] for group in groups]
    trainer.update()
    same = [list(map(torch.equal, *pair)) for pair in zip(groups, before, strict=True)]
    assert all(same[0])
    assert not any(same[1])


@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_the_value_loss_has_its_weight(policy: str, tmp_path: Path, critic: str) -> None:
    slopes = []
    for weight in (0.2, 0.6):
        trainer = trainer_of(policy, tmp_path, critic=critic, value_coefficient=weight)
        batch = trainer._roller.roll(0, 0.0, trainer.learner.policy).batch
        drawn = trainer._epochs._examples.draw(0, 0)
        count = batch.rollout.response_tokens
        trainer._epochs._gradients(batch, drawn, batch.size, count, 0.0)
        slope = trainer.learner.critic.head.weight.grad
        assert slope is not None
        slopes.append(slope)
    assert slopes[0].any()
    torch.testing.assert_close(slopes[1], 3 * slopes[0])


@pytest.mark.parametrize("critic", ["shared", "branch", "separate"])
def test_every_weight_that_is_trained_moves(policy: str, tmp_path: Path, critic: str) -> None:
    trainer = trainer_of(policy, tmp_path, critic=critic)
    learner = trainer.learner
    trained = list(learner.policy.trained) + list(learner.critic.head.parameters())
    if learner.critic.own is not None:
        body = learner.critic.own.model.base_model
        trained += [p for p in body.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    trainer.update()
    trainer.update()
    still = [p.shape for p, old in zip(trained, before, strict=True) if torch.equal(p, old)]
    assert not still


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_ptx_is_the_mean_over_tokens_of_minus_the_log_probs_at_the_temperature(
    policy: str, tmp_path: Path, temperature: float
) -> None:
    trainer = trainer_at(temperature, policy, tmp_path, ptx_coefficient=0.4)
    model, examples = trainer.learner.policy.model, trainer._epochs._examples
    drawn = examples.draw(1, 7)
    lm = trainer.learner.policy
    given = [
        (encode_conversation(lm, e.messages), encode_answer(lm, e.text, e.ended))
        for e in trainer._job.examples
    ]
    assert len({e.ended for e in trainer._job.examples}) == 2
    assert all(given.count(row) for row in drawn.rows)
    assert all(row in drawn.rows for row in given)
    assert drawn.tokens == sum(len(answer) for _, answer in drawn.rows)
    told = examples.backward(drawn, 2)
    found = [p.grad.clone() for p in trainer.learner.policy.trained if p.grad is not None]
    model.zero_grad()
    total = torch.zeros(())
    for query, answer in drawn.rows:
        logits = model(torch.tensor([query + answer])).logits[0, len(query) - 1 : -1]
        total -= (logits / temperature).log_softmax(-1)[range(len(answer)), answer].sum()
    loss = total / drawn.tokens
    (0.4 * loss).backward()
    expected = [p.grad for p in trainer.learner.policy.trained if p.grad is not None]
    assert float(told) == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_each_step_has_examples_of_its_own_that_the_updates_number_alone_decides(
    policy: str, tmp_path: Path
) -> None:
    trainer = trainer_of(policy, tmp_path, ptx_coefficient=0.4)
    examples = trainer._epochs._examples

    def drawn(update: int) -> list[tuple[str, ...]]:
        examples.restart()
        return [tuple(map(str, examples.draw(update, 16).rows)) for _ in range(3)]

    first, second = drawn(0), drawn(1)
    assert len({*first, *second}) == 6
    assert drawn(0) == first
