"""Tokens are drawn by what the logits say, and their log-probs are those of that draw."""

import pytest
import torch

from rlaif.models.drawing import draw, greedy, uniforms
from rlaif.seeds import torch_generator
from tests.unit.models.apple import Apple, on_apple

LOGITS = torch.tensor([2.0, -torch.inf, 0.5, -1.0, 1.5])


def numbers(rows: int, seed: int) -> torch.Tensor:
    return uniforms(rows, 1, torch_generator(seed))[:, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature: float) -> None:
    count = 40_000
    drawn = draw(LOGITS.repeat(count, 1), temperature, numbers(count, 3))
    expected = (LOGITS / temperature).softmax(-1)
    shares = torch.bincount(drawn.tokens, minlength=5) / count
    error = (expected * (1 - expected) / count).sqrt()
    assert ((shares - expected).abs() <= 4 * error).all()
    assert shares[1] == 0
    torch.testing.assert_close(drawn.logprobs, expected.log()[drawn.tokens])


def test_the_same_state_draws_the_same() -> None:
    logits = torch.sin(torch.arange(60.0)).view(6, 10)
    one, two = (draw(logits, 1.0, numbers(len(logits), 5)) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)


def test_a_device_without_float64_draws_what_the_cpu_draws() -> None:
    logits = torch.sin(torch.arange(60.0)).view(6, 10)
    uniform = uniforms(len(logits), 1, torch_generator(5, "mps"))[:, 0]
    expected = draw(logits, 0.7, numbers(len(logits), 5))
    with Apple():
        drawn = draw(on_apple(logits), 0.7, uniform)
        assert [x.device.type for x in drawn] == ["mps", "mps"]
        assert [x.tolist() for x in drawn] == [x.tolist() for x in expected]


def test_broken_logits_give_broken_log_probs() -> None:
    logits = LOGITS.repeat(2, 1)
    logits[1, 0] = torch.nan
    finite = torch.isfinite(draw(logits, 1.0, numbers(len(logits), 1)).logprobs)
    assert finite.tolist() == [True, False]
    assert torch.isfinite(greedy(logits).logprobs).tolist() == [True, False]


def test_greedy_takes_the_likeliest() -> None:
    assert greedy(LOGITS.unsqueeze(0)).tokens.tolist() == [0]
