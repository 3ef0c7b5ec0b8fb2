"""Exact KL from hidden states, and what it estimates of whole sequences."""

import itertools
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.rl import chunked_exact_kl, exact_kl, mean_and_error
from rlaif.seeds import torch_generator


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch_generator(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9), st.integers(1, 40), st.sampled_from([0.5, 1.0, 2.0]), st.integers(0, 99))
def test_chunks_change_nothing(tokens: int, at_once: int, temperature: float, seed: int) -> None:
    p, q = drawn(seed, tokens, 4), drawn(seed + 1, tokens, 6)
    heads = drawn(seed + 2, 11, 4), drawn(seed + 3, 11, 6)
    found = chunked_exact_kl(p, heads[0], q, heads[1], temperature, logits_at_once=at_once)
    torch.testing.assert_close(found, exact_kl(p @ heads[0].T, q @ heads[1].T, temperature))
    assert (found >= -1e-12).all()


def test_a_model_is_at_no_distance_from_itself() -> None:
    states, head = drawn(1, 7, 4), drawn(2, 9, 4)
    assert chunked_exact_kl(states, head, states, head).abs().max() < 1e-12


def test_summed_along_samples_it_is_the_kl_of_sequences_with_less_noise() -> None:
    """Two steps over three tokens, the second step depending on the first: all nine are known."""
    first_p, first_q = (drawn(n, 3).log_softmax(-1) for n in (1, 2))
    second_p, second_q = (drawn(n, 3, 3).log_softmax(-1) for n in (3, 4))
    pairs = list(itertools.product(range(3), range(3)))
    joint_p = torch.stack([first_p[a] + second_p[a, b] for a, b in pairs])
    joint_q = torch.stack([first_q[a] + second_q[a, b] for a, b in pairs])
    truth = float((joint_p.exp() * (joint_p - joint_q)).sum())
    picks = torch.multinomial(joint_p.exp(), 20_000, replacement=True, generator=torch_generator(5))
    step_one = float((first_p.exp() * (first_p - first_q)).sum())
    step_two = (second_p.exp() * (second_p - second_q)).sum(-1)
    exact = mean_and_error(step_one + step_two[picks // 3])
    ratios = mean_and_error((joint_p - joint_q)[picks])
    assert exact.mean == pytest.approx(truth, abs=4 * exact.error)
    assert ratios.mean == pytest.approx(truth, abs=4 * ratios.error)
    assert exact.error < 0.5 * ratios.error


@pytest.mark.parametrize("way", ["k1 as a cost", "exact as a cost and in the loss"])
def test_the_gradient_of_the_kl_of_whole_sequences(way: str) -> None:
    """By enumeration of all sequences of two tokens out of four, each drawn by the policy.

    A cost moves the log-prob of a token by all that is paid from it on. The exact KL of a place is
    the same whatever is drawn there, so its own gradient has to be added.
    """
    tokens = range(4)
    wave = torch.arange(20, dtype=torch.float64)
    policy = torch.sin(3 * wave).view(5, 4).requires_grad_()
    lp, lq = policy.log_softmax(-1), torch.cos(5 * wave).view(5, 4).log_softmax(-1)
    local = exact_kl(policy, torch.cos(5 * wave).view(5, 4))
    kl = taught = torch.zeros((), dtype=torch.float64)
    for first, second in product(tokens, tokens):
        chance = (lp[0, first] + lp[1 + first, second]).exp()
        gaps = lp[0, first] - lq[0, first], lp[1 + first, second] - lq[1 + first, second]
        kl = kl + chance * sum(gaps)
        costs = gaps if way == "k1 as a cost" else (local[0], local[1 + first])
        own = 0.0 if way == "k1 as a cost" else local[0] + local[1 + first]
        paid = [(costs[0] + costs[1]).detach(), costs[1].detach()]
        score = lp[0, first] * paid[0] + lp[1 + first, second] * paid[1]
        taught = taught + chance.detach() * (score + own)
    (wanted,) = torch.autograd.grad(kl, policy, retain_graph=True)
    (found,) = torch.autograd.grad(taught, policy)
    torch.testing.assert_close(found, wanted)
