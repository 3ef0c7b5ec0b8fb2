"""Ranked lists in ``rlaif critiques``: as text, JSON and CSV, and one of them whole."""

import csv
import io
import json
import re
from typing import Any

import pytest

from cli.conftest import Rlaif
from cli.filled import RED, RUBRIC, answer
from rlaif.cli.critiques.printing import COLUMNS
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import JudgeCall, Judgement, PairVerdict, Ranking, Unscored, Verdict

THIRD = "completion-capital-2-1"
LIST = ("completion-capital-0-1", "completion-capital-1-1", THIRD)
REASON = "the rankings change with the order: Kendall's tau between them is -1.00"


def ranked(name: str, ids: tuple[str, ...], verdict: Verdict) -> Judgement:
    call = JudgeCall(
        request_hash="a" * 64,
        judge="b" * 64,
        request="Rank these.\n<answer>",
        reply="C 更好。\nRanking: C > A > B",
        label_probs={},
        prompt_tokens=30,
        reply_tokens=9,
        latency=0.5,
    )
    return Judgement(
        id=f"critique-{name}",
        criterion="tone",
        kind="listwise",
        completion_ids=ids,
        critique="C 更好。",
        verdict=verdict,
        judge="large",
        method="words",
        call=call,
    )


@pytest.fixture
def listed(project: Project) -> Project:
    """A list in two orders, held back, and one that was not understood."""
    with Ledger.open(project.ledger_path) as ledger:
        ledger.connection.execute("UPDATE stages SET finished_at = NULL WHERE stage = 'judging'")
        ledger.connection.execute("UPDATE cycles SET finished_at = NULL WHERE number = 1")
        with ledger.unit(1, "judging", "lists") as unit:
            third = answer("capital-2", 1, f"巴黎 {RED}", "capital", "p0")
            unit.add_completions("listed", [third])
            unit.add_judgements(
                RUBRIC,
                [
                    ranked("there", LIST, Ranking(places=(2, 0, 1))),
                    ranked("back", LIST[::-1], Ranking(places=(2, 0, 1))),
                    ranked("mute", LIST[1:], Unscored(reason="no ranking line")),
                ],
            )
            unit.add_pair_verdicts(
                [
                    PairVerdict(
                        first_id=LIST[2],
                        second_id=LIST[0],
                        p_first=0.75,
                        p_forward=0.75,
                        p_backward=0.25,
                        quarantined=REASON,
                    )
                ]
            )
    return project


def found(here: Rlaif, *options: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(here("critiques", *options, "--json").stdout)[
        "critiques"
    ]
    return rows


@pytest.mark.usefixtures("listed")
def test_a_list_is_shown_with_all_its_answers_and_its_ranking(here: Rlaif) -> None:
    printed = here("critiques", "critique-there").stdout
    for line in (
        f"  A         It is Paris.  ({LIST[0]})",
        f"  C         巴黎 ␛[31mred␛[0m  ({THIRD})",
        "  critique  C 更好。",
        "  verdict   C > A > B  (by large)  it flips with the order",
        f"  held back {REASON}",
    ):
        assert line in printed.splitlines(), printed
    assert "listwise" in printed
    assert "\x1b[31m" not in printed


@pytest.mark.usefixtures("listed")
def test_lists_are_found_by_their_verdict_and_as_json(here: Rlaif) -> None:
    rows = found(here, "--verdict", "ranking")
    assert [row["id"] for row in rows] == ["critique-back", "critique-there"]
    assert rows[1]["verdict"] == {"type": "ranking", "places": [2, 0, 1]}
    assert [c["id"] for c in rows[1]["completions"]] == list(LIST)
    assert rows[1]["margin"] is None
    assert [row["id"] for row in found(here, THIRD)] == [
        *("critique-mute", "critique-back", "critique-there")
    ]
    mute = [row for row in found(here, "--unscored") if row["kind"] == "listwise"]
    assert [row["id"] for row in mute] == ["critique-mute"]
    assert {row["id"] for row in found(here, "--quarantined")} == {
        *("critique-back", "critique-there")
    }


@pytest.mark.usefixtures("listed")
def test_lists_as_csv(here: Rlaif) -> None:
    printed = here("critiques", "--verdict", "ranking", "--csv").stdout
    back, there = csv.DictReader(io.StringIO(printed))
    assert tuple(there) == COLUMNS
    assert (there["verdict"], there["value"], there["reason"]) == ("ranking", "C > A > B", "")
    assert (there["first_id"], there["second_id"]) == LIST[:2]
    assert there["others"] == THIRD
    assert back["others"] == LIST[0]


@pytest.mark.usefixtures("listed")
def test_a_list_whole_stands_beside_its_reverse(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    printed = here("critiques", "show", "critique-there").stdout
    columns = [re.split(r"\s*│ ", line) for line in printed.splitlines() if "│ " in line]
    left, right = zip(*columns, strict=True)
    assert [line for line in left if re.match(r"[ABC] \(", line)] == [
        f"{label} ({name})" for label, name in zip("ABC", LIST, strict=True)
    ]
    assert f"A ({THIRD})" in right
    assert "  C > A > B" in left
    assert "  no probabilities" in left
    assert f"  pair      {THIRD} over {LIST[0]} with 75% (75% shown first" in printed
    assert printed.count("  answer    ") == 3
