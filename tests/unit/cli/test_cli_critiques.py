"""``rlaif critiques``: filters, forms, pages, and following a run."""

import csv
import io
import json

import click
import pytest

from cli.conftest import Rlaif
from cli.filled import CHINESE, RED, RUBRIC, judgement
from rlaif.cli.critiques import listing
from rlaif.cli.critiques.options import MarginRange
from rlaif.cli.critiques.printing import COLUMNS, csv_text
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Choice, PairVerdict, Prompt

PAIR = ["completion-capital-0-3", "completion-capital-1-3"]
FLIPS = "the verdict flips with the order"


@pytest.fixture
def pair(project: Project) -> Project:
    """The filled project, with a quarantined pair of the unfinished cycle in both orders."""
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "pair") as unit:
        both = [
            judgement("there", "courteous", PAIR, f"第一个更好: {RED}", Choice(p_first=0.875)),
            judgement("back", "courteous", PAIR[::-1], '=1+1 is "rude"', Choice(p_first=0.75)),
        ]
        unit.add_judgements(RUBRIC, both)
        verdict = PairVerdict(
            first_id=PAIR[0],
            second_id=PAIR[1],
            p_first=0.5625,
            p_forward=0.875,
            p_backward=0.25,
            quarantined=FLIPS,
        )
        unit.add_pair_verdicts([verdict])
        tagged = Prompt.model_validate(
            {
                "id": "capital",
                "messages": ({"role": "user", "content": "What is the capital of France?"},),
                "tags": ("geo",),
                "split": "train",
            }
        )
        unit.add_prompts([tagged])
    return project


def found(here: Rlaif, *options: object) -> list[str]:
    result = here("critiques", *options, "--json")
    assert result.exit_code == 0, result.output
    return [view["id"].removeprefix("critique-") for view in json.loads(result.stdout)["critiques"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--quarantined"], ["back", "there"]),
        (["--flipped", "--cycle", 3], ["back", "there"]),
        (["--flipped", "--cycle", 1], []),
        (["--stage", "judging", "--limit", 2], ["back", "there"]),
        (["--judge", "tiny"], ["a"]),
        (["--policy", "p0"], ["back", "there", "c", "b", "a"]),
        (["--policy", "v0001"], []),
        (["--tag", "geo", "--criterion", "courteous"], ["back", "there", "b"]),
        (["--verdict", "high"], ["a"]),
        (["--verdict", "first"], ["back", "there", "c"]),
        (["--margin", "0.8.."], ["c"]),
        (["--margin", "..0.5"], ["back"]),
        (["--margin", "0.5..0.75"], ["back", "there", "a"]),
        (["--search", "rude", "--quarantined"], ["back"]),
        (["--search", "第一个", "--verdict", "first"], ["there"]),
        (["--page", 2, "--limit", 2], ["c", "b"]),
        (["--before", 3], ["b", "a"]),
        (["list", "--unscored"], ["b"]),
        ([PAIR[0], "--verdict", "first"], ["back", "there"]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("pair")
def test_filters_narrow_and_add_up(here: Rlaif, options: list[object], expected: list[str]) -> None:
    assert found(here, *options) == expected


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "juding"], "--stage 'juding'; there are: judging"),
        (["--criterion", "rude"], "--criterion 'rude'; there are: "),
        (["--judge", "nobody"], "--judge 'nobody'; there are: "),
        (["--policy", "v9999"], "--policy 'v9999'; there are: "),
        (["--tag", "\x1b[2J"], "--tag '\\x1b[2J'; there are: geo\n"),
    ],
)
def test_a_filter_that_nothing_can_match_is_told(
    here: Rlaif, options: list[str], said: str
) -> None:
    result = here("critiques", *options, "--json")
    assert json.loads(result.stdout)["critiques"] == []
    assert result.stderr.startswith(f"no critique has {said}")
    assert result.exit_code == 0


@pytest.mark.usefixtures("pair")
def test_filters_that_match_nothing_together_are_not_called_unknown(here: Rlaif) -> None:
    result = here("critiques", "--stage", "judging", "--policy", "p0", "--search", "nowhere")
    assert result.stdout == "no critique matches\n"
    assert result.stderr == ""


@pytest.mark.usefixtures("pair")
def test_rank_finds_the_same_in_an_order_of_its_own(here: Rlaif) -> None:
    assert sorted(found(here, "--search", "rude", "--sort", "rank")) == ["b", "back"]
    assert found(here, "--search", "rude", "--sort", "rank", "--quarantined") == ["back"]


def test_a_prompt_called_like_a_command_stands_after_dashes(here: Rlaif) -> None:
    assert here("critiques", "--", "show").stdout == "no critique matches\n"
    assert here("critiques", "list", "themes").stdout == "no critique matches\n"
    assert here("critiques", "show").exit_code == 2


def test_the_groups_help_tells_the_lists_options_and_the_other_commands(here: Rlaif) -> None:
    printed = here("critiques", "--help").stdout
    assert printed.startswith("Usage: ")
    for words in ("[OPTIONS] [PROMPT_OR_ID] | COMMAND", "--quarantined", "--like", "  themes"):
        assert words in printed


@pytest.mark.usefixtures("pair")
def test_why_a_pair_is_held_back_is_told(here: Rlaif) -> None:
    shown = here("critiques", "--quarantined").stdout
    assert shown.count(f"  held back {FLIPS}") == 2
    assert "first is better with 75%  it flips with the order" in shown
    (view,) = json.loads(here("critiques", "critique-back", "--json").stdout)["critiques"]
    assert (view["quarantined"], view["flipped"], view["tags"]) == (FLIPS, True, ["geo"])


@pytest.mark.parametrize(
    "options",
    [
        ["--json", "--csv"],
        ["--sort", "rank"],
        ["--until-done"],
        ["--follow", "--page", "2"],
        ["--follow", "--before", "9"],
        ["--follow", "--like", "x"],
        ["--like", "x", "--before", "9"],
        ["--like", "x", "--search", "x", "--sort", "rank"],
        ["--margin", "0.2"],
        ["--margin", ".."],
        ["--margin", "0.9..0.1"],
        ["--margin", "-1.."],
        ["--margin", "nan.."],
        ["--margin", "high.."],
        ["--verdict", "great"],
        ["--cycle", "0"],
    ],
    ids=str,
)
def test_what_contradicts_itself_is_a_usage_error(here: Rlaif, options: list[str]) -> None:
    result = here("critiques", *options)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("0.8..", (0.8, None)), ("..0.2", (None, 0.2)), ("0..1", (0.0, 1.0)), (".5...6", (0.5, 0.6))],
)
def test_ranges_of_margins(text: str, bounds: tuple[float | None, float | None]) -> None:
    assert MarginRange().convert(text, None, None) == bounds


def test_a_full_page_says_how_to_go_on(here: Rlaif) -> None:
    printed = here("critiques", "--limit", 2).stdout
    assert printed.endswith("\n\nolder ones: --before 2\n")
    assert json.loads(here("critiques", "--limit", 2, "--json").stdout)["next"] == 2
    assert json.loads(here("critiques", "--json").stdout)["next"] is None
    assert "older ones" not in here("critiques", "--search", "rude", "--sort", "rank").stdout


@pytest.mark.usefixtures("pair")
def test_csv_is_what_spreadsheets_read_and_do_not_compute(here: Rlaif) -> None:
    printed = here("critiques", "--csv").stdout
    assert "\x1b" not in printed
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert tuple(rows[0]) == COLUMNS
    assert [row["id"] for row in rows] == [
        f"critique-{name}" for name in ("back", "there", "c", "b", "a")
    ]
    back = rows[0]
    assert back["critique"] == '\'=1+1 is "rude"'
    assert (back["verdict"], back["value"], back["margin"]) == ("choice", "0.75", "0.5")
    assert (back["flipped"], back["quarantined"], back["tags"]) == ("1", FLIPS, "geo")
    assert (back["first_id"], back["second_id"]) == (PAIR[1], PAIR[0])
    assert (rows[3]["verdict"], rows[3]["value"], rows[3]["reason"]) == ("unscored", "", "no label")
    assert (rows[4]["critique"], rows[4]["second"], rows[4]["judge"]) == (CHINESE, "", "tiny-judge")
    assert csv_text([], header=False) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("lines", "options", "paged"),
    [(5, [], True), (500, [], False), (5, ["--no-pager"], False), (5, ["--json"], False)],
)
def test_a_long_page_goes_through_the_pager_on_a_terminal(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    lines: int,
    options: list[str],
    paged: bool,
) -> None:
    through_pager: list[str] = []
    monkeypatch.setattr(click, "echo_via_pager", through_pager.append)
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setattr("sys.stdout", Terminal())
    from rlaif.cli import main

    main(["--project", str(project.root), "critiques", *options], standalone_mode=False)
    assert bool(through_pager) == paged
    assert all("critique-c" in text and "\x1b[31m" not in text for text in through_pager)


def test_a_pager_that_is_no_command_line_costs_the_pager_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listing, "_is_long", lambda _text: True)
    monkeypatch.setenv("PAGER", "'unclosed")
    monkeypatch.setattr("sys.stdin", Terminal())
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    from rlaif.cli import main

    main(["--project", str(project.root), "critiques"], standalone_mode=False)
    assert "critique-c" in screen.getvalue()
    assert "note: $PAGER is no command line (No closing quotation)" in capfd.readouterr().err


def test_nothing_goes_through_a_pager_elsewhere(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_is_long", lambda _text: True)
    monkeypatch.setattr(click, "echo_via_pager", pytest.fail)
    assert "critique-c" in here("critiques").stdout
