"""What a draft of a rubric would change: its verdicts on stored pairs beside those in force."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from rlaif.config import PreferencesConfig, RlaifConfig
from rlaif.figures import correlation
from rlaif.judges import RubricJudge
from rlaif.judges.agreement import OrderedPair, Proportion, proportion
from rlaif.judges.combining import merge
from rlaif.judges.panel import ComparedItem
from rlaif.judges.shortfalls import advice
from rlaif.records import (
    Choice,
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    Prompt,
    Record,
)
from rlaif.seeds import derive_seed, numpy_generator
from rlaif.sides import is_tie, side
from rlaif.stages.cycle_cost import PreviewCost, preview_cost
from rlaif.stages.trying import Tried, cost_of

Outcome = Literal["first", "second", "tie", "quarantined", "unscored"]
SIDES = frozenset({"first", "second"})
T = TypeVar("T")


class StoredPair(NamedTuple):
    """A pair that a cycle compared, with the verdict that it got."""

    prompt: Prompt
    first: Completion
    second: Completion
    verdict: PairVerdict

    @property
    def item(self) -> ComparedItem:
        """The pair as a panel compares it."""
        return self.prompt, self.first, self.second


@dataclass(frozen=True)
class Stored:
    """What the ledger holds of pairs.

    Attributes:
        pairs: The pairs.
        scores: Of their answers, by id.
        judgements: All that the judges said of them, jurors' on one question side by side.
    """

    pairs: Sequence[StoredPair]
    scores: Mapping[str, CompletionScore]
    judgements: Sequence[Judgement]


class Counts(Record):
    """What became of pairs: decided, a tie, kept from training, or without a verdict."""

    decided: int
    tied: int
    quarantined: int
    unscored: int


class Change(Record):
    """A pair of which the draft says something else.

    Attributes:
        prompt: What was asked.
        first: One answer.
        second: The other.
        current: What came of the pair.
        draft: What would come of it.
        p_current: P(first is better), None where unscored.
        p_draft: The draft's.
        flipped: Whether both decide it, for different answers.
        reason: Why the draft would not train on it, empty where it would.
    """

    prompt_id: str
    first_id: str
    second_id: str
    prompt: str
    first: str
    second: str
    current: Outcome
    draft: Outcome
    p_current: float | None
    p_draft: float | None
    flipped: bool
    reason: str = ""


class ScoresBeside(Record):
    """Numbers from 0 to 1 that current rubric and draft gave to the same answers.

    Attributes:
        answers: Answers that both gave one.
        unscored: Answers that either gave none.
        correlation: Pearson's; None where one of the two does not vary.
        distance: Mean distance; None without answers.
        shift: Mean of the draft's less the mean of the current ones; None without answers.
    """

    answers: int
    unscored: int
    correlation: float | None
    distance: float | None
    shift: float | None


class CriterionBeside(Record):
    """A criterion that both have by name.

    Attributes:
        name: Its name.
        ratings: What its ratings were.
        same_side: Share of pairs whose better answer under it, both orders averaged, is the same;
            None where one of the two compares no pair by it.
    """

    name: str
    ratings: ScoresBeside
    same_side: Proportion | None


class RubricPreview(Record):
    """A draft beside the rubric in force.

    Attributes:
        pairs: Pairs that both judged.
        outcomes_current: What came of them.
        outcomes_draft: What would come of them.
        same_winner: Share of the pairs that both decide whose winner is the same.
        changes: Pairs of which the draft says something else, flips first, then the greatest.
        scores: The whole rubric's scores.
        criteria: Those of the same name.
        only_current: Names of criteria that the draft does not have.
        only_draft: Names of criteria that the draft has beside.
        cost: What it takes.
        advice: What to do about what the judges' replies to the draft often lack.
    """

    pairs: int
    outcomes_current: Counts
    outcomes_draft: Counts
    same_winner: Proportion
    changes: tuple[Change, ...]
    scores: ScoresBeside
    criteria: tuple[CriterionBeside, ...]
    only_current: tuple[str, ...]
    only_draft: tuple[str, ...]
    cost: PreviewCost
    advice: tuple[str, ...] = ()

    def untimed(self) -> "RubricPreview":
        """Return the same without times that were measured now: some replies were there already."""
        return self.model_copy(update={"cost": self.cost.untimed()})

    @property
    def flips(self) -> tuple[Change, ...]:
        """The pairs that both decide, for different answers."""
        return tuple(change for change in self.changes if change.flipped)


def draw_newest(batches: Iterable[Sequence[T]], count: int, seed: int) -> list[T]:
    """Draw from batches that come newest first: all of the newer ones, some of the last needed.

    Args:
        batches: No more of them are taken than are needed.
        count: How many are wanted.
        seed: Source of the draw.
    """
    chosen: list[T] = []
    for number, batch in enumerate(batches):
        generator = numpy_generator(derive_seed(seed, number))
        places = generator.permutation(len(batch))[: count - len(chosen)]
        chosen += [batch[place] for place in sorted(places.tolist())]
        if len(chosen) == count:
            break
    return chosen


def preview(panel: RubricJudge, tried: Tried, stored: Stored, config: RlaifConfig) -> RubricPreview:
    """Put what a draft says beside what was said.

    Args:
        panel: The draft with its judges.
        tried: What it said of the stored pairs, in their order.
        stored: What was said of them.
        config: What counts as a tie, and how much a cycle judges.
    """
    margins = config.preferences
    verdicts = [(pair.verdict, new) for pair, new in zip(stored.pairs, tried.verdicts, strict=True)]
    outcomes = [(outcome_of(old, margins), outcome_of(new, margins)) for old, new in verdicts]
    old_names = {j.criterion: None for j in stored.judgements}
    new_names = [criterion.name for criterion in panel.rubric.criteria]
    return RubricPreview(
        pairs=len(stored.pairs),
        outcomes_current=_counts([old for old, _ in outcomes]),
        outcomes_draft=_counts([new for _, new in outcomes]),
        same_winner=proportion(
            [_same(old, new) for old, new in outcomes],
            clusters=[pair.prompt.id for pair in stored.pairs],
        ),
        changes=_changes(stored.pairs, tried.verdicts, outcomes),
        scores=_beside(
            {i: stored.scores[i].score for i in tried.scores},
            {i: score.score for i, score in tried.scores.items()},
        ),
        criteria=_criteria(panel, tried, stored, [n for n in new_names if n in old_names]),
        only_current=tuple(name for name in old_names if name not in new_names),
        only_draft=tuple(name for name in new_names if name not in old_names),
        cost=preview_cost(panel, tried, cost_of(stored.judgements), config),
        advice=advice(tried.judgements),
    )


def outcome_of(verdict: PairVerdict, margins: PreferencesConfig) -> Outcome:
    """Return what comes of a pair."""
    if verdict.p_first is None:
        return "unscored"
    if verdict.quarantined is not None:
        return "quarantined"
    if is_tie(verdict.p_first, margins.min_margin):
        return "tie"
    return "first" if verdict.p_first > 0.5 else "second"


def _counts(outcomes: Sequence[Outcome]) -> Counts:
    return Counts(
        decided=sum(outcome in SIDES for outcome in outcomes),
        tied=outcomes.count("tie"),
        quarantined=outcomes.count("quarantined"),
        unscored=outcomes.count("unscored"),
    )


def _same(old: Outcome, new: Outcome) -> bool | None:
    return old == new if {old, new} <= SIDES else None


def _changes(
    pairs: Sequence[StoredPair],
    verdicts: Sequence[PairVerdict],
    outcomes: Sequence[tuple[Outcome, Outcome]],
) -> tuple[Change, ...]:
    found = [
        Change(
            prompt_id=pair.prompt.id,
            first_id=pair.first.id,
            second_id=pair.second.id,
            prompt=pair.prompt.text,
            first=pair.first.text,
            second=pair.second.text,
            current=old,
            draft=new,
            p_current=pair.verdict.p_first,
            p_draft=verdict.p_first,
            flipped=_same(old, new) is False,
            reason=verdict.unscored or verdict.quarantined or "",
        )
        for pair, verdict, (old, new) in zip(pairs, verdicts, outcomes, strict=True)
        if old != new
    ]
    return tuple(sorted(found, key=lambda change: (not change.flipped, -_moved(change))))


def _moved(change: Change) -> float:
    """How far P(first is better) moved; all the way where either has none."""
    if change.p_current is None or change.p_draft is None:
        return 1.0
    return abs(change.p_draft - change.p_current)


def _beside(old: Mapping[str, float | None], new: Mapping[str, float | None]) -> ScoresBeside:
    rows = [(x, y) for i, x in old.items() if (y := new[i]) is not None and x is not None]
    both = np.array(rows, dtype=np.float64).reshape(-1, 2)
    gaps = both[:, 1] - both[:, 0]
    return ScoresBeside(
        answers=len(both),
        unscored=len(old) - len(both),
        correlation=correlation(both[:, 0], both[:, 1]),
        distance=float(np.abs(gaps).mean()) if len(both) else None,
        shift=float(gaps.mean()) if len(both) else None,
    )


def _criteria(
    panel: RubricJudge, tried: Tried, stored: Stored, names: Sequence[str]
) -> tuple[CriterionBeside, ...]:
    old_orders = _stored_orders(panel, stored)
    new_orders = panel.orders(tried.pairs, tried.comparisons)
    return tuple(
        CriterionBeside(
            name=name,
            ratings=_beside(
                {i: stored.scores[i].parts.get(name) for i in tried.scores},
                {i: score.parts.get(name) for i, score in tried.scores.items()},
            ),
            same_side=_same_side(
                [orders.get(name) for orders in old_orders],
                [orders.get(name) for orders in new_orders],
                [pair.prompt.id for pair in stored.pairs],
            ),
        )
        for name in names
    )


def _stored_orders(panel: RubricJudge, stored: Stored) -> list[dict[str, OrderedPair]]:
    """Return P(first is better) in both orders by criterion, as far as pairs were compared."""
    said: dict[frozenset[str], list[Judgement]] = {}
    for judgement in stored.judgements:
        if judgement.kind == "pairwise":
            said.setdefault(frozenset(judgement.completion_ids), []).append(judgement)
    of_pairs = [said.get(frozenset((p.first.id, p.second.id)), []) for p in stored.pairs]
    merged = merge(of_pairs, panel.rubric.judge_criteria, panel.settings.combine)
    return [
        _orders(pair.first.id, found.judgements)
        for pair, found in zip(stored.pairs, merged, strict=True)
    ]


def _orders(first_id: str, judgements: Sequence[Judgement]) -> dict[str, OrderedPair]:
    forward: dict[str, float | None] = {}
    backward: dict[str, float | None] = {}
    for judgement in judgements:
        p = judgement.verdict.p_first if isinstance(judgement.verdict, Choice) else None
        if judgement.completion_ids[0] == first_id:
            forward[judgement.criterion] = p
        else:
            backward[judgement.criterion] = None if p is None else 1.0 - p
    return {name: OrderedPair(p, backward.get(name)) for name, p in forward.items()}


def _same_side(
    old: Sequence[OrderedPair | None], new: Sequence[OrderedPair | None], prompts: Sequence[str]
) -> Proportion | None:
    triples = zip(old, new, prompts, strict=True)
    sides = [
        (_side_of(x), _side_of(y), p) for x, y, p in triples if x is not None and y is not None
    ]
    if not sides:
        return None
    sided = [(x, y, p) for x, y, p in sides if 0 not in (x, y)]
    return proportion(
        [None if x is None or y is None else x == y for x, y, _ in sided],
        clusters=[p for *_, p in sided],
    )


def _side_of(pair: OrderedPair) -> int | None:
    return None if pair.mean is None else side(pair.mean)
