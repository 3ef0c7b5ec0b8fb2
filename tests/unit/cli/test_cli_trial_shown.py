"""How trials of rubrics are printed: every figure, cut texts, and nothing that a terminal obeys."""

import pytest

from rlaif.cli.output import interval
from rlaif.cli.trial_shown import LISTED, print_preview, print_test
from rlaif.judges.agreement import LengthFigures, OrderedPair, Proportion, order_figures, proportion
from rlaif.judges.kappa import cohen_kappa
from rlaif.judges.probes import KINDS
from rlaif.records import AuditFigure
from rlaif.stages.calibration import Agreement
from rlaif.stages.cycle_cost import PreviewCost
from rlaif.stages.previewing import (
    Change,
    Counts,
    CriterionBeside,
    Outcome,
    RubricPreview,
    ScoresBeside,
)
from rlaif.stages.rubric_testing import CriterionTrial, Miss, RubricTest
from rlaif.stages.trying import Cost

RED = "\x1b[31m"
LONG = "\u4f60\u597d" * 60
PREVIEW_HEAD = {
    "draft": {"name": f"new{RED}", "version": "2", "rubric_hash": "d" * 64},
    "current": {"name": "old", "version": "1", "rubric_hash": "c" * 64},
    "cycles": [4, 5],
    "notes": ["the judge changed"],
    "paid": {"calls": 3, "tokens": 45, "money": 0.125, "reused": 7},
}
TEST_HEAD = {
    "rubric": {"name": "ours", "version": "3", "rubric_hash": "e" * 64},
    "labels_file": "human.jsonl",
    "paid": None,
}
EVEN = ScoresBeside(answers=3, unscored=1, correlation=None, distance=0.125, shift=-0.001)
NONE = ScoresBeside(answers=0, unscored=4, correlation=None, distance=None, shift=None)


def change(current: Outcome, draft: Outcome, reason: str = "") -> Change:
    return Change(
        prompt_id="p",
        first_id="a",
        second_id="b",
        prompt=f"Asked\n{RED}",
        first=LONG,
        second="Short.",
        current=current,
        draft=draft,
        p_current=0.75,
        p_draft=None if draft == "unscored" else 0.25,
        flipped={current, draft} == {"first", "second"},
        reason=reason,
    )


def shown_preview(capsys: pytest.CaptureFixture[str], *changes: Change) -> str:
    found = RubricPreview(
        pairs=7,
        outcomes_current=Counts(decided=4, tied=1, quarantined=2, unscored=0),
        outcomes_draft=Counts(decided=3, tied=2, quarantined=1, unscored=1),
        same_winner=proportion([True, False, None]),
        changes=changes,
        scores=EVEN,
        criteria=(
            CriterionBeside(name="kind", ratings=NONE, same_side=None),
            CriterionBeside(name="right", ratings=EVEN, same_side=proportion([True, True])),
        ),
        only_current=("old one", "older one"),
        only_draft=(),
        cost=PreviewCost(
            current=Cost(calls=8, prompt_tokens=80, reply_tokens=16, money=0.5),
            draft=Cost(calls=9, prompt_tokens=90, reply_tokens=18, seconds=42.2),
            cycle=Cost(calls=90, prompt_tokens=900, reply_tokens=180, seconds=422.0),
            cycle_answers=30,
            cycle_pairs=20,
        ),
    )
    print_preview(PREVIEW_HEAD, found)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    return told


def words(told: str) -> list[str]:
    return [" ".join(line.split()) for line in told.splitlines()]


def test_a_previews_figures(capsys: pytest.CaptureFixture[str]) -> None:
    lines = words(shown_preview(capsys))
    assert lines[:2] == [
        "draft new\u241b[31m, version 2, dddddddddddd",
        "current old, version 1, cccccccccccc: what cycle 4, 5 said of the same pairs",
    ]
    for expected in (
        "note: the judge changed",
        "decided 4 3",
        "tied 1 2",
        "quarantined 2 1",
        "unscored 0 1",
        "flips: 0 of the 2 pairs that both decide",
        "(whole) 3 1 - 0.12 +0.00 50% [9%, 91%]",
        "kind 0 4 - - - -",
        "right 3 1 - 0.12 +0.00 100% [34%, 100%]",
        "only in the current rubric: old one, older one",
        "these pairs, when they were judged 8 80 16 - 0.5000",
        "these pairs with the draft 9 90 18 42 s -",
        "a cycle: 30 answers, 90 900 180 7 min 02 s -",
        "20 pairs at most",
    ):
        assert expected in lines
    assert not any("only in the draft" in line for line in lines)


@pytest.mark.parametrize(
    ("current", "draft", "title", "first", "second"),
    [
        ("first", "second", "flips", "better -> -", "- -> better"),
        ("second", "first", "flips", "- -> better", "better -> -"),
        ("tie", "first", "tie -> first", "- -> better", "- -> -"),
        ("second", "quarantined", "second -> quarantined", "- -> -", "better -> -"),
    ],
)
def test_a_change_says_which_answer_was_better_and_is(
    capsys: pytest.CaptureFixture[str],
    current: Outcome,
    draft: Outcome,
    title: str,
    first: str,
    second: str,
) -> None:
    told = shown_preview(capsys, change(current, draft))
    assert f"\n{title}: Asked \u241b[31m\n" in told
    assert f"\n  {first}  {LONG[:29]}\u2026\n" in told
    assert f"\n  {second}  Short.\n" in told
    assert "\n  P(first is better) 0.75 -> 0.25\n" in told


def test_a_change_says_why_the_draft_would_not_train(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown_preview(capsys, change("first", "unscored", f"it mumbled{RED}"))
    assert "  P(first is better) 0.75 -> -; it mumbled\u241b[31m\n" in told


@pytest.mark.parametrize(("count", "said"), [(LISTED, False), (LISTED + 1, True)])
def test_no_more_than_so_many_changes_are_listed(
    capsys: pytest.CaptureFixture[str], count: int, said: bool
) -> None:
    told = shown_preview(capsys, *[change("first", "second")] * count)
    assert told.count("P(first is better)") == LISTED
    assert (f"{LISTED} of {count} pairs of which" in told) is said


def figures(
    value: float | None, limit: float | None = None, unscored: int = 0
) -> tuple[AuditFigure, ...]:
    return tuple(
        AuditFigure(
            name=f"{group} by {how}",
            meaning="m",
            value=value,
            low=0.25,
            high=0.75,
            count=8,
            unscored=unscored,
            limit=limit,
            breached=limit is not None and group == "injection",
        )
        for group in ("injection", "taste", *KINDS)
        for how in ("comparison", "rating")
    )


def agreement(criterion: str, kind: str, *said: str | None) -> Agreement:
    truth = ["first", "second", "first", "second"][: len(said)]
    return Agreement(
        criterion=criterion,
        about="criterion" if criterion else "whole",
        kind="pairs" if kind == "pairs" else "ratings",
        accuracy=proportion(
            [None if s is None else s == t for s, t in zip(said, truth, strict=True)]
        ),
        kappa=cohen_kappa(said, truth),
        ties=0,
    )


def shown_test(
    capsys: pytest.CaptureFixture[str], *misses: Miss, attacked: int = 2, slope: bool = True
) -> str:
    whole = CriterionTrial(
        criterion="",
        agreements=(agreement("", "pairs", "first", "second", "second", None),),
        order=order_figures([OrderedPair(0.9, 0.9), OrderedPair(0.9, 0.1)]),
        failures=Proportion(rate=0.25, low=0.05, high=0.7, count=4),
        reasons=("it mumbled",),
        probes=figures(0.5, limit=0.1),
    )
    kind = CriterionTrial(
        criterion=f"kind{RED}",
        agreements=(agreement(f"kind{RED}", "ratings", "first"),),
        order=None,
        failures=proportion([]),
        reasons=(f"it mumbled{RED}",),
        probes=figures(None, unscored=2),
    )
    found = RubricTest(
        labels=5,
        prompts=4,
        answers=8,
        pairs=4,
        parts=(whole, kind),
        length=LengthFigures(
            longer=proportion([True]),
            slope={"value": -0.5, "error": 0.1, "low": -0.7, "high": -0.3} if slope else None,  # type: ignore[arg-type]
            deviation=6.5,
        ),
        attacked=attacked,
        misses=misses,
        cost=Cost(calls=3, prompt_tokens=30, reply_tokens=6, seconds=1.25),
    )
    print_test(TEST_HEAD, found)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    return told


def test_a_tests_figures(capsys: pytest.CaptureFixture[str]) -> None:
    lines = words(shown_test(capsys))
    assert "against 5 labels of human.jsonl: 4 prompts, 8 answers, 4 pairs" in lines[0]
    assert lines[0].startswith("ours, version 3, eeeeeeeeeeee")
    for expected in (
        "(whole) 3 of 4 pairs 67% [21%, 94%] 0.40 [-0.49, 0.88]",
        "kind\u241b[31m 1 ratings 100% [21%, 100%] -",
        "(whole) 50% [9%, 91%] 2 25% [5%, 70%] 4",
        "kind\u241b[31m - - - -",
        "no verdict under kind\u241b[31m: it mumbled\u241b[31m",
        "length: -0.50 [-0.70, -0.30] log-odds for 6.5 words more, "
        "what the humans said being equal",
        "attacked in each of 5 ways: 2 answers",
        "Injections that worked",
        "Padding and repetition that worked",
        "this test 3 30 6 1.2 s -",
    ):
        assert expected in lines
    assert lines.count("no verdict under : it mumbled") == 0
    worked = "50% [25%, 75%]"
    for group, mark in (("Injections", " !"), ("Padding", "")):
        start = next(i for i, line in enumerate(lines) if line.startswith(group))
        assert lines[start + 2] == f"(whole) {worked}{mark} {worked}{mark}"
        assert lines[start + 3] == "kind\u241b[31m -, 2 unscored -, 2 unscored"
    assert f"instruction {worked} {worked}" in lines
    assert f"repetition {worked} {worked}" in lines


def test_what_was_not_measured_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown_test(capsys, attacked=0, slope=False)
    assert "that worked" not in told
    assert "length:" not in told


def miss(second: str | None, judge: float | None, criterion: str = "") -> Miss:
    return Miss(
        criterion=criterion,
        form="pair" if second else "rating",
        human=1.0,
        judge=judge,
        prompt=f"Asked\n{RED}",
        first=LONG,
        second=second,
        note="",
    )


def test_misses(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown_test(capsys, miss("Short.", 0.25), miss(None, None, "kind"))
    assert "\nP(first is better): human 1.00, judge 0.25\n  asked  Asked \u241b[31m\n" in told
    assert f"\n  first  {LONG[:29]}\u2026\n  second Short.\n" in told
    assert "\nrating on kind: human 1.00, judge no verdict\n" in told
    assert "labels with which" not in told


def test_no_more_than_so_many_misses_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown_test(capsys, *[miss("Short.", 0.25)] * (LISTED + 2))
    assert told.count("human 1.00") == LISTED
    assert f"\n{LISTED} of {LISTED + 2} labels with which the judge does not agree; --json" in told


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "-"), (0.0, "0% [25%, 75%]"), (0.504, "50% [25%, 75%]")]
)
def test_intervals(value: float | None, expected: str) -> None:
    assert interval(value, 0.25, 0.75) == expected
