"""The verdicts of several judges on one question become one; what each said stays as it was.

A jury's judgements are merged before they are weighed, so that whatever follows knows of one
verdict per criterion and order. With a single judge nothing is merged and nothing changes.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import compress, groupby
from typing import Literal, NamedTuple

from rlaif.intervals import clipped
from rlaif.judges.jury import (
    Opinion,
    dawid_skene,
    disagreement,
    distance,
    majority_opinion,
    mean_opinion,
    outliers,
    votes,
)
from rlaif.judges.quorum import is_quorum
from rlaif.judges.rubric import JudgeCriterion
from rlaif.records import Choice, Judgement, Rating, Unscored, Verdict

Combine = Literal["mean", "majority", "dawid_skene"]
FEWEST_QUESTIONS = 64  # under which Dawid-Skene is right less often than the mean (docs/LOG.md)
Opinions = Mapping[str, Opinion | None]


class Outlier(NamedTuple):
    """A juror that stood apart from others that agreed, and the criterion that it was asked on."""

    juror: str
    criterion: str


class Merged(NamedTuple):
    """An item's judgements with one verdict per question.

    Attributes:
        judgements: One per criterion and order, jurors' merged; their critiques stay with those
            who wrote them.
        disagreement: How far the jurors are apart, on a pair by their divergence in bits, on an
            answer in shares of the scale: the mean over the item's questions weighted by criterion;
            None where no question has two opinions.
        outliers: Who stood apart, on any question that can change a label.
        vetoes: By criterion with a veto, the jurors' divergence in bits on whether the answer
            breaks it, whatever the criterion weighs.
    """

    judgements: list[Judgement]
    disagreement: float | None
    outliers: tuple[Outlier, ...]
    vetoes: Mapping[str, float]


class _Question(NamedTuple):
    """All jurors' judgements on one criterion of one item, in one order."""

    criterion: JudgeCriterion
    judgements: list[Judgement]

    @property
    def levels(self) -> int:
        return 2 if self.judgements[0].kind == "pairwise" else len(self.criterion.choices)

    @property
    def opinions(self) -> dict[str, Opinion | None]:
        return {j.judge: opinion_of(j.verdict, self.levels) for j in self.judgements}

    @property
    def disagreement(self) -> float | None:
        """How far the jurors are apart: in bits on a pair, in shares of the scale on an answer."""
        apart = disagreement if self.judgements[0].kind == "pairwise" else distance
        return apart(self.opinions)

    @property
    def veto_disagreement(self) -> float | None:
        """How far the jurors are apart on whether the veto is broken; None where none can be.

        Their opinions are those on the levels, shared out below the threshold and above it.
        """
        if not self.criterion.veto or self.judgements[0].kind != "pointwise":
            return None
        top = self.levels - 1
        broken = [self.criterion.broken_by(level / top) for level in range(self.levels)]
        return disagreement(
            {
                name: said and (below := math.fsum(compress(said, broken)), 1.0 - below)
                for name, said in self.opinions.items()
            }
        )


def merge(
    items: Sequence[Sequence[Judgement]],
    criteria: Sequence[JudgeCriterion],
    how: Combine,
    outlier_distance: float = 1.0,
) -> list[Merged]:
    """Merge the judgements of jurors.

    Args:
        items: For each answer or pair, its judgements; those of jurors on one question are
            neighbours. Judgements under other criteria pass through.
        criteria: The judge criteria.
        how: ``mean`` of the distributions; ``majority`` of the likeliest labels; ``dawid_skene``
            weighs jurors by how their likeliest labels err, fitted to all items here, criterion by
            criterion: so it wants many items, and is the mean of fewer than ``FEWEST_QUESTIONS``.
        outlier_distance: How far from every other a juror stands that stands apart; 1: none does.

    Returns:
        One for each item. A question on which no more than half of the jurors have a verdict is
        unscored, with their reasons.
    """
    known = {criterion.name: criterion for criterion in criteria}
    grouped = [_questions(judgements, known) for judgements in items]
    asked = [found for item in grouped for found in item if isinstance(found, _Question)]
    verdicts = dict(zip(map(_key, asked), _verdicts(asked, how), strict=True))
    return [_merged(item, verdicts, outlier_distance) for item in grouped]


def opinion_of(verdict: Verdict, levels: int) -> tuple[float, ...] | None:
    """Return a verdict as a distribution over labels; None where it is none: unscored, a ranking.

    A rating between two levels is shared by them, so that its mean stays what it is.
    """
    if isinstance(verdict, Choice):
        return verdict.p_first, 1.0 - verdict.p_first
    if not isinstance(verdict, Rating):
        return None
    place = verdict.score * (levels - 1)
    return tuple(max(0.0, 1.0 - abs(place - level)) for level in range(levels))


def verdict_from_opinion(opinion: Opinion, kind: str) -> Verdict:
    """Return the verdict of a distribution over labels: of the first label, or the mean level."""
    if kind == "pairwise":
        return Choice(p_first=clipped(opinion[0]))
    level = math.fsum(p * place for place, p in enumerate(opinion))
    return Rating(score=clipped(level / (len(opinion) - 1)))


def _questions(
    judgements: Sequence[Judgement], known: Mapping[str, JudgeCriterion]
) -> list[_Question | Judgement]:
    """Gather jurors' judgements by question; a question of one juror stays a judgement."""
    found: list[_Question | Judgement] = []
    for (name, _), group in groupby(judgements, lambda j: (j.criterion, j.completion_ids)):
        members = list(group)
        if name in known and len(members) > 1 and len({j.judge for j in members}) == len(members):
            found.append(_Question(known[name], members))
        else:
            found += members
    return found


def _key(question: _Question) -> Hashable:
    return question.judgements[0].id


def _verdicts(questions: Sequence[_Question], how: Combine) -> list[Verdict]:
    if how == "dawid_skene":
        return _by_reliability(questions)
    combine = mean_opinion if how == "mean" else majority_opinion
    return [_settled(question, combine(question.opinions)) for question in questions]


def _by_reliability(questions: Sequence[_Question]) -> list[Verdict]:
    """Combine by Dawid & Skene's posteriors, each criterion and kind of question for itself.

    They are fitted to the jurors' votes, as in the paper: fitted to how sure jurors are, EM learned
    no juror's worth in simulations, and was the surer of itself the more it had. Where too few
    questions were asked to learn from, the mean stands in.
    """
    found: dict[Hashable, Verdict] = {}
    groups: dict[tuple[str, str], list[_Question]] = {}
    for question in questions:
        of = (question.criterion.name, question.judgements[0].kind)
        groups.setdefault(of, []).append(question)
    for (_, kind), members in groups.items():
        if len(members) < FEWEST_QUESTIONS:
            found |= {_key(q): _settled(q, mean_opinion(q.opinions)) for q in members}
            continue
        cast = [votes(q.opinions) for q in members]
        fitted = dawid_skene(cast, symmetric=kind == "pairwise")
        for question, posterior in zip(members, fitted.posteriors, strict=True):
            found[_key(question)] = _settled(question, posterior)
    return [found[_key(question)] for question in questions]


def _settled(question: _Question, opinion: Opinion | Unscored) -> Verdict:
    reasons = {
        j.judge: verdict.reason
        for j in question.judgements
        if isinstance(verdict := j.verdict, Unscored)
    }
    asked = len(question.judgements)
    if isinstance(opinion, Unscored) or not is_quorum(asked - len(reasons), asked):
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        return Unscored(reason=f"{len(reasons)} of {asked} judges: {told}")
    return verdict_from_opinion(opinion, question.judgements[0].kind)


def _merged(
    item: Sequence[_Question | Judgement],
    verdicts: Mapping[Hashable, Verdict],
    outlier_distance: float,
) -> Merged:
    judgements: list[Judgement] = []
    parts: list[tuple[float, float]] = []
    alone: set[Outlier] = set()
    vetoes: dict[str, float] = {}
    for found in item:
        if isinstance(found, Judgement):
            judgements.append(found)
            continue
        verdict = verdicts[_key(found)]
        judgements.append(found.judgements[0].model_copy(update={"verdict": verdict, "judge": ""}))
        if found.criterion.decides:
            apart_from_all = outliers(found.opinions, outlier_distance)
            alone.update(Outlier(name, found.criterion.name) for name in apart_from_all)
        on_veto = found.veto_disagreement
        if on_veto is not None:
            vetoes[found.criterion.name] = on_veto
        apart = found.disagreement
        if apart is not None:
            parts.append((found.criterion.weight, apart))
    weight = math.fsum(w for w, _ in parts)
    total = math.fsum(w * apart for w, apart in parts)
    return Merged(judgements, total / weight if weight else None, tuple(sorted(alone)), vetoes)
