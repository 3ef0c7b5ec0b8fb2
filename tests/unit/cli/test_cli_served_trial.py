"""Rubrics on trial where the judge is on a server: what is paid is kept, within budget."""

import json
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.judged_pairs import DRAFT, compare_pairs
from cli.served import GOOD, labelled, sit_on
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project
from rlaif.records import Spent
from tests.servers.hostile import refusing
from tests.servers.loopback import Loopback

pytestmark = pytest.mark.enable_socket


def spent(project: Project) -> Spent:
    with LedgerReader.open(project.ledger_path) as reader:
        return reader.spent()


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "draft.toml"
    path.write_text(DRAFT, encoding="utf-8")
    return path


def test_a_second_preview_pays_nothing_and_says_so(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project)
    with LedgerReader.open(project.ledger_path) as reader:
        digest = reader.digest()
    with Loopback(GOOD) as server:
        sit_on(project, server)
        found = [json.loads(here("rubric", "preview", draft, "--json").stdout) for _ in range(2)]
        told = here("rubric", "preview", draft).stdout
        assert len(server.asked) == 8
    assert [one["paid"]["calls"] for one in found] == [8, 0]
    assert found[0]["paid"]["tokens"] == 4000
    assert found[0]["paid"]["money"] == pytest.approx(8 * 600e-6)
    costs = [one.pop("cost") for one in found]
    assert costs[0]["draft"]["seconds"] > 0.0
    assert costs[1]["draft"]["seconds"] is costs[1]["cycle"]["seconds"] is None
    assert costs[0]["draft"]["money"] == costs[1]["draft"]["money"] == pytest.approx(8 * 600e-6)
    del found[0]["paid"], found[1]["paid"]
    assert found[0] == found[1]
    assert "paid now: 0 calls, 0 tokens, 0.0000; replies that were there: 8" in told
    assert spent(project).calls == 8
    with LedgerReader.open(project.ledger_path) as reader:
        assert reader.digest() == digest


@pytest.mark.parametrize(
    "limit", [{"day_calls": 5}, {"day_tokens": 2800}, {"day_money": 0.0035}, {"cycle_calls": 5}]
)
def test_a_preview_keeps_to_the_budget_and_goes_on_with_a_larger_one(
    here: Rlaif, project: Project, draft: Path, limit: dict[str, float]
) -> None:
    compare_pairs(project)
    (name,) = limit
    with Loopback(GOOD) as server:
        sit_on(project, server, **limit)
        done = here("rubric", "preview", draft)
        assert done.exit_code == 75
        assert done.stderr.splitlines()[-3].startswith(f"Stopped: budget.{name} is spent")
        assert "parked" not in done.stderr.lower()
        again = "ask for it again: " if name == "cycle_calls" else "ask for it again then, or raise"
        assert f"to do: {again}" in done.stderr
        first = len(server.asked)
        assert 0 < first < 8
        if name != "cycle_calls":
            assert here("rubric", "preview", draft).exit_code == 75
            assert len(server.asked) == first
        sit_on(project, server)
        assert here("rubric", "preview", draft).exit_code == 0
        assert len(server.asked) == 8
    assert spent(project).calls == 8


def test_a_trial_with_room_for_half_is_asked_for_twice(
    here: Rlaif, project: Project, draft: Path
) -> None:
    """What it may take it may take each time, so that it needs no larger limit."""
    compare_pairs(project)
    with Loopback(GOOD) as server:
        sit_on(project, server, cycle_calls=5)
        assert [here("rubric", "preview", draft).exit_code for _ in range(2)] == [75, 0]
        assert len(server.asked) == 8
        sit_on(project, server, cycle_tokens=10)
        done = here("rubric", "test", draft, "--labels", labelled(draft), "--probes", 1)
    assert done.exit_code == 75
    assert "Stopped: budget.cycle_tokens is spent: 0 of 10" in done.stderr
    assert "to do: raise budget.cycle_tokens: not one call fits into it" in done.stderr


def test_a_preview_beside_a_running_cycle_keeps_its_replies(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project)
    with Loopback(GOOD) as server, ProjectLock(project.lock_path, command="rlaif run"):
        sit_on(project, server)
        assert here("rubric", "preview", draft).exit_code == 0
    assert spent(project).calls == 8


def test_a_test_pays_once_too_and_needs_no_ledger(
    here: Rlaif, project: Project, draft: Path
) -> None:
    labels = labelled(draft)
    project.ledger_path.unlink()
    with Loopback(GOOD) as server:
        sit_on(project, server)
        arguments = ("rubric", "test", draft, "--labels", labels, "--probes", 1, "--json")
        found = [json.loads(here(*arguments).stdout) for _ in range(2)]
        asked = len(server.asked)
    assert [one["paid"]["calls"] for one in found] == [asked, 0]
    assert found[1]["cost"]["seconds"] is None
    assert [one["cost"]["calls"] for one in found] == [asked, asked]
    assert spent(project).calls == asked


def test_a_server_that_is_left_out_is_said(here: Rlaif, project: Project, draft: Path) -> None:
    compare_pairs(project)
    with Loopback(refusing(401, "not yours")) as bad, Loopback(GOOD) as good:
        sit_on(project, bad, good)
        done = here("rubric", "preview", draft)
        assert done.exit_code == 0
        assert len(bad.asked) == 1
    assert done.stderr.count(f"note: {bad.address} is left out from now on") == 1
