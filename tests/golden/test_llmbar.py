"""LLMBar's recorded replies through the parser and the agreement code that judge in production."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rlaif.records import Unscored

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "llmbar" / "LLMBar"
ORDERS = ("swap = False", "swap = True")
SUBSETS = ("Natural", "GPTInst", "GPTOut", "Manual", "Neighbor")
CHOICES = [
    (j, p, s) for j in ("GPT-4", "ChatGPT") for p in ("Vanilla", "CoT", "Swap") for s in SUBSETS
]
RATINGS = [(j, "Rating", s) for j in ("GPT-4", "ChatGPT") for s in SUBSETS]

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="LLMBar's recorded replies are not beside this repository"
)


@pytest.fixture
def llmbar(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import llmbar

    yield llmbar
    sys.modules.pop("llmbar", None)


def recorded(judge: str, protocol: str, subset: str) -> list[dict[str, Any]]:
    folder = subset if subset == "Natural" else f"Adversarial/{subset}"
    path = DATA / folder / "evaluators" / judge / protocol / "result.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def last_winners(record: dict[str, Any]) -> list[str | None]:
    return [record["results"][-1][order]["winner"] for order in ORDERS]


@pytest.mark.parametrize("place", CHOICES)
def test_every_recorded_winner_of_two_is_read(
    llmbar: ModuleType, place: tuple[str, str, str]
) -> None:
    winners = [
        asked[order]["winner"]
        for record in recorded(*place)
        for asked in record["results"]
        for order in ORDERS
    ]
    readings = list(llmbar.all_readings(*place))
    assert [reading.winner for reading in readings] == winners
    assert all((r.winner is None) == bool(r.reason) for r in readings)


@pytest.mark.parametrize("place", CHOICES)
def test_both_orders_are_averaged_as_recorded(
    llmbar: ModuleType, place: tuple[str, str, str]
) -> None:
    items = llmbar.read_items(*place)
    for item, record in zip(items, recorded(*place), strict=True):
        winners = last_winners(record)
        if None in winners:
            assert item.pair.p_first is None
            assert item.pair.unscored
        else:
            assert item.pair.p_first == winners.count("1") / 2
            flips = winners[0] != winners[1]
            assert (item.pair.quarantined is not None) == flips


@pytest.mark.parametrize("place", RATINGS)
def test_every_recorded_winner_by_ratings_is_read_but_where_a_reply_is_empty(
    llmbar: ModuleType, place: tuple[str, str, str]
) -> None:
    readings = list(llmbar.all_readings(*place))
    winners = [w for record in recorded(*place) for w in last_winners(record)]
    differing = [r for r, winner in zip(readings, winners, strict=True) if r.winner != winner]
    items = {("GPT-4", "GPTInst"): {61}, ("GPT-4", "Neighbor"): {92}}.get(
        (place[0], place[2]), set()
    )
    assert {r.place[3] for r in differing} == items
    assert len(differing) == 2 * len(items)
    for reading in differing:
        assert reading.said == ("", "0")
        assert reading.finish[0] == "content management policy"
        assert reading.winner is None
        assert "no verdict in the reply" in reading.reason


@pytest.mark.parametrize("place", RATINGS)
def test_equal_ratings_are_a_tie_and_recorded_for_the_output_shown_second(
    llmbar: ModuleType, place: tuple[str, str, str]
) -> None:
    items = llmbar.read_items(*place)
    for item, record in zip(items, recorded(*place), strict=True):
        first, second = (record["results"][0][key][0] for key in ("score_1", "score_2"))
        assert (item.pair.p_first == 0.5) == (first == second)
        if first == second:
            assert last_winners(record) == ["2", "1"]


@pytest.mark.parametrize("place", CHOICES + RATINGS)
def test_the_table_is_that_of_the_recorded_winners(
    llmbar: ModuleType, place: tuple[str, str, str]
) -> None:
    records = recorded(*place)
    right = sum(w == str(r["label"]) for r in records for w in last_winners(r))
    alike = sum(len(set(last_winners(r))) == 1 for r in records)
    row = llmbar.table_row(*place)
    ours, theirs = row.accuracy
    assert theirs == right / (2 * len(records))
    assert row.consistency == (alike / len(records), alike / len(records))
    # Each unread item is half right in the record: won by the first in one order.
    unread = 1 if place in (("GPT-4", "Rating", "GPTInst"), ("GPT-4", "Rating", "Neighbor")) else 0
    assert ours == pytest.approx(theirs - unread / (2 * len(records)), abs=1e-12)


@pytest.mark.parametrize(
    ("judge", "subset", "accuracy", "consistency"),
    [
        ("GPT-4", "Natural", 0.955, 0.950),
        ("ChatGPT", "Natural", 0.815, 0.710),
        ("GPT-4", "Neighbor", 0.787, 0.933),
        ("ChatGPT", "Neighbor", 0.194, 0.716),
    ],
)
def test_the_published_figures_of_vanilla(
    llmbar: ModuleType, judge: str, subset: str, accuracy: float, consistency: float
) -> None:
    row = llmbar.table_row(judge, "Vanilla", subset)
    assert row.accuracy[0] == pytest.approx(accuracy, abs=5e-4)
    assert row.consistency[0] == pytest.approx(consistency, abs=5e-4)


def test_order_figures_agree_with_the_table(llmbar: ModuleType) -> None:
    row = llmbar.table_row("ChatGPT", "Vanilla", "Neighbor")
    assert row.orders.consistent.rate == row.consistency[0]
    # 38 of 134 items stay with a position: none of the replies lacks a verdict.
    assert row.orders.same_position.rate == pytest.approx(38 / 134)
    assert row.even == 38
    # Of the other 96, 7 have the right label: 2 * 7 + 38 of 268 orders are right.
    assert row.right.rate == pytest.approx(7 / 96)
    assert row.accuracy[0] == pytest.approx(52 / 268)


def test_replies_without_a_winner_are_unscored_not_wrong(llmbar: ModuleType) -> None:
    row = llmbar.table_row("ChatGPT", "CoT", "Manual")
    assert row.right.unscored - row.even == 1
    assert row.orders.consistent.count == 45
    assert row.consistency[0] == pytest.approx(23 / 46)


def test_the_default_form_reads_none_of_them(llmbar: ModuleType) -> None:
    readings = list(llmbar.all_readings("ChatGPT", "CoT", "Natural"))
    assert all(isinstance(v, Unscored) for r in readings for v in r.strict)


def test_the_benchmark_prints_the_table_and_the_differences(
    llmbar: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["llmbar.py", "--unscored"])
    assert llmbar.main() == 0
    said = capsys.readouterr().out
    assert "GPT-4   Vanilla Natural    100   0.955  0.955  0.950  0.950" in said
    assert "ChatGPT Vanilla Neighbor   134   0.194  0.194  0.716  0.716" in said
    assert "7148 recorded winners: 7144 read alike, of them 8 None; 4 differ" in said
    assert said.count("recorded None, read None") == 8
    assert said.count("'' (content management policy) / '0' (stop)") == 4


def test_the_benchmark_says_what_is_missing(
    llmbar: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["llmbar.py", "--data", "nowhere"])
    assert llmbar.main() == 1
    assert "nowhere: no such folder" in capsys.readouterr().err
