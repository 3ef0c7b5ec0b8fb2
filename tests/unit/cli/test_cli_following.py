"""``rlaif critiques --follow``: from before the first cycle to the end of a run."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC, answer, judgement
from rlaif.cli.critiques import following
from rlaif.errors import EXIT_INTERRUPTED
from rlaif.ledger.connected import connect
from rlaif.ledger.layout import APPLICATION_ID
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Rating


def commit(project: Project, name: str, critique: str = "New: 新的.") -> None:
    """Commit one more critique, as the process that runs the cycle does."""
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", name) as unit:
        made = answer(name, 3, "It is.", "capital", "p0")
        unit.add_completions("train", [made])
        judged = judgement(name, "correct", [made.id], critique, Rating(score=0.25))
        unit.add_judgements(RUBRIC, [judged])


def sleeping(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], Any]) -> None:
    """Let steps happen while the follower sleeps, one each time; then it is interrupted."""
    left = list(steps)

    def sleep(_seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(following.time, "sleep", sleep)


def test_following_shows_each_new_critique_once_and_ends_when_interrupted(
    here: Rlaif, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping(
        monkeypatch,
        lambda: commit(project, "n1"),
        lambda: None,
        lambda: (commit(project, "n2", "nothing of note"), commit(project, "n3")),
    )
    result = here("critiques", "--follow", "--limit", 1, "--criterion", "correct", "--search", "新")
    assert result.exit_code == EXIT_INTERRUPTED
    ids = [line.split()[-1] for line in result.stdout.splitlines() if line.startswith("cycle")]
    assert ids == ["critique-n1", "critique-n3"]


def test_following_begins_with_the_newest_in_the_order_in_which_they_came(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping(monkeypatch)
    printed = here("critiques", "--follow", "--limit", 2).stdout
    assert printed.index("critique-b") < printed.index("critique-c")
    assert "critique-a" not in printed


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_following_until_the_run_is_done_prints_a_line_each(
    here: Rlaif, project: Project, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    lock = ProjectLock(project.lock_path, command="rlaif run")
    lock.acquire()
    monkeypatch.setattr(following, "_AT_ONCE", 1)
    many = [f"n{i}" for i in range(3)]
    steps = [lambda: None, lambda: [commit(project, name) for name in many], lock.release]
    sleeping(monkeypatch, *steps)
    result = here("critiques", "--follow", "--until-done", form)
    assert result.exit_code == 0
    expected = [f"critique-{name}" for name in ("a", "b", "c", *many)]
    assert "\x1b" not in result.stdout
    if form == "--csv":
        assert [row["id"] for row in csv.DictReader(io.StringIO(result.stdout))] == expected
    else:
        assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == expected


def test_following_a_project_at_rest_until_done_ends_when_no_run_has_begun_for_a_while(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(following.time, "sleep", slept.append)
    result = here("critiques", "completion-sum-0-1", "--follow", "--until-done")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert sum(slept) == following.STARTING_SECONDS == 5.0


def test_a_run_that_is_just_starting_is_waited_for_and_followed_to_its_end(
    here: Rlaif, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = ProjectLock(project.lock_path, command="rlaif run")
    steps = [lambda: None, lock.acquire, *[lambda: None] * 20, lambda: commit(project, "n1")]
    sleeping(monkeypatch, *steps, lock.release)
    result = here("critiques", "--follow", "--until-done", "--limit", 1, "--json")
    assert result.exit_code == 0
    ids = [json.loads(line)["id"] for line in result.stdout.splitlines()]
    assert ids == ["critique-c", "critique-n1"]


@pytest.fixture
def unbegun(project: Project) -> Project:
    """The project before its first cycle."""
    shutil.rmtree(project.ledger_path.parent)
    return project


def test_following_may_begin_before_the_first_cycle(
    here: Rlaif, original: Project, unbegun: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unbegun.ledger_path
    lock = ProjectLock(unbegun.lock_path, command="rlaif run")
    half = unbegun.root / "half-made.db"
    with closing(connect(half, lambda _: None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    sleeping(
        monkeypatch,
        *[lambda: None] * 20,
        lambda: (path.parent.mkdir(exist_ok=True), lock.acquire()),
        lambda: path.write_bytes(b""),
        lambda: half.rename(path),
        lambda: shutil.copyfile(original.ledger_path, path),
        lambda: commit(unbegun, "n1"),
        lock.release,
    )
    result = here("critiques", "--follow", "--until-done", "--json")
    assert result.exit_code == 0
    assert result.stderr == "no cycle was begun yet: waiting for 'rlaif run'\n"
    ids = [json.loads(line)["id"] for line in result.stdout.splitlines()]
    assert ids == [f"critique-{name}" for name in ("a", "b", "c", "n1")]


def test_a_ledger_without_a_cycle_is_waited_on_for_as_long_as_it_takes(
    here: Rlaif, unbegun: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.open(unbegun.ledger_path).close()
    sleeping(monkeypatch, *[lambda: None] * 20)
    result = here("critiques", "--follow", "--until-done")
    assert result.exit_code == EXIT_INTERRUPTED
    assert result.stderr.startswith("no cycle was begun yet: waiting for 'rlaif run'\n")


def test_a_run_that_ends_before_it_began_a_cycle_is_not_waited_for_again(
    here: Rlaif, unbegun: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = ProjectLock(unbegun.lock_path, command="rlaif run")
    sleeping(monkeypatch, lock.acquire, lambda: None, lock.release)
    result = here("critiques", "--follow", "--until-done")
    assert (result.exit_code, result.stdout) == (0, "")


def test_an_older_ledger_that_nobody_brings_up_to_date_is_refused(
    here: Rlaif, project: Project
) -> None:
    with closing(connect(project.ledger_path, lambda _: None)) as connection:
        connection.execute("PRAGMA user_version = 1")
    result = here("critiques", "--follow")
    assert result.exit_code == 1
    assert "has schema 1" in result.stderr


def test_a_reader_is_never_in_a_writers_way(project: Project) -> None:
    with LedgerReader.open(project.ledger_path) as reader:
        before = reader.last_critique()
        commit(project, "n1")
        assert reader.last_critique() == before + 1
