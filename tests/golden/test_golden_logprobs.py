"""Log-probabilities, entropies and exact KL against the reference and against hand-made cases."""

import math

import numpy as np
import pytest
import reference
import torch
from golden_cases import Array, assert_close

from rlaif.rl import (
    chunked_exact_kl,
    chunked_logprobs,
    entropy,
    exact_kl,
    token_logprobs,
)

TEMPERATURES = (0.3, 1.0, 1.7)


def everywhere(function: object, *arrays: Array, temperature: float) -> Array:
    """Apply a reference function of vocabulary vectors (and tokens) at each place."""
    assert callable(function)
    places = arrays[0].shape[:-1]
    results = [function(*(a[at] for a in arrays), temperature) for at in np.ndindex(places)]
    return np.array(results).reshape(places)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_functions_of_logits_equal_the_reference(temperature: float) -> None:
    rng = np.random.default_rng(1)
    p, q = rng.normal(0, 2, (2, 3, 4, 9))
    tokens = rng.integers(0, 9, (3, 4))
    torch_p, torch_q = torch.from_numpy(p), torch.from_numpy(q)
    assert_close(
        token_logprobs(torch_p, torch.from_numpy(tokens), temperature),
        everywhere(reference.token_logprob, p, tokens, temperature=temperature),
    )
    assert_close(
        entropy(torch_p, temperature), everywhere(reference.entropy, p, temperature=temperature)
    )
    assert_close(
        exact_kl(torch_p, torch_q, temperature),
        everywhere(reference.kl, p, q, temperature=temperature),
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("logits_at_once", [1, 39, 1000])
def test_chunked_kl_equals_the_reference(temperature: float, logits_at_once: int) -> None:
    rng = np.random.default_rng(5)
    states, heads = rng.normal(size=(2, 7, 5)), rng.normal(size=(2, 13, 5))
    p, q = (
        np.array([[math.fsum(s * w) for w in head] for s in rows])
        for rows, head in zip(states, heads, strict=True)
    )
    mine, theirs = map(torch.from_numpy, states)
    found = chunked_exact_kl(
        mine,
        torch.from_numpy(heads[0]),
        theirs,
        torch.from_numpy(heads[1]),
        temperature,
        logits_at_once=logits_at_once,
    )
    assert_close(found, everywhere(reference.kl, p, q, temperature=temperature))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100])
def test_chunked_head_equals_the_reference(temperature: float, chunk_size: int) -> None:
    rng = np.random.default_rng(3)
    hidden, weight, tokens = (
        rng.normal(size=(7, 5)),
        rng.normal(size=(13, 5)),
        rng.integers(13, size=7),
    )
    logits = np.array([[math.fsum(h * w) for w in weight] for h in hidden])
    found = chunked_logprobs(
        torch.from_numpy(hidden),
        torch.from_numpy(weight),
        torch.from_numpy(tokens),
        temperature,
        chunk_size,
        with_entropy=True,
    )
    assert found.entropy is not None
    assert_close(
        found.logprobs, everywhere(reference.token_logprob, logits, tokens, temperature=temperature)
    )
    assert_close(found.entropy, everywhere(reference.entropy, logits, temperature=temperature))


def test_by_hand_odds_of_three_to_one() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    assert_close(token_logprobs(logits, torch.tensor([0])), [math.log(3 / 4)])
    squared_odds = token_logprobs(logits, torch.tensor([0]), temperature=0.5)
    assert_close(squared_odds, [math.log(9 / 10)])


def test_by_hand_entropy_is_the_logarithm_of_the_number_of_equal_choices() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, -torch.inf]], dtype=torch.float64)
    assert_close(entropy(logits), [math.log(3)])


def test_by_hand_kl_of_a_fair_and_a_loaded_coin() -> None:
    fair = torch.tensor([[0.0, 0.0]], dtype=torch.float64)
    loaded = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    assert_close(exact_kl(fair, loaded), [0.5 * math.log(4 / 3)])
    assert_close(exact_kl(loaded, fair), [0.75 * math.log(3 / 2) + 0.25 * math.log(1 / 2)])


def test_half_precision_logits_are_summed_in_float32() -> None:
    logits = torch.zeros(1, 50_000, dtype=torch.bfloat16)
    found = token_logprobs(logits, torch.tensor([7]))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(-math.log(50_000), rel=1e-6)
    assert entropy(logits).item() == pytest.approx(math.log(50_000), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_divided_in_float32(dtype: torch.dtype) -> None:
    logits = (3 * torch.randn(20, 50, generator=torch.Generator().manual_seed(1))).to(dtype)
    tokens = torch.arange(20)
    wide = logits.float()
    found, expected = (
        (token_logprobs(x, tokens, 0.7), entropy(x, 0.7), exact_kl(x, x.roll(1, 0), 0.7))
        for x in (logits, wide)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
