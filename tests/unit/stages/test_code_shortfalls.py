"""An audit says of a criterion judged by code how many answers it left unscored, and why."""

import pytest
from trials import ENDS, answer, judged_by, panel_of

from rlaif.config import AuditConfig
from rlaif.judges.shortfalls import code_advice
from rlaif.records import Judgement, Rating, Unscored, Verdict
from rlaif.stages.audit import audit

BROKEN = "mine.py raised KeyError: 'x'\n(mine.py, line 3)"
UNSCORED = Unscored(reason=BROKEN)


def by_code(criterion: str, place: int, verdict: Verdict) -> Judgement:
    return Judgement(
        id=f"{criterion}-{place}",
        criterion=criterion,
        kind="pointwise",
        completion_ids=(f"p{place}-a",),
        critique="",
        verdict=verdict,
        method="code",
    )


def judged(criterion: str, unscored: int, count: int) -> list[Judgement]:
    """Judgements of ``count`` answers, of which the last ones are unscored."""
    return [
        by_code(criterion, i, UNSCORED if i >= count - unscored else Rating(score=1.0))
        for i in range(count)
    ]


def test_an_audit_tells_of_a_criterion_that_code_leaves_unscored() -> None:
    report = audit(
        AuditConfig(),
        panel_of(*judged_by("kind"), ENDS),
        completions=[answer(f"p{i}-a", "Words!") for i in range(10)],
        scores=[],
        verdicts=[],
        judgements=[*judged("ends", 9, 10), *judged("kind", 0, 10)],
        probes=[],
    )
    assert report.advice == (
        "ends: 9 of 10 answers are unscored by code, the first: "
        "mine.py raised KeyError: 'x' (mine.py, line 3)",
    )


@pytest.mark.parametrize(("unscored", "lines"), [(0, 0), (4, 0), (5, 1), (100, 1)])
def test_a_share_below_five_percent_is_not_told(unscored: int, lines: int) -> None:
    assert len(code_advice(judged("mine", unscored, 100))) == lines


def test_each_criterion_is_told_for_itself_and_the_judges_verdicts_are_not() -> None:
    silent = by_code("kind", 0, UNSCORED).model_copy(update={"method": None, "judge": "it"})
    told = code_advice([*judged("one", 2, 4), silent, *judged("other", 0, 4), *judged("two", 1, 4)])
    assert [line.split(" answers")[0] for line in told] == ["one: 2 of 4", "two: 1 of 4"]
