"""Audits and trials say what the judge's replies often lack, and what to do about it."""

import dataclasses
from collections.abc import Mapping, Sequence

import pytest
from trials import answer, judged_by, prompt

from rlaif.cli.trial_shown import print_test
from rlaif.config import AuditConfig, JudgingConfig, RlaifConfig
from rlaif.judges import (
    JudgeReply,
    JudgeRequest,
    Juror,
    Rubric,
    RubricJudge,
    load_templates,
)
from rlaif.judges.probes import Attacks
from rlaif.records import AuditFigure, HumanLabel
from rlaif.stages.audit import audit
from rlaif.stages.previewing import Stored, StoredPair, preview
from rlaif.stages.rubric_testing import Labelled, RubricTest, hold_against
from rlaif.stages.trying import Tried, try_panel
from rlaif.testing import ScriptedJudge

ANSWERS = [answer(f"p{place}-a", f"Answer {place}.") for place in range(4)]
ITEMS = [(prompt(own.prompt_id), own) for own in ANSWERS]


class Curt(ScriptedJudge):
    """A judge that is sure of every other answer only, and whose critiques are always cut off."""

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        replies = super().judge(requests)
        calls = [reply.call and reply.call.model_copy(update={"cut": 1}) for reply in replies]
        return [
            dataclasses.replace(reply, call=call)
            for reply, call in zip(replies, calls, strict=True)
        ]


def script(request: JudgeRequest) -> Mapping[str, float]:
    """Give every label the same: to even answers all there is, to odd ones nearly nothing."""
    sure = any(f"Answer {place}." in request.shown[0] for place in (0, 2))
    return dict.fromkeys(request.labels, (1.0 if sure else 0.1) / len(request.labels))


def panel(judge: ScriptedJudge) -> RubricJudge:
    return RubricJudge(
        Rubric(name="r", version="1", language="en", criteria=judged_by("kind")),
        judging=JudgingConfig(pairwise_weight=0.0),
        jury=[Juror("curt", judge, load_templates("detailed"), 0.5)],
    )


def tried(judge: ScriptedJudge) -> tuple[RubricJudge, Tried]:
    own = panel(judge)
    return own, try_panel(own, ITEMS, ())


def figures(judge: ScriptedJudge) -> tuple[dict[str, AuditFigure], tuple[str, ...]]:
    own, found = tried(judge)
    report = audit(
        AuditConfig(),
        own,
        completions=ANSWERS,
        scores=list(found.scores.values()),
        verdicts=[],
        judgements=found.judgements,
        probes=[],
    )
    return {figure.name: figure for figure in report.figures}, report.advice


def test_an_audit_counts_what_is_lacking_and_advises() -> None:
    found, told = figures(Curt(script))
    assert (found["cut off"].value, found["cut off"].count) == (1.0, 4)
    assert (found["low label mass"].value, found["low label mass"].count) == (0.5, 4)
    shares = [one.split(" by curt")[0] for one in told]
    assert shares == ["100% of 4 critiques", "50% of 4 verdicts"]


def test_an_audit_of_a_judge_that_lacks_nothing_advises_nothing() -> None:
    found, told = figures(ScriptedJudge(lambda r: dict.fromkeys(r.labels, 1 / len(r.labels))))
    assert (found["cut off"].value, found["low label mass"].value) == (0.0, 0.0)
    assert told == ()


def held_against(judge: ScriptedJudge) -> RubricTest:
    labels = [
        HumanLabel(
            id=f"label-{own.id}",
            prompt_id=own.prompt_id,
            form="rating",
            first_id=own.id,
            value=0.5,
            criterion="",
            rater="ann",
            weight=1.0,
            note="",
            frozen=False,
        )
        for own in ANSWERS
    ]
    return hold_against(
        panel(judge),
        Labelled(labels, {p.id: p for p, _ in ITEMS}, {own.id: own for own in ANSWERS}),
        AuditConfig(),
        Attacks(instruction="x", forged_verdict="x", fence="x", padding="x"),
        temperature=0.2,
        probes=0,
        seed=1,
    )


def test_a_rubric_test_says_the_share_of_cut_critiques_and_advises(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = held_against(Curt(script))
    assert found.cut is not None
    assert (found.cut.rate, found.cut.count) == (1.0, 4)
    head = {"name": "r", "version": "1", "rubric_hash": "e" * 64}
    print_test({"rubric": head, "labels_file": "human.jsonl", "paid": None}, found)
    said = capsys.readouterr().out
    assert "critiques cut off at their limit: 100%" in said
    assert "advice: 100% of 4 critiques by curt were cut off at" in said
    assert "advice: 50% of 4 verdicts by curt are unscored because their labels hold less" in said


def test_a_preview_advises_on_the_drafts_judging() -> None:
    own = panel(Curt(script))
    asked, first, second = prompt("p0"), *(answer(f"p0-{x}", f"Answer {x}.") for x in (0, 1))
    found = try_panel(own, (), [(asked, first, second)])
    pair = StoredPair(asked, first, second, found.verdicts[0])
    told = preview(own, found, Stored([pair], found.scores, []), RlaifConfig()).advice
    assert [one.split(" by curt")[0] for one in told] == [
        "100% of 2 critiques",
        "50% of 2 verdicts",
    ]
