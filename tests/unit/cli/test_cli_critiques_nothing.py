"""What matches nothing, or asks for nothing, is told why."""

import json

import pytest
from click.testing import Result

from cli.conftest import Rlaif
from cli.meanings import begin, commit
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project


def nothing(result: Result) -> str:
    """Return what standard error says of a list that came out empty."""
    assert (result.exit_code, result.stdout) == (0, "no critique matches\n"), result.output
    return result.stderr


@pytest.mark.parametrize(
    "more", [(), ("--like", "rude"), ("--search", "rude"), ("--sort", "newest")]
)
@pytest.mark.usefixtures("told")
def test_a_cycle_of_which_there_is_no_critique_is_named(here: Rlaif, more: tuple[str, ...]) -> None:
    said = nothing(here("critiques", "--cycle", 99, *more))
    assert said.startswith("no critique has --cycle '99'; there are: 3")


@pytest.mark.usefixtures("told")
def test_of_themes_and_as_json_and_beside_other_filters(here: Rlaif) -> None:
    themes = here("critiques", "themes", "--cycle", 99)
    assert themes.stdout == "no complaint matches\n"
    assert themes.stderr.startswith("no critique has --cycle '99'; there are: 3")
    both = here("critiques", "--cycle", 99, "--stage", "juding", "--json")
    assert json.loads(both.stdout)["critiques"] == []
    assert [line.split(";")[0] for line in both.stderr.splitlines()] == [
        "no critique has --cycle '99'",
        "no critique has --stage 'juding'",
    ]


def test_cycles_are_named_last_to_first(told: Project) -> None:
    begin(told, 4)
    with LedgerReader.open(told.ledger_path) as reads:
        assert [u.value for u in reads.unknown_values({"cycle": 4})] == ["4"]
    commit(told, "y1", ("Curt.", 0.1), cycle=4)
    with LedgerReader.open(told.ledger_path) as reads:
        assert reads.critique_cycles() == [4, 3, 1]
        assert reads.unknown_values({"cycle": 4}) == []


@pytest.mark.usefixtures("told")
def test_a_follower_is_told_too(here: Rlaif) -> None:
    followed = here("critiques", "--follow", "--until-done", "--cycle", 99)
    assert (followed.exit_code, followed.stdout) == (0, "")
    assert followed.stderr.startswith("no critique has --cycle '99'")


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
@pytest.mark.usefixtures("told")
def test_a_search_or_likeness_without_a_word_is_refused(here: Rlaif, text: str) -> None:
    for more in ((), ("--sort", "rank")):
        searched = here("critiques", "--search", text, *more)
        assert searched.exit_code == 2
        assert "--search needs a word." in searched.stderr
    alike = here("critiques", "--like", text)
    assert alike.exit_code == 2
    assert "--like needs a word." in alike.stderr


@pytest.mark.parametrize("more", [(), ("--like", "rude"), ("--search", "rude", "--sort", "rank")])
@pytest.mark.usefixtures("told")
def test_a_page_behind_the_last_is_told_from_nothing(here: Rlaif, more: tuple[str, ...]) -> None:
    said = nothing(here("critiques", "--page", 5000, *more))
    assert said == "fewer match than would fill 4,999 pages: take a lower --page\n"


def test_what_code_said_is_not_among_what_judges_wrote(told: Project, here: Rlaif) -> None:
    commit(told, "z1", ("rude, says a rule", 0.0), method="code")
    with LedgerReader.open(told.ledger_path) as reads:
        newest = reads.critiques(limit=1)[0]
    only = (newest.completions[0].id,)
    said = nothing(here("critiques", *only, "--like", "rude"))
    assert said == "--like looks at what judges wrote; 'tone' is judged by code\n"
    assert nothing(here("critiques", *only, "--search", "nowhere")) == ""


@pytest.mark.parametrize("more", [(), ("--sort", "rank"), ("--follow",), ("--like", "polite")])
@pytest.mark.usefixtures("told")
def test_a_search_that_is_too_long_is_refused(here: Rlaif, more: tuple[str, ...]) -> None:
    searched = here("critiques", "--search", "a " * 5_000, *more)
    assert searched.exit_code == 2
    assert "10000 characters" in searched.stderr
    assert "2000" in searched.stderr
