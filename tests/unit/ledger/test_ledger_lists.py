"""Ranked lists in the ledger: whole again, found by all that is asked, in ledgers of any age."""

import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import (
    RUBRIC,
    begun,
    comparison,
    completion,
    listing,
    preference,
    prompt,
    rating,
)

from rlaif.errors import LedgerError
from rlaif.ledger.layout import SCHEMA_VERSION
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.schema import migrations
from rlaif.ledger.writer import Ledger
from rlaif.records import PairVerdict, Ranking, Unscored

ANSWERS = ("a-0", "a-1", "a-2", "a-3")
POLICIES = ("digest-base", "digest-base", "digest-base", "digest-other")
numbers = count()


def add_answers(ledger: Ledger, name: str = "a", answers: int = 4) -> None:
    with ledger.unit(1, "generation", name) as unit:
        unit.add_prompts([prompt(name, tags=("旅行",))])
        unit.add_completions(
            "train",
            [
                completion(f"{name}-{i}", name, index=i, policy=POLICIES[i % len(POLICIES)])
                for i in range(answers)
            ],
        )


def verdict(first: str, second: str, **fields: Any) -> PairVerdict:
    ids = {"first_id": f"completion-{first}", "second_id": f"completion-{second}"}
    return PairVerdict(**ids, p_first=0.75, **fields)


@pytest.fixture
def listed(ledger: Ledger) -> Ledger:
    """One list in three orders, and other judgements that it must not be confused with."""
    add_answers(ledger)
    add_answers(ledger, "b", 2)
    with ledger.unit(1, "judging", "lists") as unit:
        unit.add_judgements(
            RUBRIC,
            [
                listing("there", *ANSWERS, places=(1, 0, 3, 2), judge="large"),
                listing("back", *ANSWERS[::-1], places=(2, 3, 0, 1), judge="large"),
                listing("third", "a-1", "a-0", "a-3", "a-2", places=(0, 1, 2, 3), judge="large"),
                listing("short", *ANSWERS[:2], places=(0, 1), judge="large"),
                listing("other", *ANSWERS[::-1], places=(0, 1, 2, 3), judge="small"),
                comparison("pair", "a-0", "a-1", judge="large"),
                rating("rated", "a-3", judge="large"),
                rating("else", "b-0", judge="large"),
            ],
        )
    return ledger


def names(ledger: Ledger | LedgerReader, *about: str, **asked: Any) -> list[str]:
    found = ledger.critiques(*about, order="oldest", **asked)
    return [view.id.removeprefix("judgement-") for view in found]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("shared") / "ledger.db"
    with begun(path, "generation", "judging") as ledger:
        yield ledger


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    shown=st.integers(2, 9).flatmap(lambda n: st.permutations(range(n))),
    data=st.data(),
    critique=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_what_goes_in_comes_out(
    shared: Ledger, shown: list[int], data: st.DataObject, critique: str
) -> None:
    name = f"any{next(numbers)}"
    add_answers(shared, name, len(shown))
    places = tuple(data.draw(st.permutations(range(len(shown)))))
    said = data.draw(
        st.sampled_from([Ranking(places=places), Unscored(reason="2 排名 lines 🙂 e\u0301")])
    )
    about = [f"{name}-{i}" for i in shown]
    judgement = listing(name, *about, places=places, verdict=said, critique=critique)
    with shared.unit(1, "judging", name) as unit:
        unit.add_judgements(RUBRIC, [judgement])
    ids = [f"completion-{answer}" for answer in about]
    assert shared.judgements(ids) == [judgement]
    assert shared.judgements(ids[:-1]) == []
    (view,) = shared.critiques(judgement.id)
    assert [c.id for c in view.completions] == ids
    assert (view.verdict, view.margin, view.kind) == (said, None, "listwise")


@pytest.mark.parametrize("places", [(0,), (0, 0), (1, 2), (0, 1, 3), tuple(range(10))])
def test_a_ranking_names_each_place_once(places: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="places"):
        Ranking(places=places)


def test_each_answer_of_a_list_leads_to_it(listed: Ledger) -> None:
    whole = ["there", "back", "third"]
    assert names(listed, "completion-a-0") == [*whole, "short", "other", "pair"]
    assert names(listed, "completion-a-2") == [*whole, "other"]
    assert names(listed, "completion-a-3") == [*whole, "other", "rated"]
    assert names(listed, "completion-b-1") == []
    assert names(listed, "prompt-a") == [*whole, "short", "other", "pair", "rated"]


def test_a_preference_leads_to_the_lists_that_hold_both(listed: Ledger) -> None:
    with listed.unit(1, "judging", "wishes") as unit:
        unit.add_preferences(
            [preference("far", "a", "a-0", "a-3"), preference("near", "a", "a-0", "a-1")]
        )
    assert names(listed, "preference-far") == ["there", "back", "third", "other", "rated"]
    assert names(listed, "preference-near") == [
        *("there", "back", "third", "short", "other", "pair")
    ]


def test_filters_find_lists(listed: Ledger) -> None:
    lists = ["there", "back", "third", "short", "other"]
    assert names(listed, verdict="ranking") == lists
    assert names(listed, verdict="choice") == ["pair"]
    assert names(listed, unscored=True) == []
    assert names(listed, verdict="ranking", policy="digest-other") == [
        *("there", "back", "third", "other")
    ]
    assert names(listed, verdict="ranking", judge="small", tag="旅行") == ["other"]
    assert names(listed, search="curt") == lists
    assert names(listed, margin_min=0.0, verdict="ranking") == []


def test_doubts_of_any_pair_are_the_lists(listed: Ledger) -> None:
    whole = ["there", "back", "third", "other"]
    with listed.unit(1, "judging", "later") as unit:
        unit.add_pair_verdicts(
            [
                verdict("a-0", "a-1", p_forward=0.75, p_backward=0.875),
                verdict("a-2", "a-3", p_forward=0.75, p_backward=0.25, quarantined="顺序 changes"),
                verdict("b-0", "b-1", p_forward=0.75, p_backward=0.25, quarantined="other"),
            ]
        )
    assert names(listed, quarantined=True) == names(listed, flipped=True) == whole
    (view,) = listed.critiques("judgement-there")
    assert (view.quarantined, view.flipped) == ("顺序 changes", True)
    (short,) = listed.critiques("judgement-short")
    assert (short.quarantined, short.flipped) == (None, False)


@pytest.mark.parametrize(
    ("name", "other"),
    [("there", "back"), ("back", "there"), ("third", "there"), ("short", None), ("other", None)],
)
def test_a_list_is_shown_beside_its_reverse_by_the_same_judge(
    listed: Ledger, name: str, other: str | None
) -> None:
    found = listed.lineage(f"judgement-{name}")
    assert (found.other and found.other.view.id) == (other and f"judgement-{other}")


def test_a_lists_lineage_has_its_pairs_and_preferences_and_all_writers(listed: Ledger) -> None:
    with listed.unit(1, "judging", "later") as unit:
        unit.add_pair_verdicts([verdict("a-3", "a-1"), verdict("b-0", "b-1")])
        unit.add_preferences(
            [preference("w", "a", "a-3", "a-1"), preference("x", "b", "b-0", "b-1")]
        )
    found = listed.lineage("judgement-there")
    assert [w.digest for w in found.writers] == list(POLICIES)
    assert [(p.first_id, p.second_id) for p in found.pairs] == [
        ("completion-a-3", "completion-a-1")
    ]
    assert [p.id for p in found.preferences] == ["preference-w"]


def test_an_answer_that_is_not_there_is_refused(ledger: Ledger) -> None:
    add_answers(ledger)

    def write() -> None:
        with ledger.unit(1, "judging", "lists") as unit:
            judged = [listing("l", "a-0", "a-1", "nowhere", places=(0, 1, 2))]
            unit.add_judgements(RUBRIC, judged)

    with pytest.raises(LedgerError, match="critique_others refers to a row of completions"):
        write()
    assert ledger.critiques() == []


def test_who_comes_third_is_in_the_digest(tmp_path: Path) -> None:
    digests = set()
    for name, order in (("x", ANSWERS), ("y", ("a-0", "a-1", "a-3", "a-2"))):
        with begun(tmp_path / f"{name}.db", "generation", "judging") as ledger:
            add_answers(ledger)
            with ledger.unit(1, "judging", "lists") as unit:
                unit.add_judgements(RUBRIC, [listing("l", *order, places=(0, 1, 2, 3), call=None)])
            digests.add(ledger.digest())
    assert len(digests) == 2


def test_a_ledger_from_before_lists_takes_them(tmp_path: Path) -> None:
    path, before = tmp_path / "state" / "ledger.db", tmp_path / "before.db"
    with begun(path, "generation", "judging") as ledger:
        add_answers(ledger)
        with ledger.unit(1, "judging", "old") as unit:
            judged = [rating("r", "a-0"), comparison("c", "a-0", "a-1", method="samples")]
            unit.add_judgements(RUBRIC, judged)
        ledger.checkpoint()
    as_it_was(path, before)
    with Ledger.open(before) as ledger:
        assert names(ledger, search="courteous") == ["c"]
        assert names(ledger, search="plain", verdict="rating") == ["r"]
        assert ledger.judgements() == judged
        with ledger.unit(1, "judging", "new") as unit:
            unit.add_judgements(RUBRIC, [listing("l", *ANSWERS, places=(3, 2, 1, 0))])
        assert names(ledger) == ["r", "c", "l"]
        assert names(ledger, verdict="ranking") == ["l"]
        assert ledger.connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert ledger.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        schema = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        migrated = [row["sql"] for row in ledger.connection.execute(schema)]
    with Ledger.open(path) as ledger:
        assert migrated == [row["sql"] for row in ledger.connection.execute(schema)]


def as_it_was(path: Path, before: Path) -> None:
    """Copy a ledger into the schema of before the migration that brought lists."""
    known = [migration.name for migration in migrations._migrations]
    earlier = known[: next(i for i, name in enumerate(known) if name.endswith("_lists"))]
    with sqlite3.connect(path) as source, sqlite3.connect(before) as target:
        source.backup(target)
    connection = sqlite3.connect(before, isolation_level=None)
    connection.execute("PRAGMA legacy_alter_table = ON")
    old = {
        table: connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()[0]
        for table in ("critiques", "verdicts")
    }
    old["critiques"] = old["critiques"].replace(", 'listwise'", "")
    old["verdicts"] = (
        old["verdicts"]
        .replace("'ranking', ", "")
        .replace("value REAL, places TEXT CHECK (places IS NULL OR json_valid(places)),",
                 "value REAL,")
        .replace("(type IN ('rating', 'choice'))", "(type != 'unscored')")
        .replace("AND (type = 'ranking') = (places IS NOT NULL)", "")
    )  # fmt: skip
    connection.execute("DROP TABLE critique_others")
    connection.execute("DROP TABLE audits")
    connection.execute("DROP TABLE cycle_rubrics")
    connection.execute("ALTER TABLE judge_calls DROP COLUMN cut")
    for table, sql in old.items():
        columns = "critique_id, type, value, reason, method" if table == "verdicts" else "*"
        connection.execute(f"ALTER TABLE {table} RENAME TO new_{table}")
        connection.execute(sql)
        connection.execute(f"INSERT INTO {table} SELECT {columns} FROM new_{table}")  # noqa: S608 - constants
        connection.execute(f"DROP TABLE new_{table}")
    marks = ", ".join("?" * len(earlier))
    connection.execute(
        f"DELETE FROM _sqlite_migrations WHERE name NOT IN ({marks})",  # noqa: S608 - marks
        earlier,
    )
    assert len(earlier) < SCHEMA_VERSION
    connection.execute(f"PRAGMA user_version = {len(earlier)}")
    connection.close()
