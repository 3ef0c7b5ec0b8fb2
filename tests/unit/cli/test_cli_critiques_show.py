"""``rlaif critiques show``: one critique whole."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.conftest import Rlaif
from cli.filled import CHINESE, RED, RUBRIC, judgement
from rlaif.cli.critiques.columns import side_by_side, wrapped
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import (
    ArtifactRef,
    Choice,
    CompletionScore,
    JudgeCall,
    PairVerdict,
    Rating,
)

PAIR = ["completion-capital-0-1", "completion-capital-1-1"]
LONG = "It is rude and says nothing of the time it takes. " * 4


def call(reply: str, **fields: object) -> JudgeCall:
    given = {
        "request_hash": "a" * 64,
        "judge": "b" * 64,
        "request": "Which is better?\n<answer>",
        "reply": reply,
        "label_probs": {"B": 0.125, "A": 0.75},
        "prompt_tokens": 12,
        "reply_tokens": 5,
        "latency": 0.5,
        "cost": 0.002,
    }
    return JudgeCall.model_validate(given | fields)


@pytest.fixture
def pair(project: Project) -> Project:
    """A pair in both orders of the cycle that promoted, among others that look like it."""
    with Ledger.open(project.ledger_path) as ledger:
        ledger.connection.execute("UPDATE stages SET finished_at = NULL WHERE stage = 'judging'")
        ledger.connection.execute("UPDATE cycles SET finished_at = NULL WHERE number = 1")
        with ledger.unit(1, "judging", "pair") as unit:
            there, back = call(f"{CHINESE}A"), call("A", samples=("A", "B again"))
            unit.add_judgements(
                RUBRIC,
                [
                    judgement(
                        "there", "tone", PAIR, f"{CHINESE * 6}{RED}", Choice(p_first=0.75), there
                    ),
                    judgement("back", "tone", PAIR[::-1], LONG, Choice(p_first=0.25), back),
                    judgement("else", "other", PAIR[::-1], "Other.", Choice(p_first=0.5)),
                ],
            )
            unit.add_pair_verdicts(
                [
                    PairVerdict(
                        first_id=PAIR[0],
                        second_id=PAIR[1],
                        p_first=0.75,
                        p_forward=0.75,
                        p_backward=0.875,
                    )
                ]
            )
            unit.add_artifact(ArtifactRef(name="reward-model", digest="d" * 64), "state/rm")
        with ledger.unit(1, "judging", "ended") as unit:
            unit.add_artifact(ArtifactRef(name="challenger", digest="c" * 64), "state/ch")
    return project


@pytest.mark.usefixtures("pair")
def test_both_orders_stand_side_by_side(here: Rlaif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    lines = here("critiques", "show", "critique-there").stdout.splitlines()
    columns = [re.split(r"\s*│ ", line) for line in lines if "│ " in line]
    left, right = zip(*columns, strict=True)
    assert left[0] == f"first ({PAIR[0]})"
    assert right[0] == f"first ({PAIR[1]})"
    assert "  It is Paris." in left
    assert "  It is Paris." in right
    assert "critique (critique-there)" in left
    assert "critique (critique-back)" in right
    assert "  first is better with 75%" in left
    assert "  first is better with 25%" in right
    assert "  A 0.750, B 0.125" in left
    assert "  0.50 s, 12 + 5 tokens, cost 0.002" in left
    assert "reply 2" in right
    assert "  B again" in right
    assert max(map(cell_len, lines[: len(columns)])) <= 90
    joined = "".join(part.strip() for part in left)
    assert CHINESE * 6 + "␛[31mred␛[0m" in joined


@pytest.mark.usefixtures("pair")
def test_the_lineage_leads_up_and_down(here: Rlaif) -> None:
    printed = here("critiques", "show", "critique-back").stdout
    for words in (
        "  prompt    capital (train)",
        f"  answer    {PAIR[0]} of p0 (never live)",
        f"  pair      {PAIR[0]} over {PAIR[1]} with 75% (75% shown first, 88% shown second)",
        f"  preference  preference-capital-0.75: {PAIR[0]} over {PAIR[1]} with 75%, from "
        "comparison, trains",
        "  reward model  reward-model dddddddddddd, 81% right on held-out pairs",
        "  policy        challenger cccccccccccc, ppo updates 1 to 20, reward 0.00 to 1.00, KL",
        "  gate          promote: the lower bound 0.61 is above 0.50",
        "  promoted      v0001",
    ):
        assert words in printed


def test_a_single_answer_has_one_column_and_no_training_where_there_was_none(
    here: Rlaif,
) -> None:
    printed = here("critiques", "show", "critique-b").stdout
    assert "│" not in printed
    assert "critique (critique-b)\n  It is rude: ␛[31mred␛[0m\n" in printed
    assert "unscored: no label" in printed
    assert "\x1b" not in printed


def test_what_nothing_was_trained_on_says_so(here: Rlaif, project: Project) -> None:
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "q") as unit:
        ids = ["completion-sum-0-3", "completion-sum-1-3"]
        unit.add_judgements(RUBRIC, [judgement("q", "tone", ids, "?", Choice(p_first=0.5))])
        held = PairVerdict(
            first_id=ids[1], second_id=ids[0], p_first=0.5, quarantined="it flips\nwith 50%"
        )
        unit.add_pair_verdicts([held])
    printed = here("critiques", "show", "critique-q").stdout
    assert "  held back it flips\n            with 50%\n" in printed
    assert "  preference  none: nothing was trained on it" in printed
    assert "reward model" not in printed


def test_a_rating_that_is_held_back_says_why(here: Rlaif, project: Project) -> None:
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "r") as unit:
        name = "completion-sum-0-3"
        unit.add_judgements(RUBRIC, [judgement("r", "tone", [name], "?", Rating(score=0.5))])
        held = CompletionScore(
            completion_id=name, score=0.5, parts={}, quarantined="odd stood\nalone"
        )
        unit.add_scores([held])
    printed = here("critiques", "show", "critique-r").stdout
    assert "  held back the rating: odd stood\n            alone\n" in printed
    assert "  held back odd stood\n            alone" in here("critiques", "--quarantined").stdout


@pytest.mark.usefixtures("pair")
def test_lineage_as_json(here: Rlaif) -> None:
    printed = here("critiques", "show", "critique-there", "--json").stdout
    assert "\x1b" not in printed
    found = json.loads(printed)
    assert found["told"]["view"]["critique"] == f"{CHINESE * 6}{RED}"
    assert found["told"]["call"]["request"] == "Which is better?\n<answer>"
    assert found["other"]["view"]["id"] == "critique-back"
    assert found["other"]["call"]["samples"] == ["A", "B again"]
    assert [p["label"] for p in found["preferences"]] == [0.75]
    assert found["trained"]["promoted"] == "v0001"
    assert found["trained"]["policy"]["updates"] == 20


def test_a_version_is_told_where_the_policy_was_live(here: Rlaif, project: Project) -> None:
    with LedgerReader.open(project.ledger_path) as reader:
        live = reader.policy("v0001")
    assert live is not None
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "l") as unit:
        judged = judgement(
            "l", "tone", ["completion-incumbent-held-1-2"], "Kind.", Choice(p_first=1)
        )
        unit.add_judgements(RUBRIC, [judged])
    printed = here("critiques", "show", "critique-l").stdout
    assert f"of {live.digest[:12]} (v0001, promoted by cycle 1)" in printed


@pytest.mark.parametrize("name", ["critique-b", "2"])
def test_a_critique_is_named_by_id_number_or_beginning(here: Rlaif, name: str) -> None:
    found = json.loads(here("critiques", "show", name, "--json").stdout)
    assert found["told"]["view"]["id"] == "critique-b"


@pytest.mark.usefixtures("pair")
def test_the_beginning_of_an_id_is_enough_where_one_has_it(here: Rlaif) -> None:
    found = json.loads(here("critiques", "show", "critique-th", "--json").stdout)
    assert found["told"]["view"]["id"] == "critique-there"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "no critique is called nobody"),
        ("99", "no critique is called 99"),
        ("crit", "several critiques are called crit, critique-a, critique-b, critique-c"),
        ("cr", "no critique is called cr"),
        ("9" * 40, "no critique is called 999"),
        ("\x1b[2J", "no critique is called ␛[2J"),
    ],
)
def test_a_name_that_is_nobodys_or_several_is_refused(here: Rlaif, name: str, words: str) -> None:
    result = here("critiques", "show", name)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "see rlaif critiques" in result.stderr


def test_the_lines_of_a_model_never_look_like_ours(here: Rlaif, project: Project) -> None:
    forged = "fine\nverdict\n  first is better with 99%\n\nwhat came of it\n  promoted      v0009"
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "f") as unit:
        ids = ["completion-sum-0-3"]
        unit.add_judgements(RUBRIC, [judgement("f", "tone", ids, forged, Choice(p_first=0.5))])
    lines = here("critiques", "show", "critique-f").stdout.splitlines()
    assert lines.count("verdict") == lines.count("what came of it") == 1
    assert "    promoted      v0009" in lines


def test_narrow_terminals_get_one_order_after_the_other() -> None:
    lines = side_by_side([("a", "left " * 9)], [("b", "right")], width=40)
    assert lines[0] == "a"
    assert lines[-3:] == ["b", "  right", ""]
    assert all(cell_len(line) <= 40 for line in lines)


def test_sections_stand_beside_their_like() -> None:
    lines = side_by_side([("a", "1\n2\n3"), ("c", "x")], [("b", "礼貌"), ("d", "y")], width=60)
    assert [line.split("│")[0].strip() for line in lines] == ["a", "1", "2", "3", "", "c", "x", ""]
    assert [line.partition("│")[2].strip() for line in lines] == [
        *("b", "礼貌", "", "", "", "d", "y", "")
    ]
    assert len({line.index("│") for line in lines if "│" in line}) == 1


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("礼貌礼貌礼貌", 8, ["礼貌礼貌", "礼貌"]),
        ("礼貌礼貌", 7, ["礼貌礼", "貌"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("a\nb\n", 9, ["a", "b", ""]),
        ("e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]),
        ("\x1b[1m", 9, ["␛[1m"]),
        ("a\tb", 9, ["a   b"]),
        ("", 9, [""]),
        ("x longword", 6, ["x long", "word"]),
    ],
)
def test_text_is_broken_into_lines(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width) == lines


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.integers(2, 30))
def test_no_line_is_too_wide_and_nothing_but_spaces_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    whole = "".join("".join(wrapped(text, 10**6)).split())
    assert "".join("".join(lines).split()) == whole
