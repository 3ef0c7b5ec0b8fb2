"""Log-probs, entropies and values of responses, against a plain forward pass."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rlaif.errors import ModelError
from rlaif.models.actor_critic import (
    ValueHead,
    check_plain_head,
    exact_response_kl,
    response_states,
    score_responses,
)
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.portions import Portion
from rlaif.models.precision import casting_once
from rlaif.rl import Rollout
from rlaif.testing import make_tiny_lm

CPU = torch.device("cpu")
QUERIES = [[5, 6, 7, 8], [9]]
RESPONSES = [[10, 11], [12, 13, 14]]


@pytest.fixture
def lm(tmp_path: Path) -> LanguageModel:
    return load_language_model(str(make_tiny_lm(tmp_path)), CPU, trainable=True)


@pytest.fixture(params=["lean", "library"])
def either(lm: LanguageModel, request: pytest.FixtureRequest) -> LanguageModel:
    return lm if request.param == "lean" else dataclasses.replace(lm, lean=None)


def rollout_of(lm: LanguageModel, responses: list[list[int]] = RESPONSES) -> Rollout:
    return Rollout.from_lists(QUERIES, responses, lm.pad_id)


def test_log_probs_equal_those_of_each_row_alone(either: LanguageModel) -> None:
    found = score_responses(either, rollout_of(either), 0.8)
    for row, (query, response) in enumerate(zip(QUERIES, RESPONSES, strict=True)):
        logits = either.model(torch.tensor([query + response])).logits[0] / 0.8
        log_p = logits.log_softmax(-1)[len(query) - 1 : -1]
        expected = log_p[range(len(response)), response]
        torch.testing.assert_close(found.logprobs[row, : len(response)], expected)
        assert not found.logprobs[row, len(response) :].any()
    assert not found.values.any()


def test_values_are_zero_at_first_and_read_the_state_before_the_token(
    either: LanguageModel,
) -> None:
    head = ValueHead(either.model.config.hidden_size)
    assert not score_responses(either, rollout_of(either), 1.0, head).values.any()
    torch.nn.init.normal_(head.weight)
    values = score_responses(either, rollout_of(either), 1.0, head).values
    changed = rollout_of(either, [[*RESPONSES[0][:-1], 20], RESPONSES[1]])
    torch.testing.assert_close(score_responses(either, changed, 1.0, head).values, values)


def test_rows_of_like_length_together_give_the_same(either: LanguageModel) -> None:
    queries = [[5, 6, 7], [8], [9, 10], [11, 12, 13, 14]]
    responses = [[1, 2, 3, 4, 5], [6], [7, 8, 9], [10, 11]]
    rollout = Rollout.from_lists(queries, responses, either.pad_id)
    head = ValueHead(either.model.config.hidden_size)
    torch.nn.init.normal_(head.weight)
    plain = score_responses(either, rollout, 0.7, head)
    found = score_responses(either, rollout, 0.7, head, portion=Portion("test", 2))
    torch.testing.assert_close(found.logprobs, plain.logprobs)
    torch.testing.assert_close(found.values, plain.values)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_exact_kl_is_that_of_each_row_alone(
    either: LanguageModel, tmp_path: Path, rows: int
) -> None:
    other = load_language_model(str(make_tiny_lm(tmp_path / "other", seed=5)), CPU)
    rollout = rollout_of(either)
    found = exact_response_kl(either, other, rollout, 0.7, Portion("measuring", rows))
    for row, asked in enumerate(rollout.rows()):
        length = int(rollout.response_mask[row].sum())
        ids = torch.tensor([asked])
        with torch.no_grad():
            p, q = (
                (m.model(ids).logits[0, -length - 1 : -1] / 0.7).log_softmax(-1)
                for m in (either, other)
            )
        wanted = (p.exp() * (p - q)).sum(-1)
        torch.testing.assert_close(found[row, :length], wanted, rtol=1e-4, atol=1e-5)
        assert not found[row, length:].any()


def test_gradients_reach_the_whole_trunk(either: LanguageModel) -> None:
    states = response_states(either, rollout_of(either))
    assert states.shape == (5, either.model.config.hidden_size)
    states.square().sum().backward()
    trunk = either.model.base_model.parameters()
    assert all(p.grad is not None and p.grad.any() for p in trunk)


def test_states_come_row_by_row_in_the_order_of_the_mask(either: LanguageModel) -> None:
    rollout = rollout_of(either)
    states = response_states(either, rollout)
    expected = [
        either.model.base_model(torch.tensor([query + response])).last_hidden_state[
            0, len(query) - 1 : -1
        ]
        for query, response in zip(QUERIES, RESPONSES, strict=True)
    ]
    torch.testing.assert_close(states, torch.cat(expected))


def test_a_head_that_is_not_plain_is_refused(lm: LanguageModel) -> None:
    check_plain_head(lm)
    original = lm.model.forward

    def capped(*args: object, **kwargs: object) -> object:
        output = original(*args, **kwargs)
        output.logits = 0.1 * torch.tanh(output.logits)
        return output

    lm.model.forward = capped
    with pytest.raises(ModelError, match="plain linear head"):
        check_plain_head(lm)


def test_weights_are_cast_once_for_a_whole_decoding(lm: LanguageModel) -> None:
    """On a GPU a trained policy's weights are wider than its products."""
    library = dataclasses.replace(lm, lean=None, dtype=torch.bfloat16)
    casts = _Casts()
    with casts, casting_once(CPU):
        several = decode(library, QUERIES, DecodeSettings(6))
    assert len(casts.of_weights) == len(set(casts.of_weights)) > 0
    with casts:
        plain = decode(library, QUERIES, DecodeSettings(6))
    assert len(casts.of_weights) > 3 * len(set(casts.of_weights))
    assert several == plain


def test_checkpointing_keeps_less_and_gives_the_same_gradients(lm: LanguageModel) -> None:
    kept, gradients = {}, {}
    for checkpointing in (False, True):
        library = dataclasses.replace(lm, lean=None, checkpointing=checkpointing)
        held: list[int] = []

        def hold(x: torch.Tensor, held: list[int] = held) -> torch.Tensor:
            held.append(x.numel() * (not isinstance(x, torch.nn.Parameter)))
            return x

        with torch.autograd.graph.saved_tensors_hooks(hold, lambda x: x):
            states = response_states(library, rollout_of(library))
        kept[checkpointing] = sum(held)
        library.model.zero_grad()
        states.square().sum().backward()
        gradients[checkpointing] = [p.grad for p in library.model.parameters()]
    assert kept[True] < 0.5 * kept[False]
    for plain, checkpointed in zip(gradients[False], gradients[True], strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_checkpointing_lasts_for_learning_only(lm: LanguageModel) -> None:
    """Checkpointed blocks cannot use a cache."""
    library = dataclasses.replace(lm, lean=None, checkpointing=True)
    plain = decode(dataclasses.replace(lm, lean=None), QUERIES, DecodeSettings(6))
    with torch.no_grad():
        response_states(library, rollout_of(library))
    response_states(library, rollout_of(library))
    assert decode(library, QUERIES, DecodeSettings(6)) == plain
    assert not library.model.training


class _Casts(TorchDispatchMode):
    """Notes which weights are cast to bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.of_weights: list[int] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        narrows = func is torch.ops.aten._to_copy.default and given.get("dtype") is torch.bfloat16
        if narrows and isinstance(args[0], torch.nn.Parameter):
            self.of_weights.append(id(args[0]))
        return func(*args, **given)
