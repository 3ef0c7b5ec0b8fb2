"""What a jury is split on does not train: its vetoes, and ratings beside a comparison."""

from collections.abc import Mapping

import pytest
from judge_samples import completion, judge_criterion, prompt, rubric

from rlaif.config import JudgingConfig
from rlaif.judges import JudgeCriterion, Juror, RubricJudge, load_templates
from rlaif.judges.protocol import JudgeRequest
from rlaif.records import CompletionScore, PairVerdict
from rlaif.testing import ScriptedJudge

TEMPLATES = load_templates("detailed")
PROMPT = prompt()
A, B = completion("a"), completion("b")
GOOD = judge_criterion("good", 1.0, choices=5)
Levels = Mapping[str, tuple[float, float]]


def veto(weight: float, threshold: float) -> JudgeCriterion:
    plain = judge_criterion("safe", weight, choices=5)
    return plain.model_copy(update={"veto": True, "threshold": threshold})


def juror(name: str, levels: Levels, p_a: float = 1.0) -> ScriptedJudge:
    """Rate a and b at a level of each criterion; prefer a with one probability in both orders."""

    def script(request: JudgeRequest) -> dict[str, float]:
        if len(request.shown) == 2:
            p = p_a if request.shown[0] == A.text else 1.0 - p_a
            return {"A": p, "B": 1.0 - p}
        level = levels[request.criterion][request.shown[0] == B.text] * 4
        return {x: max(0.0, 1.0 - abs(i - level)) for i, x in enumerate(request.labels)}

    return ScriptedJudge(script, name)


def judged(
    criteria: tuple[JudgeCriterion, ...], *jury: ScriptedJudge, **judging: object
) -> tuple[list[CompletionScore], PairVerdict]:
    panel = RubricJudge(
        rubric(*criteria),
        judging=JudgingConfig.model_validate(judging),
        jury=[Juror(one.name, one, TEMPLATES, 0.5) for one in jury],
    )
    items = [(PROMPT, A), (PROMPT, B)]
    scores = panel.scores(items, panel.rate(items))
    pair = [(PROMPT, A, B)]
    (verdict,) = panel.pair_verdicts(
        pair, {s.completion_id: s for s in scores}, panel.compare(pair)
    )
    return scores, verdict


def test_a_veto_that_the_jury_is_split_on_decides_no_pair() -> None:
    safe = veto(1.0, 0.6)
    jury = juror("x", {"safe": (1.0, 0.75)}), juror("y", {"safe": (0.0, 0.75)})
    scores, verdict = judged((safe,), *jury)
    assert scores[0].vetoed_by == "safe"
    assert verdict.quarantined == f"a: {scores[0].quarantined}"
    agreed = juror("y", {"safe": (0.5, 0.75)}), juror("z", {"safe": (0.5, 0.75)})
    scores, verdict = judged((safe,), *agreed)
    assert scores[0].vetoed_by == "safe"
    assert verdict.quarantined is None


def test_beside_a_rating_in_doubt_the_comparison_alone_decides() -> None:
    jury = [juror(n, {"good": (s, 0.75)}, 0.65) for n, s in (("x", 1.0), ("y", 0.0))]
    scores, verdict = judged((GOOD,), *jury)
    assert scores[0].quarantined is not None
    assert verdict.p_first == pytest.approx(0.65)
    assert verdict.quarantined is None
    _, by_ratings = judged((GOOD,), *jury, pairwise_weight=0.0)
    assert by_ratings.quarantined == f"a: {scores[0].quarantined}"


def test_without_doubt_ratings_and_comparison_are_weighed() -> None:
    jury = [juror(n, {"good": (0.5, 0.5)}, 0.9) for n in "xy"]
    _, verdict = judged((GOOD,), *jury)
    assert verdict.p_first == pytest.approx(0.5 * 0.5 + 0.5 * 0.9)


@pytest.mark.parametrize("combine", ["mean", "majority", "dawid_skene"])
@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_a_split_on_a_veto_counts_by_itself_whatever_its_weight(
    combine: str, weight: float
) -> None:
    jury = [juror(n, {"safe": (s, 1.0), "good": (0.75, 0.25)}) for n, s in (("x", 1.0), ("y", 0.0))]
    scores, _ = judged((veto(weight, 0.6), GOOD), *jury, combine=combine)
    assert scores[0].quarantined == (
        "the jury is split on the veto safe: its verdicts on whether it is broken are 1.00 bits "
        "apart, over 0.50"
    )
    assert scores[0].disagreement == pytest.approx(weight / (weight + 1.0))
    assert scores[1].quarantined is None


def test_jurors_at_three_levels_of_a_veto_are_split_where_nobody_stands_alone() -> None:
    jury = [
        juror(n, {"safe": (s, 1.0), "good": (0.75, 0.25)})
        for n, s in (("x", 0.0), ("y", 0.5), ("z", 1.0))
    ]
    scores, verdict = judged((veto(0.0, 0.6), GOOD), *jury)
    assert "split on the veto safe" in (scores[0].quarantined or "")
    assert verdict.quarantined == f"a: {scores[0].quarantined}"


@pytest.mark.parametrize(("one", "other"), [(0.75, 1.0), (0.0, 0.5)])
def test_jurors_apart_on_one_side_of_a_threshold_agree_on_the_veto(
    one: float, other: float
) -> None:
    jury = [
        juror(n, {"safe": (s, 1.0), "good": (0.75, 0.25)}) for n, s in (("x", one), ("y", other))
    ]
    scores, verdict = judged((veto(0.0, 0.6), GOOD), *jury)
    assert (scores[0].quarantined, verdict.quarantined) == (None, None)


@pytest.mark.parametrize("combine", ["mean", "majority", "dawid_skene"])
def test_no_comparison_settles_whether_a_veto_is_broken(combine: str) -> None:
    """Two of three find a safe: merged it is not vetoed, and by comparison alone it would win."""
    jury = [
        juror(n, {"safe": (s, 1.0), "good": (0.75, 0.25)})
        for n, s in (("x", 1.0), ("y", 1.0), ("z", 0.0))
    ]
    scores, verdict = judged((veto(0.0, 0.6), GOOD), *jury, combine=combine)
    assert scores[0].vetoed_by is None
    assert verdict.quarantined == f"a: {scores[0].quarantined}"


NINE = judge_criterion("good", 1.0, choices=9)


def written(name: str, grade: int) -> ScriptedJudge:
    """Rate everything at one grade of nine, in words, and prefer the first shown."""
    return ScriptedJudge(lambda r: f"Well.\nVerdict: {'A' if len(r.shown) == 2 else grade}", name)


@pytest.mark.parametrize(
    ("one", "other", "split"), [(8, 9, False), (5, 9, False), (4, 9, True), (1, 9, True)]
)
def test_grades_are_apart_by_their_place_on_the_scale(one: int, other: int, split: bool) -> None:
    scores, _ = judged((NINE,), written("x", one), written("y", other))
    assert scores[0].disagreement == pytest.approx((other - one) / 8)
    assert (scores[0].quarantined is not None) == split


def test_how_far_ratings_may_be_apart_is_a_setting_of_its_own() -> None:
    jury = written("x", 6), written("y", 9)
    scores, _ = judged((NINE,), *jury, max_rating_distance=0.25, max_disagreement=1.0)
    assert scores[0].quarantined == (
        "the jury is split: its ratings are 0.38 of the scale apart, over 0.25"
    )
    scores, _ = judged((NINE,), *jury, max_rating_distance=1.0, max_disagreement=0.0)
    assert scores[0].quarantined is None


def test_the_hash_knows_how_far_ratings_may_be_apart_where_two_judge() -> None:
    def hash_of(limit: float, *names: str) -> str:
        return RubricJudge(
            rubric(NINE),
            judging=JudgingConfig(max_rating_distance=limit),
            jury=[Juror(name, written(name, 9), TEMPLATES, 0.5) for name in names],
        ).rubric_hash

    assert hash_of(0.5, "x", "y") != hash_of(0.25, "x", "y")
    assert hash_of(0.5, "x") == hash_of(0.25, "x")
