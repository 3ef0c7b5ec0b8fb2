"""How far the judge agrees with the oracle, by criterion, through what serves humans' labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.judge_world.world import World, better
from rlaif.config import PreferencesConfig
from rlaif.figures import correlation
from rlaif.judges import RubricJudge
from rlaif.judges.agreement import OrderedPair, order_figures, proportion
from rlaif.records import PairVerdict, Unscored
from rlaif.stages.attacking import WHOLE
from rlaif.stages.calibration import Agreement, Said, agreements
from rlaif.stages.preferences import is_tie, labels_of_comparisons
from rlaif.stages.rubric_testing import Labelled
from rlaif.stages.trying import Tried

Row = dict[str, Any]


def by_criterion(
    panel: RubricJudge, world: World, labelled: Labelled, tried: Tried, said: Said
) -> dict[str, Row]:
    """Return a row for the whole, by an empty name, and one for each criterion with a truth.

    A pair that the oracle finds even is left out (``ties``); one that the judge finds even is
    wrong. ``flips`` are pairs whose verdict is another when the answers are swapped: of those that
    the oracle tells apart, and of those that it finds even.
    """
    known = {WHOLE, *(criterion.name for criterion in panel.rubric.criteria)}
    own = [
        a for a in agreements(labelled.labels, said) if _is_about_itself(a) and a.criterion in known
    ]
    return {
        name: {
            "pairs": _agreement(next(a for a in own if (a.criterion, a.kind) == (name, "pairs"))),
            "ratings": _agreement(
                next(a for a in own if (a.criterion, a.kind) == (name, "ratings"))
            ),
            "flips": _flips(name, said, world, even=False),
            "flips_of_even": _flips(name, said, world, even=True),
            "unscored": _unscored(name, panel, tried),
        }
        for name in dict.fromkeys(a.criterion for a in own)
    }


def _is_about_itself(found: Agreement) -> bool:
    return found.about == "criterion" or not found.criterion


def _agreement(found: Agreement) -> Row:
    kappa = found.kappa.kappa
    return {
        "accuracy": found.accuracy.model_dump(),
        "kappa": None if kappa is None else kappa.model_dump(),
        "ties": found.ties,
    }


def _flips(name: str, said: Said, world: World, *, even: bool) -> Row | None:
    orders = [
        OrderedPair(verdict.p_forward, verdict.p_backward) if name == WHOLE else orders[name]
        for ids, verdict in said.verdicts.items()
        for orders in [said.orders[ids]]
        if name in (WHOLE, *orders) and (world.p_first(*ids, name) == 0.5) is even
    ]
    return order_figures(orders).same_position.model_dump() if orders else None


def _unscored(name: str, panel: RubricJudge, tried: Tried) -> Row | None:
    asked = {c.name for c in panel.rubric.judge_criteria if name in (WHOLE, c.name)}
    verdicts = [j.verdict for j in tried.judgements if j.criterion in asked]
    if not verdicts:
        return None
    return proportion([isinstance(verdict, Unscored) for verdict in verdicts]).model_dump()


def by_fate(
    world: World, verdicts: Sequence[PairVerdict], config: PreferencesConfig
) -> dict[str, Row]:
    """Return how right the whole label is on pairs that would train, and on those that would not.

    Pairs that the oracle finds even have no right side: they are in ``pairs``, not in the share.
    """
    fates: dict[str, list[PairVerdict]] = {
        name: [] for name in ("trains", "tie", "quarantined", "unscored")
    }
    for verdict in verdicts:
        fates[fate_of(verdict, config)].append(verdict)
    return {
        name: {"pairs": len(own), "right": proportion(_right(world, own)).model_dump()}
        for name, own in fates.items()
    }


def fate_of(verdict: PairVerdict, config: PreferencesConfig) -> str:
    """Return what becomes of a compared pair: trains, tie, quarantined or unscored."""
    if verdict.p_first is None:
        return "unscored"
    labels = labels_of_comparisons([verdict])
    if not labels:
        return "quarantined"
    return "tie" if is_tie(labels[0].label, config.min_margin) else "trains"


def _right(world: World, verdicts: Sequence[PairVerdict]) -> list[bool | None]:
    truth = [(v, world.p_first(v.first_id, v.second_id)) for v in verdicts]
    return [
        None if v.p_first is None else better(v.p_first, 0.5) == side
        for v, side in truth
        if side != 0.5
    ]


def score_correlation(world: World, said: Said) -> float | None:
    """Return Pearson's correlation of the judge's whole score with the oracle's."""
    scored: Mapping[str, float] = {
        name: score.score for name, score in said.scores.items() if score.score is not None
    }
    truth = [world.truth[name][WHOLE] for name in scored]
    return correlation(list(scored.values()), truth)
