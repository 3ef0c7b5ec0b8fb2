"""The judge measured by humans: agreement, calibration of its labels, drift."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from pydantic import Field

from rlaif.config import FeedbackConfig
from rlaif.judges import JudgeCriterion, Rubric, p_from_scores
from rlaif.judges.agreement import OrderedPair, OrderFigures, Proportion, accuracy, order_figures
from rlaif.judges.calibration import (
    Calibration,
    CalibrationReport,
    LabelledPair,
    Uncalibrated,
    cross_fit,
    fit_calibration,
)
from rlaif.judges.kappa import Kappa, cohen_kappa
from rlaif.records import (
    CompletionScore,
    HumanLabel,
    PairVerdict,
    PreferenceOrigin,
    Record,
)
from rlaif.sides import side
from rlaif.stages.drift import Drift, FrozenAgreement, measure_frozen
from rlaif.stages.drift_reference import Acceptance, Measured, drift_from, reference_of
from rlaif.stages.human_pairs import HumanPair, human_pairs, stated_pairs

LEVELS = 5
Pair = tuple[str, str]


def levels_of(rubric: Rubric) -> dict[str, int]:
    """Return a rubric's criteria with the number of levels that each one rates by."""
    return {
        c.name: len(c.choices) if isinstance(c, JudgeCriterion) else LEVELS for c in rubric.criteria
    }


@dataclass(frozen=True)
class Said:
    """What the judge said of everything that humans labelled.

    Attributes:
        scores: Of every labelled answer, by id.
        verdicts: Of every pair that humans compared, ranked or edited, by the two ids.
        orders: Likewise, P(first is better) in both orders under each criterion that compares.
        levels: The rubric's criteria with the number of levels that each one rates by.
        temperature: T in P(first is better) = sigmoid((score1 - score2) / T).
    """

    scores: Mapping[str, CompletionScore]
    verdicts: Mapping[Pair, PairVerdict]
    orders: Mapping[Pair, Mapping[str, OrderedPair]]
    levels: Mapping[str, int]
    temperature: float

    def rating(self, completion_id: str, criterion: str) -> float | None:
        """Return an answer's rating in [0, 1], None where unscored; no criterion is the whole."""
        score = self.scores[completion_id]
        return score.parts.get(criterion) if criterion else score.score

    def p_of_ratings(self, pair: Pair, criterion: str = "") -> float | None:
        """Return P(first is better) as it follows from the two ratings; None where unscored."""
        first, second = (self.rating(name, criterion) for name in pair)
        if first is None or second is None:
            return None
        return p_from_scores(first, second, self.temperature)

    def p_first(self, pair: Pair, criterion: str = "") -> float | None:
        """Return the judge's P(first is better), None where unscored.

        Under a criterion it is the mean of both orders where the judge compares by it, else it
        follows from the two ratings.
        """
        if not criterion:
            return self.verdicts[pair].p_first
        if criterion not in self.orders[pair]:
            return self.p_of_ratings(pair, criterion)
        forward, backward = self.orders[pair][criterion]
        return None if forward is None or backward is None else (forward + backward) / 2.0

    def of(self, label: HumanLabel, criterion: str) -> float | None:
        """Return what the judge said under a criterion of what a label is about."""
        if label.second_id is None:
            return self.rating(label.first_id, criterion)
        return self.p_first((label.first_id, label.second_id), criterion)


class Agreement(Record):
    """How far the judge agrees with humans.

    Attributes:
        criterion: The judge's criterion, empty for its verdict on the whole.
        about: What the humans judged: that criterion, or the whole.
        kind: Pairs, whose better side is compared (the humans' ties are left out, and an even
            verdict of the judge is on neither side); or ratings, as levels of a scale.
        accuracy: Share of labels on which they say the same.
        kappa: Beyond chance; of ratings with squared weights.
        ties: Labels that were left out.
    """

    criterion: str
    about: Literal["criterion", "whole"]
    kind: Literal["pairs", "ratings"]
    accuracy: Proportion
    kappa: Kappa
    ties: int


class Fitted(Record):
    """The calibration of one kind of label.

    Attributes:
        labels: Unfrozen pairs that it could be fitted on.
        calibration: What is applied, None where nothing is.
        measured: What it does to pairs that it was not fitted on.
        reason: Why nothing is applied, empty where something is.
    """

    labels: int
    calibration: Calibration | None = None
    measured: CalibrationReport | None = None
    reason: str = ""


class JudgeCalibration(Record):
    """What a cycle's judge is worth by the humans' labels.

    Attributes:
        rubric_hash: What the judge judged by.
        labels: The labels.
        raters: Those who are named in them.
        passed_over: Labels under criteria that the rubric does not have any more.
        agreements: By criterion and kind.
        order: What the order of the answers does to the judge, on the labelled pairs.
        comparison: The calibration of labels from comparisons.
        ratings: The calibration of labels from ratings.
        frozen: The agreement with the frozen labels.
        drift: Whether that has fallen.
    """

    rubric_hash: str
    labels: int = Field(ge=0)
    raters: int = Field(ge=0)
    passed_over: int = Field(ge=0)
    agreements: tuple[Agreement, ...]
    order: OrderFigures
    comparison: Fitted
    ratings: Fitted
    frozen: FrozenAgreement
    drift: Drift

    @property
    def applied(self) -> dict[PreferenceOrigin, Calibration]:
        """The calibrations to apply, by the origin of the labels that they are for.

        A revision and its original are compared as any pair is.
        """
        found: dict[PreferenceOrigin, Fitted] = {
            "comparison": self.comparison,
            "revision": self.comparison,
            "ratings": self.ratings,
        }
        return {origin: f.calibration for origin, f in found.items() if f.calibration is not None}


def calibrate(
    labels: Sequence[HumanLabel],
    said: Said,
    config: FeedbackConfig,
    *,
    rubric_hash: str,
    seed: int,
    earlier: Mapping[int, Measured],
    accepted: Acceptance | None = None,
) -> JudgeCalibration:
    """Measure the judge by humans' labels, and fit what makes its own labels as sure as right.

    Args:
        labels: The humans' labels.
        said: What the judge said of what they are about.
        config: The kind of calibration, the fewest labels, and how much drift is allowed.
        rubric_hash: What the judge judged by.
        seed: Deals prompts to the folds of cross-fitting.
        earlier: What earlier cycles measured on the frozen labels.
        accepted: The owner's last word on a judge that had drifted.
    """
    usable = [label for label in labels if not label.criterion or label.criterion in said.levels]
    heard = {label.id: said.of(label, label.criterion) for label in usable}
    frozen = measure_frozen(usable, heard)
    prompt_of = {label.id: label.prompt_id for label in usable}
    comparisons, ratings = _fitting_pairs(usable, said)
    asked = {x.first_id: x.prompt_id for x in labels}
    orders = {
        pair: OrderedPair(v.p_forward, v.p_backward)
        for pair, v in said.verdicts.items()
        if v.p_forward is not None or v.unscored is not None
    }
    return JudgeCalibration(
        rubric_hash=rubric_hash,
        labels=len(labels),
        raters=len({label.rater for label in labels if label.rater}),
        passed_over=len(labels) - len(usable),
        agreements=tuple(agreements(usable, said)),
        order=order_figures(list(orders.values()), clusters=[asked[first] for first, _ in orders]),
        comparison=_fitted(comparisons, config, seed),
        ratings=_fitted(ratings, config, seed),
        frozen=frozen,
        drift=drift_from(
            reference_of(earlier, rubric_hash, accepted), frozen, prompt_of, config.max_drift
        ),
    )


def agreements(labels: Iterable[HumanLabel], said: Said) -> list[Agreement]:
    """Return the judge's agreement with humans, criterion by criterion.

    Every criterion is held against the labels about it, and against those on the whole, which tell
    how far it is what humans go by.
    """
    ordered = sorted(labels, key=_kind_of)
    found = []
    for (about, kind), group in groupby(ordered, key=_kind_of):
        own = list(group)
        criteria = ("", *said.levels) if not about else (about,)
        for criterion in criteria:
            of_own = criterion == about and criterion != ""
            measure = _agree_on_pairs if kind == "pairs" else _agree_on_ratings
            found.append(measure(own, said, criterion, "criterion" if of_own else "whole"))
    return found


def _kind_of(label: HumanLabel) -> tuple[str, Literal["pairs", "ratings"]]:
    return label.criterion, "ratings" if label.second_id is None else "pairs"


def _agree_on_pairs(
    labels: Sequence[HumanLabel], said: Said, criterion: str, about: Literal["criterion", "whole"]
) -> Agreement:
    sided = [label for label in labels if side(label.value) != 0]
    heard = [_named_side(said.of(label, criterion)) for label in sided]
    truth = [_named_side(label.value) for label in sided]
    prompts = [label.prompt_id for label in sided]
    return Agreement(
        criterion=criterion,
        about=about,
        kind="pairs",
        accuracy=accuracy(heard, truth, clusters=prompts),
        kappa=cohen_kappa(heard, truth, clusters=prompts),
        ties=len(labels) - len(sided),
    )


def _agree_on_ratings(
    labels: Sequence[HumanLabel], said: Said, criterion: str, about: Literal["criterion", "whole"]
) -> Agreement:
    levels = said.levels.get(criterion, LEVELS)
    heard = [_level(said.of(label, criterion), levels) for label in labels]
    truth = [_level(label.value, levels) for label in labels]
    prompts = [label.prompt_id for label in labels]
    return Agreement(
        criterion=criterion,
        about=about,
        kind="ratings",
        accuracy=accuracy(heard, truth, clusters=prompts),
        kappa=cohen_kappa(heard, truth, range(levels), "quadratic", clusters=prompts),
        ties=0,
    )


def _named_side(p: float | None) -> str | None:
    return None if p is None else ("even", "first", "second")[side(p)]


def _level(value: float | None, levels: int) -> int | None:
    return None if value is None else int(value * (levels - 1) + 0.5)


class _Fittable(NamedTuple):
    """Unfrozen labelled pairs that a calibration can be fitted on, and how many it cannot."""

    pairs: list[LabelledPair]
    quarantined: int
    unscored: int

    @property
    def counted(self) -> str:
        """What the pairs are called after their number: all, or those usable of more."""
        left_out = [(self.quarantined, "in quarantine"), (self.unscored, "unscored")]
        why = ", ".join(f"{count} {state}" for count, state in left_out if count)
        total = len(self.pairs) + self.quarantined + self.unscored
        return f"usable of {total} labelled pairs ({why})" if why else "labelled pairs"


def _fitting_pairs(labels: Sequence[HumanLabel], said: Said) -> tuple[_Fittable, _Fittable]:
    """Return unfrozen pairs with the judge's label from its comparison, and from its ratings.

    A verdict in quarantine is left out of the first, a pair with a score in quarantine out of the
    second: they would not train either.
    """
    compared = [
        (pair, verdict.p_first, verdict.quarantined is not None)
        for pair in stated_pairs(labels)
        if not pair.frozen
        for verdict in [said.verdicts[pair.first_id, pair.second_id]]
    ]
    rated = [
        (pair, said.p_of_ratings(names), any(said.scores[n].quarantined is not None for n in names))
        for pair in human_pairs(labels)
        if not pair.frozen
        for names in [(pair.first_id, pair.second_id)]
    ]
    return _fittable(compared), _fittable(rated)


def _fittable(judged: Sequence[tuple[HumanPair, float | None, bool]]) -> _Fittable:
    """Sort pairs, given with the judge's P(first is better) and whether it is in quarantine."""
    return _Fittable(
        pairs=[
            LabelledPair(p, pair.p_first, pair.weight, pair.prompt_id)
            for pair, p, held in judged
            if p is not None and not held
        ],
        quarantined=sum(held for _, p, held in judged if p is not None),
        unscored=sum(p is None for _, p, _ in judged),
    )


def _fitted(found: _Fittable, config: FeedbackConfig, seed: int) -> Fitted:
    """Fit a calibration, and keep it only where it helps on pairs that it was not fitted on."""
    pairs = found.pairs
    if config.calibration == "off":
        return Fitted(labels=len(pairs), reason='feedback.calibration = "off"')
    measured = cross_fit(
        pairs,
        config.calibration,
        seed=seed,
        min_labels=config.min_labels,
        counted=found.counted,
    )
    if isinstance(measured, Uncalibrated):
        return Fitted(labels=len(pairs), reason=measured.reason)
    fitted = fit_calibration(pairs, config.calibration, config.min_labels)
    if isinstance(fitted, Uncalibrated):
        return Fitted(labels=len(pairs), measured=measured, reason=fitted.reason)
    if measured.log_loss_after > measured.log_loss_before:
        return Fitted(
            labels=len(pairs),
            measured=measured,
            reason="on pairs that it was not fitted on it does not help: log-loss "
            f"{measured.log_loss_before:.4f} before, {measured.log_loss_after:.4f} after",
        )
    return Fitted(labels=len(pairs), calibration=fitted, measured=measured)
