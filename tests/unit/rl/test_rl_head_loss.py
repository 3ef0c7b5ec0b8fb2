"""A loss straight from hidden states equals the loss of all logits, gradients too."""

import pytest
import torch

from rlaif.rl import entropy, head_loss, token_logprobs

TOKENS, WIDTH, VOCAB = 23, 8, 31


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    numbers = torch.arange(TOKENS * WIDTH, dtype=torch.float64)
    hidden = torch.sin(numbers).view(TOKENS, WIDTH).requires_grad_()
    head = torch.cos(torch.arange(VOCAB * WIDTH, dtype=torch.float64) * 1.7).view(VOCAB, WIDTH)
    tokens = torch.arange(TOKENS) * 5 % VOCAB
    return hidden, head.requires_grad_(), tokens, torch.sin(torch.arange(TOKENS) * 0.9).double()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("chunk_rows", [1, 5, 23, 100])
def test_value_and_gradients(temperature: float, with_entropy: bool, chunk_rows: int) -> None:
    hidden, head, tokens, weights = inputs()

    def loss_of(
        logprobs: torch.Tensor, entropies: torch.Tensor | None, places: slice
    ) -> torch.Tensor:
        loss = (logprobs.exp() * weights[places]).sum()
        return loss if entropies is None else loss + (entropies * weights[places] ** 2).sum()

    found = head_loss(
        hidden,
        head,
        tokens,
        loss_of,
        temperature,
        with_entropy=with_entropy,
        logits_at_once=chunk_rows * VOCAB,
    )
    logits = hidden @ head.T
    logprobs = token_logprobs(logits, tokens, temperature)
    entropies = entropy(logits, temperature) if with_entropy else None
    expected = loss_of(logprobs, entropies, slice(None))
    torch.testing.assert_close(found.loss, expected)
    torch.testing.assert_close(found.logprobs, logprobs.detach())
    if with_entropy:
        torch.testing.assert_close(found.entropy, entropies.detach())
    mine = torch.autograd.grad(3 * found.loss, (hidden, head))
    torch.testing.assert_close(mine, torch.autograd.grad(3 * expected, (hidden, head)))


def test_a_frozen_head_gets_no_gradient_and_log_probs_carry_none() -> None:
    hidden, head, tokens, _ = inputs()
    found = head_loss(hidden, head.detach(), tokens, lambda lp, _e, _p: lp.sum())
    assert not found.logprobs.requires_grad
    found.loss.backward()
    assert hidden.grad is not None
    assert head.grad is None


def test_a_loss_that_ignores_the_entropy_is_served() -> None:
    hidden, head, tokens, _ = inputs()
    found = head_loss(hidden, head, tokens, lambda lp, _e, _p: lp.sum(), with_entropy=True)
    plain = head_loss(hidden, head, tokens, lambda lp, _e, _p: lp.sum())
    torch.testing.assert_close(found.loss, plain.loss)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_no_temperature_no_log_probs(temperature: float) -> None:
    hidden, head, tokens, _ = inputs()
    with pytest.raises(ValueError, match="temperature"):
        head_loss(hidden, head, tokens, lambda lp, _e, _p: lp.sum(), temperature)
