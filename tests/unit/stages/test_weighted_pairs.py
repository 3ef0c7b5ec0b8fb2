"""Weights of pairs: what they do to the losses, by hand, and that weight 1 does nothing at all."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from optimiser_jobs import PAIRS as POLICY_PAIRS
from optimiser_jobs import WEIGHTS, Maker, with_settings
from reward_jobs import PAIRS, make_job, pair, planted
from safetensors.torch import load_file
from torch import Tensor

from rlaif.rl import preference_losses
from rlaif.stages.metrics import read_metrics
from rlaif.stages.optimisers import train_challenger
from rlaif.stages.optimisers.policy_trainer import shuffled_passes
from rlaif.stages.reward_model import RewardPair, train_reward_model
from rlaif.stages.reward_model.schedule import Comparison, as_row, compare_pairs, rank_lists
from rlaif.stages.reward_model.trainer import Loss, members_loss, soft_loss
from rlaif.testing import make_tiny_lm

LOSSES: tuple[Loss, ...] = ("bradley_terry", "hinge", "listwise")
SCORES = torch.tensor([[0.3, -0.4], [1.0, 2.5], [0.2, 0.1]])
VALUES = torch.tensor([[0.75, 0.25], [0.1, 0.9], [0.6, 0.4]])
REAL = torch.ones(3, 2, dtype=torch.bool)
HEAVY = torch.tensor([2.0, 0.25, 0.75])


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("policies") / "tiny")


def encode(_: object, text: str, ended: bool) -> tuple[int, ...]:
    return (*map(ord, text), 0) if ended else tuple(map(ord, text))


def weighted(found: RewardPair, weight: float) -> RewardPair:
    return found.model_copy(update={"weight": weight})


def test_bradley_terry_multiplies_each_pairs_loss() -> None:
    by_hand = [
        2.0 * (0.75 * math.log1p(math.exp(-0.7)) + 0.25 * math.log1p(math.exp(0.7))),
        0.25 * (0.1 * math.log1p(math.exp(1.5)) + 0.9 * math.log1p(math.exp(-1.5))),
        0.75 * (0.6 * math.log1p(math.exp(-0.1)) + 0.4 * math.log1p(math.exp(0.1))),
    ]
    loss = soft_loss("bradley_terry", SCORES, VALUES, REAL, HEAVY)
    assert float(loss) == pytest.approx(sum(by_hand) / float(HEAVY.sum()), rel=1e-6)


def test_hinge_multiplies_each_pairs_loss() -> None:
    by_hand = [
        2.0 * (0.75 * 0.3 + 0.25 * 1.7),
        0.25 * (0.1 * 2.5),
        0.75 * (0.6 * 0.9 + 0.4 * 1.1),
    ]
    loss = soft_loss("hinge", SCORES, VALUES, REAL, HEAVY)
    assert float(loss) == pytest.approx(sum(by_hand) / 3, rel=1e-6)


def test_the_listwise_loss_multiplies_each_lists() -> None:
    by_hand = [
        2.0 * math.log1p(math.exp(-0.7)),
        0.25 * math.log1p(math.exp(-1.5)),
        0.75 * math.log1p(math.exp(-0.1)),
    ]
    loss = soft_loss("listwise", SCORES, VALUES, REAL, HEAVY)
    assert float(loss) == pytest.approx(sum(by_hand) / 3, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_pair_of_twice_the_weight_is_the_pair_twice(loss: Loss) -> None:
    twice = soft_loss(
        loss, SCORES[[0, 0, 1]], VALUES[[0, 0, 1]], REAL
    )  # as many rows as the weights add up to
    once = soft_loss(loss, SCORES[:2], VALUES[:2], REAL[:2], torch.tensor([4 / 3, 2 / 3]))
    assert float(once) == pytest.approx(float(twice), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_one_is_bit_for_bit_no_weight(loss: Loss) -> None:
    found = []
    for weights in (None, torch.ones(3)):
        scores = SCORES.clone().requires_grad_()
        value = soft_loss(loss, scores, VALUES, REAL, weights)
        value.backward()
        assert scores.grad is not None
        found.append((value.detach(), scores.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_members_see_the_weights_of_what_they_drew() -> None:
    scores = torch.stack([SCORES, SCORES.flip(0)], dim=-1)
    draws = torch.tensor([[1, 0, 2], [0, 1, 0]])
    parts = [
        [
            float(soft_loss("hinge", scores[i : i + 1, :, m], VALUES[i : i + 1], REAL[:1]))
            for i in range(3)
        ]
        for m in range(2)
    ]
    by_hand = [
        (HEAVY[0] * parts[0][0] + 2 * HEAVY[2] * parts[0][2]) / 3,
        HEAVY[1] * parts[1][1] / 3,
    ]
    loss = members_loss("hinge", scores, VALUES, REAL, draws=draws, weights=HEAVY)
    assert float(loss) == pytest.approx(float(sum(by_hand)) / 2, rel=1e-6)


def test_weights_are_of_mean_one_over_all_pairs_and_reach_the_batch() -> None:
    pairs = [weighted(pair(n, ("a", "b"), 0.9), w) for n, w in enumerate((1.0, 1.0, 4.0))]
    comparisons = compare_pairs(pairs, encode)
    assert [c.weight for c in comparisons] == [0.5, 0.5, 2.0]
    row = as_row(comparisons[1:], np.ones((1, 3), dtype=np.int64))
    assert row["weights"] == [0.5, 2.0]
    alike = compare_pairs([weighted(p, 0.3) for p in pairs], encode)
    assert [c.weight for c in alike] == [1.0, 1.0, 1.0]


def test_a_ranking_is_fitted_by_weight_and_weighs_what_its_pairs_do() -> None:
    """Of two voices that disagree, the heavier one decides the order, as nine pairs would."""
    edges = [("a", "b", 0.9, 3.0), ("a", "b", 0.1, 1.0), ("b", "c", 0.9, 2.0)]
    made = [Comparison(0, ((ord(x),), (ord(y),)), (p, 1.0 - p), weight=w) for x, y, p, w in edges]
    (ranked,) = rank_lists(made)
    strengths = dict(zip((chr(a[0]) for a in ranked.answers), ranked.values, strict=True))
    logit = math.log(9.0)
    assert strengths["a"] - strengths["b"] == pytest.approx(logit / 2, abs=1e-5)
    assert strengths["b"] - strengths["c"] == pytest.approx(logit, abs=1e-5)
    assert (ranked.pairs, ranked.weight) == (3, 2.0)


def trained(policy: Path, folder: Path, pairs: tuple[RewardPair, ...], loss: Loss) -> str:
    return train_reward_model(make_job(policy, folder, pairs, loss=loss)).artifact.digest


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_one_everywhere_trains_the_same_model_to_the_bit(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: Loss
) -> None:
    with_ones = trained(policy, tmp_path / "ones", PAIRS, loss)
    threes = tuple(weighted(p, 3.0) for p in PAIRS)
    assert trained(policy, tmp_path / "threes", threes, loss) == with_ones

    def unweighted(losses: Tensor, _: Tensor | None) -> Tensor:
        return losses.mean()

    monkeypatch.setattr(preference_losses, "weighted_mean", unweighted)
    assert trained(policy, tmp_path / "none", PAIRS, loss) == with_ones


def test_the_heavier_voice_wins(policy: Path, tmp_path: Path) -> None:
    """Every pair is contradicted by one of a tenth of its weight."""
    own = planted(48, heldout=24)
    train = [p for p in own if p.split == "train"]
    against = [weighted(p, 0.1).model_copy(update={"label": 1.0 - p.label}) for p in train]
    report = train_reward_model(make_job(policy, tmp_path, (*own, *against), epochs=5))
    assert report.accuracy is not None
    assert report.accuracy >= 0.9


def test_a_fingerprint_knows_weights_and_not_that_there_are_any(
    policy: Path, tmp_path: Path
) -> None:
    plain = make_job(policy, tmp_path, PAIRS)
    ones = make_job(policy, tmp_path, tuple(weighted(p, 1.0) for p in PAIRS))
    other = make_job(policy, tmp_path, (weighted(PAIRS[0], 2.0), *PAIRS[1:]))
    assert plain.fingerprint("d") == ones.fingerprint("d") != other.fingerprint("d")


def test_dpo_counts_pairs_by_weight(make_job: Maker) -> None:
    """At the start each pair costs log 2, so a step costs the mean of its pairs' weights of it."""
    pairs = [
        p.model_copy(update={"weight": 3.0 if n < 6 else 1.0}) for n, p in enumerate(POLICY_PAIRS)
    ]
    job = with_settings(make_job("dpo", pairs=tuple(pairs)), epochs=1)
    train_challenger(job)
    order = shuffled_passes(len(pairs), len(pairs), job.seed)
    first = [pairs[i].weight / 1.5 for i in order[:8]]
    assert sum(first) / 8 != 1.0
    losses = [m.value for m in read_metrics(job.output) if m.name == "loss"]
    assert losses[0] == pytest.approx(math.log(2) * sum(first) / 8, rel=1e-5)


def test_dpo_of_weight_one_is_dpo_without_weights(make_job: Maker) -> None:
    jobs = [
        make_job("dpo", name, pairs=tuple(p.model_copy(update={"weight": w}) for p in POLICY_PAIRS))
        for name, w in (("ones", 1.0), ("threes", 3.0))
    ]
    weights = []
    for job in jobs:
        train_challenger(job)
        weights.append(load_file(job.output / WEIGHTS))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
