"""Several judges: each is heard, one verdict comes of it, and how far they were apart is kept."""

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_samples import completion, judge_criterion, prompt, rubric, rule_criterion

from rlaif.config import JudgingConfig
from rlaif.errors import ConfigError
from rlaif.judges import Juror, RubricJudge, jury, load_templates
from rlaif.judges.combining import merge, opinion_of, verdict_from_opinion
from rlaif.judges.jury import dawid_skene
from rlaif.judges.protocol import PAIR_LABELS, JudgeRequest
from rlaif.records import (
    Choice,
    CompletionScore,
    Judgement,
    PairVerdict,
    Rating,
    Unscored,
    Verdict,
)
from rlaif.testing import ScriptedJudge

TEMPLATES = load_templates("detailed")
KIND, TRUE = judge_criterion("kind", 1.0), judge_criterion("true", 3.0)
PROMPT = prompt()
FIRST, SECOND = completion("a"), completion("b")
PAIR = (PROMPT, FIRST, SECOND)


def said(
    criterion: str, judge: str, verdict: Verdict, ids: tuple[str, ...] = ("a", "b")
) -> Judgement:
    return Judgement(
        id=f"{criterion}-{judge}-{'-'.join(ids)}",
        criterion=criterion,
        kind="pairwise" if len(ids) == 2 else "pointwise",
        completion_ids=ids,
        critique=f"{judge} says",
        verdict=verdict,
        judge=judge,
        method="words",
    )


def votes(*p_first: float | None, criterion: str = "kind") -> list[Judgement]:
    """Return what jurors x, y, z... say of a pair; None has no verdict."""
    return [
        said(criterion, name, Unscored(reason="mumbled") if p is None else Choice(p_first=p))
        for name, p in zip("xyzuvw", p_first, strict=False)
    ]


def only(found: Sequence[Judgement]) -> Verdict:
    (judgement,) = found
    return judgement.verdict


def test_the_mean_of_the_jurors_is_the_verdict() -> None:
    (merged,) = merge([votes(0.9, 0.6, 0.3)], [KIND], "mean")
    verdict = only(merged.judgements)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == pytest.approx(0.6)


def test_a_majority_outvotes_a_juror_that_is_surer() -> None:
    (merged,) = merge([votes(0.55, 0.6, 0.0)], [KIND], "majority")
    assert only(merged.judgements) == Choice(p_first=1.0)


def test_the_mean_of_ratings_is_that_of_the_scores() -> None:
    ratings = [said("kind", n, Rating(score=s), ("a",)) for n, s in (("x", 0.25), ("y", 0.75))]
    (merged,) = merge([ratings], [KIND], "mean")
    verdict = only(merged.judgements)
    assert isinstance(verdict, Rating)
    assert verdict.score == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("p_first", "silent"),
    [((0.9, None), 1), ((0.9, None, None), 2), ((None, None), 2), ((0.9, 0.8, None, None), 2)],
)
def test_no_verdict_without_more_than_half_of_the_jurors(
    p_first: tuple[float | None, ...], silent: int
) -> None:
    (merged,) = merge([votes(*p_first)], [KIND], "mean")
    verdict = only(merged.judgements)
    assert isinstance(verdict, Unscored)
    assert verdict.reason.startswith(f"{silent} of {len(p_first)} judges: ")
    assert "mumbled" in verdict.reason


def test_a_juror_without_a_verdict_abstains_where_most_have_one() -> None:
    (merged,) = merge([votes(0.9, None, 0.7)], [KIND], "mean")
    verdict = only(merged.judgements)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == pytest.approx(0.8)


def test_a_juror_that_errs_at_random_counts_less_than_two_that_agree() -> None:
    """x and y always agree, z says the same whatever is shown: on z's side alone nobody wins."""
    items = [votes(0.9, 0.9, 0.9) if i % 2 else votes(0.1, 0.1, 0.9) for i in range(80)]
    contested = votes(0.4, 0.4, 0.95)
    merged = merge([*items, contested], [KIND], "dawid_skene")
    verdict, mean = only(merged[-1].judgements), only(merge([contested], [KIND], "mean")[0][0])
    assert isinstance(verdict, Choice)
    assert isinstance(mean, Choice)
    assert verdict.p_first < 0.5 < mean.p_first


def test_jurors_may_err_at_the_top_of_a_scale_otherwise_than_at_its_bottom() -> None:
    told = [{"x": 1.0, "y": 1.0, "z": 1.0}] * 80 + [{"x": 1.0, "y": 0.0, "z": 0.25}]
    items = [
        [said("kind", name, Rating(score=score), (f"a{place}",)) for name, score in own.items()]
        for place, own in enumerate(told)
    ]
    levels = len(KIND.choices)
    opinions = [
        {name: opinion_of(Rating(score=score), levels) for name, score in own.items()}
        for own in told
    ]
    posterior = dawid_skene([jury.votes(own) for own in opinions], symmetric=False).posteriors[-1]
    assert not isinstance(posterior, Unscored)
    verdict = only(merge(items, [KIND], "dawid_skene")[-1].judgements)
    assert isinstance(verdict, Rating)
    mean = sum(p * level for level, p in enumerate(posterior)) / (levels - 1)
    assert verdict.score == pytest.approx(mean)


def test_disagreement_is_weighted_by_criterion() -> None:
    """Contradiction under one criterion of weight 1 (1 bit), accord under one of 3: 1/4 bit."""
    item = [*votes(1.0, 0.0), *votes(0.8, 0.8, criterion="true")]
    (merged,) = merge([item], [KIND, TRUE], "mean")
    assert merged.disagreement == pytest.approx(0.25)
    assert [j.criterion for j in merged.judgements] == ["kind", "true"]


def test_a_single_judge_is_left_as_it_is() -> None:
    item = [said("kind", "x", Choice(p_first=0.7)), said("ends", "", Rating(score=1.0), ("a",))]
    (merged,) = merge([item], [KIND], "dawid_skene")
    assert merged.judgements == item
    assert merged.disagreement is None


@settings(derandomize=True, max_examples=60)
@given(st.integers(2, 9), st.floats(0.0, 1.0))
def test_a_rating_survives_being_an_opinion(levels: int, score: float) -> None:
    opinion = opinion_of(Rating(score=score), levels)
    assert opinion is not None
    assert math.fsum(opinion) == pytest.approx(1.0)
    again = verdict_from_opinion(opinion, "pointwise")
    assert isinstance(again, Rating)
    assert again.score == pytest.approx(score, abs=1e-9)


def taste(level: float, name: str) -> ScriptedJudge:
    """Return a judge that rates everything at a level and finds the one shown first as good."""

    def script(request: JudgeRequest) -> Mapping[str, float]:
        if request.labels == PAIR_LABELS:
            p = level if request.shown[0] == FIRST.text else 1.0 - level
            return {"A": p, "B": 1.0 - p}
        place = level * (len(request.labels) - 1)
        return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}

    return ScriptedJudge(script, name)


def whole(*judges: ScriptedJudge, **judging: float) -> RubricJudge:
    return RubricJudge(
        rubric(KIND, TRUE, rule_criterion("ends", 0.5)),
        judging=JudgingConfig(**judging),
        jury=[Juror(judge.name, judge, TEMPLATES, 0.5) for judge in judges],
    )


def decided(panel: RubricJudge) -> tuple[list[CompletionScore], PairVerdict]:
    items = [(PROMPT, FIRST), (PROMPT, SECOND)]
    scores = panel.scores(items, panel.rate(items))
    (verdict,) = panel.pair_verdicts(
        [PAIR], {s.completion_id: s for s in scores}, panel.compare([PAIR])
    )
    return scores, verdict


def test_every_juror_is_asked_everything_and_says_its_own() -> None:
    panel = whole(taste(1.0, "kind one"), taste(0.5, "fair one"))
    (rated,) = panel.rate([(PROMPT, FIRST)])
    assert [(j.criterion, j.judge, j.method) for j in rated] == [
        ("kind", "kind one", "label_probs"),
        ("kind", "fair one", "label_probs"),
        ("true", "kind one", "label_probs"),
        ("true", "fair one", "label_probs"),
        ("ends", "", "code"),
    ]
    (compared,) = panel.compare([PAIR])
    assert len({j.id for j in [*rated, *compared]}) == len(rated) + len(compared) == 13
    score = panel.scores([(PROMPT, FIRST)], [rated])[0]
    assert score.parts == {"kind": 0.75, "true": 0.75, "ends": 1.0}


def test_a_jury_that_is_split_is_quarantined_and_one_that_agrees_is_not() -> None:
    _, split = decided(whole(taste(0.95, "x"), taste(0.05, "y")))
    assert "the jury is split: its verdicts are 0.71 bits apart" in (split.quarantined or "")
    assert split.disagreement == pytest.approx(0.7136, abs=1e-4)
    assert "stood alone" not in (split.quarantined or "")
    _, three = decided(whole(taste(0.95, "x"), taste(0.9, "y"), taste(0.05, "z")))
    assert (three.quarantined or "").endswith(
        "bits apart, over 0.50; z stood alone under kind and true: over 0.50 from every other juror"
    )
    _, lenient = decided(whole(taste(0.95, "x"), taste(0.05, "y"), max_disagreement=0.8))
    assert lenient.quarantined is None
    _, agreed = decided(whole(taste(0.95, "x"), taste(0.9, "y")))
    assert agreed.quarantined is None


def fair(name: str, odd: str = "", level: float = 0.95) -> ScriptedJudge:
    """Love the first answer, but under the odd criterion find it as good as the level says."""

    def script(request: JudgeRequest) -> dict[str, float]:
        liked = level if request.criterion == odd else 0.95
        if len(request.labels) == 2:
            p = liked if request.shown[0] == FIRST.text else 1.0 - liked
            return {"A": p, "B": 1.0 - p}
        place = liked * (len(request.labels) - 1)
        return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}

    return ScriptedJudge(script, name)


@pytest.mark.parametrize("jurors", [5, 7])
def test_one_that_stands_alone_under_one_criterion_is_enough_however_many_agree(
    jurors: int,
) -> None:
    odd = [*(fair(f"j{n}") for n in range(1, jurors)), fair("odd", "true", 0.05)]
    alone = "odd stood alone under true: over 0.50 from every other juror"
    scores, verdict = decided(whole(*odd))
    assert verdict.disagreement is not None
    assert verdict.disagreement < 0.5
    assert verdict.quarantined == alone
    assert verdict.p_first is not None
    assert [s.quarantined for s in scores] == [alone, alone]
    scores, verdict = decided(whole(*odd, outlier_distance=1.0))
    assert [x.quarantined for x in (*scores, verdict)] == [None] * 3
    _, near = decided(whole(*odd[:-1], fair("odd", "true", 0.46)))
    assert near.quarantined is None


def test_labels_of_ratings_alone_are_held_back_where_a_rating_is() -> None:
    jury = [*(fair(f"j{n}") for n in range(4)), fair("odd", "true", 0.05)]
    _, verdict = decided(whole(*jury, pairwise_weight=0.0))
    assert verdict.p_first is not None
    assert (verdict.quarantined or "").startswith(f"{FIRST.id}: odd stood alone under true")


def test_a_criterion_that_changes_no_label_holds_nothing_back() -> None:
    item = votes(0.95, 0.95, 0.05)
    (merged,) = merge([item], [judge_criterion("kind", 0.0)], "mean", 0.5)
    assert merged.outliers == ()
    (merged,) = merge([item], [KIND], "mean", 0.5)
    assert merged.outliers == (("z", "kind"),)


def test_the_hash_knows_the_outliers_where_three_judge() -> None:
    x, y, z = (taste(0.9, name) for name in "xyz")
    assert whole(x, y, outlier_distance=0.2).rubric_hash == whole(x, y).rubric_hash
    hashes = {whole(x, y, z, outlier_distance=d).rubric_hash for d in (0.2, 0.5, 1.0)}
    assert len(hashes) == 3


def test_the_clamp_holds_the_judges_own_probability() -> None:
    _, free = decided(whole(taste(0.95, "x"), pairwise_weight=1.0))
    _, held = decided(whole(taste(0.95, "x"), pairwise_weight=1.0, clamp=0.4))
    assert free.p_first == pytest.approx(0.95)
    assert held.p_first == pytest.approx(0.6)
    assert (held.p_forward, held.p_backward) == (free.p_forward, free.p_backward)


def test_the_hash_knows_who_sits_on_the_jury_and_how_they_are_combined() -> None:
    x, y = taste(0.9, "x"), taste(0.8, "y")
    hashes = [
        whole(x).rubric_hash,
        whole(x, clamp=0.4).rubric_hash,
        whole(y).rubric_hash,
        whole(x, y).rubric_hash,
        whole(x, y, max_disagreement=0.25).rubric_hash,
    ]
    assert len(set(hashes)) == len(hashes)
    assert whole(x, max_disagreement=0.25).rubric_hash == whole(x).rubric_hash


def test_two_jurors_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two judges are called 'x'"):
        whole(taste(0.9, "x"), taste(0.8, "x"))


def test_the_hash_knows_whether_a_critique_is_written() -> None:
    judge = taste(0.9, "x")
    hashes = {
        RubricJudge(
            rubric(KIND),
            judging=JudgingConfig(),
            jury=[Juror("x", judge, TEMPLATES, 0.5, critique)],
        ).rubric_hash
        for critique in (True, False)
    }
    assert len(hashes) == 2


def test_the_hash_knows_how_many_are_judged_together_where_that_decides() -> None:
    def hash_of(combine: str, together: int) -> str:
        return RubricJudge(
            rubric(KIND),
            judging=JudgingConfig(combine=combine),
            jury=[Juror(n, taste(0.9, n), TEMPLATES, 0.5) for n in ("x", "y")],
            together=together,
        ).rubric_hash

    assert hash_of("dawid_skene", 8) != hash_of("dawid_skene", 16)
    assert hash_of("mean", 8) == hash_of("mean", 16)
