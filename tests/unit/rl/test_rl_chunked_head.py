"""The chunked head: equal to the plain one, forward and backward, without its memory."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rl_strategies import assert_close, quick
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlaif.rl import chunked_logprobs, entropy, token_logprobs

Result = tuple[Tensor, Tensor]
WIDTH = 3


def head_inputs(
    seed: int, tokens: int, vocab: int = 7, width: int = WIDTH
) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    hidden = torch.from_numpy(rng.normal(size=(tokens, width))).requires_grad_()
    weight = torch.from_numpy(rng.normal(size=(vocab, width))).requires_grad_()
    return hidden, weight, torch.from_numpy(rng.integers(0, vocab, tokens))


def plain(hidden: Tensor, weight: Tensor, tokens: Tensor, temperature: float) -> Result:
    logits = hidden @ weight.T
    return token_logprobs(logits, tokens, temperature), entropy(logits, temperature)


def gradients(result: Result, weights: Sequence[float], inputs: Sequence[Tensor]) -> Sequence[Any]:
    """Gradients of a mix of log-probs and entropies, each token with a weight of its own."""
    slopes = torch.linspace(-1, 2, len(result[0]), dtype=torch.float64)
    mix = sum(w * (slopes * r).sum() for w, r in zip(weights, result, strict=True) if w)
    return torch.autograd.grad(mix, inputs)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (1.0, -0.3)])
@quick
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 6),
    chunk_size=st.integers(1, 8),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_values_and_gradients_equal_the_plain_ones(
    weights: tuple[float, float], seed: int, tokens: int, chunk_size: int, temperature: float
) -> None:
    hidden, weight, chosen = head_inputs(seed, tokens)
    expected = plain(hidden, weight, chosen, temperature)
    found = chunked_logprobs(hidden, weight, chosen, temperature, chunk_size, with_entropy=True)
    assert found.entropy is not None
    assert_close(found.logprobs, expected[0])
    assert_close(found.entropy, expected[1])
    pairs = zip(
        gradients((found.logprobs, found.entropy), weights, (hidden, weight)),
        gradients(expected, weights, (hidden, weight)),
        strict=True,
    )
    for ours, theirs in pairs:
        assert_close(ours, theirs)


def test_gradients_agree_with_finite_differences() -> None:
    hidden, weight, tokens = head_inputs(seed=5, tokens=4)

    def both(hidden: Tensor, weight: Tensor) -> Result:
        found = chunked_logprobs(hidden, weight, tokens, 0.7, 3, with_entropy=True)
        assert found.entropy is not None
        return found.logprobs, found.entropy

    assert torch.autograd.gradcheck(both, (hidden, weight))


def test_entropy_only_where_asked() -> None:
    assert chunked_logprobs(*head_inputs(seed=0, tokens=2)).entropy is None


@pytest.mark.parametrize("trained", [0, 1])
def test_a_frozen_side_gets_no_gradient(trained: int) -> None:
    inputs = head_inputs(seed=1, tokens=3)
    inputs[1 - trained].requires_grad_(False)
    chunked_logprobs(*inputs, chunk_size=2).logprobs.sum().backward()
    (expected,) = torch.autograd.grad(plain(*inputs, 1.0)[0].sum(), inputs[trained])
    found = inputs[trained].grad
    assert found is not None
    assert_close(found, expected)
    assert inputs[1 - trained].grad is None


class LargestTensor(TorchDispatchMode):
    """Records the most elements that any operation put out."""

    elements = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.elements = max([self.elements, *(x.numel() for x in [out] if isinstance(x, Tensor))])
        return out


def test_no_more_logits_than_a_chunk_exist_at_once() -> None:
    tokens, vocab, chunk = 24, 50, 4
    hidden, weight, chosen = head_inputs(2, tokens, vocab)
    with LargestTensor() as peak:
        found = chunked_logprobs(hidden, weight, chosen, 0.7, chunk, with_entropy=True)
        assert found.entropy is not None
        (found.logprobs.sum() + found.entropy.sum()).backward()
    assert peak.elements <= max(chunk * vocab, vocab * WIDTH)
    with LargestTensor() as peak:
        plain(hidden, weight, chosen, 0.7)
    assert peak.elements == tokens * vocab, "the measure sees the plain head's logits"


@pytest.mark.parametrize("with_entropy", [True, False])
def test_what_autograd_keeps_has_no_logits(with_entropy: bool) -> None:
    kept: list[int] = []
    hidden, weight, chosen = head_inputs(3, tokens=24, vocab=50)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()), lambda x: x):
        chunked_logprobs(hidden, weight, chosen, 1.0, 4, with_entropy)
    assert kept
    assert max(kept) <= max(hidden.numel(), weight.numel())


def test_bf16_autocast_multiplies_in_bf16_and_sums_in_float32() -> None:
    inputs = head_inputs(4, tokens=6, vocab=9)
    hidden, weight = (x.detach().float().requires_grad_() for x in inputs[:2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = chunked_logprobs(hidden, weight, inputs[2], 1.0, 4)
        expected = token_logprobs(hidden @ weight.T, inputs[2])
    found.logprobs.sum().backward()
    (slope,) = torch.autograd.grad(expected.sum(), weight)
    assert found.logprobs.dtype == torch.float32
    np.testing.assert_array_equal(found.logprobs.detach().numpy(), expected.detach().numpy())
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    np.testing.assert_allclose(weight.grad.numpy(), slope.numpy(), rtol=0.05, atol=0.05)


def test_bf16_weights_give_bf16_gradients_and_float32_logprobs() -> None:
    hidden, weight, tokens = head_inputs(6, tokens=6)
    low = [x.detach().bfloat16().requires_grad_() for x in (hidden, weight)]
    found = chunked_logprobs(*low, tokens, 1.0, 4, with_entropy=True)
    found.logprobs.sum().backward()
    expected = plain(hidden, weight, tokens, 1.0)[0]
    assert found.logprobs.dtype == torch.float32
    assert [x.grad.dtype for x in low if x.grad is not None] == [torch.bfloat16] * 2
    np.testing.assert_allclose(
        found.logprobs.detach().numpy(), expected.detach().numpy(), atol=0.05
    )


def test_a_chunk_size_below_1_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk size is 0, expected at least 1"):
        chunked_logprobs(*head_inputs(0, 2), chunk_size=0)
