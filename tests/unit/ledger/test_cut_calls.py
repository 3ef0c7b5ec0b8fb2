"""The ledger keeps how many replies of a call were cut off; of earlier calls it is not known."""

import sqlite3
from pathlib import Path

import pytest
from ledger_samples import RUBRIC, call, completion, prompt, rating

from rlaif.ledger.digest import ledger_digest
from rlaif.ledger.writer import Ledger
from rlaif.records import Judgement

CUT, WHOLE = call("Rate a", cut=1), call("Rate b")


def kept(ledger: Ledger, *judgements: Judgement) -> None:
    with ledger.unit(1, "generation", "u") as unit:
        unit.add_prompts([prompt("p")])
        unit.add_completions("train", [completion(name, "p") for name in "ab"])
    with ledger.unit(1, "judging", "u") as unit:
        unit.add_judgements(RUBRIC, judgements)


def test_cut_critiques_are_told_from_whole_ones(ledger: Ledger) -> None:
    kept(ledger, rating("cut", "a", call=CUT), rating("whole", "b", call=WHOLE))
    assert [j.call and j.call.cut for j in ledger.judgements()] == [1, 0]
    assert {view.id: view.cut for view in ledger.critiques()} == {
        "judgement-cut": True,
        "judgement-whole": False,
    }
    told = ledger.lineage("judgement-cut").told
    assert told.call is not None
    assert told.call.cut == 1


@pytest.mark.parametrize(("written", "graded", "cut"), [(CUT, WHOLE, True), (WHOLE, CUT, False)])
def test_of_a_graded_critique_the_call_that_wrote_it_counts(
    ledger: Ledger, written: object, graded: object, cut: bool
) -> None:
    kept(ledger, rating("x", "a", call=graded, writing=written, grader="helper"))
    assert [view.cut for view in ledger.critiques()] == [cut]


def test_whether_a_reply_was_cut_is_in_the_digest(ledger: Ledger) -> None:
    kept(ledger, rating("x", "a", call=CUT))
    before = ledger_digest(ledger.connection)
    ledger.connection.execute("UPDATE judge_calls SET cut = 0")
    assert ledger_digest(ledger.connection) != before


def test_calls_of_an_earlier_ledger_count_as_whole(ledger: Ledger, path: Path) -> None:
    kept(ledger, rating("x", "a", call=CUT))
    ledger.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ALTER TABLE judge_calls DROP COLUMN cut")
    connection.execute("DROP TABLE cycle_rubrics")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm008_cut_replies'")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with Ledger.open(path) as migrated:
        assert [j.call and j.call.cut for j in migrated.judgements()] == [0]
