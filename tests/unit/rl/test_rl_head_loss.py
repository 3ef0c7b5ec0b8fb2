"""A loss straight from hidden states equals the loss of all logits, gradients too."""

import pytest
import torch

from rlaif.rl import Anchor, Said, entropy, exact_kl, head_loss, token_logprobs

TOKENS, WIDTH, VOCAB = 23, 8, 31


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    numbers = torch.arange(TOKENS * WIDTH, dtype=torch.float64)
    hidden = torch.sin(numbers).view(TOKENS, WIDTH).requires_grad_()
    head = torch.cos(torch.arange(VOCAB * WIDTH, dtype=torch.float64) * 1.7).view(VOCAB, WIDTH)
    tokens = torch.arange(TOKENS) * 5 % VOCAB
    return hidden, head.requires_grad_(), tokens, torch.sin(torch.arange(TOKENS) * 0.9).double()


def anchor_of(hidden: torch.Tensor) -> Anchor:
    """Another model's states and head, of another width."""
    head = torch.sin(torch.arange(VOCAB * 5, dtype=torch.float64) * 2.3).view(VOCAB, 5)
    return Anchor(2 * hidden.detach()[:, :5].clamp(-1, 1), head)


def of_logprobs(said: Said, _places: slice) -> torch.Tensor:
    return said.logprobs.sum()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("with_kl", [False, True])
@pytest.mark.parametrize("chunk_rows", [1, 5, 23, 100])
def test_value_and_gradients(
    temperature: float, with_entropy: bool, with_kl: bool, chunk_rows: int
) -> None:
    hidden, head, tokens, weights = inputs()
    anchor = anchor_of(hidden)

    def loss_of(said: Said, places: slice) -> torch.Tensor:
        loss = (said.logprobs.exp() * weights[places]).sum()
        if said.entropy is not None:
            loss = loss + (said.entropy * weights[places] ** 2).sum()
        return loss if said.kl is None else loss + (said.kl.square() * weights[places]).sum()

    found = head_loss(
        hidden,
        head,
        tokens,
        loss_of,
        temperature,
        with_entropy=with_entropy,
        anchor=anchor if with_kl else None,
        logits_at_once=chunk_rows * VOCAB,
    )
    logits = hidden @ head.T
    said = Said(
        token_logprobs(logits, tokens, temperature),
        entropy(logits, temperature) if with_entropy else None,
        exact_kl(logits, anchor.states @ anchor.head.T, temperature) if with_kl else None,
    )
    expected = loss_of(said, slice(None))
    torch.testing.assert_close(found.loss, expected)
    for mine, theirs in zip(found.said, said, strict=True):
        torch.testing.assert_close(mine, None if theirs is None else theirs.detach())
    mine = torch.autograd.grad(3 * found.loss, (hidden, head))
    torch.testing.assert_close(mine, torch.autograd.grad(3 * expected, (hidden, head)))


@pytest.mark.parametrize("asked", [{"with_entropy": True}, {"anchor": True}])
def test_a_token_that_is_never_said_costs_and_teaches_nothing(asked: dict[str, bool]) -> None:
    """One token's logit lies so far below the others that its probability is 0."""
    hidden, head, tokens, _ = inputs()
    with torch.no_grad():
        hidden[:, 0] = 1e4
        head[:, 0], head[-1, 0] = 0.0, -1.0
    given = {"anchor": anchor_of(hidden)} if "anchor" in asked else asked
    found = head_loss(
        hidden,
        head,
        tokens.clamp(max=VOCAB - 2),
        lambda said, _places: sum(x.sum() for x in said[1:] if x is not None),
        **given,
    )
    found.loss.backward()
    assert torch.isfinite(found.loss)
    assert torch.isfinite(hidden.grad).all()
    assert not head.grad[-1].any()


def test_a_frozen_head_gets_no_gradient_and_log_probs_carry_none() -> None:
    hidden, head, tokens, _ = inputs()
    found = head_loss(hidden, head.detach(), tokens, of_logprobs, anchor=anchor_of(hidden))
    assert not any(x.requires_grad for x in found.said if x is not None)
    found.loss.backward()
    assert hidden.grad is not None
    assert head.grad is None


def test_a_loss_that_ignores_the_entropy_is_served() -> None:
    hidden, head, tokens, _ = inputs()
    found = head_loss(hidden, head, tokens, of_logprobs, with_entropy=True)
    torch.testing.assert_close(found.loss, head_loss(hidden, head, tokens, of_logprobs).loss)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_no_temperature_no_log_probs(temperature: float) -> None:
    hidden, head, tokens, _ = inputs()
    with pytest.raises(ValueError, match="temperature"):
        head_loss(hidden, head, tokens, of_logprobs, temperature)
