"""The formulas of `rlaif.rl` a second time: plain Python loops over float64, from the papers.

Nothing here is vectorised, recursive where a paper gives a sum, or shares a line with the package.
Arrays are indexed row by row; `lengths` says how many leading cells of each row are real.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def probabilities(logits: Array, temperature: float = 1.0) -> list[float]:
    """softmax(logits / temperature) of one vocabulary vector."""
    top = max(logits) / temperature
    weights = [math.exp(logit / temperature - top) for logit in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def token_logprob(logits: Array, token: int, temperature: float = 1.0) -> float:
    return math.log(probabilities(logits, temperature)[token])


def entropy(logits: Array, temperature: float = 1.0) -> float:
    """Expected surprise, sum over tokens of p log(1/p)."""
    return math.fsum(p * math.log(1 / p) for p in probabilities(logits, temperature) if p > 0)


def kl(logits_p: Array, logits_q: Array, temperature: float = 1.0) -> float:
    """Sum over tokens of p log(p/q)."""
    pairs = zip(
        probabilities(logits_p, temperature), probabilities(logits_q, temperature), strict=True
    )
    return math.fsum(p * math.log(p / q) for p, q in pairs if p > 0)


def k_estimate(name: str, logprob: float, ref_logprob: float) -> float:
    """Schulman's note writes r = q(x)/p(x) for x drawn from p."""
    log_r = max(-20.0, min(20.0, ref_logprob - logprob))
    if name == "k1":
        return -log_r
    if name == "k2":
        return log_r**2 / 2
    return min(10.0, (math.exp(log_r) - 1) - log_r)


def adaptive_beta(beta: float, kl: float, target: float, episodes: int, horizon: float) -> float:
    """Ziegler et al. 2019, section 2.2, with the gain written as episodes over horizon."""
    error = (kl - target) / target
    if error > 0.2:
        error = 0.2
    elif error < -0.2:
        error = -0.2
    return beta * (1 + episodes / horizon * error)


def place_scores(penalty: Array, scores: Array, lengths: Sequence[int]) -> Array:
    rewards = np.zeros_like(penalty)
    for row, length in enumerate(lengths):
        for column in range(length):
            rewards[row, column] = -penalty[row, column]
            if column == length - 1:
                rewards[row, column] += scores[row]
    return rewards


def gae(
    rewards: Array, values: Array, lengths: Sequence[int], gamma: float, lam: float
) -> tuple[Array, Array]:
    """Schulman et al. 2016, eq. 16: the sum over l of (gamma lambda)^l delta_{t+l}."""
    advantages, returns = np.zeros_like(rewards), np.zeros_like(rewards)
    for row, length in enumerate(lengths):
        deltas = []
        for t in range(length):
            after = values[row, t + 1] if t + 1 < length else 0.0
            deltas.append(rewards[row, t] + gamma * after - values[row, t])
        for t in range(length):
            terms = [(gamma * lam) ** (k - t) * deltas[k] for k in range(t, length)]
            advantages[row, t] = math.fsum(terms)
            returns[row, t] = advantages[row, t] + values[row, t]
    return advantages, returns


def real_cells(x: Array, lengths: Sequence[int]) -> list[float]:
    return [float(x[row, t]) for row, length in enumerate(lengths) for t in range(length)]


def whiten(x: Array, lengths: Sequence[int], shift_mean: bool) -> Array:
    cells = real_cells(x, lengths)
    mean, deviation = statistics.fmean(cells), math.sqrt(statistics.pvariance(cells) + 1e-8)
    white = np.zeros_like(x)
    for row, length in enumerate(lengths):
        for t in range(length):
            white[row, t] = (x[row, t] - mean) / deviation + (0.0 if shift_mean else mean)
    return white


def policy_loss(
    logprobs: Array,
    old_logprobs: Array,
    advantages: Array,
    lengths: Sequence[int],
    clip: float,
    dual: float | None,
) -> tuple[float, float, float]:
    """Loss, share of clipped tokens and KL(old || new) by k3, each a mean over all real tokens."""
    objectives, clipped, divergences = [], [], []
    for row, length in enumerate(lengths):
        for t in range(length):
            ratio = math.exp(max(-20.0, min(20.0, logprobs[row, t] - old_logprobs[row, t])))
            advantage = advantages[row, t]
            bounded = min(max(ratio, 1 - clip), 1 + clip)
            objective = min(ratio * advantage, bounded * advantage)
            if dual is not None and advantage < 0:
                objective = max(objective, dual * advantage)
            objectives.append(objective)
            too_high = advantage > 0 and ratio > 1 + clip
            too_low = advantage < 0 and ratio < 1 - clip
            clipped.append(1.0 if too_high or too_low else 0.0)
            divergences.append(k_estimate("k3", old_logprobs[row, t], logprobs[row, t]))
    return -statistics.fmean(objectives), statistics.fmean(clipped), statistics.fmean(divergences)


def value_loss(
    values: Array, old_values: Array, returns: Array, lengths: Sequence[int], clip: float
) -> tuple[float, float]:
    """Loss and share of tokens for which the clipped estimate is the worse one."""
    losses, clipped = [], []
    for row, length in enumerate(lengths):
        for t in range(length):
            value, old, target = values[row, t], old_values[row, t], returns[row, t]
            near = old + max(-clip, min(clip, value - old))
            losses.append(max((value - target) ** 2, (near - target) ** 2) / 2)
            outside = abs(value - old) > clip
            clipped.append(1.0 if outside and abs(near - target) > abs(value - target) else 0.0)
    return statistics.fmean(losses), statistics.fmean(clipped)


def explained_variance(values: Array, returns: Array, lengths: Sequence[int]) -> float:
    residuals = real_cells(returns - values, lengths)
    return 1 - statistics.pvariance(residuals) / statistics.pvariance(real_cells(returns, lengths))


def bradley_terry(first: Array, second: Array, p_first: Array) -> float:
    losses = []
    for a, b, p in zip(first, second, p_first, strict=True):
        win = math.exp(a) / (math.exp(a) + math.exp(b))
        losses.append(-(p * math.log(win) + (1 - p) * math.log(1 - win)))
    return statistics.fmean(losses)


def hinge(first: Array, second: Array, p_first: Array, margin: float) -> float:
    losses = []
    for a, b, p in zip(first, second, p_first, strict=True):
        losses.append(p * max(0.0, margin - a + b) + (1 - p) * max(0.0, margin - b + a))
    return statistics.fmean(losses)


def ranking_probability(scores: Sequence[float]) -> float:
    """Plackett-Luce: the product of each choice's share among those that are left."""
    probability = 1.0
    for place in range(len(scores)):
        left = [math.exp(score) for score in scores[place:]]
        probability *= left[0] / sum(left)
    return probability


def listwise(scores: Array, lengths: Sequence[int]) -> float:
    groups = [list(scores[row, :length]) for row, length in enumerate(lengths)]
    return statistics.fmean(-math.log(ranking_probability(group)) for group in groups)
