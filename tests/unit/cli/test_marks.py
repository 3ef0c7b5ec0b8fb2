"""Marked errors and revisions as ``rlaif critiques show`` tells them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.conftest import Rlaif
from cli.filled import RED, RUBRIC
from rlaif.cli.critiques.marks import CLOSE, OPEN, marking_sections, with_marks
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import (
    Completion,
    JudgeCall,
    Judgement,
    MarkedError,
    Marking,
    Rating,
    Revision,
)

ANSWER = "completion-capital-1-1"


def error(start: int | None, end: int | None = None, quote: str = "q") -> MarkedError:
    lost = "'q' is not in the answer" if start is None else None
    return MarkedError(quote=quote, why="wrong", start=start, end=end, unlocated=lost)


@pytest.mark.parametrize(
    ("answer", "errors", "marked"),
    [
        ("Lima is big", [error(0, 4)], "\u27e61 Lima 1\u27e7 is big"),
        ("Lima", [], "Lima"),
        ("Lima", [error(None)], "Lima"),
        ("利马在智利", [error(3, 5), error(0, 2)], "\u27e62 利马 2\u27e7在\u27e61 智利 1\u27e7"),
        # One inside the other, two that overlap, and two that touch.
        ("abcd", [error(0, 4), error(1, 2)], "\u27e61 a\u27e62 b 2\u27e7cd 1\u27e7"),
        ("abcd", [error(0, 3), error(2, 4)], "\u27e61 ab\u27e62 c 1\u27e7d 2\u27e7"),
        ("abcd", [error(0, 2), error(2, 4)], "\u27e61 ab 1\u27e7\u27e62 cd 2\u27e7"),
        ("🙂é!", [error(0, 1)], "\u27e61 🙂 1\u27e7é!"),
    ],
)
def test_marks_stand_where_the_spans_begin_and_end(
    answer: str, errors: list[MarkedError], marked: str
) -> None:
    assert with_marks(answer, errors) == marked


@settings(derandomize=True, max_examples=200)
@given(
    st.text(st.sampled_from("ab 利🙂\n"), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(1, 5)), max_size=4),
)
def test_without_its_marks_an_answer_is_what_it_was(
    answer: str, spans: list[tuple[int, int]]
) -> None:
    errors = [error(low, min(low + size, len(answer))) for low, size in spans if low < len(answer)]
    marked = with_marks(answer, errors)
    for number in range(1, len(errors) + 1):
        assert marked.count(f"{OPEN}{number} ") == marked.count(f" {number}{CLOSE}") == 1
        marked = marked.replace(f"{OPEN}{number} ", "").replace(f" {number}{CLOSE}", "")
    assert marked == answer


def test_what_was_not_read_and_what_was_not_found_is_told() -> None:
    unread = Marking(critique_id="c", unscored="no error line")
    assert list(marking_sections(unread, "Lima")) == [("errors", "not read: no error line")]
    assert list(marking_sections(Marking(critique_id="c"), "Lima")) == [("errors", "none marked")]
    half = Marking(critique_id="c", errors=(error(None), error(0, 4, "Lima")))
    assert list(marking_sections(half, "Lima")) == [
        ("marked", "\u27e62 Lima 2\u27e7"),
        ("errors", '1. "q" - wrong (not marked: \'q\' is not in the answer)\n2. "Lima" - wrong'),
    ]


def call(request: str, reply: str) -> JudgeCall:
    return JudgeCall(
        request_hash="a" * 64,
        judge="b" * 64,
        request=request,
        reply=reply,
        label_probs={},
        prompt_tokens=2,
        reply_tokens=2,
        latency=0.5,
    )


@pytest.fixture
def marked(project: Project) -> Project:
    """An answer that was rated by a graded critique, marked and mended, with escapes in all."""
    judgement = Judgement(
        id="critique-marked",
        criterion="tone",
        kind="pointwise",
        completion_ids=(ANSWER,),
        critique=f"Curt. {RED}",
        verdict=Rating(score=0.5),
        judge="helper",
        method="words",
        call=call("Grade it.", "Verdict: 2"),
        writing=call("Write of it.", f"Curt. {RED}"),
        grader="helper",
    )
    errors = (error(0, 4, "Find"), MarkedError(quote=RED, why=RED, unlocated=f"{RED} is not there"))
    with Ledger.open(project.ledger_path) as ledger:
        ledger.connection.execute("UPDATE stages SET finished_at = NULL WHERE stage = 'judging'")
        ledger.connection.execute("UPDATE cycles SET finished_at = NULL WHERE number = 1")
        (original,) = ledger.completions_by_id([ANSWER])
        mended = Completion(
            id="completion-mended",
            prompt_id=original.prompt_id,
            policy="revision:helper",
            index=0,
            text="Paris.",
            length=2,
            ended=True,
        )
        revision = Revision(
            original_id=ANSWER,
            completion_id=mended.id,
            judge="helper",
            critique_ids=(judgement.id,),
            rubric_hash=RUBRIC,
            p_better=0.75,
            rejected="unconfirmed: P(revision better) is 0.75 in all",
        )
        with ledger.unit(1, "judging", "marked") as unit:
            unit.add_judgements(RUBRIC, [judgement])
            unit.add_completions("revision", [mended])
            unit.add_revisions([revision])
            unit.add_markings(
                [Marking(critique_id=judgement.id, errors=errors, call=call("Mark.", RED))]
            )
    return project


def test_a_critique_shows_marks_grader_and_revision_and_no_escape(
    marked: Project, rlaif: Rlaif
) -> None:
    page = rlaif("--project", str(marked.root), "critiques", "show", "critique-marked").stdout
    for words in (
        "\u27e61 Find 1\u27e7 out yourself.",
        '1. "Find" - wrong',
        "helper, from the critique alone",
        "Write of it.",
        "Grade it.",
        "completion-mended of helper",
        "unconfirmed",
    ):
        assert words in page
    assert "\x1b" not in page


def test_the_same_as_json(marked: Project, rlaif: Rlaif) -> None:
    arguments = ("critiques", "show", "critique-marked", "--json")
    found = json.loads(rlaif("--project", str(marked.root), *arguments).stdout)
    assert found["told"]["grader"] == "helper"
    assert found["told"]["writing"]["reply"] == f"Curt. {RED}"
    assert [e["start"] for e in found["marking"]["errors"]] == [0, None]
    assert [r["completion_id"] for r in found["revisions"]] == ["completion-mended"]
