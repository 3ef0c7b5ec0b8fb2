"""DPO, RLOO, GRPO and best-of-n end to end on a tiny model: they learn, and resume to the bit."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from rlaif.artifacts import file_sha256, verify
from rlaif.config import BestOfNConfig, DpoConfig, GenerationConfig, GrpoConfig, RlooConfig
from rlaif.errors import ModelError, StageError, TrainingError
from rlaif.models.actor_critic import score_responses
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.models.loading import load_language_model
from rlaif.models.reward import RewardModel
from rlaif.models.scoring import RewardScorer
from rlaif.records import Message, PolicyReport
from rlaif.rl import Rollout
from rlaif.seeds import torch_generator
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import OptimiserJob, PolicyPair, train_challenger
from rlaif.stages.optimisers.policy_trainer import prepare
from rlaif.stages.trl_checkpoints import CheckpointedTrainer, last_good_checkpoint, read_progress
from rlaif.testing import make_tiny_lm

CPU = torch.device("cpu")
WEIGHTS = "model.safetensors"
GROUPS = {"updates": 6, "rollout_batch": 16, "minibatch": 8, "micro_batch": 4, "kl_beta": 0.01}
SETTINGS = {
    "dpo": DpoConfig(epochs=2, batch_size=8, micro_batch=4, learning_rate=2e-3, checkpoint_steps=2),
    "rloo": RlooConfig(**GROUPS, learning_rate=2e-3, checkpoint_updates=2),
    "grpo": GrpoConfig(**GROUPS, learning_rate=2e-3, checkpoint_updates=2),
    "best_of_n": BestOfNConfig(
        samples=4, epochs=2, batch_size=8, micro_batch=4, learning_rate=2e-3, checkpoint_steps=2
    ),
}
UPDATES = {"dpo": 6, "rloo": 6, "grpo": 6, "best_of_n": 5}
METHODS = tuple(SETTINGS)
SAMPLED = ("rloo", "grpo", "best_of_n")


class Stopped(Exception):  # noqa: N818 - stands for a kill, not for an error
    """Raised by a test's progress callback in place of a kill."""


def stop_after(updates: int) -> Callable[[int, int], None]:
    def progress(done: int, _total: int) -> None:
        if done == updates:
            raise Stopped

    return progress


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


CONVERSATIONS = tuple(user(f"Question {i}?") for i in range(20))
PAIRS = tuple(
    PolicyPair(
        prompt=user(f"Question {i}?"),
        first="yes it is" if i % 2 else "no it is not",
        first_ended=True,
        second="no it is not" if i % 2 else "yes it is",
        second_ended=True,
        label=0.9 if i % 2 else 0.1,
    )
    for i in range(24)
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp("models")
    policy = make_tiny_lm(root / "policy", pad_is_eos=True, dtype="float16")
    RewardModel.from_policy(str(policy), seed=3).save(root / "reward")
    return str(policy), root / "reward"


@pytest.fixture
def make_job(models: tuple[str, Path], tmp_path: Path) -> Callable[..., OptimiserJob]:
    def make(method: str, name: str = "run", **changes: Any) -> OptimiserJob:
        fields = {
            "policy": models[0],
            "reference": models[0],
            "reward_model": models[1],
            "conversations": CONVERSATIONS,
            "pairs": PAIRS,
            "generation": GenerationConfig(max_tokens=10),
            "settings": SETTINGS[method],
            "seed": 11,
            "device": "cpu",
            "missing_eos_score": None,
            "output": tmp_path / name / "challenger",
            "work": tmp_path / name / "work",
        }
        return OptimiserJob(**{**fields, **changes})

    return make


Maker = Callable[..., OptimiserJob]


def with_settings(job: OptimiserJob, **changes: Any) -> OptimiserJob:
    return job.model_copy(update={"settings": job.settings.model_copy(update=changes)})


def series(job: OptimiserJob, name: str) -> list[float]:
    return [m.value for m in read_metrics(job.output) if m.name == name]


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


@pytest.fixture(scope="module")
def calm() -> dict[str, tuple[PolicyReport, str, list[Any]]]:
    """What comes of each method undisturbed, filled as it is asked for."""
    return {}


def undisturbed(calm: dict[str, Any], make_job: Maker, method: str) -> Any:
    if method not in calm:
        job = make_job(method, "calm")
        report = train_challenger(job)
        calm[method] = (report, file_sha256(job.output / WEIGHTS), read_metrics(job.output))
    return calm[method]


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_the_reward_rises_and_every_update_is_measured(make_job: Maker, method: str) -> None:
    short = make_job(method, generation=GenerationConfig(max_tokens=1))
    job = with_settings(short, updates=20, rollout_batch=32, learning_rate=6e-3)
    report = train_challenger(job)
    rewards = series(job, "reward")
    assert sum(rewards[-4:]) / 4 > sum(rewards[:4]) / 4 + 0.5
    assert report.updates == len(rewards) == 20
    assert report.samples == 20 * 32
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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", [3, 5])
def test_a_stopped_run_goes_on_to_the_same_bits(
    make_job: Maker, calm: dict[str, Any], method: str, stop: int
) -> None:
    report, weights, metrics = undisturbed(calm, make_job, method)
    job = make_job(method)
    with pytest.raises(Stopped):
        train_challenger(job, stop_after(stop))
    assert not job.output.exists()
    seen: list[tuple[int, int]] = []
    torch.rand(7)
    assert train_challenger(job, lambda done, total: seen.append((done, total))) == report
    first = stop - (stop - 1) % 2
    total = UPDATES[method]
    assert seen == [(n, total) for n in range(first, total + 1)]
    assert file_sha256(job.output / WEIGHTS) == weights
    assert read_metrics(job.output) == metrics


@pytest.mark.parametrize("method", METHODS)
def test_a_finished_job_asked_for_again_trains_no_more(make_job: Maker, method: str) -> None:
    job = make_job(method)
    report = train_challenger(job)
    seen: list[int] = []
    assert train_challenger(job, lambda done, _: seen.append(done)) == report
    assert seen == []


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_that_was_cut_short_is_not_trusted(
    make_job: Maker, calm: dict[str, Any], method: str
) -> None:
    report, weights, _ = undisturbed(calm, make_job, method)
    job = make_job(method)
    with pytest.raises(Stopped):
        train_challenger(job, stop_after(5))
    newest = last_good_checkpoint(job.work, read_progress(next(job.work.glob("ch*")))["job"])
    assert newest is not None
    damaged = newest / "optimizer.pt"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    seen: list[int] = []
    assert train_challenger(job, lambda done, _: seen.append(done)) == report
    assert seen[0] == 3
    assert file_sha256(job.output / WEIGHTS) == weights


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_of_another_job_is_not_used(make_job: Maker, method: str) -> None:
    job = make_job(method)
    with pytest.raises(Stopped):
        train_challenger(job, stop_after(3))
    seen: list[int] = []
    train_challenger(
        job.model_copy(update={"seed": 12}), progress=lambda done, _: seen.append(done)
    )
    assert seen[0] == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_that_is_not_finite_ends_at_the_last_good_checkpoint(
    make_job: Maker, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    from transformers import Trainer

    original, calls = Trainer.training_step, []

    def poisoned(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss = original(self, *args, **kwargs)
        done = int(self.state.global_step) // getattr(self, "steps_per_update", 1)
        calls.append(done)
        return loss * math.nan if done == 3 else loss

    monkeypatch.setattr(Trainer, "training_step", poisoned)
    job = make_job(method)
    report = train_challenger(job)
    assert report.updates == 2
    assert "nan" in report.stopped
    assert "after update 2" in report.stopped
    assert len(series(job, "loss")) == 2
    assert all(bool(w.isfinite().all()) for w in load_file(job.output / WEIGHTS).values())
    verify(job.output)


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_break_at_once_are_no_challenger(make_job: Maker, method: str) -> None:
    job = with_settings(make_job(method), learning_rate=1e25)
    with pytest.raises(TrainingError):
        train_challenger(job)
    assert not job.output.exists()


@pytest.mark.parametrize("method", METHODS)
def test_the_folder_is_the_incumbents_with_other_weights(
    make_job: Maker, models: tuple[str, Path], method: str
) -> None:
    job = make_job(method)
    train_challenger(job)
    incumbent = load_language_model(models[0], CPU, trainable=True)
    incumbent.model.save_pretrained(job.work.parent / "plain")
    incumbent.tokenizer.save_pretrained(job.work.parent / "plain")
    plain = job.work.parent / "plain"
    names = {p.name for p in plain.iterdir()}
    assert {p.name for p in job.output.iterdir()} == names | {"manifest.json", "metrics.jsonl"}
    for name in names - {WEIGHTS}:
        assert (job.output / name).read_bytes() == (plain / name).read_bytes(), name
    before, after = load_file(plain / WEIGHTS), load_file(job.output / WEIGHTS)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("method", METHODS)
def test_checkpoints_hold_no_pickled_arguments_and_training_says_nothing(
    make_job: Maker, capfd: pytest.CaptureFixture[str], method: str
) -> None:
    job = make_job(method)
    train_challenger(job)
    assert capfd.readouterr() == ("", "")
    folders = sorted(job.work.glob("checkpoint-*"))
    assert len(folders) == 2
    for folder in folders:
        verify(folder)
        assert not (folder / "training_args.bin").exists()
        assert not (folder / "README.md").exists()
    assert not (job.work / "README.md").exists()


@pytest.mark.parametrize("method", SAMPLED)
def test_a_prompt_without_room_stops_before_anything_runs(make_job: Maker, method: str) -> None:
    job = make_job(method, conversations=(*CONVERSATIONS, user("word " * 400)))
    with pytest.raises(ModelError, match="context"):
        train_challenger(job)


def test_pairs_without_a_better_side_are_refused(make_job: Maker) -> None:
    level = tuple(p.model_copy(update={"label": 0.5}) for p in PAIRS)
    with pytest.raises(StageError, match="no pair to train on"):
        train_challenger(make_job("dpo", pairs=level))


@pytest.mark.parametrize("method", METHODS)
def test_a_job_survives_being_written_down(make_job: Maker, method: str) -> None:
    job = make_job(method)
    again = OptimiserJob.model_validate_json(job.model_dump_json())
    assert again == job
    assert again.optimizer == method


def test_a_fingerprint_knows_what_shapes_the_weights_and_nothing_else(
    make_job: Maker, tmp_path: Path
) -> None:
    job = make_job("rloo")
    own = job.fingerprint("policy", "reference")
    assert own == job.model_copy(update={"output": tmp_path / "x"}).fingerprint(
        "policy", "reference"
    )
    assert own == with_settings(job, checkpoint_updates=9).fingerprint("policy", "reference")
    assert own == job.model_copy(update={"pairs": ()}).fingerprint("policy", "reference")
    others = [
        job.fingerprint("another", "reference"),
        job.fingerprint("policy", "another"),
        with_settings(job, kl_beta=0.5).fingerprint("policy", "reference"),
        job.model_copy(update={"seed": 12}).fingerprint("policy", "reference"),
        job.model_copy(update={"missing_eos_score": -1.0}).fingerprint("policy", "reference"),
        job.model_copy(update={"conversations": CONVERSATIONS[1:]}).fingerprint(
            "policy", "reference"
        ),
        make_job("grpo").fingerprint("policy", "reference"),
    ]
    assert len({own, *others}) == 1 + len(others)


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
