"""The reward model's network: where it reads, what it saves, how it is centred."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM

from rlaif.errors import ModelError
from rlaif.models.reward import HEAD_FILE, RewardModel, trunk_of
from rlaif.testing import make_tiny_lm

ROWS = [[7, 8, 9], [30, 31, 32, 33, 34, 35, 36], [50], [60, 61, 62, 63, 64]]
rows_of_tokens = st.lists(
    st.lists(st.integers(0, 200), min_size=1, max_size=12), min_size=1, max_size=20
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("models") / "policy")


@pytest.fixture(scope="module")
def model(policy: Path) -> RewardModel:
    return RewardModel.from_policy(str(policy), seed=3)


def padded(
    rows: list[list[int]], filler: int, left: int = 0, right: int = 0
) -> tuple[Tensor, Tensor]:
    """Lay out rows with filler on both sides, the row's own share of it put on the right."""
    width = max(len(row) for row in rows)
    ids = [[filler] * left + r + [filler] * (width - len(r) + right) for r in rows]
    mask = [[0] * left + [1] * len(r) + [0] * (width - len(r) + right) for r in rows]
    return torch.tensor(ids), torch.tensor(mask)


def by_hand(policy: Path, model: RewardModel, row: list[int]) -> float:
    """Read the raw number off a trunk that is loaded apart, for one row without padding."""
    trunk = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).model
    with torch.no_grad():
        state = trunk(torch.tensor([row])).last_hidden_state[0, -1]
    return float(np.dot(state.numpy(), model.head.weight.detach().numpy()[0]))


def test_the_raw_number_is_linear_in_the_state_at_the_last_token(
    policy: Path, model: RewardModel
) -> None:
    raw = model(*padded(ROWS, 0))
    expected = [by_hand(policy, model, row) for row in ROWS]
    assert raw.dtype == torch.float32
    assert raw.flatten().tolist() == pytest.approx(expected, abs=1e-5)
    assert len({round(x, 3) for x in expected}) == len(ROWS)


@settings(max_examples=25, deadline=None)
@given(rows_of_tokens, st.integers(0, 200), st.integers(0, 5), st.integers(0, 5))
def test_neither_amount_nor_side_nor_token_of_padding_matters(
    model: RewardModel, rows: list[list[int]], filler: int, left: int, right: int
) -> None:
    alone = [model(torch.tensor([row]), torch.ones(1, len(row))).item() for row in rows]
    together = model(*padded(rows, filler, left, right))
    assert together.flatten().tolist() == pytest.approx(alone, abs=2e-5)


@pytest.mark.parametrize("lean", [True, False])
def test_more_rows_than_a_micro_batch_come_back_in_their_order(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch, lean: bool
) -> None:
    if not lean:
        monkeypatch.setattr("rlaif.models.reward.is_supported", lambda _: False)
    rows = [[index] * (1 + index % 7) for index in range(75)]
    alone = [model(torch.tensor([row]), torch.ones(1, len(row))).item() for row in rows]
    assert model(*padded(rows, 5)).flatten().tolist() == pytest.approx(alone, abs=2e-5)


def test_padding_with_the_end_token_hides_no_real_end_token(tmp_path: Path) -> None:
    policy = make_tiny_lm(tmp_path / "policy", pad_is_eos=True)
    model = RewardModel.from_policy(str(policy), seed=0)
    end = int(AutoModelForCausalLM.from_pretrained(policy).config.eos_token_id)
    ended, cut, doubled = [20, 21, end], [20, 21], [20, end, 21, end, end]
    raw = model(*padded([ended, cut, doubled], end))
    expected = [by_hand(policy, model, row) for row in (ended, cut, doubled)]
    assert raw.flatten().tolist() == pytest.approx(expected, abs=1e-5)
    assert abs(expected[0] - expected[1]) > 1e-3


def test_the_end_token_learns_even_where_it_is_the_padding(tmp_path: Path) -> None:
    policy = make_tiny_lm(tmp_path / "policy", pad_is_eos=True)
    model = RewardModel.from_policy(str(policy), seed=0)
    end = int(model.config.eos_token_id)
    model(torch.tensor([[20, end]]), torch.ones(1, 2)).sum().backward()
    gradient = model.trunk.get_input_embeddings().weight.grad
    assert float(gradient[end].abs().sum()) > 0


def test_the_trunk_is_the_policys_and_the_language_head_is_gone(
    policy: Path, model: RewardModel
) -> None:
    original = load_file(policy / "model.safetensors")
    trunk = model.trunk.state_dict()
    assert {f"model.{name}" for name in trunk} == set(original) - {"lm_head.weight"}
    assert all(torch.equal(original[f"model.{name}"], weight) for name, weight in trunk.items())


def test_the_head_starts_small_and_from_its_seed_alone(policy: Path) -> None:
    trunk = AutoModel.from_pretrained(policy)
    torch.rand(3)
    heads = [RewardModel.from_trunk(trunk, seed).head.weight.detach() for seed in range(60)]
    assert torch.equal(heads[5], RewardModel.from_policy(str(policy), 5).head.weight)
    assert float(torch.stack(heads).std()) == pytest.approx(33**-0.5, rel=0.05)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bit_weights_are_trained_in_thirty_two(
    tmp_path: Path, dtype: Literal["float16", "bfloat16"]
) -> None:
    policy = make_tiny_lm(tmp_path / "policy", dtype=dtype)
    model = RewardModel.from_policy(str(policy), seed=0)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    stored = load_file(policy / "model.safetensors")["model.norm.weight"]
    assert torch.equal(model.trunk.norm.weight, stored.float())


def test_nothing_drops_out_in_training(tmp_path: Path) -> None:
    trunk = AutoModel.from_pretrained(make_tiny_lm(tmp_path / "policy"), attention_dropout=0.5)
    model = RewardModel.from_trunk(trunk, seed=0)
    still = model.eval()(*padded(ROWS, 0))
    assert torch.equal(model.train()(*padded(ROWS, 0)), still)
    assert model.training


def test_what_is_saved_scores_the_same_after_loading(model: RewardModel, tmp_path: Path) -> None:
    model.gain.fill_(0.5)
    model.bias.fill_(-1.5)
    model.save(tmp_path)
    loaded = RewardModel.load(tmp_path)
    assert torch.equal(loaded(*padded(ROWS, 0)), model(*padded(ROWS, 0)))
    assert (float(loaded.gain), loaded.bias.tolist()) == (0.5, [-1.5])
    assert not any(p.requires_grad for p in loaded.parameters())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.json",
        "model.safetensors",
        HEAD_FILE,
    ]


def test_the_saved_trunk_is_an_ordinary_hugging_face_model(policy: Path, tmp_path: Path) -> None:
    RewardModel.from_policy(str(policy), seed=3).save(tmp_path)
    trunk = AutoModel.from_pretrained(tmp_path)
    original = AutoModelForCausalLM.from_pretrained(policy).model
    ids = torch.tensor([[4, 5, 6]])
    assert torch.equal(trunk(ids).last_hidden_state, original(ids).last_hidden_state)


def test_the_file_of_a_single_head_is_what_it_was_before_there_were_several(
    model: RewardModel, tmp_path: Path
) -> None:
    model.save(tmp_path)
    shapes = {name: x.shape for name, x in load_file(tmp_path / HEAD_FILE).items()}
    assert shapes == {"weight": (1, 32), "gain": (), "bias": ()}


def test_heads_of_one_trunk_each_read_the_same_state(policy: Path, tmp_path: Path) -> None:
    model = RewardModel.from_policy(str(policy), seed=3, heads=3)
    raw = model(*padded(ROWS, 0))
    assert raw.shape == (len(ROWS), 3)
    for number, own in enumerate(raw.unbind(dim=1)):
        alone = RewardModel.from_policy(str(policy), seed=0)
        alone.head.load_state_dict({"weight": model.head.weight[number : number + 1]})
        assert own.tolist() == pytest.approx([by_hand(policy, alone, r) for r in ROWS], abs=1e-5)
    model.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    model.save(tmp_path)
    loaded = RewardModel.load(tmp_path)
    assert loaded.bias.tolist() == [1.0, 2.0, 3.0]
    assert torch.equal(loaded(*padded(ROWS, 0)), raw)


@pytest.mark.parametrize("harm", ["all", "head", "weights", "torn head"])
def test_a_folder_that_is_no_reward_model_is_refused(
    policy: Path, tmp_path: Path, harm: str
) -> None:
    folder = tmp_path / "rm"
    if harm != "all":
        RewardModel.from_policy(str(policy), seed=3).save(folder)
    if harm == "head":
        (folder / HEAD_FILE).unlink()
    if harm == "weights":
        (folder / "model.safetensors").unlink()
    if harm == "torn head":
        (folder / HEAD_FILE).write_bytes(b"\x08\x00")
    with pytest.raises(ModelError, match="no readable reward model") as caught:
        RewardModel.load(folder)
    assert str(folder) in str(caught.value)


def test_a_model_without_a_trunk_is_refused(policy: Path) -> None:
    with pytest.raises(ModelError, match="LlamaModel keeps no trunk"):
        trunk_of(AutoModel.from_pretrained(policy))


def test_a_missing_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        RewardModel.from_policy(str(tmp_path / "nowhere"), seed=0)
