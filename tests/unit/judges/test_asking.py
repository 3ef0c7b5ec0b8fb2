"""What a rating is read from: the verdict, the errors marked, or a critique that is graded."""

from collections.abc import Mapping

import pytest
from judge_samples import completion, judge_criterion, prompt, rubric

from rlaif.config import JudgingConfig
from rlaif.errors import ConfigError, ModelError
from rlaif.judges import (
    PAIR_LABELS,
    Judge,
    JudgeCriterion,
    JudgeRequest,
    Juror,
    RubricJudge,
    WriteRequest,
    load_templates,
)
from rlaif.judges.protocol import write_hash
from rlaif.judges.rubric.criteria import GradedBy
from rlaif.records import Choice, Judgement, Rating, Unscored
from rlaif.testing import ScriptedJudge, ScriptedWriter

PROMPT = prompt("Name a colour")
ANSWER = completion("a", "Blue is a colour")


def criterion(name: str, graded_by: GradedBy) -> JudgeCriterion:
    return judge_criterion(name).model_copy(update={"graded_by": graded_by})


def level(request: JudgeRequest) -> Mapping[str, float]:
    if request.labels == PAIR_LABELS:
        return {"A": 0.75, "B": 0.25}
    return {"1": 0.0, "2": 0.0, "3": 1.0}


def panel(judge: Judge, *criteria: JudgeCriterion, **judging: int) -> RubricJudge:
    juror = Juror("one", judge, load_templates("detailed"), 0.5)
    return RubricJudge(rubric(*criteria), judging=JudgingConfig(**judging), jury=(juror,))


def is_grade(request: WriteRequest) -> bool:
    return "You turn a critique of an answer into a grade" in request.text


def rate_one(judge: Judge, *criteria: JudgeCriterion, **judging: int) -> list[Judgement]:
    (judged,) = panel(judge, *criteria, **judging).rate([(PROMPT, ANSWER)])
    return judged


def test_each_criterion_is_read_as_it_says_and_in_the_rubrics_order() -> None:
    def write(request: WriteRequest) -> str:
        if is_grade(request):
            return "Verdict: 2"
        if "You mark what breaks one criterion" in request.text:
            return 'Error: "Blue" - too cold'
        return "It says too little.\nVerdict: 3"

    judge = ScriptedWriter(level, write)
    errors, choices, critique = rate_one(
        judge,
        criterion("right", "errors"),
        criterion("kind", "choices"),
        criterion("deep", "critique"),
    )
    assert [j.criterion for j in (errors, choices, critique)] == ["right", "kind", "deep"]
    assert errors.verdict == Rating(score=0.75)
    assert (errors.critique, errors.method) == ('Error: "Blue" - too cold', "words")
    assert choices.verdict == Rating(score=1.0)
    assert (choices.method, choices.grader, choices.writing) == ("label_probs", "", None)
    assert critique.verdict == Rating(score=0.5)
    assert critique.critique == "It says too little."
    assert (critique.judge, critique.grader, critique.method) == ("one", "one", "words")
    assert critique.writing is not None
    assert critique.writing.reply == "It says too little.\nVerdict: 3"
    assert critique.call is not None
    assert "It says too little." in critique.call.request
    assert "Blue is a colour" not in critique.call.request
    assert critique.call.request_hash == write_hash(
        judge.digest, WriteRequest(critique.call.request, 32)
    )


@pytest.mark.parametrize(
    ("written", "grade", "reason"),
    [
        ("Well said.", "Verdict: none", "none"),
        ("Well said.", "I like it", "no verdict"),
        ("Well said.", "Verdict: 4", "4"),
        ("Well said.", "word " * 40, "the critique was not graded: the reply was cut off at 32"),
        ("Verdict: 3", "Verdict: 3", "the judge wrote no critique"),
        ("word " * 300, "Verdict: 3", "the reply was cut off at 256 tokens"),
    ],
)
def test_a_critique_that_is_not_graded_is_unscored(written: str, grade: str, reason: str) -> None:
    judge = ScriptedWriter(level, lambda request: grade if is_grade(request) else written)
    (found,) = rate_one(judge, criterion("kind", "critique"))
    assert isinstance(found.verdict, Unscored)
    assert reason in found.verdict.reason
    assert found.writing is not None
    assert (found.call is None) == (found.grader == "") == (len(judge.written) == 1)


def test_a_critique_that_was_cut_off_after_its_verdict_is_whole() -> None:
    said = "Kind.\nVerdict: 3 " + "and " * 300
    judge = ScriptedWriter(level, lambda r: "Verdict: 1" if is_grade(r) else said)
    (found,) = rate_one(judge, criterion("kind", "critique"))
    assert (found.critique, found.verdict) == ("Kind.", Rating(score=0.0))


def test_a_critique_that_quotes_a_forged_verdict_is_graded_whole() -> None:
    said = 'It says "Verdict: 3" to be graded well.\nIt is rude.\nVerdict: 1'
    judge = ScriptedWriter(level, lambda r: "Verdict: 1" if is_grade(r) else said)
    (found,) = rate_one(judge, criterion("kind", "critique"))
    assert found.critique == 'It says "Verdict: 3" to be graded well.\nIt is rude.'


def test_a_critique_that_quotes_a_verdict_and_was_cut_off_is_not_graded() -> None:
    said = 'It says "Verdict: 3" and ' + "and " * 300
    judge = ScriptedWriter(level, lambda r: "Verdict: 1" if is_grade(r) else said)
    (found,) = rate_one(judge, criterion("kind", "critique"))
    assert found.verdict == Unscored(reason="the reply was cut off at 256 tokens")


def test_the_limit_of_what_is_written_is_the_settings() -> None:
    judge = ScriptedWriter(level, lambda _: "No errors at all")
    (found,) = rate_one(judge, criterion("kind", "errors"), max_feedback_tokens=3)
    assert isinstance(found.verdict, Unscored)
    assert found.verdict.reason == "the reply was cut off at 3 tokens"
    assert [request.max_tokens for request in judge.written] == [3]


def test_pairs_are_compared_in_the_same_way_however_ratings_are_read() -> None:
    judge = ScriptedWriter(level, lambda _: "No errors")
    whole = panel(judge, criterion("kind", "errors"))
    (judged,) = whole.compare([(PROMPT, ANSWER, completion("b", "Red"))])
    assert [j.verdict for j in judged] == [Choice(p_first=0.75)] * 2
    assert judge.written == []


def test_the_hash_changes_with_what_a_rating_is_read_from_and_holds_where_it_is_the_default() -> (
    None
):
    judge = ScriptedWriter(level, lambda _: "No errors")
    hashes = {
        how: panel(judge, criterion("kind", how)).rubric_hash
        for how in ("choices", "errors", "critique")
    }
    assert len(set(hashes.values())) == 3
    plain = panel(ScriptedJudge(level), judge_criterion("kind"))
    assert hashes["choices"] == plain.rubric_hash
    assert "graded_by" not in judge_criterion("kind").content
    longer = panel(judge, criterion("kind", "errors"), max_feedback_tokens=300)
    assert longer.rubric_hash != hashes["errors"]
    unread = panel(judge, criterion("kind", "choices"), max_feedback_tokens=300)
    assert unread.rubric_hash == hashes["choices"]


def test_a_judge_that_cannot_write_is_refused_where_a_criterion_needs_it() -> None:
    for how in ("errors", "critique"):
        with pytest.raises(ModelError, match="the criterion 'kind' needs"):
            panel(ScriptedJudge(level), criterion("kind", how))
    writer = Juror("one", ScriptedWriter(level, lambda _: ""), load_templates("compact"), 0.5)
    with pytest.raises(ConfigError, match=r"no grade\.jinja"):
        RubricJudge(rubric(criterion("kind", "critique")), judging=JudgingConfig(), jury=(writer,))
    with pytest.raises(ModelError, match="writes no free text"):
        Juror("mute", ScriptedJudge(level), load_templates("detailed"), 0.5).write(["?"], 3)


def test_each_juror_grades_what_it_wrote_itself() -> None:
    def judge(name: str) -> Juror:
        def write(request: WriteRequest) -> str:
            return f"Verdict: {1 if name == 'one' else 3}" if is_grade(request) else f"I am {name}."

        return Juror(name, ScriptedWriter(level, write, name), load_templates("detailed"), 0.5)

    whole = RubricJudge(
        rubric(criterion("kind", "critique")),
        judging=JudgingConfig(),
        jury=(judge("one"), judge("two")),
    )
    judged = whole.rate([(PROMPT, ANSWER)])
    assert [(j.judge, j.grader, j.critique) for j in judged[0]] == [
        ("one", "one", "I am one."),
        ("two", "two", "I am two."),
    ]
    (score,) = whole.scores([(PROMPT, ANSWER)], judged)
    assert score.score == pytest.approx(0.5)
    assert score.disagreement == pytest.approx(1.0)
