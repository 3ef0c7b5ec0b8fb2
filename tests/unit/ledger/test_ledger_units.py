"""A unit commits whole, once, or not at all."""

import re
import sqlite3
from pathlib import Path

import pytest
from ledger_samples import (
    RUBRIC,
    begin,
    call,
    comparison,
    completion,
    fill_answers,
    preference,
    prompt,
    rating,
)

from rlaif.errors import LedgerError
from rlaif.ledger import clock
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import ArtifactRef, Metric


def rows_of(path: Path) -> dict[str, int]:
    """Count the rows of every table, through a connection of its own."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = [name for (name,) in tables if "_fts" not in name]
        counts = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - names from the schema
            for name in names
        }
    connection.close()
    return counts


def test_a_unit_is_there_for_others_only_when_its_block_has_ended(
    ledger: Ledger, path: Path
) -> None:
    with LedgerReader.open(path) as reader:
        with ledger.unit(1, "generation", "u0") as unit:
            unit.add_prompts([prompt("a")])
            assert reader.prompts() == []
            assert reader.done_units(1, "generation") == set()
        assert reader.prompts() == [prompt("a")]
        assert reader.done_units(1, "generation") == {"u0"}


def test_a_unit_holds_no_lock_while_its_work_is_done(ledger: Ledger, path: Path) -> None:
    with Ledger.open(path) as other, ledger.unit(1, "generation", "u0") as unit:
        unit.add_prompts([prompt("a")])
        other.connection.execute("PRAGMA busy_timeout = 0")
        other.add_event("note", "written meanwhile")
    assert [e.message for e in ledger.events()] == ["written meanwhile"]
    assert ledger.done_units(1, "generation") == {"u0"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_no_trace(
    ledger: Ledger, path: Path, error: type[BaseException]
) -> None:
    before = rows_of(path)

    def fail() -> None:
        with ledger.unit(1, "generation", "u0") as unit:
            unit.add_prompts([prompt("a")])
            raise error

    with pytest.raises(error):
        fail()
    assert rows_of(path) == before
    fill_answers(ledger, "u0")
    assert ledger.done_units(1, "generation") == {"u0"}


def test_a_row_that_cannot_be_written_takes_its_whole_unit_back(ledger: Ledger, path: Path) -> None:
    before = rows_of(path)

    def write() -> None:
        with ledger.unit(1, "promotion", "u0") as unit:
            unit.add_prompts([prompt("a")])
            unit.add_metrics([Metric(step=1, name="kl", value=0.5)])
            unit.add_metrics([Metric(step=1, name="kl", value=0.6)])

    with pytest.raises(LedgerError, match=re.escape("UNIQUE constraint failed: metrics")):
        write()
    assert rows_of(path) == before
    assert not ledger.connection.in_transaction


def test_a_done_unit_is_never_done_again(ledger: Ledger, path: Path) -> None:
    fill_answers(ledger, "a")
    before = rows_of(path)
    ran = []

    def again() -> None:
        with ledger.unit(1, "generation", "a"):
            ran.append("the block")

    with pytest.raises(LedgerError, match="is done"):
        again()
    assert ran == []
    assert rows_of(path) == before


def test_a_unit_that_another_process_finished_meanwhile_is_refused(
    ledger: Ledger, path: Path
) -> None:
    def twice() -> None:
        with ledger.unit(1, "generation", "a") as unit:
            unit.add_prompts([prompt("mine")])
            with Ledger.open(path) as other:
                fill_answers(other, "a")

    with pytest.raises(LedgerError, match="UNIQUE constraint failed: units"):
        twice()
    assert [p.id for p in ledger.prompts()] == ["prompt-a"]


def test_the_same_name_in_another_stage_is_another_unit(ledger: Ledger) -> None:
    for stage in ("generation", "judging"):
        with ledger.unit(1, stage, "u0"):
            pass
    assert ledger.done_units(1, "generation") == ledger.done_units(1, "judging") == {"u0"}


@pytest.mark.parametrize(
    ("table", "parent"),
    [
        ("completions", "prompts"),
        ("completion_uses", "completions"),
        ("critiques", "completions"),
        ("critiques", "rubrics"),
        ("preferences", "rubrics"),
        ("cycle_prompts", "prompts"),
        ("units", "stages"),
    ],
)
def test_rows_refer_only_to_rows_that_are_there(ledger: Ledger, table: str, parent: str) -> None:
    fill_answers(ledger, "a")

    def write() -> None:
        stage = "unbegun" if table == "units" else "judging"
        with ledger.unit(1, stage, "u0") as unit:
            if table == "completions":
                unit.add_completions("train", [completion("b-0", "b")])
            elif table == "completion_uses":
                known = completion("a-0", "a", duplicate_of="completion-nowhere")
                unit.add_completions("train", [known.model_copy(update={"id": "completion-new"})])
            elif table == "critiques":
                about = "a-0" if parent == "rubrics" else "nowhere"
                judged = "other-rubric" if parent == "rubrics" else RUBRIC
                unit.add_judgements(judged, [rating("r", about)])
            elif table == "preferences":
                unit.add_preferences([preference("p", "a", "a-0", "a-1", rubric_hash="other")])
            elif table == "cycle_prompts":
                unit.add_cycle_prompts("train", ["prompt-nowhere"])

    expected = "completions" if table == "completion_uses" else table
    with pytest.raises(LedgerError, match=f"a row of {expected} refers to a row of {parent}"):
        write()
    assert "u0" not in ledger.done_units(1, "judging")


def test_rows_of_a_unit_may_come_before_those_that_they_refer_to(ledger: Ledger) -> None:
    with ledger.unit(1, "generation", "u0") as unit:
        unit.add_completions("train", [completion("a", "a", duplicate_of="completion-b")])
        unit.add_completions("train", [completion("b", "a", index=1)])
        unit.add_prompts([prompt("a")])
    assert [c.id for c in ledger.completions(1, "train")] == ["completion-a", "completion-b"]


def test_known_prompts_may_change_tags_and_split_but_never_their_words(ledger: Ledger) -> None:
    with ledger.unit(1, "generation", "u0") as unit:
        unit.add_prompts([prompt("a"), prompt("b")])
    with ledger.unit(1, "generation", "u1") as unit:
        unit.add_prompts([prompt("a", tags=("new",)), prompt("b", split="eval"), prompt("c")])
    assert ledger.prompts(["prompt-c", "prompt-b", "prompt-a"]) == [
        prompt("c"),
        prompt("b", split="eval"),
        prompt("a", tags=("new",)),
    ]

    def reword() -> None:
        with ledger.unit(1, "generation", "u2") as unit:
            unit.add_prompts([prompt("a", "Other words"), prompt("d")])

    with pytest.raises(LedgerError, match="prompt-a is in the ledger with other messages") as error:
        reword()
    assert "new id" in error.value.action
    assert [p.id for p in ledger.prompts()] == ["prompt-a", "prompt-b", "prompt-c"]


def test_one_unit_cannot_give_two_wordings_to_one_prompt(ledger: Ledger) -> None:
    def write() -> None:
        with ledger.unit(1, "generation", "u0") as unit:
            unit.add_prompts([prompt("a", "One"), prompt("a", "Other")])

    with pytest.raises(LedgerError, match="other messages"):
        write()


def test_known_answers_are_used_again_and_cannot_change(ledger: Ledger) -> None:
    fill_answers(ledger, "a")
    known = ledger.completions(1, "train")
    with ledger.unit(1, "judging", "reuse") as unit:
        unit.add_completions("base", known)
    assert ledger.completions(1, "base") == known

    def change() -> None:
        with ledger.unit(1, "judging", "changed") as unit:
            unit.add_completions("base", [completion("a-0", "a", "Something else")])

    with pytest.raises(LedgerError, match="completion-a-0 is in the ledger with other text"):
        change()


def test_a_call_that_serves_two_judgements_is_stored_once(ledger: Ledger) -> None:
    fill_answers(ledger, "a")
    shared = call("Both at once")
    with ledger.unit(1, "judging", "u0") as unit:
        unit.add_judgements(
            RUBRIC,
            [
                rating("0", "a-0", call=shared),
                rating("1", "a-1", call=shared),
                comparison("2", "a-0", "a-1", call=call("Both at once", reply="Another. B")),
            ],
        )
    count = ledger.connection.execute("SELECT count(*) FROM judge_calls").fetchone()[0]
    assert count == 2
    assert [j.call for j in ledger.judgements()][:2] == [shared, shared]


def test_artifacts_are_listed_with_their_place(ledger: Ledger) -> None:
    with ledger.unit(1, "promotion", "u0") as unit:
        unit.add_artifact(ArtifactRef(name="reward", digest="aa"), "state/artifacts/c1/reward")
    (row,) = ledger.artifacts()
    assert row.model_dump() == {
        "cycle": 1,
        "stage": "promotion",
        "name": "reward",
        "digest": "aa",
        "path": "state/artifacts/c1/reward",
    }


def test_seconds_add_up_over_units_and_attempts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    with Ledger.open(path) as ledger:
        begin(ledger)
        ledger.begin_stage(1, "generation")
        for unit, seconds in (("u0", 5.0), ("u1", 7.0)):
            with ledger.unit(1, "generation", unit):
                now[0] += seconds
        now[0] += 1000.0
    with Ledger.open(path) as ledger:
        now[0] += 1000.0
        ledger.begin_stage(1, "generation")
        now[0] += 11.0
        with ledger.unit(1, "generation", "u2"):
            pass
        now[0] += 0.5
        ledger.finish_stage(1, "generation")
        (stage,) = ledger.stages(1)
        found = ledger.connection.execute("SELECT unit, seconds FROM units ORDER BY unit")
        assert [tuple(r) for r in found] == [("u0", 5.0), ("u1", 7.0), ("u2", 11.0)]
    assert (stage.seconds, stage.attempts, stage.units) == (23.5, 2, 3)
