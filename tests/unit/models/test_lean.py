"""The lean trunk against the library's own, forward and backward, in float64 where it can be."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
)
from transformers import Qwen2ForCausalLM as Qwen2

from rlaif.models.lean import stepping
from rlaif.models.lean.attention import attend, attend_causally, attend_causally_backward
from rlaif.models.lean.block import feed_forward
from rlaif.models.lean.layout import Layout
from rlaif.models.lean.stepping import LeanStepper
from rlaif.models.lean.trunk import LeanTrunk
from rlaif.models.lean.weights import halved, interleaved
from rlaif.seeds import seed_everything

VOCAB = 50
ROWS = [[5, 6, 7, 8, 9], list(range(10, 22)), [3, 4, 5, 6, 7, 8, 9], list(range(20, 32))]
FAMILIES = {
    "llama": (LlamaConfig, LlamaForCausalLM, 4),
    "llama-grouped": (LlamaConfig, LlamaForCausalLM, 2),
    "qwen2": (Qwen2Config, Qwen2, 1),
}


def make(family: str, dtype: torch.dtype = torch.float64, **changes: object) -> PreTrainedModel:
    config, kind, key_heads = FAMILIES[family]
    sizes = {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": key_heads,
        "max_position_embeddings": 64,
    }
    seed_everything(7)
    model = kind(config(**{**sizes, **changes})).to(dtype).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return model


def wanted_places(layout: Layout, rows: Sequence[Sequence[int]], first: int) -> torch.Tensor:
    starts = layout.starts.tolist()
    return torch.cat(
        [torch.arange(s + first, s + len(r)) for s, r in zip(starts, rows, strict=True)]
    )


def library_states(model: PreTrainedModel, first: int) -> torch.Tensor:
    found = [model.base_model(torch.tensor([row])).last_hidden_state[0, first:] for row in ROWS]
    return torch.cat(found)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_gradients_are_the_librarys(family: str, checkpointing: bool) -> None:
    model = make(family)
    trunk = LeanTrunk.of(model, torch.float64, checkpointing=checkpointing)
    assert trunk is not None
    layout = Layout.of(ROWS, 0, max_waste=0.2)
    assert len(layout.buckets) > 1
    states = trunk.states(layout, wanted_places(layout, ROWS, 2))
    weights = torch.sin(torch.arange(states.numel(), dtype=torch.float64)).view_as(states)
    (states * weights).sum().backward()
    own = [p.grad.clone() for p in model.base_model.parameters()]
    model.zero_grad()
    expected = library_states(model, 2)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)  # its norms are float32
    (expected * weights).sum().backward()
    for mine, parameter in zip(own, model.base_model.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, atol=1e-4, rtol=1e-4)


def test_bfloat16_products_stay_near_and_gradients_are_float32() -> None:
    model = make("llama", torch.float32)
    for weights in model.parameters():
        torch.nn.init.normal_(weights, mean=0.0, std=0.1)
    trunk = LeanTrunk(model, torch.bfloat16)
    layout = Layout.of(ROWS, 0)
    states = trunk.states(layout, wanted_places(layout, ROWS, 0))
    assert states.dtype == torch.float32
    expected = library_states(model, 0)
    error = (states - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert error < 0.02
    states.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in trunk_weights(model))


def trunk_weights(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    return list(model.base_model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_working_copies_follow_the_weights(dtype: torch.dtype) -> None:
    model = make("llama", torch.float32)
    trunk = LeanTrunk(model, dtype)
    layout = Layout.of(ROWS, 0)
    before = trunk.states(layout).detach()
    with torch.no_grad():
        for weights in model.base_model.layers[1].parameters():
            weights.mul_(1.5)
    fresh = LeanTrunk(model, dtype).states(layout)
    assert not torch.allclose(before, fresh)
    torch.testing.assert_close(trunk.states(layout), fresh, rtol=0, atol=0)


def test_a_fused_optimisers_writes_are_seen_once_they_are_told() -> None:
    model = make("llama", torch.float32)
    trunk = LeanTrunk(model, torch.bfloat16)
    layout = Layout.of(ROWS, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    optimizer.register_step_post_hook(lambda *_: trunk.outdate())
    (loss := trunk.states(layout).square().sum()).backward()
    assert torch.isfinite(loss)
    model.get_output_embeddings().weight.grad = torch.ones_like(model.lm_head.weight)
    optimizer.step()
    fresh = LeanTrunk(model, torch.bfloat16)
    torch.testing.assert_close(trunk.states(layout), fresh.states(layout), rtol=0, atol=0)
    torch.testing.assert_close(trunk.head, fresh.head, rtol=0, atol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "gelu"},
        {"mlp_bias": True},
        {"attention_bias": True},
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    ],
)
def test_other_blocks_are_left_to_the_library(changes: dict[str, object]) -> None:
    assert LeanTrunk.of(make("llama", torch.float32, **changes), torch.float32) is None


@pytest.mark.parametrize(
    "rotation",
    [
        {"rope_type": "linear", "factor": 2.0},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    ],
    ids=lambda rotation: rotation["rope_type"],
)
def test_stretched_positions_are_the_librarys(rotation: dict[str, object]) -> None:
    model = make("llama-grouped", rope_parameters={**rotation, "rope_theta": 1e4})
    trunk = LeanTrunk.of(model, torch.float64)
    assert trunk is not None
    layout = Layout.of(ROWS, 0)
    found = trunk.states(layout, wanted_places(layout, ROWS, 2))
    torch.testing.assert_close(found, library_states(model, 2), atol=1e-5, rtol=1e-5)
    plain = LeanTrunk.of(make("llama-grouped"), torch.float64)
    assert plain is not None
    assert not torch.allclose(found, plain.states(layout, wanted_places(layout, ROWS, 2)))


@pytest.mark.parametrize(("window", "is_lean"), [(3, False), (None, True)])
def test_blocks_that_see_a_few_tokens_only_are_left_to_the_library(
    window: int | None, is_lean: bool
) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = MistralConfig(vocab_size=VOCAB, **sizes, **heads, sliding_window=window)
    trunk = LeanTrunk.of(MistralForCausalLM(config), torch.float32)
    assert (trunk is not None) == is_lean


def test_rows_read_step_by_step_see_what_they_should() -> None:
    model = make("qwen2", torch.float32)
    trunk = LeanTrunk(model, torch.float32)
    ids = torch.arange(27).view(3, 9)
    mask = torch.ones(3, 9, dtype=torch.bool)
    mask[1, :4] = False
    mask[2, 0] = False
    places = (mask.long().cumsum(-1) - 1).clamp(min=0)
    expected = model.base_model(
        input_ids=ids, attention_mask=mask, position_ids=places
    ).last_hidden_state
    stepper = LeanStepper(trunk, 3)
    first = stepper.read(ids[:, :6], mask[:, :6], places[:, :6])
    torch.testing.assert_close(first, expected[:, 5], atol=1e-4, rtol=1e-4)
    order = torch.tensor([2, 0, 0])
    stepper.select(order)
    second = stepper.read(ids[order, 6:7], mask[order, :7], places[order, 6:7])
    torch.testing.assert_close(second, expected[order, 6], atol=1e-4, rtol=1e-4)
    third = stepper.read(ids[order, 7:], mask[order], places[order, 7:])
    torch.testing.assert_close(third, expected[order, 8], atol=1e-4, rtol=1e-4)


def test_what_fills_a_rectangle_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama", torch.float32)
    trunk = LeanTrunk(model, torch.float32)
    fed: list[int] = []

    def counted(x: torch.Tensor, *rest: Any) -> Any:
        fed.append(len(x))
        return feed_forward(x, *rest)

    monkeypatch.setattr(stepping, "feed_forward", counted)
    ids = torch.arange(24).view(3, 8)
    mask = torch.ones(3, 8, dtype=torch.bool)
    mask[0, :3] = mask[1, 5:] = False
    places = (mask.long().cumsum(-1) - 1).clamp(min=0)
    layers = len(trunk.layers)
    stepper = LeanStepper(trunk, 3)
    first = stepper.read(ids[:, :5], mask[:, :5], places[:, :5])
    second = stepper.read(ids[:, 5:], mask, places[:, 5:])
    assert fed == [12] * (layers - 1) + [3] + [6] * (layers - 1) + [2]
    assert not second[1].any()
    for row, found in ((0, second), (1, first), (2, second)):
        alone = model.base_model(input_ids=ids[row][mask[row]].unsqueeze(0)).last_hidden_state
        torch.testing.assert_close(found[row], alone[0, -1], atol=1e-4, rtol=1e-4)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.floats(0.0, 0.5))
@settings(max_examples=60, deadline=None)
def test_a_layout_holds_every_row_whole_and_wastes_little(lengths: list[int], waste: float) -> None:
    rows = [[100 * n + i for i in range(length)] for n, length in enumerate(lengths)]
    layout = Layout.of(rows, -1, waste)
    for row, start in zip(rows, layout.starts.tolist(), strict=True):
        assert layout.ids[start : start + len(row)].tolist() == row
        assert layout.positions[start : start + len(row)].tolist() == list(range(len(row)))
    ends = [0, *(b.span.stop for b in layout.buckets)]
    assert [b.start for b in layout.buckets] == ends[:-1]
    assert ends[-1] == len(layout.ids)
    for bucket in layout.buckets:
        assert (layout.ids[bucket.span] == -1).float().mean() <= waste + 1e-6


@pytest.mark.parametrize("tokens", [1, 12, 40, 70])
@pytest.mark.parametrize("group", [1, 2])
def test_attention_over_rectangles_is_the_formula(group: int, tokens: int) -> None:
    shapes = [(3, tokens, 4, 8), *[(3, tokens, 4 // group, 8)] * 2]
    query, key, value = (
        torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * n)
        .view(shape)
        .requires_grad_()
        for n, shape in enumerate(shapes, 1)
    )
    shared = (x.repeat_interleave(group, dim=2) for x in (key, value))
    q, k, v = (x.transpose(1, 2) for x in (query, *shared))
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    weights = (q @ k.mT).masked_fill(later, -torch.inf).softmax(-1)
    expected = (weights @ v).transpose(1, 2)
    slope = torch.cos(torch.arange(expected.numel(), dtype=torch.float64)).view_as(expected)
    (expected * slope).sum().backward()
    with torch.no_grad():
        found = attend_causally(query, key, value)
        torch.testing.assert_close(found.mixed, expected)
        grads = attend_causally_backward(slope, found, query, key, value)
    for mine, theirs in zip(grads, (query, key, value), strict=True):
        torch.testing.assert_close(mine, theirs.grad)


def test_attention_to_what_was_read_is_the_same_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (torch.sin(torch.arange(6 * 5 * 4.0) * n).view(6, 5, 4) for n in (1, 2, 3))
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1).expand(6, 5, 5)
    bias = torch.zeros(6, 5, 5).masked_fill_(hidden, -1e30)
    whole = attend(query, key, value, bias)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=1.0
    )
    torch.testing.assert_close(whole, expected)
    monkeypatch.setattr("rlaif.models.lean.attention.SCORES_AT_ONCE", 50)
    torch.testing.assert_close(attend(query, key, value, bias), whole, rtol=0, atol=0)


def test_interleaving_pairs_the_halves_and_is_undone() -> None:
    rows = torch.arange(16.0).view(8, 2)
    assert interleaved(rows, 8)[:, 0].tolist() == [0, 8, 2, 10, 4, 12, 6, 14]
    assert torch.equal(halved(interleaved(rows, 4), 4), rows)
