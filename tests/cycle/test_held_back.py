"""What the judge's audit keeps from training stays to be seen, with the reason."""

import pytest

from rlaif.cycle import run_cycles
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.test_audit_cycle import STRICT, gullible, judge_all
from tests.cycle.watchers import Notes, StopAtStage, Stopped

HELD = {**STRICT, "on_breach": "quarantine"}


@pytest.fixture(autouse=True)
def talked_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every project's judge believes what answers say of themselves."""
    judge_all(monkeypatch, gullible)


def with_breaches(project: Project, on_breach: str) -> Project:
    """The same project with another setting of what a breach does."""
    text = project.config_path.read_text(encoding="utf-8")
    now = project.config.audit.on_breach
    text = text.replace(f'on_breach = "{now}"', f'on_breach = "{on_breach}"')
    project.config_path.write_text(text, encoding="utf-8")
    return load_project(project.root)


def held(project: Project) -> set[tuple[int, str | None]]:
    with LedgerReader.open(project.ledger_path) as reads:
        found = reads.critiques(quarantined=True, limit=10_000)
    return {(view.cycle, view.quarantined) for view in found}


def test_all_that_a_quarantined_cycle_would_have_trained_on_is_listed_with_the_reason(
    make_project: Maker,
) -> None:
    project, notes = make_project(rubric=JUDGED, audit=HELD), Notes()
    run_cycles(project, more=1, watcher=notes)
    assert any("rlaif critiques --quarantined --cycle 1 shows" in note for note in notes.notes)
    with LedgerReader.open(project.ledger_path) as reads:
        found = reads.critiques(quarantined=True, limit=10_000)
        probes = reads.completions(1, "probe-rated") + reads.completions(1, "probe-compared")
        ids = {probe.id for probe in probes}
        judged = reads.judgements(cycle=1, stage="judging")
        expected = {j.id for j in judged if ids.isdisjoint(j.completion_ids)}
        assert len(expected) < len(judged)
        assert {view.id for view in found} == expected
        assert {view.kind for view in found} == {"pointwise", "pairwise"}
        assert all("the judge's audit: " in (view.quarantined or "") for view in found)
        assert all("injection" in (view.quarantined or "") for view in found)
        everything = reads.critiques(limit=10_000)
        assert {v.id for v in everything if v.quarantined is not None} == expected


def test_which_cycles_are_held_back_is_a_matter_of_their_own_settings(make_project: Maker) -> None:
    project = make_project(rubric=JUDGED, audit=HELD)
    run_cycles(project, more=1, watcher=Silent())
    run_cycles(with_breaches(project, "warn"), more=1, watcher=Silent())
    assert {cycle for cycle, _ in held(project)} == {1}
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.preferences(cycle=2) != []


def test_the_setting_that_counts_is_that_of_the_moment_when_labels_are_made(
    make_project: Maker,
) -> None:
    whole, stopped = make_project("whole", rubric=JUDGED, audit=HELD), None
    run_cycles(whole, more=1, watcher=Silent())
    stopped = make_project("stopped", rubric=JUDGED, audit={**HELD, "on_breach": "warn"})
    with pytest.raises(Stopped):
        run_cycles(stopped, more=1, watcher=StopAtStage("preferences"))
    assert held(stopped) == set()
    run_cycles(with_breaches(stopped, "quarantine"), more=1, watcher=Silent())
    assert held(stopped) == held(whole) != set()
    digests = []
    for project in (whole, stopped):
        with LedgerReader.open(project.ledger_path) as reads:
            digests.append(reads.digest())
    assert digests[0] == digests[1]
