"""DPO, RLOO, GRPO and best-of-n on a tiny model: what they learn, and what from."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from job_tools import series, user
from optimiser_jobs import CONVERSATIONS, CPU, METHODS, PAIRS, SAMPLED, Maker, with_settings
from transformers import GPT2Config, GPT2LMHeadModel

from rlaif.artifacts import verify
from rlaif.config import GenerationConfig
from rlaif.errors import ModelError, StageError
from rlaif.models.actor_critic import score_responses
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.models.loading import load_language_model
from rlaif.models.reward import RewardModel
from rlaif.models.scoring import RewardScorer
from rlaif.rl import Rollout
from rlaif.seeds import torch_generator
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import OptimiserJob, PolicyPair, train_challenger
from rlaif.stages.optimisers.policy_trainer import prepare
from rlaif.stages.trl_checkpoints import CheckpointedTrainer
from rlaif.testing import make_tiny_lm


def mean_reward(job: OptimiserJob, policy: str) -> float:
    """The mean reward of fresh answers to the job's prompts, eight each."""
    lm = load_language_model(policy, CPU)
    asked = [c for c in job.conversations for _ in range(8)]
    generation = job.generation
    answers = decode(
        lm,
        [encode_conversation(lm, c) for c in asked],
        DecodeSettings(generation.max_tokens, generation.temperature),
        torch_generator(5),
    )
    scored = [(c, a.text, a.ended) for c, a in zip(asked, answers, strict=True)]
    return float(RewardScorer.load(job.reward_model, lm).score(scored).mean())


def logprob(policy: str, pair: PolicyPair, text: str, ended: bool) -> float:
    lm = load_language_model(policy, CPU)
    query, answer = encode_conversation(lm, pair.prompt), encode_answer(lm, text, ended)
    rollout = Rollout.from_lists([query], [answer], lm.pad_id)
    with torch.no_grad():
        return float(score_responses(lm, rollout, 1.0).logprobs.sum())


def margin(job: OptimiserJob, policy: str, pair: PolicyPair) -> float:
    """How much more the policy than the reference likes the first answer over the second."""
    gaps = [
        logprob(of, pair, pair.first, True) - logprob(of, pair, pair.second, True)
        for of in (policy, job.reference)
    ]
    return gaps[0] - gaps[1]


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_the_reward_rises_and_every_update_is_measured(make_job: Maker, method: str) -> None:
    short = make_job(method, generation=GenerationConfig(max_tokens=1))
    job = with_settings(short, updates=20, rollout_batch=32, learning_rate=6e-3)
    report = train_challenger(job)
    rewards = series(job, "reward")
    assert sum(rewards[-4:]) / 4 > sum(rewards[:4]) / 4 + 0.5
    assert report.updates == len(rewards) == 20
    assert report.samples == 20 * 32
    assert report.kl_reference == pytest.approx(sum(series(job, "kl_reference")[-5:]) / 5)
    assert (report.reward_first, report.reward_last) == (rewards[0], rewards[-1])
    assert report.beta == series(job, "beta")[0] == 0.01
    assert verify(job.output) == report.artifact.digest
    wanted = {"kl_reference", "beta", "entropy", "clip_fraction", "length", "ended", "grad_norm"}
    assert wanted <= {m.name for m in read_metrics(job.output)}
    assert mean_reward(job, str(job.output)) > mean_reward(job, job.policy) + 0.5


def test_the_best_of_n_raise_the_reward(make_job: Maker) -> None:
    job = with_settings(make_job("best_of_n"), epochs=30, samples=8, learning_rate=6e-3)
    report = train_challenger(job)
    (drawn,), (best,) = series(job, "reward_drawn"), series(job, "reward_best")
    assert best > drawn + 0.5
    assert drawn == pytest.approx(mean_reward(job, job.policy), abs=0.25)
    assert mean_reward(job, str(job.output)) > mean_reward(job, job.policy) + 0.3
    assert (report.samples, report.kl_reference, report.beta) == (160, None, None)
    assert series(job, "loss")[-1] < series(job, "loss")[0]


def test_dpo_learns_the_preference_as_surely_as_its_label(make_job: Maker) -> None:
    job = with_settings(make_job("dpo"), epochs=30, beta=1.0)
    report = train_challenger(job)
    pair = PAIRS[1]
    assert margin(job, str(job.output), pair) == pytest.approx(math.log(9), abs=0.4)
    assert series(job, "accuracy")[-1] == 1.0
    assert (report.samples, report.beta, report.reward_first) == (0, 1.0, None)


def test_hard_labels_go_beyond_soft_ones(make_job: Maker) -> None:
    soft = with_settings(make_job("dpo", "soft"), epochs=30, beta=1.0)
    hard = with_settings(make_job("dpo", "hard"), epochs=30, beta=1.0, labels="hard")
    train_challenger(soft)
    train_challenger(hard)
    assert series(hard, "margin")[-1] > series(soft, "margin")[-1] + 1.0


def test_the_first_loss_of_dpo_is_that_of_a_coin(make_job: Maker) -> None:
    """At the start policy and reference agree, so every pair's probability is one half."""
    job = make_job("dpo")
    train_challenger(job)
    assert series(job, "loss")[0] == pytest.approx(math.log(2), abs=1e-5)
    assert series(job, "margin")[0] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("method", SAMPLED)
def test_a_prompt_without_room_stops_before_anything_runs(make_job: Maker, method: str) -> None:
    job = make_job(method, conversations=(*CONVERSATIONS, user("word " * 400)))
    with pytest.raises(ModelError, match="context"):
        train_challenger(job)


def test_pairs_without_a_better_side_are_refused(make_job: Maker) -> None:
    level = tuple(p.model_copy(update={"label": 0.5}) for p in PAIRS)
    with pytest.raises(StageError, match="no pair to train on"):
        train_challenger(make_job("dpo", pairs=level))


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_a_cut_off_answer_gets_the_constant_score(make_job: Maker, method: str) -> None:
    job = make_job(method, missing_eos_score=-7.0, generation=GenerationConfig(max_tokens=1))
    train_challenger(with_settings(job, updates=1, checkpoint_updates=1))
    (ended,), (reward,) = series(job, "ended"), series(job, "reward")
    assert ended < 0.5
    assert reward < -7.0 * (1 - ended) + 3.0 * ended + 0.01


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_kl_is_measured_against_the_reference_and_not_the_incumbent(
    make_job: Maker, tmp_path: Path, method: str
) -> None:
    other = make_tiny_lm(tmp_path / "other", pad_is_eos=True, seed=4)
    job = make_job(method, reference=str(other))
    train_challenger(with_settings(job, updates=1, checkpoint_updates=1))
    assert series(job, "kl_reference")[0] > 1.0
    same = with_settings(make_job(method, "same"), updates=1, epochs=1, minibatch=16)
    train_challenger(with_settings(same, checkpoint_updates=1))
    assert series(same, "kl_reference")[0] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_prompts_are_encoded_as_everywhere_and_answers_end_once(
    make_job: Maker, models: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """What the model is trained on is a conversation as we encode it, then one answer."""
    lm = load_language_model(models[0], CPU)
    seen: list[list[int]] = []
    original = CheckpointedTrainer.training_step

    def spied(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        handle = self.lm.model.base_model.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            return original(self, model, inputs, *args, **kwargs)
        finally:
            handle.remove()

    def keep(_: Any, _args: Any, kwargs: Any) -> None:
        mask = kwargs.get("attention_mask")
        if kwargs.get("past_key_values") is None and mask is not None and mask.dim() == 2:
            seen.extend(
                row[real.bool()].tolist()
                for row, real in zip(kwargs["input_ids"], mask, strict=True)
            )

    monkeypatch.setattr(CheckpointedTrainer, "training_step", spied)
    train_challenger(make_job(method))
    prompts = [encode_conversation(lm, c) for c in CONVERSATIONS]
    prompts += [encode_conversation(lm, p.prompt) for p in PAIRS]
    assert seen
    for row in seen:
        found = [p for p in prompts if row[: len(p)] == p]
        assert found
        answer = row[len(found[0]) :]
        assert lm.end_id not in answer[:-1]


@pytest.fixture
def with_learned_positions() -> GPT2LMHeadModel:
    config = GPT2Config(vocab_size=32, n_positions=32, n_embd=16, n_layer=2, n_head=2)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch_generator(3).get_state())
        model = GPT2LMHeadModel(config)
    prepare(model.eval())
    return model


def test_positions_are_told_where_padding_stands_on_the_left(
    with_learned_positions: GPT2LMHeadModel,
) -> None:
    row = torch.tensor([[5, 6, 7, 8]])
    padded = torch.tensor([[0, 0, 0, 5, 6, 7, 8]])
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    with torch.no_grad():
        plain = with_learned_positions(input_ids=row, attention_mask=torch.ones_like(row)).logits
        shifted = with_learned_positions(input_ids=padded, attention_mask=mask).logits[:, 3:]
    assert torch.allclose(plain, shifted, atol=1e-5)


def test_nothing_drops_out(with_learned_positions: GPT2LMHeadModel) -> None:
    ids = torch.arange(8).unsqueeze(0)
    with torch.no_grad():
        calm = with_learned_positions(input_ids=ids).logits
        with_learned_positions.train()
        assert with_learned_positions.training
        assert torch.equal(with_learned_positions(input_ids=ids).logits, calm)


@pytest.mark.parametrize("method", METHODS)
def test_policies_without_a_padding_or_a_template_train(
    make_job: Maker, tmp_path: Path, method: str
) -> None:
    policy = make_tiny_lm(tmp_path / "wild", chat=False, seed=2)
    settings = json.loads((policy / "tokenizer_config.json").read_text(encoding="utf-8"))
    del settings["pad_token"]
    (policy / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    RewardModel.from_policy(str(policy), seed=3).save(tmp_path / "reward")
    job = make_job(
        method, policy=str(policy), reference=str(policy), reward_model=tmp_path / "reward"
    )
    train_challenger(job)
    assert load_language_model(str(job.output), CPU).tokenizer.pad_token is None
