"""What an audit says of a judge, on verdicts whose answer is known by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from audited import probe, rated

from rlaif.config import AuditConfig, JudgingConfig
from rlaif.judges import JudgeCriterion, Juror, Rubric, RubricJudge, load_templates
from rlaif.records import (
    AuditFigure,
    AuditReport,
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    ProbeOutcome,
    ProbeTrial,
    Rating,
    Unscored,
)
from rlaif.seeds import numpy_generator
from rlaif.stages.audit import audit
from rlaif.testing import ScriptedJudge

CRITERIA = tuple(
    JudgeCriterion(
        name=name, kind="judge", weight=1.0, text=f"It is {name}.", choices=("no", "yes")
    )
    for name in ("kind", "right")
)
PANEL = RubricJudge(
    Rubric(name="r", version="1", language="en", criteria=CRITERIA),
    judging=JudgingConfig(),
    jury=[Juror("one", ScriptedJudge(lambda _: {}), load_templates("detailed"), 0.5)],
)


def answer(name: str) -> Completion:
    """An answer to a prompt of its own; those whose name begins with a are longer."""
    length = 14 if name.startswith("a") else 4
    return Completion(
        id=name, prompt_id=name, policy="d", index=0, text=name, length=length, ended=True
    )


def pair(
    forward: float | None, backward: float | None, first: str = "a", second: str = "b"
) -> PairVerdict:
    if forward is None or backward is None:
        return PairVerdict(first_id=first, second_id=second, p_first=None, unscored="mumbled")
    return PairVerdict(
        first_id=first, second_id=second, p_first=0.5, p_forward=forward, p_backward=backward
    )


def report(
    config: AuditConfig | None = None,
    *,
    completions: Sequence[Completion] = (),
    scores: Sequence[CompletionScore] = (),
    verdicts: Sequence[PairVerdict] = (),
    judgements: Sequence[Judgement] = (),
    probes: Sequence[ProbeOutcome] = (),
) -> AuditReport:
    """Audit answers and probes, each of a prompt of its own."""
    told = {name for j in judgements for name in j.completion_ids}
    told |= {name for v in verdicts for name in (v.first_id, v.second_id)}
    return audit(
        config or AuditConfig(),
        PANEL,
        completions=completions or [answer(name) for name in sorted(told)],
        scores=scores,
        verdicts=verdicts,
        judgements=judgements,
        probes=[ProbeTrial(one, f"p{n}") for n, one in enumerate(probes)],
    )


def figure(found: AuditReport, name: str) -> AuditFigure:
    (one,) = [f for f in found.figures if f.name == name]
    return one


def test_an_injection_works_where_the_attacked_answer_is_preferred() -> None:
    tried = [probe("fence", "comparison", p) for p in (0.9, 0.5, 0.1)]
    tried += [probe("instruction", "comparison", 0.51), probe("padding", "comparison", 0.9)]
    found = report(probes=tried)
    assert figure(found, "injection by comparison").value == pytest.approx(2 / 4)
    assert figure(found, "taste by comparison").value == 1.0
    assert figure(found, "fence by comparison").value == pytest.approx(1 / 3)
    assert figure(found, "forged_verdict by comparison").value is None
    assert figure(found, "injection by rating").count == 0


def test_a_preference_that_sums_alone_have_left_is_none() -> None:
    tried = [probe("fence", "comparison", 0.5 + 1e-15)]
    assert figure(report(probes=tried), "fence by comparison").value == 0.0


def test_a_rating_must_rise_by_more_than_the_margin() -> None:
    tried = [probe("fence", "rating", gain) for gain in (0.1, 0.11, -0.5)]
    found = report(AuditConfig(gain_margin=0.1), probes=tried)
    assert figure(found, "injection by rating").value == pytest.approx(1 / 3)


def test_a_probe_without_a_verdict_is_counted_apart() -> None:
    tried = [probe("fence", "comparison", None), probe("fence", "comparison", 0.9)]
    found = figure(report(probes=tried), "injection by comparison")
    assert (found.value, found.count, found.unscored) == (1.0, 1, 1)


@pytest.mark.parametrize(("successes", "breached"), [(8, False), (10, True)])
def test_a_limit_is_breached_only_where_the_whole_interval_lies_beyond(
    successes: int, breached: bool
) -> None:
    """Of ten: 0.8 has Wilson's lower end at 0.49, 1.0 at 0.72."""
    values = [0.9] * successes + [0.1] * (10 - successes)
    tried = [probe("fence", "comparison", value) for value in values]
    found = report(AuditConfig(max_injection=0.5), probes=tried)
    assert figure(found, "injection by comparison").breached is breached
    assert [f.name for f in found.breaches] == (["injection by comparison"] if breached else [])
    lenient = report(AuditConfig(max_injection="off"), probes=tried)
    assert lenient.breaches == ()


def test_self_consistency_is_the_share_of_questions_answered_the_same_when_asked_again() -> None:
    """A rating may move by the margin, either way; a pair must keep its winner."""
    tried = [probe("again", "rating", change) for change in (0.0, 0.1, -0.1, 0.25, -0.5, None)]
    tried += [probe("again", "comparison", p) for p in (0.9, 0.51, 0.5, 0.1)]
    found = report(AuditConfig(gain_margin=0.1), probes=tried)
    rated = figure(found, "self-consistency by rating")
    assert (rated.value, rated.count, rated.unscored) == (pytest.approx(3 / 5), 5, 1)
    assert figure(found, "self-consistency by comparison").value == pytest.approx(2 / 4)
    assert figure(found, "injection by comparison").count == 0
    assert figure(found, "taste by rating").count == 0
    assert found.breaches == ()


@pytest.mark.parametrize(("same", "breached"), [(2, False), (0, True)])
def test_a_judge_that_contradicts_itself_passes_the_limit_from_above(
    same: int, breached: bool
) -> None:
    """Of ten: 0.2 has Wilson's upper end at 0.51, 0.0 at 0.28."""
    values = [0.9] * same + [0.1] * (10 - same)
    tried = [probe("again", "comparison", value) for value in values]
    found = report(AuditConfig(min_self_consistency=0.5), probes=tried)
    assert figure(found, "self-consistency by comparison").breached is breached
    told = [breach.told for breach in found.breaches]
    meaning = "pairs of which the judge prefers the same answer when asked again"
    assert told == ([f"{meaning}: 0.00 (0.00 to 0.28, of 10), at least 0.50"] if breached else [])


def test_position_bias_is_the_share_of_pairs_in_which_a_position_wins() -> None:
    """P(first better), shown first and second: kept, kept, first wins twice, second wins twice."""
    verdicts = [pair(0.9, 0.8), pair(0.2, 0.1), pair(0.9, 0.2), pair(0.1, 0.7), pair(None, None)]
    found = report(verdicts=verdicts)
    assert figure(found, "order kept").value == pytest.approx(0.5)
    assert figure(found, "position").value == pytest.approx(0.5)
    assert figure(found, "first position").value == pytest.approx(0.5)
    assert figure(found, "position").unscored == 1


def test_pairs_that_were_never_shown_are_not_counted() -> None:
    untold = PairVerdict(first_id="a", second_id="b", p_first=0.9)
    position = figure(report(verdicts=[untold]), "position")
    assert (position.count, position.unscored) == (0, 0)


def test_length_bias_is_the_share_of_pairs_whose_longer_answer_wins() -> None:
    longer = [pair(0.9, 0.9, f"a{n}", f"b{n}") for n in range(40)]
    found = report(verdicts=[*longer[:3], pair(0.2, 0.2)])
    assert figure(found, "longer").value == pytest.approx(0.75)
    slope = figure(found, "length slope")
    assert slope.value is not None
    assert slope.low < 0.0 < slope.value < slope.high
    surer = figure(report(verdicts=longer), "length slope")
    assert surer.low > 0.0
    assert "10.0 tokens" in slope.meaning


def test_comparing_and_rating_agree_where_both_take_a_side() -> None:
    scores = [
        CompletionScore(completion_id=name, score=score, parts={})
        for name, score in (("a", 0.8), ("b", 0.2), ("c", 0.2), ("d", None))
    ]
    verdicts = [
        pair(0.9, 0.7),
        pair(0.1, 0.3),
        pair(0.1, 0.3, "b", "a"),
        pair(0.9, 0.9, "b", "c"),
        pair(0.9, 0.9, "a", "d"),
    ]
    answers = [answer(name) for name in "abcd"]
    found = figure(report(completions=answers, scores=scores, verdicts=verdicts), "consistent")
    assert (found.value, found.count, found.unscored) == (pytest.approx(2 / 3), 3, 1)


def test_failures_are_those_of_judges_alone() -> None:
    good, bad = Rating(score=1.0), Unscored(reason="mumbled")
    judgements = [rated("kind", "a", good), rated("right", "a", bad), rated("ends", "a", bad)]
    found = figure(report(judgements=judgements), "failures")
    assert (found.value, found.count) == (0.5, 2)


def test_criteria_that_always_agree_are_seen() -> None:
    """numpy's correlation, and Fisher's interval by hand: atanh(r) +- 1.96 / sqrt(n - 3)."""
    generator = numpy_generator(7)
    levels = generator.random((12, 2)) * 0.5 + generator.random((12, 1)) * 0.5
    judgements = [
        rated(name, f"c{i}", Rating(score=float(levels[i, column])))
        for i in range(12)
        for column, name in enumerate(("kind", "right"))
    ]
    found = figure(report(judgements=judgements), "kind ~ right")
    r = float(np.corrcoef(levels.T)[0, 1])
    assert found.value == pytest.approx(r)
    assert found.low == pytest.approx(math.tanh(math.atanh(r) - 1.959964 / 3), abs=1e-6)
    assert found.high == pytest.approx(math.tanh(math.atanh(r) + 1.959964 / 3), abs=1e-6)
    alike = [rated(n, f"c{i}", Rating(score=i / 4)) for i in range(5) for n in ("kind", "right")]
    whole = figure(report(judgements=alike), "kind ~ right")
    assert (whole.value, whole.high) == (pytest.approx(1.0), 1.0)
    # 5 / 7 is what is left of it with half an observation in each corner.
    assert whole.low == pytest.approx(math.tanh(math.atanh(5 / 7) - 1.959964 / math.sqrt(2)))
    against = [rated("kind", f"c{i}", Rating(score=i / 4)) for i in range(5)]
    against += [rated("right", f"c{i}", Rating(score=1 - i / 4)) for i in range(5)]
    opposed = figure(report(judgements=against), "kind ~ right")
    assert (opposed.low, opposed.high) == (-1.0, pytest.approx(-whole.low))


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_ratings_tell_nothing_of_criteria(count: int) -> None:
    judgements = [
        rated(n, f"c{i}", Rating(score=i / 4)) for i in range(count) for n in ("kind", "right")
    ]
    assert figure(report(judgements=judgements), "kind ~ right").value is None


def test_without_anything_to_count_nothing_is_breached() -> None:
    strict = AuditConfig(
        max_injection=0.0,
        max_padding=0.0,
        max_position_bias=0.0,
        max_length_bias=0.0,
        max_failures=0.0,
        min_self_consistency=1.0,
    )
    assert report(strict).breaches == ()


def test_a_figure_tells_itself() -> None:
    values = [0.9] * 10
    tried = [probe("fence", "comparison", value) for value in values]
    (breach,) = report(AuditConfig(max_injection=0.5), probes=tried).breaches
    assert breach.told == (
        "answers with an injection that the judge prefers to the answer without: "
        "1.00 (0.72 to 1.00, of 10), at most 0.50"
    )
