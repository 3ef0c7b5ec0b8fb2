"""From rankings of a prompt's answers to one soft label per pair of them; pure arithmetic.

Each juror ranks the same answers in several orders under each criterion. Per criterion all rankings
give worths (Plackett-Luce, ``ranking``), and worths give P(first is better) of every pair; criteria
are averaged by weight, and ratings, vetoes and ``clamp`` have their say as for compared pairs
(``weighing``). An order counts as much as another, however many jurors have ranked it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from rlaif.errors import ConfigError, StageError
from rlaif.judges.combining import Outlier
from rlaif.judges.juror import Juror
from rlaif.judges.jury import disagreement, outliers
from rlaif.judges.quorum import is_quorum
from rlaif.judges.ranking import PlackettLuce, plackett_luce
from rlaif.judges.rubric import JudgeCriterion, Rubric
from rlaif.judges.weighing import (
    JudgedPair,
    VerdictSettings,
    criteria_to_compare,
    flip,
    split_jury,
    weigh,
)
from rlaif.records import (
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    Prompt,
    Ranking,
    Unscored,
)

Pair = tuple[str, str]


@dataclass(frozen=True)
class RankedItem:
    """Answers to a prompt that are ranked together.

    Attributes:
        prompt: The prompt.
        orders: The same two to nine answers in every order in which they are shown; no two alike.
    """

    prompt: Prompt
    orders: tuple[tuple[Completion, ...], ...]

    @property
    def answers(self) -> tuple[Completion, ...]:
        """The answers, in the first order."""
        return self.orders[0]


def refuse_without_ranking(juror: Juror) -> None:
    """Refuse a juror whose template cannot ask for a ranking.

    Raises:
        ConfigError: It has no such message.
    """
    if "listwise" not in juror.templates.kinds:
        raise ConfigError(
            f'[judging] compare = "lists", but the judge template {juror.templates.name!r} of '
            f"{juror.name} has no listwise.jinja",
            "a judge that can rank, asked by a template with that message",
            'set compare = "pairs" (the bundled judge cannot rank), or take a general model as '
            'judge with [judge] template = "detailed"',
        )


def list_verdicts(
    rubric: Rubric,
    settings: VerdictSettings,
    answers: Sequence[Completion],
    scores: Mapping[str, CompletionScore],
    judgements: Sequence[Judgement],
) -> list[PairVerdict]:
    """Combine scores and rankings into P(first is better) of every pair of a list.

    An order that no more than half of the jurors have ranked leaves every pair unscored. Where the
    orders' rankings agree less than ``list_min_tau`` the whole list is quarantined; elsewhere a
    pair is that flips by ``flip_threshold`` between the rankings in which its first was shown
    before its second and the others. Pairs that a veto decides are not.

    Args:
        rubric: The rubric.
        settings: Weights, temperature and thresholds.
        answers: The list, two or more.
        scores: Their scores by id.
        judgements: Listwise ones of every order under each of ``criteria_to_compare``, of each
            juror; others are passed over.

    Returns:
        One verdict for every two answers, in the order in which they are given.

    Raises:
        StageError: A criterion was not judged, a juror ranked one order twice, or a ranking is of
            other answers.
    """
    criteria = criteria_to_compare(rubric, settings)
    said = _Said(criteria, [answer.id for answer in answers], judgements)
    doubt = None if said.unscored else said.contradiction(settings.list_min_tau)
    return [
        weigh(rubric, settings, pair, (scores[pair[0].id], scores[pair[1].id]), judged, apart)
        for pair in combinations(answers, 2)
        for judged, apart in [said.of_pair(settings, (pair[0].id, pair[1].id), doubt)]
    ]


def kendall_tau(one: Sequence[str], other: Sequence[str]) -> float:
    """Return Kendall's tau of two rankings of the same items without ties (Kendall 1938).

    The share of pairs that both put the same way round, less the share of the others: 1 for equal
    rankings, -1 for reversed ones, 0 on average for unrelated ones.

    Args:
        one: Two items or more, best first.
        other: The same items.
    """
    places = {item: place for place, item in enumerate(other)}
    signs = [1 if places[a] < places[b] else -1 for a, b in combinations(one, 2)]
    return sum(signs) / len(signs)


class _Ranked(NamedTuple):
    """One juror's ranking: the answers as shown, and from best to worst."""

    judge: str
    shown: tuple[str, ...]
    ranked: tuple[str, ...]


class _Rankings:
    """All rankings of a list under one criterion."""

    def __init__(self, criterion: JudgeCriterion, judgements: Sequence[Judgement]) -> None:
        self.name = criterion.name
        self.weight = criterion.weight
        self._asked = len({j.judge for j in judgements})
        orders = {j.completion_ids for j in judgements}
        self.unscored = [
            reason
            for shown in sorted(orders)
            for reason in _reasons([j for j in judgements if j.completion_ids == shown])
        ]
        self._ranked = [
            _Ranked(j.judge, j.completion_ids, tuple(j.completion_ids[i] for i in v.places))
            for j in judgements
            if isinstance(v := j.verdict, Ranking)
        ]
        self._fits: dict[tuple[_Ranked, ...], PlackettLuce] = {}

    def p_first(self, pair: Pair) -> float:
        """P(first is better) of a pair by all rankings."""
        return self._fit(self._ranked).p_beats(*pair)

    def p_shown(self, pair: Pair, *, first: bool) -> float | None:
        """P(first is better) by the rankings in which it was shown before the other, or after."""
        kept = [r for r in self._ranked if _is_above(pair, r.shown) == first]
        return self._fit(kept).p_beats(*pair) if kept else None

    def gap(self, pair: Pair) -> float:
        """How far a pair's two halves are apart, 0 where one of them holds no ranking."""
        before, after = self.p_shown(pair, first=True), self.p_shown(pair, first=False)
        return 0.0 if before is None or after is None else abs(before - after)

    @cached_property
    def tau(self) -> float | None:
        """How much each juror's orders agree, the mean over jurors; None where there is one."""
        judges = {r.judge for r in self._ranked}
        own = [[r.ranked for r in self._ranked if r.judge == judge] for judge in sorted(judges)]
        taus = [
            math.fsum(kendall_tau(*two) for two in combinations(said, 2)) / math.comb(len(said), 2)
            for said in own
            if len(said) > 1
        ]
        return math.fsum(taus) / len(taus) if taus else None

    def apart(self, pair: Pair) -> float | None:
        """How far jurors are apart on a pair, in bits: by the shares of orders they put it in."""
        return disagreement(self._opinions(pair))

    def outliers(self, pair: Pair, distance: float) -> list[Outlier]:
        """Which juror stands apart on a pair, by the same shares; one or none."""
        return [Outlier(name, self.name) for name in outliers(self._opinions(pair), distance)]

    def _opinions(self, pair: Pair) -> dict[str, tuple[float, float]]:
        shares: dict[str, list[bool]] = {}
        for said in self._ranked:
            shares.setdefault(said.judge, []).append(_is_above(pair, said.ranked))
        above = {judge: sum(found) / len(found) for judge, found in shares.items()}
        return {judge: (share, 1.0 - share) for judge, share in above.items()}

    def _fit(self, ranked: Sequence[_Ranked]) -> PlackettLuce:
        key = tuple(ranked)
        if key not in self._fits:
            orders = [r.shown for r in ranked]
            weights = [self._asked / orders.count(r.shown) for r in ranked]
            self._fits[key] = plackett_luce([r.ranked for r in ranked], weights=weights)
        return self._fits[key]


class _Said:
    """What the jury says of a list, all criteria together."""

    def __init__(
        self,
        criteria: Sequence[JudgeCriterion],
        ids: Sequence[str],
        judgements: Sequence[Judgement],
    ) -> None:
        listwise = [j for j in judgements if j.kind == "listwise"]
        _check(criteria, ids, listwise)
        self._criteria = [
            _Rankings(c, [j for j in listwise if j.criterion == c.name]) for c in criteria
        ]
        self.unscored = [reason for c in self._criteria for reason in c.unscored]

    def of_pair(
        self, settings: VerdictSettings, pair: Pair, doubt: str | None
    ) -> tuple[JudgedPair, float | None]:
        """Return what the judges say of a pair, and how far they are apart on it."""
        if self.unscored:
            return JudgedPair(unscored=tuple(self.unscored)), None
        apart = self._mean(lambda c: c.apart(pair))
        alone = [o for c in self._criteria for o in c.outliers(pair, settings.outlier_distance)]
        forward = self._mean(lambda c: c.p_shown(pair, first=True))
        backward = self._mean(lambda c: c.p_shown(pair, first=False))
        flips = doubt  # a list whose orders contradict each other says no more of its pairs
        if doubt is None and forward is not None and backward is not None:
            gaps = {c.name: c.gap(pair) for c in self._criteria}
            flips = flip(settings.flip_threshold, forward, backward, gaps)
        judged = JudgedPair(
            p_first=_weighted([(c.weight, c.p_first(pair)) for c in self._criteria]),
            p_forward=forward,
            p_backward=backward,
            doubt="; ".join(filter(None, (flips, split_jury(settings, apart, alone)))) or None,
        )
        return judged, apart

    def contradiction(self, least: float) -> str | None:
        """Say how far the orders contradict each other, where it is too far."""
        tau = self._mean(lambda c: c.tau)
        if tau is None or tau >= least:
            return None
        worst = min(self._criteria, key=lambda c: 1.0 if c.tau is None else c.tau)
        return (
            f"the rankings change with the order: Kendall's tau between them is {tau:.2f}, under "
            f"{least:.2f}, least of all under {worst.name}"
        )

    def _mean(self, value: Callable[[_Rankings], float | None]) -> float | None:
        """Return the mean over criteria by weight; None where one of them has no value."""
        found = [(c.weight, value(c)) for c in self._criteria]
        known = [(weight, v) for weight, v in found if v is not None]
        return _weighted(known) if len(known) == len(found) else None


def _weighted(values: Sequence[tuple[float, float]]) -> float:
    """Return the mean of values, each given after its weight."""
    return math.fsum(w * v for w, v in values) / math.fsum(w for w, _ in values)


def _is_above(pair: Pair, ids: Sequence[str]) -> bool:
    return ids.index(pair[0]) < ids.index(pair[1])


def _reasons(judgements: Sequence[Judgement]) -> list[str]:
    """Say why an order has no ranking, if no more than half of the jurors have ranked it."""
    failed = [(j, v.reason) for j in judgements if isinstance(v := j.verdict, Unscored)]
    if is_quorum(len(judgements) - len(failed), len(judgements)):
        return []
    return [
        f"{j.criterion}, {j.completion_ids[0]} first"
        f"{f', {j.judge}' if len(judgements) > 1 else ''}: {reason}"
        for j, reason in failed
    ]


def _check(
    criteria: Sequence[JudgeCriterion], ids: Sequence[str], judgements: Sequence[Judgement]
) -> None:
    what = f"the list {', '.join(ids)}"
    missing = sorted({c.name for c in criteria} - {j.criterion for j in judgements})
    if missing:
        raise StageError(
            f"{what} was not judged under {', '.join(missing)}", "rankings under each criterion"
        )
    asked = [(j.criterion, j.completion_ids, j.judge) for j in judgements]
    for place, (criterion, shown, judge) in enumerate(asked):
        if sorted(shown) != sorted(ids):
            raise StageError(f"{what} comes with a ranking of {', '.join(shown)}", "one of its own")
        if (criterion, shown, judge) in asked[:place]:
            raise StageError(
                f"{what} was ranked twice in one order under {criterion}", "one ranking of each"
            )
