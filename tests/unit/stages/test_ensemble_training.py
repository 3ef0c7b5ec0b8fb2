"""Ensembles of reward models, trained for real on a tiny random policy."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from job_tools import Stopped, stop_after, user
from reward_jobs import CALIBRATION, PAIRS, make_job, planted, scorer
from safetensors.torch import load_file

from rlaif.artifacts import verify
from rlaif.models.reward import HEAD_FILE
from rlaif.models.reward_ensemble import RewardEnsemble
from rlaif.models.shared_base import SharedBase
from rlaif.records import RewardModelReport
from rlaif.stages.reward_model import train_reward_model
from rlaif.stages.reward_model.schedule import Comparison, as_row, draw_prompts
from rlaif.stages.reward_model.trainer import members_loss, soft_loss
from rlaif.testing import make_tiny_lm

KINDS = ("heads", "trunks", "adapters")
OWN = {kind: {"ensemble_kind": kind, "lora_rank": 8 * (kind == "adapters")} for kind in KINDS}
REFERENCE = [(c.prompt, c.text, c.ended) for c in CALIBRATION]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("policies") / "tiny")


@pytest.fixture(scope="module")
def calm(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RewardModelReport]:
    """What comes of ``PAIRS`` in runs that nothing disturbs."""
    folder = tmp_path_factory.mktemp("calm")
    return {
        kind: train_reward_model(make_job(policy, folder / kind, PAIRS, ensemble=3, **OWN[kind]))
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_learns_what_one_learns(policy: Path, tmp_path: Path, kind: str) -> None:
    pairs = planted(96, heldout=40)
    job = make_job(policy, tmp_path, pairs, ensemble=3, **OWN[kind], epochs=5)
    report = train_reward_model(job)
    assert report.members == 3
    assert report.accuracy is not None
    assert report.accuracy >= 0.95
    found = scorer(job).estimate([(user("New"), f"tea {w}", True) for w in ("please", "now")])
    assert float(found.mean[0]) > float(found.mean[1]) + 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_is_centred_and_the_report_says_how_far_members_differ(
    policy: Path, tmp_path: Path, kind: str
) -> None:
    job = make_job(policy, tmp_path, planted(16), ensemble=3, **OWN[kind], ensemble_penalty=0.5)
    report = train_reward_model(job)
    found = scorer(job).estimate(REFERENCE)
    assert float(found.mean.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(found.mean.std(correction=0)) == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(found.reward, found.mean - 0.5 * found.std, atol=1e-6)
    assert report.disagreement == pytest.approx(float(found.std.mean()), rel=1e-4)
    assert report.disagreement > 0.01
    model = RewardEnsemble.load(job.output)
    assert (report.gain, report.bias) == (model.gain, model.bias)


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_members_are_alike(policy: Path, tmp_path: Path, kind: str) -> None:
    job = make_job(policy, tmp_path, planted(24), ensemble=3, **OWN[kind])
    train_reward_model(job)
    model = RewardEnsemble.load(job.output)
    said = model.raw(torch.tensor([[5, 6, 7], [8, 9, 3], [40, 2, 2]]), torch.ones(3, 3))
    for one, other in combinations(model.scaled(said).unbind(dim=1), 2):
        assert float((one - other).abs().max()) > 1e-2
    heads = torch.cat([part.head.weight for part in model.parts])
    assert len({tuple(head.tolist()) for head in heads}) == 3


def test_the_trunks_of_an_ensemble_are_its_own(policy: Path, tmp_path: Path) -> None:
    job = make_job(policy, tmp_path, planted(16), ensemble=2, ensemble_kind="trunks")
    train_reward_model(job)
    first, second = (load_file(job.output / f"member-{n}" / "model.safetensors") for n in range(2))
    assert not torch.equal(first["norm.weight"], second["norm.weight"])


def test_one_member_is_the_reward_model_that_it_always_was(policy: Path, tmp_path: Path) -> None:
    """Whatever else the settings of ensembles say: no file, no spread, no penalty."""
    plain = make_job(policy, tmp_path / "plain", PAIRS)
    one = make_job(
        policy, tmp_path / "one", PAIRS, ensemble=1, ensemble_kind="heads", ensemble_penalty=9.0
    )
    report = train_reward_model(one)
    assert report == train_reward_model(plain)
    assert (report.members, report.disagreement) == (1, None)
    found = scorer(one).estimate(REFERENCE)
    assert torch.equal(found.reward, found.mean)
    assert not found.std.any()
    assert load_file(one.output / HEAD_FILE)["bias"].shape == ()


def test_figures_on_held_out_pairs_are_those_of_the_mean(policy: Path, tmp_path: Path) -> None:
    """A penalty changes what PPO is told and nothing that is measured."""
    reports = [
        train_reward_model(
            make_job(
                policy,
                tmp_path / str(penalty),
                planted(24, heldout=8),
                ensemble=2,
                ensemble_kind="heads",
                ensemble_penalty=penalty,
            )
        )
        for penalty in (0.0, 5.0)
    ]
    first, second = (r.model_dump(exclude={"artifact"}) for r in reports)
    assert first == second
    assert reports[0].artifact.digest != reports[1].artifact.digest


@pytest.mark.parametrize(
    ("kind", "step"), [("heads", 5), ("trunks", 2), ("trunks", 13), ("adapters", 13)]
)
def test_a_killed_ensemble_ends_with_the_same_bits(
    policy: Path, tmp_path: Path, calm: dict[str, RewardModelReport], kind: str, step: int
) -> None:
    """Each trunk has eight steps; those before the one that was cut off are not trained again."""
    job = make_job(policy, tmp_path, PAIRS, ensemble=3, **OWN[kind], checkpoint_steps=3)
    with pytest.raises(Stopped):
        train_reward_model(job, progress=stop_after(step))
    assert not job.output.exists()
    steps: list[int] = []
    resumed = train_reward_model(job, progress=lambda done, _: steps.append(done))
    assert steps[0] == {5: 4, 2: 1, 13: 12}[step]
    assert resumed == calm[kind]
    assert verify(job.output, resumed.artifact.digest)


def test_progress_counts_the_steps_of_all_trunks(policy: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    job = make_job(policy, tmp_path, planted(20), ensemble=3, ensemble_kind="trunks")
    train_reward_model(job, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 18) for n in range(1, 19)]


def test_a_list_is_learned_by_each_head(policy: Path, tmp_path: Path) -> None:
    pairs = planted(60, heldout=20)
    job = make_job(
        policy, tmp_path, pairs, ensemble=3, ensemble_kind="heads", loss="listwise", epochs=6
    )
    report = train_reward_model(job)
    assert report.accuracy is not None
    assert report.accuracy >= 0.9


def comparisons(prompts: int) -> list[Comparison]:
    return [Comparison(n // 2, ((n,), (n, n)), (0.8, 0.2)) for n in range(2 * prompts)]


def test_each_head_draws_prompts_of_its_own_and_keeps_their_pairs_together() -> None:
    made = comparisons(400)
    draws = draw_prompts(made, 5, seed=3)
    assert draws.shape == (5, 400)
    assert np.array_equal(draws, draw_prompts(made, 5, seed=3))
    assert not np.array_equal(draws, draw_prompts(made, 5, seed=4))
    assert float(draws.mean()) == pytest.approx(1.0, abs=0.1)
    assert float((draws == 0).mean()) == pytest.approx(np.exp(-1), abs=0.05)
    assert all(abs(np.corrcoef(draws)[i, j]) < 0.2 for i, j in combinations(range(5), 2))
    row = as_row(made[:6], draws)
    assert row["draws"] == [[int(m[p]) for p in (0, 0, 1, 1, 2, 2)] for m in draws]


def test_a_single_head_sees_every_prompt_once() -> None:
    assert draw_prompts(comparisons(7), 1, seed=3).tolist() == [[1] * 7]


def test_the_loss_of_members_is_the_mean_of_their_sums_over_what_they_drew() -> None:
    scores = torch.tensor([[[0.3, 1.0], [-0.4, 0.5]], [[1.0, 0.0], [2.5, -1.0]]])
    values = torch.tensor([[0.75, 0.25], [0.1, 0.9]])
    real = torch.ones(2, 2, dtype=torch.bool)

    def of(comparison: int, member: int) -> float:
        at = slice(comparison, comparison + 1)
        return float(soft_loss("bradley_terry", scores[at, :, member], values[at], real[at]))

    draws = torch.tensor([[2, 0], [1, 3]])
    by_hand = (2 * of(0, 0) / 2 + (of(0, 1) + 3 * of(1, 1)) / 2) / 2
    loss = members_loss("bradley_terry", scores, values, real, draws=draws)
    assert float(loss) == pytest.approx(by_hand, rel=1e-6)


def test_a_batch_that_no_member_drew_costs_and_teaches_nothing() -> None:
    scores = torch.ones(3, 2, 4, requires_grad=True)
    draws = torch.zeros(4, 3, dtype=torch.long)
    real = torch.ones(3, 2, dtype=torch.bool)
    loss = members_loss("hinge", scores, torch.full((3, 2), 0.5), real, draws=draws)
    loss.backward()
    assert loss.item() == 0.0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_members_share_one_base_where_they_are_adapters(policy: Path, tmp_path: Path) -> None:
    job = make_job(policy, tmp_path, planted(16), ensemble=3, **OWN["adapters"])
    train_reward_model(job)
    model = RewardEnsemble.load(job.output)
    assert len({id(part.trunk) for part in model.parts}) == 1
    member = job.output / "member-1"
    assert {"adapter_model.safetensors", "base.json", HEAD_FILE} <= {
        p.name for p in member.iterdir()
    }
    assert sum(p.stat().st_size for p in member.iterdir()) < 0.5 * policy_size(policy)


def policy_size(policy: Path) -> int:
    return (policy / "model.safetensors").stat().st_size


def test_a_checkpoint_of_adapters_leaves_the_frozen_base_out(policy: Path, tmp_path: Path) -> None:
    job = make_job(policy, tmp_path, PAIRS, lora_rank=4, checkpoint_steps=3)
    with pytest.raises(Stopped):
        train_reward_model(job, progress=stop_after(5))
    kept = load_file(next(iter(job.work.glob("checkpoint-*"))) / "model.safetensors")
    assert all("lora_" in name or name == "head.weight" for name in kept)


def test_the_reward_model_begins_with_the_adapter_of_a_policy_that_has_one(
    policy: Path, tmp_path: Path
) -> None:
    shared = SharedBase.open(str(policy), torch.device("cpu"), "float32")
    own = shared.fresh("policy", 4, 32.0, seed=1)
    with torch.no_grad():
        for parameter in own.own:
            parameter.fill_(0.02)
    (tmp_path / "incumbent").mkdir()
    own.save(tmp_path / "incumbent")
    job = make_job(
        tmp_path / "incumbent", tmp_path, planted(4), lora_rank=4, epochs=1, learning_rate=1e-9
    )
    report = train_reward_model(job)
    trained, started = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (job.output, tmp_path / "incumbent")
    )
    assert report.preferences == 4
    for name, weights in started.items():
        torch.testing.assert_close(trained[name], weights, rtol=0, atol=1e-6)
