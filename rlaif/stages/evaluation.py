"""The challenger measured on held-out prompts: win rates, diversity, length, KL to base."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rlaif.config import EvaluationConfig
from rlaif.intervals import normal_quantile, wilson
from rlaif.logistic import fit_logistic, sigmoid
from rlaif.models.actor_critic import exact_response_kl, score_responses
from rlaif.models.encoding import encode_apart
from rlaif.models.loading import LanguageModel
from rlaif.records import Message, PairVerdict, WinRate
from rlaif.rl import MeanKL, Rollout, k1, mean_and_error, sequence_kl
from rlaif.sides import is_tie

RIDGE = 1e-2
KL_BATCH = 32


@dataclass(frozen=True)
class Duel:
    """One held-out prompt's two answers: the verdict on (mine, other), and their lengths."""

    verdict: PairVerdict
    length: int
    other_length: int


def win_rate(duels: Sequence[Duel], config: EvaluationConfig) -> WinRate:
    """Summarise duels: an answer wins where P(better) is clearly over 0.5, ties count half.

    The interval is Wilson's (1927) at the number of win-or-lose trials that would vary as much as
    these duels do: a tie varies less than a coin (Franco et al. 2019, "Comparative study of
    confidence intervals for proportions in complex sample surveys", for effective sample sizes).

    Args:
        duels: One per prompt; unscored ones are counted apart. Quarantined ones count as ties:
            the judge could not tell.
        config: What counts as a tie, and the level of the interval.
    """
    scored = [d for d in duels if d.verdict.p_first is not None]
    outcomes = [_outcome(d.verdict, config.tie_margin) for d in scored]
    rate = sum(outcomes) / len(outcomes) if outcomes else 0.5
    tied = sum(outcome == 0.5 for outcome in outcomes)
    low, high = wilson(rate, effective_trials(rate, len(outcomes), tied), config.confidence)
    return WinRate(
        rate=rate,
        low=low,
        high=high,
        length_controlled=_length_controlled(scored, outcomes),
        prompts=len(duels),
        tied=tied,
        unscored=len(duels) - len(scored),
    )


def effective_trials(rate: float, count: int, tied: int) -> float:
    """Return how many win-or-lose trials have the variance of a mean of duels with ties.

    With outcomes 0, 1/2 and 1 of mean p, a share t of them tied, one duel's variance is
    p (1 - p) - t / 4, that of a trial p (1 - p). It is taken to be at least what one decided duel
    among all would bring, so that nothing but ties is not certainty.

    Args:
        rate: Mean outcome.
        count: Duels.
        tied: Those among them that ended in a tie.
    """
    trial = rate * (1.0 - rate)
    if not count or not trial:
        return float(count)
    duel = max(trial - tied / count / 4.0, trial / count)
    return count * trial / duel


@torch.no_grad()
def kl_to(
    policy: LanguageModel,
    base: LanguageModel,
    answers: Sequence[tuple[Sequence[Message], str, bool]],
    temperature: float,
) -> MeanKL:
    """Estimate KL(policy || base) from the policy's own answers, in nats per sequence.

    Every token's KL is exact, given the tokens before it: so the estimate has far less variance
    than the mean of :func:`log_ratios`, and no bias where the tokens are those that were sampled.
    They are those of the answers' texts (docs/decisions/0001): a policy that often samples unusual
    splits of words is measured where it did not go.

    Args:
        policy: Who answered.
        base: The other distribution; the same tokenizer is assumed.
        answers: Conversation, text, and whether the answer ended itself, one of each prompt.
        temperature: The sampling temperature.

    Returns:
        The mean over the answers with its standard error; 0 and NaN without any.
    """
    found = [sequence_kls(policy, base, part, temperature) for part in _rollouts(policy, answers)]
    return mean_and_error(torch.cat(found)) if found else MeanKL(0.0, math.nan)


@torch.no_grad()
def sequence_kls(
    policy: LanguageModel, base: LanguageModel, rollout: Rollout, temperature: float
) -> Tensor:
    """Return the sum of each row's exact KLs per token [rows], nats, on the CPU.

    Args:
        policy: Who answered.
        base: The other distribution.
        rollout: The policy's answers.
        temperature: The sampling temperature.
    """
    kl = exact_response_kl(policy, base, rollout, temperature)
    return sequence_kl(kl, rollout.response_mask).cpu()


def upper_bound(kl: MeanKL, confidence: float) -> float | None:
    """Return the upper end of a mean's normal interval; None where no error is known.

    Args:
        kl: The mean and its standard error.
        confidence: Of the two-sided interval.
    """
    z = normal_quantile(confidence)
    return None if math.isnan(kl.error) else kl.mean + z * kl.error


@torch.no_grad()
def log_ratios(
    policy: LanguageModel,
    base: LanguageModel,
    answers: Sequence[tuple[Sequence[Message], str, bool]],
    temperature: float,
) -> list[float]:
    """Return log policy(answer) - log base(answer) (k1) of each answer, in nats.

    Answers are re-tokenised from their texts; empty ones are left out. The order is that of length.

    Args:
        policy: Who answered.
        base: The other distribution; the same tokenizer is assumed.
        answers: Conversation, text, and whether the answer ended itself.
        temperature: The sampling temperature.
    """
    found: list[float] = []
    for rollout in _rollouts(policy, answers):
        mine = score_responses(policy, rollout, temperature).logprobs
        theirs = score_responses(base, rollout, temperature).logprobs
        found += sequence_kl(k1(mine, theirs), rollout.response_mask).tolist()
    return found


def _rollouts(
    policy: LanguageModel, answers: Sequence[tuple[Sequence[Message], str, bool]]
) -> Iterator[Rollout]:
    """Yield answers as rollouts of like length, re-tokenised; empty ones are left out."""
    encoded = (encode_apart(policy, *answer) for answer in answers)
    rows = sorted((r for r in encoded if r[1]), key=lambda r: len(r[0]) + len(r[1]))
    for start in range(0, len(rows), KL_BATCH):
        part = rows[start : start + KL_BATCH]
        rollout = Rollout.from_lists([q for q, _ in part], [a for _, a in part], policy.pad_id)
        yield rollout.to(policy.device)


def _outcome(verdict: PairVerdict, tie_margin: float) -> float:
    p_first = verdict.p_first
    if p_first is None or verdict.quarantined is not None:
        return 0.5
    if is_tie(p_first, tie_margin):
        return 0.5
    return 1.0 if p_first > 0.5 else 0.0


def _length_controlled(duels: Sequence[Duel], outcomes: Sequence[float]) -> float | None:
    """Win rate at equal length: a logistic regression's value where the difference is nil.

    P(win) = sigmoid(a + b tanh(d / s)), d the difference in tokens and s its deviation (Dubois et
    al. 2024, "Length-Controlled AlpacaEval"); a light ridge keeps separable data finite.
    """
    if not duels:
        return None
    gap = np.array([d.length - d.other_length for d in duels], dtype=np.float64)
    scale = float(gap.std()) or 1.0
    design = np.stack([np.ones_like(gap), np.tanh(gap / scale)], axis=1)
    target = np.array(outcomes)
    return sigmoid(float(fit_logistic(design, target, RIDGE).coefficients[0]))
