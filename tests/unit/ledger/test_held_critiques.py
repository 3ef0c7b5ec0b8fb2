"""Cycles that the judge's audit held back: found by filters as if their critiques were indexed."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from ledger_samples import RUBRIC, comparison, completion, rating
from test_critique_log import CYCLES, SEED, Draw, fill_cycle, finish_cycle

from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import HeldBack

WHY = HeldBack(stage="judging", breaches=("the longer one wins: 0.80", "no verdict: 0.30"))
TOLD = "the judge's audit: the longer one wins: 0.80; no verdict: 0.30"
HELD = (2, 4)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerReader]:
    path = tmp_path_factory.mktemp("held") / "ledger.db"
    draw = Draw(SEED)
    with Ledger.open(path) as ledger:
        for cycle in range(1, CYCLES + 2):
            fill_cycle(ledger, draw, cycle, finish=False)
            with ledger.unit(cycle, "judging", "probes") as unit:
                probe = completion(f"{cycle}-probe", "0", policy="probe:fence")
                unit.add_completions("probe-rated", [probe])
                own = f"{cycle}-0-0"
                unit.add_judgements(
                    RUBRIC,
                    [
                        rating(f"{cycle}-probe", f"{cycle}-probe"),
                        comparison(f"{cycle}-probed", own, f"{cycle}-probe"),
                    ],
                )
            if cycle in HELD:
                with ledger.unit(cycle, "judging", "held") as unit:
                    unit.add_report("held_back", WHY)
            finish_cycle(ledger, cycle)
    with LedgerReader.open(path) as reader:
        yield reader


def is_probe(view: CritiqueView) -> bool:
    return any(answer.policy.startswith("probe:") for answer in view.completions)


def is_held(view: CritiqueView) -> bool:
    return view.cycle in HELD and view.stage == "judging" and not is_probe(view)


def test_the_reason_stands_beside_a_critiques_own(filled: LedgerReader) -> None:
    found = filled.critiques(limit=10_000)
    reasons = {view.quarantined for view in found if is_held(view)}
    assert reasons == {TOLD, f"it flips; {TOLD}"}
    assert {view.quarantined for view in found if not is_held(view)} == {None, "it flips"}
    assert {view.quarantined for view in found if is_probe(view)} == {None}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"cycle": 2},
        {"cycle": 3},
        {"stage": "evaluation"},
        {"flipped": True},
        {"unscored": True},
        {"search": "cold"},
        {"verdict": "low", "margin_min": 0.25},
    ],
)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_the_filter_finds_what_is_held_back_and_nothing_else(
    filled: LedgerReader, asked: dict[str, Any], order: Any
) -> None:
    every = filled.critiques(limit=10_000, order=order, **asked)
    expected = [view for view in every if view.quarantined is not None]
    found = filled.critiques(limit=10_000, order=order, quarantined=True, **asked)
    assert found == expected
    assert 0 < len(found) < len(every)


def test_pages_of_the_filter_meet_without_a_gap(filled: LedgerReader) -> None:
    whole = [view.seq for view in filled.critiques(quarantined=True, limit=10_000)]
    assert all(one > other for one, other in pairwise(whole))
    by_skip = [
        view.seq
        for skip in range(0, len(whole), 7)
        for view in filled.critiques(quarantined=True, limit=7, skip=skip)
    ]
    assert by_skip == whole
    by_number: list[int] = []
    while page := filled.critiques(
        quarantined=True, limit=7, before=by_number[-1] if by_number else None
    ):
        by_number += [view.seq for view in page]
    assert by_number == whole
    assert sorted(filled.critiques_among(range(1, max(whole) + 9), quarantined=True)) == whole[::-1]


def test_ranked_critiques_that_are_held_back_are_found_too(filled: LedgerReader) -> None:
    ranked = filled.critiques(search="cold", order="rank", quarantined=True, limit=10_000)
    newest = filled.critiques(search="cold", quarantined=True, limit=10_000)
    assert {view.seq for view in ranked} == {view.seq for view in newest} != set()


def test_a_critique_shown_whole_says_why_its_cycle_is_held_back(filled: LedgerReader) -> None:
    for view in filled.critiques(limit=10_000):
        assert filled.lineage(view.id).held == (TOLD if is_held(view) else None)
