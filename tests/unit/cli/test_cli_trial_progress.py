"""A trial of rubric or judge tells how far it is on standard error, and only there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.clocks import Clock
from cli.conftest import Rlaif
from cli.judged_pairs import DRAFT, compare_pairs
from cli.served import GOOD, labelled, sit_on
from rlaif.cli import watching
from rlaif.cli.watching import Pace
from rlaif.project import Project
from tests.servers.loopback import Loopback

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "draft.toml"
    path.write_text(DRAFT, encoding="utf-8")
    return path


@pytest.fixture
def served(project: Project, draft: Path) -> Iterator[Project]:
    """The project with compared pairs, the draft as its rubric, and its judge on a server."""
    rubric = project.file(project.config.rubric.path)
    rubric.parent.mkdir(parents=True, exist_ok=True)
    rubric.write_text(draft.read_text("utf-8"), encoding="utf-8")
    compare_pairs(project)
    with Loopback(GOOD) as server:
        sit_on(project, server)
        yield project


@pytest.mark.usefixtures("served")
def test_a_preview_tells_each_step_and_that_it_is_done(here: Rlaif, draft: Path) -> None:
    done = here("rubric", "preview", draft, "--json")
    assert json.loads(done.stdout)["pairs"] == 2
    lines = [line.partition(",")[0] for line in done.stderr.splitlines()]
    assert lines[1:] == [
        "rubric preview rating answers",
        "rubric preview rating answers: 4/4 replies",
        "rubric preview comparing pairs",
        "rubric preview comparing pairs: 4/4 replies",
    ]


@pytest.mark.usefixtures("served")
def test_a_slow_preview_tells_each_reply_that_came(
    here: Rlaif, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PLAIN_SECONDS", 0.0)
    told = here("rubric", "preview", draft).stderr
    for step in ("rating answers", "comparing pairs"):
        lines = [line for line in told.splitlines() if line.startswith(f"rubric preview {step}: ")]
        said = [line.partition(": ")[2] for line in lines]
        assert [one.partition(",")[0] for one in said] == [f"{n}/4 replies" for n in range(5)]
        assert all(one.endswith(" left") for one in said[1:])


@pytest.mark.usefixtures("served")
def test_a_test_of_a_rubric_tells_of_attacks_too(here: Rlaif, draft: Path) -> None:
    done = here("rubric", "test", draft, "--labels", labelled(draft), "--probes", 1, "--json")
    assert json.loads(done.stdout)["attacked"] == 1
    steps = ["rating answers", "comparing pairs", "rating attacks", "comparing attacks"]
    said = [line for line in done.stderr.splitlines() if line.startswith("rubric test ")]
    assert [line for line in said if ":" not in line] == [f"rubric test {s}" for s in steps]
    assert [line.partition(":")[0] for line in said if " replies" in line] == [
        f"rubric test {step}" for step in steps
    ]


@pytest.mark.usefixtures("served")
def test_an_audit_now_tells_how_far_it_is(here: Rlaif) -> None:
    done = here("judge", "audit", "--now", "--json")
    assert json.loads(done.stdout)["number"] == 1
    for step in ("rating answers", "comparing pairs", "rating probes", "comparing probes"):
        assert f"\njudge audit {step}\n" in done.stderr
        assert f"\njudge audit {step}: " in done.stderr


def test_pace_begins_anew_where_as_many_are_asked_for_again() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.facts(2, 4, "replies")
    clock.now += 100.0
    pace.facts(4, 4, "replies")
    assert pace.facts(0, 4, "replies") == "0/4 replies"
    clock.now += 1.0
    assert pace.facts(2, 4, "replies") == "2/4 replies, 2.0/s, 1.0 s left"
