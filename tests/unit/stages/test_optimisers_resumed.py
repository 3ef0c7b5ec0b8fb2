"""DPO, RLOO, GRPO and best-of-n: what they leave, and that they resume to the bit."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from job_tools import Stopped, series, stop_after
from optimiser_jobs import CONVERSATIONS, CPU, METHODS, UPDATES, WEIGHTS, Maker, with_settings
from safetensors.torch import load_file

from rlaif.artifacts import file_sha256, verify
from rlaif.errors import TrainingError
from rlaif.models.loading import load_language_model
from rlaif.records import PolicyReport
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import OptimiserJob, train_challenger
from rlaif.stages.trl_checkpoints import last_good_checkpoint, read_progress


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
