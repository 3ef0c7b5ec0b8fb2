"""The reward model's stage, run for real on a tiny random policy."""

import json
import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from job_tools import Stopped, stop_after, user
from reward_jobs import CALIBRATION, PAIRS, WORDS, make_job, pair, planted, scorer
from safetensors.torch import load_file, save_file

from rlaif.artifacts import verify
from rlaif.errors import StageError, TrainingError
from rlaif.models.loading import load_language_model
from rlaif.models.reward_ensemble import RewardEnsemble
from rlaif.models.scoring import RewardScorer
from rlaif.records import RewardModelReport
from rlaif.stages.reward_model import train_reward_model
from rlaif.testing import make_tiny_lm

LOSSES = ("bradley_terry", "hinge", "listwise")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("policies") / "tiny")


@pytest.fixture(scope="module")
def calm(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> RewardModelReport:
    """What comes of ``PAIRS`` in a run that nothing disturbs."""
    return train_reward_model(make_job(policy, tmp_path_factory.mktemp("calm"), PAIRS))


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_learns_a_planted_preference(policy: Path, tmp_path: Path, loss: str) -> None:
    job = make_job(policy, tmp_path, planted(96, heldout=40), loss=loss, epochs=5)
    report = train_reward_model(job)
    assert (report.preferences, report.heldout) == (96, 40)
    assert report.accuracy is not None
    assert report.accuracy >= 0.95
    rewards = scorer(job).score([(user("New"), f"tea {w}", True) for w in ("please", "now")])
    assert float(rewards[0]) > float(rewards[1]) + 0.5


def test_lengths_are_tokens_whoever_wrote_the_answer(policy: Path, tmp_path: Path) -> None:
    long = ("tea " * 3 + "please", "rain")
    held = [pair(0, long, 0.9, "heldout"), pair(1, ("tea", "rain tea"), 0.1, "heldout")]
    job = make_job(policy, tmp_path, (*planted(16), *held), epochs=2)
    report = train_reward_model(job)
    lm = load_language_model(str(policy), torch.device("cpu"))
    answers = [(p.prompt, p.first, True) for p in held] + [(p.prompt, p.second, True) for p in held]
    tokens = [len(lm.tokenizer.encode(text, add_special_tokens=False)) for _, text, _ in answers]
    assert len(set(tokens)) > 2
    expected = np.corrcoef(scorer(job).score(answers).numpy(), tokens)[0, 1]
    assert report.length_correlation == pytest.approx(expected, abs=1e-4)


def test_soft_labels_become_probabilities(policy: Path, tmp_path: Path) -> None:
    sides = [("tea", "rain"), ("rain", "tea")] * 24
    labels = [0.75, 0.25] * 24
    pairs = [pair(n % 8, side, p) for n, (side, p) in enumerate(zip(sides, labels, strict=True))]
    held = [pair(n, ("tea", "rain"), 0.75, "heldout") for n in range(8)]
    job = make_job(policy, tmp_path, (*pairs, *held), epochs=12)
    report = train_reward_model(job)
    model = RewardEnsemble.load(job.output)
    answers = [(user(f"Tell me {n}"), text, True) for n in range(8) for text in ("tea", "rain")]
    gaps = (scorer(job).score(answers) / model.gain).reshape(8, 2).diff(dim=1).neg().flatten()
    assert gaps.sigmoid().tolist() == pytest.approx([0.75] * 8, abs=0.05)
    assert report.ece is not None
    assert report.ece < 0.05
    assert report.accuracy == 1.0


def test_training_starts_at_the_loss_of_the_untrained_head(policy: Path, tmp_path: Path) -> None:
    """One step, one epoch: the loss reported is that before any update, from raw rewards."""
    pairs = planted(6, label=0.8)
    job = make_job(policy, tmp_path, pairs, epochs=1, learning_rate=1e-7)
    report = train_reward_model(job)
    model = RewardEnsemble.load(job.output)
    lm = load_language_model(str(policy), torch.device("cpu"))
    model.parts[0].gain.fill_(1.0)
    model.parts[0].bias.fill_(0.0)
    ahead = RewardScorer(model, lm).score([(p.prompt, p.first, p.first_ended) for p in pairs])
    behind = RewardScorer(model, lm).score([(p.prompt, p.second, p.second_ended) for p in pairs])
    gaps = (ahead - behind).double().tolist()
    losses = [
        p.label * math.log1p(math.exp(-gap)) + (1 - p.label) * math.log1p(math.exp(gap))
        for p, gap in zip(pairs, gaps, strict=True)
    ]
    assert report.train_loss == pytest.approx(sum(losses) / 6, rel=1e-3)


def test_whether_an_answer_ended_can_be_learned(policy: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(64):
        first = bool(rng.random() < 0.5)
        text = " ".join(str(w) for w in rng.choice(WORDS, size=3))
        pairs.append(pair(number, (text, text), 0.95 if first else 0.05, ended=(first, not first)))
    job = make_job(policy, tmp_path, tuple(pairs), epochs=4)
    train_reward_model(job)
    rewards = scorer(job).score([(user("New"), "old tea", True), (user("New"), "old tea", False)])
    assert float(rewards[0]) > float(rewards[1]) + 0.5


def test_rewards_of_the_calibration_answers_are_centred(policy: Path, tmp_path: Path) -> None:
    job = make_job(policy, tmp_path, planted(16))
    report = train_reward_model(job)
    rewards = scorer(job).score([(c.prompt, c.text, c.ended) for c in CALIBRATION]).double()
    assert float(rewards.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(rewards.std(correction=0)) == pytest.approx(1.0, abs=1e-5)
    model = RewardEnsemble.load(job.output)
    assert (report.gain, report.bias) == (model.gain, model.bias)


def test_held_out_pairs_do_not_train_and_their_absence_is_told(
    policy: Path, tmp_path: Path
) -> None:
    alone = train_reward_model(make_job(policy, tmp_path / "a", planted(16)))
    beside = train_reward_model(make_job(policy, tmp_path / "b", planted(16, heldout=4)))
    assert (alone.accuracy, alone.ece, alone.length_correlation) == (None, None, None)
    assert alone.heldout == 0
    assert beside.accuracy is not None
    assert beside.artifact.digest == alone.artifact.digest


def test_the_same_job_gives_the_same_folder_wherever_it_lies(policy: Path, tmp_path: Path) -> None:
    jobs = [make_job(policy, tmp_path / name, planted(16)) for name in ("here", "elsewhere/deep")]
    torch.rand(5)
    reports = [train_reward_model(job) for job in jobs]
    assert reports[0] == reports[1]
    assert verify(jobs[0].output, reports[0].artifact.digest) == reports[1].artifact.digest


@pytest.mark.parametrize("step", [2, 5, 8])
def test_a_killed_run_ends_with_the_same_bits(
    policy: Path, tmp_path: Path, calm: RewardModelReport, step: int
) -> None:
    job = make_job(policy, tmp_path, PAIRS, checkpoint_steps=3)
    with pytest.raises(Stopped):
        train_reward_model(job, progress=stop_after(step))
    assert not job.output.exists()
    steps: list[int] = []
    resumed = train_reward_model(job, progress=lambda done, _: steps.append(done))
    assert steps[0] == step - (step - 1) % 3
    assert resumed == calm


def test_a_checkpoint_that_was_cut_short_is_not_trusted(
    policy: Path, tmp_path: Path, calm: RewardModelReport
) -> None:
    job = make_job(policy, tmp_path, PAIRS, checkpoint_steps=2)
    with pytest.raises(Stopped):
        train_reward_model(job, progress=stop_after(7))
    newest = job.work / "checkpoint-6" / "optimizer.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    (job.work / "checkpoint-8").mkdir()
    steps: list[int] = []
    resumed = train_reward_model(job, progress=lambda done, _: steps.append(done))
    assert steps[0] == 5
    assert resumed == calm


def test_another_jobs_checkpoint_is_not_continued(policy: Path, tmp_path: Path) -> None:
    first = make_job(policy, tmp_path, planted(30), checkpoint_steps=2)
    with pytest.raises(Stopped):
        train_reward_model(first, progress=stop_after(5))
    steps: list[int] = []
    other = first.model_copy(update={"seed": 12})
    train_reward_model(other, progress=lambda done, _: steps.append(done))
    assert steps[0] == 1


def test_a_finished_job_asked_for_again_trains_no_more(policy: Path, tmp_path: Path) -> None:
    job = make_job(policy, tmp_path, planted(16))
    report = train_reward_model(job)
    steps: list[int] = []
    assert train_reward_model(job, progress=lambda done, _: steps.append(done)) == report
    assert steps == []


def test_checkpoints_hold_no_pickled_arguments_and_only_two_are_kept(
    policy: Path, tmp_path: Path
) -> None:
    job = make_job(policy, tmp_path, planted(40), checkpoint_steps=2)
    train_reward_model(job)
    folders = sorted(job.work.iterdir())
    assert [folder.name for folder in folders] == ["checkpoint-10", "checkpoint-8"]
    for folder in folders:
        verify(folder)
        assert not (folder / "training_args.bin").exists()
        assert not (folder / "README.md").exists()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    policy: Path, tmp_path: Path, calm: RewardModelReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rlaif.stages.reward_model.trainer as module

    sound, calls = module.soft_loss, []

    def poisoned(*args: Any) -> torch.Tensor:
        calls.append(args)
        return sound(*args) * (math.nan if len(calls) == 6 else 1.0)

    job = make_job(policy, tmp_path, PAIRS, checkpoint_steps=2)
    monkeypatch.setattr(module, "soft_loss", poisoned)
    with pytest.raises(TrainingError, match="nan at step 6") as caught:
        train_reward_model(job)
    assert "checkpoint-4 is kept" in caught.value.seen
    assert "learning_rate" in caught.value.action
    weights = load_file(job.work / "checkpoint-4" / "model.safetensors")
    assert all(bool(w.isfinite().all()) for w in weights.values())
    assert not job.output.exists()
    monkeypatch.undo()
    assert train_reward_model(job) == calm


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_without_room_stops_with_one_message_and_loses_nothing(
    policy: Path, tmp_path: Path, calm: RewardModelReport
) -> None:
    job = make_job(policy, tmp_path, PAIRS, checkpoint_steps=2)
    with pytest.raises(Stopped):
        train_reward_model(job, progress=stop_after(3))
    with (
        files_up_to(200_000),
        pytest.raises(StageError, match="checkpoint-4 could not be written"),
    ):
        train_reward_model(job)
    steps: list[int] = []
    assert train_reward_model(job, progress=lambda done, _: steps.append(done)) == calm
    assert steps[0] == 3


def test_a_policy_with_broken_weights_stops_at_the_first_step(tmp_path: Path) -> None:
    policy = make_tiny_lm(tmp_path / "policy")
    weights = load_file(policy / "model.safetensors")
    weights["model.norm.weight"][0] = math.inf
    save_file(weights, policy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"step 1.*no checkpoint was written yet"):
        train_reward_model(make_job(policy, tmp_path, planted(8)))


@pytest.mark.parametrize("split", ["nothing", "heldout"])
def test_without_a_pair_to_train_on_the_stage_says_so(
    policy: Path, tmp_path: Path, split: str
) -> None:
    pairs = () if split == "nothing" else (pair(0, ("a", "b"), 0.9, "heldout"),)
    with pytest.raises(StageError, match="no pair to train on"):
        train_reward_model(make_job(policy, tmp_path, pairs))


def test_policies_from_the_wild_train(tmp_path: Path) -> None:
    """Padding is the end token, weights are in 16 bits, there is no chat template."""
    policy = make_tiny_lm(tmp_path / "wild", chat=False, pad_is_eos=True, dtype="float16")
    before = (policy / "tokenizer_config.json").read_text(encoding="utf-8")
    job = make_job(policy, tmp_path, planted(48, heldout=20), epochs=5)
    report = train_reward_model(job)
    assert report.accuracy is not None
    assert report.accuracy >= 0.9
    weights = load_file(job.output / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.float32}
    written = json.loads((job.output / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert written["pad_token"] == json.loads(before)["pad_token"]


def test_sequences_longer_than_the_context_keep_their_end(tmp_path: Path) -> None:
    policy = make_tiny_lm(tmp_path / "short", context=24)
    pairs = tuple(
        pair(n, ("tea " * 40 + word, "tea " * 40 + other), p)
        for n in range(24)
        for word, other, p in [("please", "now", 0.95)]
    )
    report = train_reward_model(make_job(policy, tmp_path, pairs, epochs=4))
    assert report.train_loss < 0.6


def test_training_says_nothing_on_the_console(
    policy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = make_job(policy, tmp_path, planted(16))
    train_reward_model(job)
    assert capfd.readouterr() == ("", "")


def test_progress_counts_every_step_to_the_announced_end(policy: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    job = make_job(policy, tmp_path, planted(20), epochs=3)
    train_reward_model(job, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 9) for n in range(1, 10)]
