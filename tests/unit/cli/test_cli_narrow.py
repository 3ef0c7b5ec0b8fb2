"""At 80 columns every figure is whole, however long the names are, in Latin letters or Chinese."""

import re

import pytest
from rich.cells import cell_len

from rlaif.cli.agreement_shown import agreement_table
from rlaif.cli.judge import print_audit
from rlaif.cli.output import cut, stdout, table
from rlaif.cli.trial_shown import print_preview, print_test
from rlaif.judges.agreement import LengthFigures, OrderedPair, Proportion, order_figures
from rlaif.judges.kappa import cohen_kappa
from rlaif.judges.probes import KINDS
from rlaif.records import AuditFigure, AuditReport
from rlaif.stages.calibration import Agreement
from rlaif.stages.previewing import (
    Counts,
    CriterionBeside,
    PreviewCost,
    RubricPreview,
    ScoresBeside,
)
from rlaif.stages.rubric_testing import CriterionTrial, RubricTest
from rlaif.stages.trying import Cost

WIDTH = 80
NAMES = ("no-needless-refusal", "reads-like-a-letter", "开头不客套并且回答正确")
SURE = Proportion(rate=1.0, low=0.97, high=1.0, count=1280, unscored=12)
COST = Cost(
    calls=90_000, prompt_tokens=90_000_000, reply_tokens=1_800_000, seconds=36_900, money=123.4
)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    shown = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, shown)) <= WIDTH
    return [line.rstrip() for line in shown]


def agreement(criterion: str, about: str = "criterion") -> Agreement:
    return Agreement.model_validate(
        {
            "criterion": criterion,
            "about": about,
            "kind": "ratings",
            "accuracy": SURE,
            "kappa": cohen_kappa(["a", "b"] * 9, ["b", "a"] * 8 + ["a", "b"]),
            "ties": 0,
        }
    )


def test_an_audit(capsys: pytest.CaptureFixture[str]) -> None:
    figures = tuple(
        AuditFigure(
            name=name,
            meaning=meaning,
            value=-0.35,
            low=-12.62,
            high=3.1,
            count=1024,
            unscored=131,
            limit=0.5,
            breached=breached,
        )
        for name, meaning, breached in (
            (f"{NAMES[0]} ~ {NAMES[1]}", "correlation of two criteria's ratings", False),
            (f"{NAMES[2]} ~ {NAMES[2]}", "correlation of two criteria's ratings", False),
            ("fence by comparison", "answers with the attack fence that the judge prefers", False),
        )
    )
    print_audit("Audit of the judge, cycle 12", AuditReport(rubric_hash="d" * 64, figures=figures))
    shown = lines(capsys)
    whole = [x for x in shown if re.search(r" -0\.35 \[-12\.62, 3\.10\]  1024 +131   0\.50$", x)]
    assert len(whole) == 3
    assert whole[1].startswith(NAMES[2])
    at = next(i for i, line in enumerate(shown) if line.startswith("fence by comparison"))
    assert " ".join("".join(f"{line} " for line in shown[at + 1 :]).split()) == (
        "answers with the attack fence that the judge prefers"
    )
    assert all(line.startswith("  ") for line in shown[at + 1 :])


def test_agreement_with_humans(capsys: pytest.CaptureFixture[str]) -> None:
    found = [agreement(name) for name in NAMES] + [agreement("kind", "whole"), agreement("")]
    stdout().print(agreement_table("Agreement", found))
    shown = lines(capsys)
    rows = [
        line
        for line in shown
        if re.search(r" 1280 of 1292 ratings  100% \[97%, 100%\]  -0\.78 \[-0\.94, -0\.34\]$", line)
    ]
    assert len(rows) == 5
    text = "".join(line[: cell_len(NAMES[0])].strip() for line in shown)
    assert all(name.replace("-", "") in text.replace("-", "") for name in (NAMES[0], NAMES[1]))
    assert "  by labels of the" in "\n".join(shown)
    assert sum(line.startswith("(whole) ") for line in shown) == 1


def test_a_preview(capsys: pytest.CaptureFixture[str]) -> None:
    beside = ScoresBeside(
        answers=128_300, unscored=1800, correlation=-0.25, distance=0.125, shift=-0.01
    )
    counts = Counts(decided=4, tied=1, quarantined=2, unscored=0)
    found = RubricPreview(
        pairs=7,
        outcomes_current=counts,
        outcomes_draft=counts,
        same_winner=SURE,
        changes=(),
        scores=beside,
        criteria=tuple(
            CriterionBeside(name=name, ratings=beside, same_side=SURE) for name in NAMES
        ),
        only_current=(),
        only_draft=(),
        cost=PreviewCost(
            current=COST, draft=COST, cycle=COST, cycle_answers=30_000, cycle_pairs=20_000
        ),
    )
    head = {"name": "new", "version": "2", "rubric_hash": "d" * 64}
    print_preview({"draft": head, "current": head, "cycles": [4], "notes": [], "paid": None}, found)
    shown = lines(capsys)
    row = r" 128300 +1800 +-0\.25 +0\.12 +-0\.01 +100% \[97%, 100%\]$"
    assert sum(bool(re.search(row, line)) for line in shown) == 4
    cost = r" 90000  90000000  1800000  10 h 15 min  123\.4000$"
    assert sum(bool(re.search(cost, line)) for line in shown) == 3


def test_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    figures = tuple(
        AuditFigure(
            name=f"{group} by {how}",
            meaning="m",
            value=1.0,
            low=0.97,
            high=1.0,
            count=8,
            unscored=12,
            limit=0.1,
            breached=True,
        )
        for group in ("injection", "taste", *KINDS)
        for how in ("comparison", "rating")
    )
    parts = tuple(
        CriterionTrial(
            criterion=name,
            agreements=(agreement(name),),
            order=order_figures([OrderedPair(0.9, 0.9)] * 300),
            failures=SURE,
            reasons=(),
            probes=figures,
        )
        for name in ("", *NAMES)
    )
    found = RubricTest(
        labels=1235,
        prompts=400,
        answers=1800,
        pairs=900,
        parts=parts,
        length=LengthFigures(longer=SURE, slope=None, deviation=6.5),
        attacked=20,
        misses=(),
        cost=COST,
    )
    rubric = {"name": "r", "version": "3", "rubric_hash": "e" * 64}
    print_test({"rubric": rubric, "labels_file": "h.jsonl", "paid": None}, found)
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(cell_len, shown[1:])) <= WIDTH
    kappa = r" 1280 of 1292 ratings  100% \[97%, 100%\]  -0\.78 \[.*\]$"
    assert sum(bool(re.search(kappa, line)) for line in shown) == 4
    attacks = r"( 100% \[97%, 100%\] !, 12 unscored ?){2}$"
    assert sum(bool(re.search(attacks, line)) for line in shown) == 8 + len(KINDS)


def test_words_are_broken_before_any_figure_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("", "name", "says", "figure", words=("name",), prose=("says",))
    made.add_row("n" * 50, "some words " * 9, "1234567890")
    stdout().print(made)
    shown = lines(capsys)
    assert sum(line.endswith(" 1234567890") for line in shown) == 1
    assert "".join(shown).count("n") >= 50


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab\u2026"),
        ("你好", 4, "你好"),
        ("你好你", 5, "你好\u2026"),
        ("你好你", 4, "你\u2026"),
        ("", 1, ""),
    ],
)
def test_texts_are_cut_by_the_columns_that_they_take(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown
