"""Several judges on one question: one distribution, their disagreement, and who stands apart.

A juror's opinion is a distribution over K labels: P(first is better) and its rest for a pair, the
K levels of a scale for a rating. A juror that is unscored abstains (None).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlaif.records import Unscored

Opinion = Sequence[float]
Array = NDArray[np.float64]

SMOOTHING = 1.0
MAX_STEPS = 1000
TOLERANCE = 1e-9


@dataclass(frozen=True)
class DawidSkene:
    """What jurors are worth and what is probably true, fitted together.

    Attributes:
        posteriors: For each question P(true label), or unscored where every juror abstained.
        confusions: For each juror ``[k, l]`` = P(the juror says l | k is true).
        prior: P(true label) over all questions.
        log_posterior: What EM raises: the log-likelihood of the opinions and of the smoothing's
            votes, in nats.
        steps: Rounds of EM.
    """

    posteriors: tuple[tuple[float, ...] | Unscored, ...]
    confusions: Mapping[str, tuple[tuple[float, ...], ...]]
    prior: tuple[float, ...]
    log_posterior: float
    steps: int

    def posterior(self, opinions: Mapping[str, Opinion | None]) -> tuple[float, ...] | Unscored:
        """Return P(true label) of one more question under what was fitted.

        Jurors that were not there when it was fitted are not heard.
        """
        known = {name: said for name, said in opinions.items() if name in self.confusions}
        table, names = _table(known)
        if table is None:
            return _nobody(opinions)
        confusion = np.array([self.confusions[name] for name in names])
        truth, _ = _expect(table[None], confusion, np.array(self.prior))
        return tuple(truth[0].tolist())


def mean_opinion(
    opinions: Mapping[str, Opinion | None], weights: Mapping[str, float] | None = None
) -> tuple[float, ...] | Unscored:
    """Return the weighted mean of the jurors' distributions.

    Args:
        opinions: By juror; None abstains.
        weights: By juror, at least 0; all alike where it is None.
    """
    table, names = _table(opinions)
    if table is None:
        return _nobody(opinions)
    weight = np.array([1.0 if weights is None else weights[name] for name in names])
    if not weight.sum() > 0.0:
        return Unscored(reason=f"the jurors with a verdict ({', '.join(names)}) weigh nothing")
    return tuple((weight @ table / weight.sum()).tolist())


def votes(opinions: Mapping[str, Opinion | None]) -> dict[str, Opinion | None]:
    """Return each juror's one vote, for its likeliest label; even between labels, it is split."""
    table, names = _table(opinions)
    cast = {} if table is None else dict(zip(names, map(_leaders, table), strict=True))
    return {name: tuple(cast[name].tolist()) if name in cast else None for name in opinions}


def majority_opinion(opinions: Mapping[str, Opinion | None]) -> tuple[float, ...] | Unscored:
    """Return certainty for the label with most votes; labels that share the lead share it evenly.

    Each juror has one vote, for its likeliest label; even between labels, it splits the vote.
    """
    table, _ = _table(opinions)
    if table is None:
        return _nobody(opinions)
    votes = np.stack([_leaders(row) for row in table]).sum(axis=0)
    return tuple(_leaders(votes).tolist())


def dawid_skene(
    questions: Sequence[Mapping[str, Opinion | None]],
    *,
    symmetric: bool,
    smoothing: float = SMOOTHING,
    max_steps: int = MAX_STEPS,
) -> DawidSkene:
    """Estimate jurors' errors and the truth by EM (Dawid & Skene 1979).

    Opinions are taken as fractional counts: a juror that says 0.8 of a label counts as 0.8 of a
    vote for it; certain opinions are the paper's votes. It starts, as there, with the mean of the
    opinions as the truth, so it is the same on every run and machine.

    Args:
        questions: The jurors' opinions on each.
        symmetric: True for pairs, where which answer is first says nothing: a juror's errors are
            then the same both ways round, the prior is even, and swapping one question swaps its
            posterior and changes nothing else. False for ratings.
        smoothing: Votes that every juror is taken to have cast, half of them right and half of
            them anything, for each true label; above 0, so that no probability is 0.
        max_steps: EM's steps at most, at least 1.

    Returns:
        Posteriors, confusions and prior; one of EM's fixed points, near the mean opinion.

    Raises:
        ValueError: Opinions that are no distributions, or of different lengths.
    """
    if not smoothing > 0.0:
        raise ValueError(f"smoothing = {smoothing}, expected a number above 0")
    names = sorted({name for question in questions for name in question})
    said = _counts(questions, names)
    heard = said.sum(axis=(1, 2)) > 0.0
    labels = said.shape[2]
    pseudo = smoothing * (0.5 * np.eye(labels) + 0.5 / max(labels, 1))
    votes = said[heard].sum(axis=1)
    truth = votes / votes.sum(axis=1, keepdims=True)
    steps, change = 0, math.inf
    while change >= TOLERANCE and steps < max_steps:
        confusion, prior = _maximise(said[heard], truth, pseudo, symmetric=symmetric)
        before = truth
        truth, log_evidence = _expect(said[heard], confusion, prior)
        steps, change = steps + 1, float(np.abs(truth - before).max(initial=0.0))
    held = float((pseudo * np.log(confusion)).sum() + (pseudo.sum(axis=1) * np.log(prior)).sum())
    found = iter(truth.tolist())
    return DawidSkene(
        posteriors=tuple(
            tuple(next(found)) if there else _nobody(question)
            for there, question in zip(heard, questions, strict=True)
        ),
        confusions={
            name: tuple(tuple(row) for row in matrix.tolist())
            for name, matrix in zip(names, confusion, strict=True)
        },
        prior=tuple(prior.tolist()),
        log_posterior=float(log_evidence.sum()) + held,
        steps=steps,
    )


def disagreement(opinions: Mapping[str, Opinion | None]) -> float | None:
    """Return the jurors' generalised Jensen-Shannon divergence in bits (Lin 1991, eq. 5.1).

    It is for labels that stand in no order, such as the two of a pair. The entropy of the mean
    opinion less the mean entropy: 0 where all say the same, at most 1 bit for pairs. It tells
    jurors that contradict each other from jurors that are all unsure.

    Returns:
        The divergence; None with fewer than two opinions.
    """
    table, names = _table(opinions)
    if table is None or len(names) < 2:
        return None
    own = math.fsum(_entropy(row) for row in table) / len(names)
    return max(_entropy(table.mean(axis=0)) - own, 0.0)


def distance(opinions: Mapping[str, Opinion | None]) -> float | None:
    """Return how far jurors' opinions on a scale lie apart, as a share of the scale.

    Twice the mean of their earth mover's distances from the mean opinion: 0 where all say the same,
    for two the distance between them, and 1 where half of them are sure of each end.

    Returns:
        The distance, rounded so that a share such as one half is one; None with fewer than two
        opinions.
    """
    table, names = _table(opinions)
    if table is None or len(names) < 2:
        return None
    below = _below(table)
    moved = 2.0 * float(np.abs(below - below.mean(axis=0)).mean())
    return round(min(moved, 1.0), 9)


def outliers(opinions: Mapping[str, Opinion | None], threshold: float = 0.5) -> tuple[str, ...]:
    """Return the jurors that stand apart from others that agree.

    A juror stands apart where its distance from every other juror is over the threshold while no
    two of the others are that far apart; it takes three to tell. The distance is the earth mover's
    over labels that stand in order, as a share of the scale: for pairs the difference of their P,
    for ratings that are sure the difference of their scores.

    Args:
        opinions: By juror; None abstains.
        threshold: A distance in [0, 1].

    Returns:
        One juror, or none: two that stand apart are a jury that is split.
    """
    table, names = _table(opinions)
    if table is None or len(names) < 3:
        return ()
    below = _below(table)
    apart = np.abs(below[:, None] - below[None]).mean(axis=2).clip(max=1.0) > threshold
    return tuple(
        name
        for place, name in enumerate(names)
        if np.delete(apart[place], place).all()
        and not np.delete(np.delete(apart, place, 0), place, 1).any()
    )


def _table(opinions: Mapping[str, Opinion | None]) -> tuple[Array | None, list[str]]:
    """Return the opinions there are, one per row [jurors, labels], and whose they are."""
    there = [(name, said) for name, said in sorted(opinions.items()) if said is not None]
    if not there:
        return None, []
    for name, said in there:
        whole = abs(math.fsum(said) - 1.0) < 1e-6 and all(p >= 0.0 for p in said)
        if not whole or len(said) != len(there[0][1]):
            raise ValueError(f"{name} says {list(said)}: no distribution over the jury's labels")
    return np.array([said for _, said in there], dtype=np.float64), [name for name, _ in there]


def _below(table: Array) -> Array:
    """Return each row's share up to each label but the last: what is moved from there to the next.

    The mean difference of two such rows is the earth mover's distance in shares of the scale.
    """
    return np.asarray(table.cumsum(axis=1)[:, :-1])


def _nobody(opinions: Mapping[str, Opinion | None]) -> Unscored:
    who = ", ".join(sorted(opinions)) or "no juror was asked"
    return Unscored(reason=f"no juror gave a verdict ({who})")


def _leaders(values: Array) -> Array:
    """Return 1 at the largest value, in equal shares where several are."""
    lead = np.isclose(values, values.max(), rtol=0.0, atol=1e-12)
    return np.asarray(lead / lead.sum())


def _counts(questions: Sequence[Mapping[str, Opinion | None]], names: Sequence[str]) -> Array:
    """Return fractional votes [questions, jurors, labels], 0 throughout for an abstention."""
    tables = [_table(question) for question in questions]
    labels = {table.shape[1] for table, _ in tables if table is not None}
    if len(labels) > 1:
        raise ValueError(f"questions with {sorted(labels)} labels, expected one number of them")
    counts = np.zeros((len(questions), len(names), labels.pop() if labels else 0))
    index = {name: place for place, name in enumerate(names)}
    for number, (table, who) in enumerate(tables):
        if table is not None:
            counts[number, [index[name] for name in who]] = table
    return counts


def _maximise(said: Array, truth: Array, pseudo: Array, *, symmetric: bool) -> tuple[Array, Array]:
    """Return each juror's confusion [jurors, true, said], and the prior (equations 2.3, 2.4)."""
    confusion = np.einsum("ik,ijl->jkl", truth, said) + pseudo
    prior = truth.sum(axis=0) + pseudo.sum(axis=1)
    if symmetric:
        confusion = confusion + confusion[:, ::-1, ::-1]
        prior = prior + prior[::-1]
    return confusion / confusion.sum(axis=2, keepdims=True), prior / prior.sum()


def _expect(said: Array, confusion: Array, prior: Array) -> tuple[Array, Array]:
    """Return P(true label) [questions, labels] and each question's log-evidence (equation 2.5)."""
    log_joint = np.log(prior) + np.einsum("ijl,jkl->ik", said, np.log(confusion))
    top = log_joint.max(axis=1, keepdims=True, initial=-np.inf)
    log_evidence = top[:, 0] + np.log(np.exp(log_joint - top).sum(axis=1))
    return np.exp(log_joint - log_evidence[:, None]), log_evidence


def _entropy(distribution: Array) -> float:
    kept = distribution[distribution > 0.0]
    return float(-(kept * np.log2(kept)).sum())
