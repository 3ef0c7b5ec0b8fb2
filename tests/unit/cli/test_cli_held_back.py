"""The command line on a cycle that the judge's audit holds back."""

import csv
import io
import json

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC, judgement
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Choice, HeldBack, PairVerdict, Rating

WHY = "the judge's audit: the longer one is preferred: 0.80 (0.70 to 0.90, of 40), at most 0.01"
PAIR = ["completion-capital-0-3", "completion-capital-1-3"]
FLIPS = "the verdict flips with the order"


@pytest.fixture(autouse=True)
def held(project: Project) -> None:
    """The unfinished cycle of the project has a rating and a pair, and is held back."""
    verdict = PairVerdict(first_id=PAIR[0], second_id=PAIR[1], p_first=0.75, quarantined=FLIPS)
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "held") as unit:
        told = [
            judgement("rated", "correct", PAIR[:1], "Right.", Rating(score=0.75)),
            judgement("paired", "correct", PAIR, "The first.", Choice(p_first=0.75)),
        ]
        unit.add_judgements(RUBRIC, told)
        unit.add_pair_verdicts([verdict])
        breach = WHY.removeprefix("the judge's audit: ")
        unit.add_report("held_back", HeldBack(stage="judging", breaches=(breach,)))


def test_lists_in_every_form_give_the_reason(here: Rlaif) -> None:
    expected = {"critique-rated": WHY, "critique-paired": f"{FLIPS}; {WHY}"}
    shown = here("critiques", "--quarantined").stdout
    assert "held back the judge's audit: the longer one is preferred" in shown
    found = json.loads(here("critiques", "--quarantined", "--json").stdout)["critiques"]
    assert {row["id"]: row["quarantined"] for row in found} == expected
    rows = csv.DictReader(io.StringIO(here("critiques", "--quarantined", "--csv").stdout))
    assert {row["id"]: row["quarantined"] for row in rows} == expected


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("critique-rated", f"held back  the rating: {WHY}"),
        ("critique-paired", f"held back  {WHY}"),
    ],
)
def test_a_critique_shown_whole_gives_the_reason_why_nothing_was_trained(
    here: Rlaif, name: str, line: str
) -> None:
    shown = " ".join(here("critiques", "show", name).stdout.split())
    assert " ".join(line.split()) in shown
    assert f"held back {FLIPS}" in shown
    assert "preference none" in shown
    assert json.loads(here("critiques", "show", name, "--json").stdout)["held"] == WHY
