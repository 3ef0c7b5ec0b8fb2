"""The judge measured by humans' labels, against counts and fits by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from human_samples import said

from rlaif.config import FeedbackConfig
from rlaif.judges.agreement import OrderedPair
from rlaif.judges.calibration import LabelledPair, fit_calibration
from rlaif.judges.rubric import load_rubric
from rlaif.project import share
from rlaif.records import CompletionScore, HumanLabel, PairVerdict
from rlaif.stages.calibration import (
    JudgeCalibration,
    Said,
    agreements,
    calibrate,
    levels_of,
)

CONFIG = FeedbackConfig(min_labels=20)
RIGHT = 29 / 42  # 28 of 40 right, one more counted each way in the fit


def score(name: str, value: float | None, **parts: float) -> CompletionScore:
    unscored = "silent" if value is None else None
    return CompletionScore(completion_id=name, score=value, parts=parts, unscored=unscored)


def judged(
    p_first: Mapping[str, float | None],
    scores: Sequence[CompletionScore] = (),
    orders: Mapping[str, Mapping[str, OrderedPair]] | None = None,
    **verdict: Any,
) -> Said:
    """What a judge said of the pair of each prompt."""
    verdicts = [
        PairVerdict(
            first_id=f"{prompt}/a",
            second_id=f"{prompt}/b",
            p_first=p,
            p_forward=p,
            p_backward=p,
            unscored="silent" if p is None else None,
            **verdict,
        )
        for prompt, p in p_first.items()
    ]
    plain = {s: score(s, 0.5) for v in verdicts for s in (v.first_id, v.second_id)}
    return Said(
        scores={**plain, **{s.completion_id: s for s in scores}},
        verdicts={(v.first_id, v.second_id): v for v in verdicts},
        orders={
            (v.first_id, v.second_id): (orders or {}).get(v.first_id.split("/")[0], {})
            for v in verdicts
        },
        levels={"kind": 3, "short": 5},
        temperature=0.15,
    )


def measure(labels: Sequence[HumanLabel], heard: Said, **settings: Any) -> JudgeCalibration:
    config = CONFIG.model_copy(update=settings)
    return calibrate(labels, heard, config, rubric_hash="r", seed=3, earlier={})


def by_key(found: Sequence[Any]) -> dict[tuple[str, str, str], Any]:
    return {(a.criterion, a.about, a.kind): a for a in found}


def test_agreement_on_pairs_is_counted_by_sides() -> None:
    heard = judged({"p": 0.9, "q": 0.2, "r": 0.6, "s": 0.5, "t": None, "u": 0.7})
    truth = {"p": 1.0, "q": 0.0, "r": 0.0, "s": 1.0, "t": 1.0, "u": 0.5}
    labels = [said(name, value, prompt=name) for name, value in truth.items()]
    found = by_key(agreements(labels, heard))["", "whole", "pairs"]
    assert (found.accuracy.rate, found.accuracy.count, found.accuracy.unscored) == (0.5, 4, 1)
    assert found.ties == 1
    assert (found.kappa.items, found.kappa.unscored) == (4, 1)
    # judge: first, second, first, even; humans: first, second, second, first
    expected = (2 * 2 + 1 * 2 + 1 * 0) / 16
    assert found.kappa.expected == pytest.approx(expected)
    assert found.kappa.kappa.value == pytest.approx((0.5 - expected) / (1 - expected))


def test_every_criterion_is_held_against_its_own_labels_and_against_the_whole() -> None:
    orders = {"p": {"kind": OrderedPair(0.9, 0.5)}, "q": {"kind": OrderedPair(0.2, 0.6)}}
    heard = judged({"p": 0.1, "q": 0.1}, orders=orders)
    labels = [
        said("1", 1.0, prompt="p"),
        said("2", 1.0, prompt="q"),
        said("3", 1.0, prompt="p", criterion="kind"),
        said("4", 0.0, prompt="q", criterion="kind"),
    ]
    rates = {key: a.accuracy.rate for key, a in by_key(agreements(labels, heard)).items()}
    assert rates == {
        ("", "whole", "pairs"): 0.0,
        ("kind", "whole", "pairs"): 0.5,
        ("short", "whole", "pairs"): None,
        ("kind", "criterion", "pairs"): 1.0,
    }


def test_a_criterion_that_does_not_compare_goes_by_its_ratings() -> None:
    scores = [score("p/a", 0.5, kind=0.5, short=0.9), score("p/b", 0.5, kind=0.5, short=0.3)]
    heard = judged({"p": 0.5}, scores)
    label = said("1", 1.0, criterion="short")
    assert heard.of(label, "short") == pytest.approx(1 / (1 + math.exp(-0.6 / 0.15)))
    half = judged({"p": 0.5}, [score("p/a", 0.5, short=0.9)])
    assert half.of(label, "short") is None
    one_order = judged({"p": 0.5}, orders={"p": {"short": OrderedPair(0.9, None)}})
    assert one_order.of(label, "short") is None


def test_ratings_agree_by_levels() -> None:
    names = ["p/a", "p/b", "p/c", "p/d"]
    judge = [0.0, 0.5, 0.9, None]
    scores = [
        CompletionScore(
            completion_id=name,
            score=value,
            parts={} if value is None else {"kind": value},
            unscored="silent" if value is None else None,
        )
        for name, value in zip(names, judge, strict=True)
    ]
    human = [0.0, 0.0, 1.0, 1.0]
    labels = [
        said(f"{n}{criterion}", value, rated=True, first_id=n, criterion=criterion)
        for n, value in zip(names, human, strict=True)
        for criterion in ("", "kind")
    ]
    found = by_key(agreements(labels, judged({}, scores)))
    whole, kind = found["", "whole", "ratings"], found["kind", "criterion", "ratings"]
    assert (whole.accuracy.rate, whole.accuracy.unscored) == (pytest.approx(2 / 3), 1)
    assert kind.accuracy.rate == pytest.approx(2 / 3)
    # levels 0, 1, 2 of 3 against 0, 0, 2; squared distances over 4
    off = 1 / 4 / 3
    by_chance = sum(d * d / 4 for j in (0, 1, 2) for d in (j, j, j - 2)) / 9
    assert kind.kappa.kappa.value == pytest.approx(1 - off / by_chance)


def sure(count: int, right: float, p: float = 0.95) -> tuple[list[HumanLabel], Said]:
    """A judge that is sure of each pair, and humans who find it right so often."""
    names = [f"prompt {i}" for i in range(count)]
    labels = [said(n, float(i < right * count), prompt=n) for i, n in enumerate(names)]
    return labels, judged(dict.fromkeys(names, p))


def test_labels_become_as_sure_as_they_are_right() -> None:
    labels, heard = sure(40, 0.7)
    found = measure(labels, heard).comparison
    assert found.calibration is not None
    assert found.calibration.apply(0.95) == pytest.approx(RIGHT, abs=1e-4)
    assert found.calibration.apply(0.05) == pytest.approx(1 - RIGHT, abs=1e-4)
    assert found.measured is not None
    assert found.measured.log_loss_before == pytest.approx(
        -0.7 * math.log(0.95) - 0.3 * math.log(0.05)
    )
    assert found.measured.log_loss_after < found.measured.log_loss_before
    assert found.measured.ece_before == pytest.approx(0.25)
    assert (found.labels, found.reason) == (40, "")


def test_frozen_and_quarantined_pairs_are_not_fitted_on() -> None:
    labels, heard = sure(40, 0.7)
    frozen = [x.model_copy(update={"frozen": i % 2 == 0}) for i, x in enumerate(labels)]
    found = measure(frozen, heard)
    free = [LabelledPair(0.95, x.value, 1.0, x.prompt_id) for x in frozen if not x.frozen]
    assert found.comparison.labels == 20
    assert found.comparison.calibration == fit_calibration(free, "temperature", 20)
    assert (found.frozen.labels, found.frozen.agreement) == (20, pytest.approx(0.7))
    names = [x.prompt_id for x in labels]
    doubtful = judged(dict.fromkeys(names, 0.95), quarantined="flips")
    assert measure(labels, doubtful).comparison.labels == 0
    assert measure(labels, doubtful).ratings.labels == 40


def test_too_few_labels_are_told_and_nothing_is_applied() -> None:
    labels, heard = sure(19, 0.7)
    found = measure(labels, heard)
    assert found.comparison.calibration is None
    assert found.comparison.reason == "19 labelled pairs, at least 20 are needed"
    assert found.applied == {}
    assert set(measure(*sure(20, 0.7)).applied) == {"comparison", "revision"}


def test_off_measures_and_applies_nothing() -> None:
    labels, heard = sure(40, 0.7)
    found = measure(labels, heard, calibration="off")
    assert found.applied == {}
    assert found.comparison.reason == 'feedback.calibration = "off"'
    assert found.agreements[0].accuracy.rate == pytest.approx(0.7)


def test_a_calibration_that_does_not_help_is_not_applied() -> None:
    """Humans find it right in 95%, which is what it says: fitted on few, it can only get worse."""
    labels, heard = sure(40, 0.95)
    found = measure(labels, heard).comparison
    assert found.measured is not None
    assert found.measured.log_loss_after > found.measured.log_loss_before
    assert found.calibration is None
    assert "does not help: log-loss" in found.reason


def test_labels_from_ratings_are_calibrated_for_themselves() -> None:
    labels, _ = sure(40, 0.7)
    scores = [
        score(f"{x.prompt_id}/{side}", value)
        for x in labels
        for side, value in (("a", 0.8), ("b", 0.2))
    ]
    both = measure(labels, judged(dict.fromkeys([x.prompt_id for x in labels], 0.95), scores))
    ratings = both.ratings.calibration
    assert ratings is not None
    assert ratings.apply(1 / (1 + math.exp(-4.0))) == pytest.approx(RIGHT, abs=1e-3)
    assert ratings.temperature != both.comparison.calibration.temperature  # type: ignore[union-attr]
    rated = [
        said(
            f"{x.id}/{side}",
            value,
            prompt=x.prompt_id,
            rated=True,
            rater="ana",
            first_id=f"{x.prompt_id}/{side}",
        )
        for x in labels
        for side, value in (("a", 0.5 + 0.1 * x.value), ("b", 0.55))
    ]
    implied = measure(rated, judged({}, scores))
    assert implied.comparison.labels == 0
    assert implied.ratings.calibration == ratings


def test_isotonic_is_asked_for_by_name() -> None:
    found = measure(*sure(40, 0.7), calibration="isotonic").comparison
    assert found.calibration is not None
    assert found.calibration.knots[-1] == pytest.approx((0.95, RIGHT))


def test_weights_count_in_the_fit() -> None:
    labels, heard = sure(40, 0.5)
    heavier = [x.model_copy(update={"weight": 1.0 + 3.0 * x.value}) for x in labels]
    found = measure(heavier, heard).comparison
    assert found.calibration is not None
    effective = 100**2 / (20 * 4**2 + 20)  # Kish's
    expected = (0.8 * effective + 1) / (effective + 2)
    assert found.calibration.apply(0.95) == pytest.approx(expected, abs=1e-4)


def test_order_figures_are_those_of_the_labelled_pairs() -> None:
    labels, heard = sure(4, 1.0)
    flipped = PairVerdict(
        first_id="f/a", second_id="f/b", p_first=0.5, p_forward=0.8, p_backward=0.2
    )
    never = PairVerdict(first_id="n/a", second_id="n/b", p_first=0.5)
    more = {**heard.verdicts, ("f/a", "f/b"): flipped, ("n/a", "n/b"): never}
    wider = Said(heard.scores, more, heard.orders, heard.levels, heard.temperature)
    marked = [said(name, 1.0, prompt=name, criterion="gone") for name in ("f", "n")]
    order = measure([*labels, *marked], wider).order
    assert (order.consistent.rate, order.consistent.count) == (0.8, 5)
    assert (order.same_position.rate, order.first_position.rate) == (0.2, 1.0)


def test_labels_under_criteria_of_old_rubrics_are_passed_over_and_counted() -> None:
    labels, heard = sure(4, 1.0)
    gone = said("gone", 1.0, prompt="prompt 0", criterion="loud", frozen=True, rater="ana")
    found = measure([*labels, gone], heard)
    assert (found.labels, found.passed_over, found.raters, found.frozen.labels) == (5, 1, 1, 0)


def test_a_report_goes_through_json_and_back() -> None:
    found = measure(*sure(40, 0.7))
    assert JudgeCalibration.model_validate_json(found.model_dump_json()) == found


def test_a_judge_rates_by_its_choices_and_all_else_by_five_levels() -> None:
    assert levels_of(load_rubric(share("prompts", "rubrics", "helpdesk.toml"))) == {
        "correct": 3,
        "courteous": 3,
        "concise": 3,
        "ends": 5,
        "on-topic": 5,
    }
