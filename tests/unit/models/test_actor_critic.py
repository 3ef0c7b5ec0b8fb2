"""Log-probs, entropies and values of responses, against a plain forward pass."""

from pathlib import Path

import pytest
import torch

from rlaif.errors import ModelError
from rlaif.models.actor_critic import (
    ValueHead,
    check_plain_head,
    response_outputs,
    scored_by_length,
)
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.rl import Rollout
from rlaif.testing import make_tiny_lm

CPU = torch.device("cpu")
QUERIES = [[5, 6, 7, 8], [9]]
RESPONSES = [[10, 11], [12, 13, 14]]


@pytest.fixture
def lm(tmp_path: Path) -> LanguageModel:
    return load_language_model(str(make_tiny_lm(tmp_path)), CPU, trainable=True)


def test_log_probs_equal_those_of_each_row_alone(lm: LanguageModel) -> None:
    rollout = Rollout.from_lists(QUERIES, RESPONSES, lm.pad_id)
    found = response_outputs(lm.model, rollout, 0.8, with_entropy=True)
    for row, (query, response) in enumerate(zip(QUERIES, RESPONSES, strict=True)):
        logits = lm.model(torch.tensor([query + response])).logits[0] / 0.8
        log_p = logits.log_softmax(-1)[len(query) - 1 : -1]
        expected = log_p[range(len(response)), response]
        torch.testing.assert_close(found.logprobs[row, : len(response)], expected)
        entropy = -(log_p.exp() * log_p).sum(-1)
        torch.testing.assert_close(found.entropy[row, : len(response)], entropy)
        assert not found.logprobs[row, len(response) :].any()


def test_values_are_zero_at_first_and_read_the_state_before_the_token(lm: LanguageModel) -> None:
    rollout = Rollout.from_lists(QUERIES, RESPONSES, lm.pad_id)
    head = ValueHead(lm.model.config.hidden_size)
    assert not response_outputs(lm.model, rollout, 1.0, head).values.any()
    torch.nn.init.normal_(head.weight)
    values = response_outputs(lm.model, rollout, 1.0, head).values
    other = [[*RESPONSES[0][:-1], 20], RESPONSES[1]]
    changed = Rollout.from_lists(QUERIES, other, lm.pad_id)
    torch.testing.assert_close(response_outputs(lm.model, changed, 1.0, head).values, values)


def test_rows_of_like_length_together_give_the_same(lm: LanguageModel) -> None:
    queries = [[5, 6, 7], [8], [9, 10], [11, 12, 13, 14]]
    responses = [[1, 2, 3, 4, 5], [6], [7, 8, 9], [10, 11]]
    rollout = Rollout.from_lists(queries, responses, lm.pad_id)
    head = ValueHead(lm.model.config.hidden_size)
    torch.nn.init.normal_(head.weight)
    plain = response_outputs(lm.model, rollout, 0.7, head)
    found = scored_by_length(lm.model, rollout, 0.7, head, rows_at_once=2)
    torch.testing.assert_close(found.logprobs, plain.logprobs)
    torch.testing.assert_close(found.values, plain.values)


def test_gradients_reach_trunk_and_head(lm: LanguageModel) -> None:
    rollout = Rollout.from_lists(QUERIES, RESPONSES, lm.pad_id)
    head = ValueHead(lm.model.config.hidden_size)
    out = response_outputs(lm.model, rollout, 1.0, head)
    (out.logprobs.sum() + (out.values - 1).square().sum()).backward()
    assert head.weight.grad is not None
    assert head.weight.grad.any()
    assert all(p.grad is not None and p.grad.any() for p in lm.model.parameters())


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
