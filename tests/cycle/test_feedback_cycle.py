"""Marked errors and graded critiques in a cycle: what is asked, kept, shown, and trained on."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import pytest
from click.testing import CliRunner

from rlaif.cli import main
from rlaif.config import JudgeConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.errors import JudgeUnreachableError, ModelError
from rlaif.judges import PAIR_LABELS, Judge, JudgeRequest, Juror, WriteRequest, load_templates
from rlaif.judges.marked_errors import parse_marked_errors
from rlaif.judges.second_asking import asked_twice
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.unit import Unit
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import Rating, Unscored
from rlaif.testing import ScriptedJudge, ScriptedWriter
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.scripted import Down

MARKED = {"mark_errors": True, "pairs_per_prompt": 2}
FENCED = re.compile(r"<answer[^>]*>\n?(.*?)\n?</answer", re.DOTALL)


def lengthwise(request: JudgeRequest) -> Mapping[str, float]:
    """Rate an answer as kind where its length is even, and as rude where it is odd."""
    if request.labels == PAIR_LABELS:
        return {"A": 0.5, "B": 0.5}
    best = len(request.shown[0]) % 2 == 0
    return {"1": float(not best), "2": 0.0, "3": float(best)}


def first_character(request: WriteRequest) -> str:
    """Mark the first printable character that is shown, and one that never is."""
    shown = FENCED.findall(request.text)[-1].strip()
    quote = next((c for c in shown if c.isalnum()), "")
    return f'Error: "{quote}" - rude\nError: "不在" - 没有' if quote else "I see nothing."


Hire = Callable[[Judge], None]


@pytest.fixture
def hire(monkeypatch: pytest.MonkeyPatch) -> Hire:
    """Return what makes a judge everybody's; cycles end with their preferences."""
    monkeypatch.setattr("rlaif.cycle._trains", lambda _: False)

    def hired(judge: Judge) -> None:
        def juror(_: Crew, config: JudgeConfig) -> Juror:
            return Juror(judge.name, judge, load_templates("detailed"), config.min_label_mass)

        monkeypatch.setattr(Crew, "_juror", juror)

    return hired


def test_errors_are_marked_in_what_is_rated_below_the_best(make_project: Maker, hire: Hire) -> None:
    judge = ScriptedWriter(lengthwise, first_character)
    hire(judge)
    project = make_project(rubric=JUDGED, judging=MARKED)
    run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        answers = {c.id: c.text for c in reads.completions(1, "train")}
        rated = {
            j.id: j
            for j in reads.judgements(list(answers), cycle=1, stage="judging")
            if isinstance(j.verdict, Rating)
        }
        found = reads.markings(1)
    rude = [name for name, j in rated.items() if len(answers[j.completion_ids[0]]) % 2 == 1]
    assert 0 < len(rude) < len(rated)
    assert sorted(m.critique_id for m in found) == sorted(rude)
    assert len(judge.written) == len(rude)
    read = [m for m in found if m.unscored is None]
    assert read
    for marking in read:
        assert marking.call is not None
        answer = answers[rated[marking.critique_id].completion_ids[0]]
        assert marking.errors == parse_marked_errors(marking.call.reply, answer)
        assert marking.errors[1].unlocated == "'不在' is not in the answer"
    for marking in found:
        if marking.unscored is not None:
            assert marking.errors == ()
            assert marking.unscored.startswith("no error line")


def shown(project: Project, *words: str) -> str:
    result = CliRunner().invoke(main, ["--project", str(project.root), "critiques", "show", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_marks_are_shown_in_the_answer_safely_and_as_json(make_project: Maker, hire: Hire) -> None:
    hire(ScriptedWriter(lengthwise, first_character))
    project = make_project(rubric=JUDGED, judging=MARKED)
    run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        marking = next(m for m in reads.markings(1) if m.errors and m.errors[0].start is not None)
    page = shown(project, marking.critique_id)
    assert f"\u27e61 {marking.errors[0].quote} 1\u27e7" in page
    assert '2. "不在" - 没有 (not marked:' in page
    assert "\x1b" not in page
    found = json.loads(shown(project, marking.critique_id, "--json"))["marking"]
    assert found["errors"] == [error.model_dump() for error in marking.errors]


def test_killed_between_batches_the_marks_end_the_same(
    make_project: Maker, hire: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire(ScriptedWriter(lengthwise, first_character))
    few = {"judge": {"batch_size": 3, "path": "lm", "max_critique_tokens": 4}}
    whole, killed = (make_project(n, rubric=JUDGED, judging=MARKED, **few) for n in ("a", "b"))
    run_cycles(whole, more=1, watcher=Silent())
    begun = Ledger.unit

    def dying(self: Ledger, cycle: int, stage: str, name: str) -> AbstractContextManager[Unit]:
        if name == "errors-0001":
            raise InterruptedError
        return begun(self, cycle, stage, name)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "unit", dying)
        with pytest.raises(InterruptedError):
            run_cycles(killed, more=1, watcher=Silent())
    run_cycles(killed, more=1, watcher=Silent())
    digests = []
    for project in (whole, killed):
        with LedgerReader.open(project.ledger_path) as reads:
            digests.append(reads.digest())
    assert digests[0] == digests[1]


def test_a_judge_that_cannot_mark_is_refused_before_a_row_is_written(
    make_project: Maker, hire: Hire
) -> None:
    hire(ScriptedJudge(lengthwise, "mute"))
    with pytest.raises(ModelError, match=r"'mute' writes no free text, which \[judging\] mark_err"):
        run_cycles(make_project(rubric=JUDGED, judging=MARKED), more=1, watcher=Silent())


def test_ratings_by_errors_train_and_their_spans_are_kept_without_asking_twice(
    make_project: Maker, hire: Hire
) -> None:
    def half(request: WriteRequest) -> str:
        answer = FENCED.findall(request.text)[-1].strip()
        number = int(re.findall(r"Question (\d+) about", request.text)[-1])
        return f'Error: "{answer}" - all of it' if number % 2 else "No errors"

    judge = ScriptedWriter(lengthwise, half)
    hire(judge)
    graded = JUDGED + 'graded_by = "errors"\n'
    project = make_project(rubric=graded, judging={"pairs_per_prompt": 1})
    run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        answers = {c.id for c in reads.completions(1, "train")}
        rated = reads.judgements(list(answers), cycle=1, stage="judging")
        rated = [j for j in rated if j.kind == "pointwise"]
        markings = {m.critique_id: m for m in reads.markings(1)}
    assert {j.method for j in rated} == {"words"}
    assert all(isinstance(j.verdict, Rating | Unscored) for j in rated)
    assert any(j.verdict == Rating(score=1.0) for j in rated)
    low = [j for j in rated if isinstance(j.verdict, Rating) and j.verdict.score < 0.75]
    assert {j.verdict for j in low} == {Rating(score=0.0)}
    assert sorted(markings) == sorted(j.id for j in low)
    assert all(m.call is None and m.errors for m in markings.values())
    tried = len(judge.written) - len(rated)  # one answer attacked, one asked about again
    assert 0 <= tried <= 2


def test_a_graded_critique_is_kept_with_both_calls_and_its_grader(
    make_project: Maker, hire: Hire
) -> None:
    def write(request: WriteRequest) -> str:
        grades = "You turn a critique" in request.text
        return f"Verdict: {2 if 'curt' in request.text else 3}" if grades else "It is curt. 太短"

    hire(ScriptedWriter(lengthwise, write))
    graded = JUDGED + 'graded_by = "critique"\n'
    project = make_project(rubric=graded)
    run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        rated = [j for j in reads.judgements(cycle=1) if j.kind == "pointwise"]
        assert rated
        for judgement in rated:
            assert judgement.verdict == Rating(score=0.5)
            assert (judgement.judge, judgement.grader) == ("scripted", "scripted")
            assert judgement.writing is not None
            assert judgement.writing.reply == judgement.critique == "It is curt. 太短"
            assert judgement.call is not None
            assert judgement.call.reply == "Verdict: 2"
    page = shown(project, rated[0].id)
    assert "graded by" in page
    assert "request for the critique" in page


@pytest.mark.parametrize(
    ("rubric", "judging", "noun"),
    [
        (JUDGED + 'graded_by = "critique"\n', {}, "ratings"),
        (JUDGED + 'graded_by = "errors"\n', {}, "ratings"),
        (JUDGED, MARKED, "errors"),
    ],
    ids=["graded by critique", "graded by errors", "marking"],
)
def test_a_judge_that_cannot_be_reached_to_write_leaves_no_scraps(
    make_project: Maker, hire: Hire, rubric: str, judging: dict[str, object], noun: str
) -> None:
    def write(request: WriteRequest) -> str:
        grades = "You turn a critique" in request.text
        return "Verdict: 2" if grades else first_character(request)

    project, whole = (make_project(n, rubric=rubric, judging=judging) for n in ("a", "b"))
    judge = Down(lengthwise, write)
    hire(asked_twice(judge, 0.5))
    with pytest.raises(JudgeUnreachableError, match="came to nothing; the first: connection ref"):
        run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        assert not [name for name in reads.done_units(1, "judging") if name.startswith(noun)]
        assert (reads.markings(1), reads.preferences()) == ([], [])
    judge.up = True
    digests = []
    for one in (project, whole):
        run_cycles(one, more=1, watcher=Silent())
        with LedgerReader.open(one.ledger_path) as reads:
            digests.append(reads.digest())
    assert digests[0] == digests[1]
