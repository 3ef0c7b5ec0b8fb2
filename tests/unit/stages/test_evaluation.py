"""Win rates and their intervals against figures computed by other means."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config import EvaluationConfig
from rlaif.intervals import wilson
from rlaif.models.actor_critic import score_responses
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.models.loading import load_language_model
from rlaif.records import Message, PairVerdict
from rlaif.rl import MeanKL, Rollout, k1, mean_and_error, sequence_kl
from rlaif.seeds import torch_generator
from rlaif.stages.evaluation import (
    Duel,
    effective_trials,
    kl_to,
    sequence_kls,
    upper_bound,
    win_rate,
)
from rlaif.testing import make_tiny_lm

CONFIG = EvaluationConfig(confidence=0.95, tie_margin=0.05)


def duel(p: float | None, gap: int = 0, quarantined: str | None = None) -> Duel:
    verdict = PairVerdict(
        first_id="a",
        second_id="b",
        p_first=p,
        quarantined=quarantined,
        unscored=None if p is not None else "no verdict",
    )
    return Duel(verdict, 20 + gap, 20)


def test_wilson_by_hand() -> None:
    # 8 of 10 at 95%: (0.4902, 0.9433), the textbook example.
    low, high = wilson(0.8, 10, 0.95)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert wilson(0.5, 0, 0.95) == (0.0, 1.0)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.6, 0.99))
def test_wilson_solves_its_own_equation(count: int, rate: float, confidence: float) -> None:
    from statistics import NormalDist

    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = wilson(rate, count, confidence)
    assert 0.0 <= low <= rate + 1e-9
    assert rate - 1e-9 <= high <= 1.0
    for bound in (low, high):
        if 1e-6 < bound < 1 - 1e-6:
            spread = z * math.sqrt(bound * (1 - bound) / count)
            assert abs(rate - bound) == pytest.approx(spread, abs=1e-6)


def test_ties_count_half_and_unscored_apart() -> None:
    found = win_rate([duel(0.9), duel(0.1), duel(0.5), duel(None), duel(0.8)], CONFIG)
    assert found.rate == pytest.approx(2.5 / 4)
    assert (found.prompts, found.unscored) == (5, 1)


def test_nearly_even_duels_are_ties() -> None:
    found = win_rate([duel(0.54), duel(0.46), duel(0.56), duel(0.44), duel(0.9)], CONFIG)
    assert (found.rate, found.tied) == (pytest.approx(0.6), 2)
    sharp = EvaluationConfig(tie_margin=0.0)
    assert win_rate([duel(0.5), duel(0.5001)], sharp).tied == 1


def test_ties_narrow_the_interval_as_their_variance_says() -> None:
    # 90 wins, 60 losses, 150 ties: mean 0.55, variance of an outcome 0.55 * 0.45 - 0.5 / 4.
    outcomes = [1.0] * 90 + [0.0] * 60 + [0.5] * 150
    assert effective_trials(0.55, 300, 150) == pytest.approx(300 * 0.2475 / float(np.var(outcomes)))
    duels = [duel(0.9)] * 90 + [duel(0.1)] * 60 + [duel(0.5)] * 150
    found = win_rate(duels, CONFIG)
    spread = 1.959964 * math.sqrt(float(np.var(outcomes)) / 300)
    assert found.low == pytest.approx(0.55 - spread, abs=1e-3)
    assert found.high == pytest.approx(0.55 + spread, abs=1e-3)


def test_nothing_but_ties_is_no_certainty() -> None:
    found = win_rate([duel(0.5)] * 25, CONFIG)
    assert found.low < 0.5 < found.high


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=400))
def test_the_interval_holds_the_rate_and_never_passes_the_coins(outcomes: list[float]) -> None:
    rate, tied = sum(outcomes) / len(outcomes), outcomes.count(0.5)
    trials = effective_trials(rate, len(outcomes), tied)
    assert trials >= len(outcomes) * (1 - 1e-9)
    low, high = wilson(rate, trials, 0.95)
    assert low - 1e-9 <= rate <= high + 1e-9


def test_a_verdict_that_flips_with_order_is_a_tie_here() -> None:
    assert win_rate([duel(0.9, quarantined="flips")], CONFIG).rate == 0.5


def test_nothing_scored_claims_nothing() -> None:
    found = win_rate([duel(None)], CONFIG)
    assert (found.low, found.high, found.length_controlled) == (0.0, 1.0, None)


def test_length_control_takes_away_what_length_explains() -> None:
    longer_wins = [duel(0.9, gap=20)] * 60 + [duel(0.1, gap=-20)] * 20 + [duel(0.1, gap=0)] * 20
    found = win_rate(longer_wins, CONFIG)
    assert found.rate == pytest.approx(0.6)
    assert found.length_controlled is not None
    assert found.length_controlled < 0.45


def test_length_control_leaves_alone_what_length_does_not_explain() -> None:
    mixed = [duel(0.9, gap=g) for g in (-8, 0, 8)] * 21 + [duel(0.1, gap=g) for g in (-8, 0, 8)] * 9
    found = win_rate(mixed, CONFIG)
    assert found.length_controlled == pytest.approx(0.7, abs=0.02)


def test_length_control_asks_where_lengths_are_equal_not_where_they_are_on_average() -> None:
    """Two lengths leave a line in log-odds no choice, so its value at 0 is known by hand."""
    duels = [
        duel(p_first, gap=gap)
        for gap, won in ((12, 900), (-4, 300))
        for p_first in [0.9] * won + [0.1] * (1_200 - won)
    ]
    found = win_rate(duels, CONFIG)
    longer, shorter = math.tanh(12 / 8), math.tanh(-4 / 8)  # the gaps' deviation is 8
    odds_longer, odds_shorter = math.log(900 / 300), math.log(300 / 900)
    at_zero = (longer * odds_shorter - shorter * odds_longer) / (longer - shorter)
    assert found.length_controlled == pytest.approx(1 / (1 + math.exp(-at_zero)), abs=1e-3)
    assert found.rate == pytest.approx(0.5)
    assert found.length_controlled < 0.45


def test_kl_to_base_is_that_of_log_ratios_with_less_noise(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    base = load_language_model(str(make_tiny_lm(tmp_path / "base")), cpu)
    policy = load_language_model(str(make_tiny_lm(tmp_path / "base")), cpu)
    generator = torch_generator(3)
    with torch.no_grad():
        for weights in policy.model.parameters():
            weights.add_(torch.randn(weights.shape, generator=generator) * 0.02)
    policy = policy.in_precision(torch.float32)
    queries = [
        encode_conversation(policy, [Message(role="user", content=f"Question {n % 7}?")])
        for n in range(300)
    ]
    said = decode(policy, queries, DecodeSettings(12, 1.0), torch_generator(1))
    rollout = Rollout.from_lists(queries, [list(a.token_ids) for a in said], policy.pad_id)
    found = mean_and_error(sequence_kls(policy, base, rollout, 1.0))
    mine, theirs = (score_responses(lm, rollout, 1.0).logprobs for lm in (policy, base))
    ratios = mean_and_error(sequence_kl(k1(mine, theirs), rollout.response_mask))
    assert found.mean > 0.05
    assert abs(found.mean - ratios.mean) < 3 * math.hypot(found.error, ratios.error)
    assert found.error < ratios.error
    assert upper_bound(found, 0.95) == pytest.approx(found.mean + 1.96 * found.error, rel=1e-3)
    answers = [([Message(role="user", content="Why?")], a.text, a.ended) for a in said[:40]]
    assert kl_to(base, base, answers, 1.0).mean == pytest.approx(0.0, abs=1e-4)
    assert kl_to(policy, base, answers, 1.0).mean > 0.05
    assert math.isnan(kl_to(policy, base, [], 1.0).error)


def test_kl_to_base_is_found_again_token_by_token_at_its_temperature(tmp_path: Path) -> None:
    temperature = 0.7
    policy, base = (
        load_language_model(str(make_tiny_lm(tmp_path / str(seed), seed=seed)), torch.device("cpu"))
        for seed in (1, 2)
    )
    asked = [Message(role="user", content="Why?")]
    answers = [(asked, "It is", True), (asked, "", False), (asked, "No, it is not.", False)]
    sums = []
    for _, text, ended in answers:
        query, answer = encode_conversation(policy, asked), encode_answer(policy, text, ended)
        total = 0.0
        for end in range(len(query), len(query) + len(answer)):
            ids = torch.tensor([(query + answer)[:end]])
            with torch.no_grad():
                said, other = (
                    (lm.model(ids).logits[0, -1].double() / temperature).log_softmax(-1)
                    for lm in (policy, base)
                )
            total += float((said.exp() * (said - other)).sum())
        sums += [total] if answer else []
    found = kl_to(policy, base, answers, temperature)
    assert len(sums) == 2
    assert found.mean == pytest.approx(sum(sums) / 2, rel=1e-4)
    assert found.error == pytest.approx(abs(sums[0] - sums[1]) / 2, rel=1e-3)


def test_kl_to_base_ends_where_the_context_does(tmp_path: Path) -> None:
    """A text may have more tokens than were sampled, and some models fail beyond their context."""
    policy, base = (
        load_language_model(
            str(make_tiny_lm(tmp_path / str(seed), seed=seed, context=32)), torch.device("cpu")
        )
        for seed in (1, 2)
    )
    asked = [Message(role="user", content="Why?")]
    room = 32 - len(encode_conversation(policy, asked))
    fitting, longer = (f"No,{' it is' * count}" for count in (room // 2, room))
    tokens = [encode_answer(policy, text, False) for text in (fitting, longer)]
    assert len(tokens[1]) > room
    assert tokens[1][: len(tokens[0])] == tokens[0]
    cut = policy.tokenizer.decode(tokens[1][:room])
    found, expected = (
        kl_to(policy, base, [(asked, text, False)], 1.0).mean for text in (longer, cut)
    )
    assert found == pytest.approx(expected)
    assert found > 0


def test_kl_of_nothing_is_nothing_known() -> None:
    assert upper_bound(MeanKL(2.0, math.nan), 0.95) is None
