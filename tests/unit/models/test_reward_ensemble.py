"""Reward models that score as one: how they are joined, centred, saved and read."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from rlaif.errors import ModelError
from rlaif.models.loading import load_language_model
from rlaif.models.padding import right_pad
from rlaif.models.reward import HEAD_FILE, RewardModel
from rlaif.models.reward_ensemble import ENSEMBLE_FILE, RewardEnsemble, penalised
from rlaif.models.scoring import RewardScorer
from rlaif.models.shared_base import SharedBase
from rlaif.records import Message
from rlaif.testing import make_tiny_lm

ROWS = [[7, 8, 9], [30, 31, 32, 33, 34, 35, 36], [50], [60, 61, 62, 63, 64]]
IDS, MASK = right_pad(ROWS, 0)
KINDS = ("alone", "heads", "trunks", "adapters")

answers_by_members = st.tuples(st.integers(1, 8), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-50, 50, width=32))
)
penalties = st.floats(0, 10)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("models") / "policy")


def make(policy: Path, kind: str, penalty: float = 1.0) -> RewardEnsemble:
    if kind == "trunks":
        parts = [RewardModel.from_policy(str(policy), seed) for seed in range(3)]
        return RewardEnsemble(parts, penalty)
    if kind == "adapters":
        shared = SharedBase.open(str(policy), torch.device("cpu"), "float32")
        worn = [shared.fresh(f"reward-{n}", 4, 8.0, seed=n) for n in range(3)]
        parts = [RewardModel.from_adapter(lm, seed) for seed, lm in enumerate(worn)]
        return RewardEnsemble(parts, penalty)
    heads = 3 if kind == "heads" else 1
    return RewardEnsemble([RewardModel.from_policy(str(policy), 5, heads)], penalty)


@pytest.fixture(scope="module")
def ensembles(policy: Path) -> dict[str, RewardEnsemble]:
    """Ensembles that a test may centre as it likes."""
    return {kind: make(policy, kind) for kind in KINDS}


def test_the_penalty_is_taken_off_the_mean_as_by_hand() -> None:
    said = [[1.0, 2.0, 6.0], [-4.0, -4.0, -4.0]]
    found = penalised(torch.tensor(said), 0.5)
    assert found.mean.tolist() == pytest.approx([3.0, -4.0])
    assert found.std.tolist() == pytest.approx([statistics.pstdev(said[0]), 0.0])
    assert found.reward.tolist() == pytest.approx([3.0 - 0.5 * statistics.pstdev(said[0]), -4.0])


@given(answers_by_members, penalties, penalties)
def test_a_higher_penalty_never_raises_a_reward(
    said: np.ndarray, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    members = torch.from_numpy(said)
    cautious, bold = penalised(members, high), penalised(members, low)
    assert bool((cautious.reward <= bold.reward).all())
    assert bool((bold.reward <= bold.mean).all())
    assert torch.equal(penalised(members, 0.0).reward, bold.mean)


@given(answers_by_members, penalties)
def test_without_disagreement_there_is_no_penalty(said: np.ndarray, penalty: float) -> None:
    one = torch.from_numpy(said[:, :1])
    alone, alike = penalised(one, penalty), penalised(one.expand(-1, 4), penalty)
    assert torch.equal(alone.reward, one[:, 0])
    assert not alone.std.any()
    assert torch.allclose(alike.reward, one[:, 0], atol=1e-4)


@given(answers_by_members, penalties, st.floats(-20, 20))
def test_a_level_that_all_share_and_the_members_order_change_nothing_else(
    said: np.ndarray, penalty: float, level: float
) -> None:
    members = torch.from_numpy(said).double()
    plain = penalised(members, penalty).reward
    assert torch.allclose(penalised(members + level, penalty).reward, plain + level, atol=1e-6)
    assert torch.allclose(penalised(members.flip(1), penalty).reward, plain, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_are_gain_times_raw_plus_bias_without_gradient(policy: Path, kind: str) -> None:
    model = make(policy, kind, penalty=2.0)
    raw = model.raw(IDS, MASK)
    model.recentre(raw)
    found = model.score(IDS, MASK)
    members = model.gain * raw + torch.cat([part.bias for part in model.parts])
    assert raw.shape == (len(ROWS), 1 if kind == "alone" else 3)
    assert torch.allclose(found.mean, members.mean(dim=1), atol=1e-6)
    assert torch.allclose(found.std, members.std(dim=1, correction=0), atol=1e-6)
    assert torch.allclose(found.reward, found.mean - 2.0 * found.std, atol=1e-6)
    assert not found.reward.requires_grad
    assert bool((found.std > 0.01).all()) == (kind != "alone")


def by_members(model: RewardEnsemble, said: np.ndarray) -> Tensor:
    """Give an ensemble's members each a column, the last standing for those that lack one."""
    columns = [min(n, said.shape[1] - 1) for n in range(model.members)]
    return torch.from_numpy(said[:, columns])


@pytest.mark.parametrize("kind", KINDS)
@given(said=answers_by_members)
def test_the_recentred_mean_has_mean_zero_and_deviation_one(
    ensembles: dict[str, RewardEnsemble], kind: str, said: np.ndarray
) -> None:
    model = ensembles[kind]
    raw = by_members(model, said)
    model.recentre(raw)
    rewards = model.scaled(raw).double()
    assert model.gain > 0
    if float(raw.mean(dim=1).std(correction=0)) > 1e-2:
        assert float(rewards.mean(dim=1).mean()) == pytest.approx(0.0, abs=1e-2)
        assert float(rewards.mean(dim=1).std(correction=0)) == pytest.approx(1.0, abs=1e-3)
        assert rewards.mean(dim=0).tolist() == pytest.approx([0.0] * model.members, abs=1e-2)


@given(arrays(np.float32, (6, 3), elements=st.floats(-5, 5, width=32)), st.floats(-30, 30))
def test_a_members_own_level_is_no_disagreement(
    ensembles: dict[str, RewardEnsemble], said: np.ndarray, level: float
) -> None:
    model, raw = ensembles["heads"], torch.from_numpy(said)
    assume(float(raw.mean(dim=1).std(correction=0)) > 0.1)
    stds = []
    for own in (raw, raw + torch.tensor([0.0, level, 0.0])):
        model.recentre(own)
        stds.append(penalised(model.scaled(own), 1.0).std)
    assert torch.allclose(*stds, atol=2e-3)


def test_equal_raw_numbers_are_shifted_and_not_stretched(policy: Path) -> None:
    model = make(policy, "alone")
    model.recentre(torch.full((4, 1), 3.25))
    assert (model.gain, model.bias) == (1.0, -3.25)


def test_recentring_on_nothing_changes_nothing(policy: Path) -> None:
    model = make(policy, "alone")
    model.recentre(torch.tensor([[0.0], [4.0]]))
    model.recentre(torch.zeros(0, 1))
    assert (model.gain, model.bias) == (0.5, -1.0)


def test_a_row_of_padding_alone_has_no_score(policy: Path) -> None:
    with pytest.raises(ValueError, match="no real token"):
        make(policy, "heads").score(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 1], [0, 0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_scores_the_same_after_loading(
    policy: Path, tmp_path: Path, kind: str
) -> None:
    model = make(policy, kind, penalty=0.75)
    model.recentre(model.raw(IDS, MASK))
    model.save(tmp_path)
    loaded = RewardEnsemble.load(tmp_path)
    for before, after in zip(model.score(IDS, MASK), loaded.score(IDS, MASK), strict=True):
        assert torch.equal(before, after)
    assert loaded.members == model.members
    assert not any(p.requires_grad for part in loaded.parts for p in part.parameters())
    names = sorted(p.name for p in tmp_path.iterdir())
    trunk = ["config.json", "model.safetensors", HEAD_FILE]
    assert (
        names
        == {
            "alone": trunk,
            "heads": ["config.json", ENSEMBLE_FILE, "model.safetensors", HEAD_FILE],
            "trunks": [ENSEMBLE_FILE, "member-0", "member-1", "member-2"],
            "adapters": [ENSEMBLE_FILE, "member-0", "member-1", "member-2"],
        }[kind]
    )


def test_members_may_be_read_one_by_one(policy: Path, tmp_path: Path) -> None:
    model = make(policy, "trunks")
    model.save(tmp_path)
    alone = RewardEnsemble.load(tmp_path / "member-1")
    assert torch.equal(alone.raw(IDS, MASK)[:, 0], model.raw(IDS, MASK)[:, 1])


HARMS = {
    "a member gone": ("trunks", "member-2/" + HEAD_FILE, None, "no readable reward model"),
    "a torn member": ("trunks", "member-1/model.safetensors", b"\x08", "no readable reward model"),
    "torn facts": ("heads", ENSEMBLE_FILE, b"{", "not readable"),
    "another penalty": (
        "heads",
        ENSEMBLE_FILE,
        b'{"kind": "heads", "penalty": -1}',
        "not readable",
    ),
    "other counts": (
        "heads",
        ENSEMBLE_FILE,
        json.dumps({"kind": "heads", "members": 4, "penalty": 1.0}).encode(),
        "holds 3 members",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_folder_that_lacks_what_it_promises_is_refused(
    policy: Path, tmp_path: Path, harm: str
) -> None:
    kind, name, content, said = HARMS[harm]
    make(policy, kind).save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        RewardEnsemble.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_gives_the_reward_and_what_it_is_made_of(
    policy: Path, tmp_path: Path, kind: str
) -> None:
    make(policy, kind, penalty=3.0).save(tmp_path)
    scorer = RewardScorer.load(tmp_path, load_language_model(str(policy), torch.device("cpu")))
    asked = (Message(role="user", content="Why?"),)
    answers = [(asked, text, True) for text in ("tea", "old cat", "blue")]
    found = scorer.estimate(answers)
    assert torch.equal(scorer.score(answers), found.reward)
    assert torch.allclose(found.reward, found.mean - 3.0 * found.std, atol=1e-6)
    assert (scorer.members, bool(found.std.any())) == ((1, False) if kind == "alone" else (3, True))
    assert [len(part) for part in scorer.estimate([])] == [0, 0, 0]
