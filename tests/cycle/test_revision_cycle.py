"""The judge mends what it faults: what it then confirms trains, and nothing else of it does."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rlaif.config import JudgeConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.errors import ConfigError, JudgeUnreachableError, ModelError
from rlaif.judges import Judge, JudgeRequest, Juror, WriteRequest, load_templates
from rlaif.judges.second_asking import asked_twice
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.unit import Unit
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import Revision
from rlaif.testing import ScriptedJudge, ScriptedWriter
from tests.cycle.conftest import JUDGED, RULES, Maker
from tests.cycle.scripted import Down, by_level
from tests.cycle.watchers import Notes

ALL = {"share": 1.0, "max_tokens": 5}


def taste(request: JudgeRequest) -> Mapping[str, float]:
    """Love what is KIND, hate what is RUDE; of the rest, short answers are a little better."""
    levels = [
        0.95 if "KIND" in t else 0.01 if "RUDE" in t else 0.1 + 0.2 / (1 + len(t))
        for t in request.shown
    ]
    return by_level(request, levels)


def number_of(text: str) -> int:
    found = re.search(r"Question (\d+) about", text)
    assert found is not None
    return int(found[1])


def mend(request: WriteRequest) -> str:
    """Mend by the prompt's number: well, badly, not at all, with no end, or at too great length."""
    words = ("KIND", "RUDE", "  \n ", "so KIND " * 9, "KIND, as you can see.")
    return words[number_of(request.text) % 5]


Hire = Callable[[Judge], None]


@pytest.fixture
def hire(monkeypatch: pytest.MonkeyPatch) -> Hire:
    """Return what makes a judge everybody's."""

    def hired(judge: Judge) -> None:
        def juror(_: Crew, config: JudgeConfig) -> Juror:
            return Juror(judge.name, judge, load_templates("detailed"), config.min_label_mass)

        monkeypatch.setattr(Crew, "_juror", juror)

    return hired


@pytest.fixture
def writer(hire: Hire) -> ScriptedWriter:
    judge = ScriptedWriter(taste, mend, "mender")
    hire(judge)
    return judge


@pytest.fixture
def drafts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles end with their preferences: what follows is the same as ever, and takes long."""
    monkeypatch.setattr("rlaif.cycle._trains", lambda _: False)


def revisions_by_number(project: Project) -> dict[int, Revision]:
    with LedgerReader.open(project.ledger_path) as reads:
        prompts = {p.id: number_of(p.text) for p in reads.prompts()}
        found = reads.revisions(1)
        originals = reads.completions_by_id([r.original_id for r in found])
        return {prompts[c.prompt_id]: r for c, r in zip(originals, found, strict=True)}


def test_confirmed_revisions_train_and_others_are_kept_with_the_reason(
    make_project: Maker, writer: ScriptedWriter
) -> None:
    project = make_project(rubric=JUDGED, revision=ALL)
    notes = Notes()
    run_cycles(project, more=1, watcher=notes)
    found = revisions_by_number(project)
    assert len(found) == 12
    assert len(writer.written) == 12
    with LedgerReader.open(project.ledger_path) as reads:
        trained = {p.first_id: p for p in reads.preferences() if p.origin == "revision"}
        originals = {c.id: c for c in reads.completions(1, "train")}
        revised = {c.id: c for c in reads.completions(1, "revision")}
        rated = {j.id: j for j in reads.judgements(cycle=1, stage="judging")}
        scores = {s.completion_id: s.score for s in reads.scores(1, "judging")}
        verdicts = reads.pair_verdicts(1, "judging")
        counts = reads.cycle_counts(1)
        assert reads.gate_decision(1) is not None
        by_policy = [
            policy
            for (policy,) in reads.connection.execute(
                "SELECT policy FROM completion_uses JOIN completions ON id = completion_id"
            )
        ]
    reasons = {0: None, 1: "unconfirmed", 2: "empty", 3: "the reply was cut off", 4: "too long"}
    for number, revision in found.items():
        expected = reasons[number % 5]
        assert revision.judge == "mender"
        assert revision.call is not None
        assert revision.call.request in {w.text for w in writer.written}
        own = [
            c
            for c in originals.values()
            if c.prompt_id == originals[revision.original_id].prompt_id
        ]
        known = [scores[c.id] for c in own if c.duplicate_of is None]
        assert scores[revision.original_id] == min(s for s in known if s is not None)
        (shown,) = revision.critique_ids
        assert rated[shown].completion_ids == (revision.original_id,)
        if expected is None:
            assert revision.rejected is None
            assert trained.pop(str(revision.completion_id)).second_id == revision.original_id
            assert revised[str(revision.completion_id)].text == "KIND"
        else:
            assert (revision.rejected or "").startswith(expected)
    assert trained == {}
    confirmed = sum(r.rejected is None for r in found.values())
    assert any(note.startswith(f"{confirmed} of 12 revisions are better") for note in notes.notes)
    assert len(revised) == sum(n % 5 != 2 for n in found)
    assert {c.policy for c in revised.values()} == {"revision:mender"}
    assert [c.ended for c in revised.values()].count(False) == sum(n % 5 == 3 for n in found)
    assert not revised.keys() & scores.keys()
    assert not revised.keys() & {i for v in verdicts for i in (v.first_id, v.second_id)}
    assert by_policy.count("revision:mender") == len(revised)
    assert counts.completions == sum(not p.startswith(("revision:", "probe:")) for p in by_policy)


@pytest.mark.usefixtures("drafts_only", "writer")
def test_a_revisions_label_is_the_panels_own(make_project: Maker) -> None:
    project = make_project(rubric=JUDGED, revision=ALL)
    run_cycles(project, more=1, watcher=Silent())
    (revision, *_) = [r for r in revisions_by_number(project).values() if r.rejected is None]
    with LedgerReader.open(project.ledger_path) as reads:
        (original,) = reads.completions_by_id([revision.original_id])
        (trained,) = [p for p in reads.preferences() if p.first_id == revision.completion_id]
        split = {p.split for p in reads.preferences() if p.prompt_id == original.prompt_id}
    level = 0.1 + 0.2 / (1 + len(original.text))
    p_judge = 0.95 / (0.95 + level)
    p_ratings = 1.0 / (1.0 + 2.718281828459045 ** ((level - 0.95) / 0.15))
    assert revision.p_forward == revision.p_backward == pytest.approx(p_judge)
    assert trained.label == revision.p_better == pytest.approx(0.5 * p_judge + 0.5 * p_ratings)
    assert split == {trained.split}


@pytest.mark.usefixtures("drafts_only")
def test_off_it_writes_nothing_and_changes_no_label(
    make_project: Maker, writer: ScriptedWriter
) -> None:
    every = {"preferences": {"min_margin": 0.0}}
    plain = make_project("a", rubric=JUDGED, **every)
    mending = make_project("b", rubric=JUDGED, revision=ALL, **every)
    labels = []
    for project in (plain, mending):
        assert writer.written == []
        run_cycles(project, more=1, watcher=Silent())
        with LedgerReader.open(project.ledger_path) as reads:
            labels.append([p for p in reads.preferences() if p.origin != "revision"])
    assert labels[0] == labels[1] != []


@pytest.mark.usefixtures("drafts_only")
def test_a_share_of_the_prompts_is_mended(make_project: Maker, writer: ScriptedWriter) -> None:
    project = make_project(rubric=JUDGED, revision={**ALL, "share": 0.25})
    run_cycles(project, more=1, watcher=Silent())
    assert len(revisions_by_number(project)) == len(writer.written) == 3


class KilledError(Exception):
    """Stands for a kill: nothing that is under way is committed."""


@pytest.mark.usefixtures("drafts_only")
def test_killed_between_batches_it_ends_the_same(
    make_project: Maker, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"judge": {"batch_size": 5, "path": "lm", "max_critique_tokens": 4}}
    whole, killed = (make_project(n, rubric=JUDGED, revision=ALL, **few) for n in ("a", "b"))
    run_cycles(whole, more=1, watcher=Silent())
    assert len(writer.written) == 12
    begun = Ledger.unit

    def dying(self: Ledger, cycle: int, stage: str, name: str) -> AbstractContextManager[Unit]:
        if name == "revisions-0001":
            raise KilledError
        return begun(self, cycle, stage, name)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "unit", dying)
        with pytest.raises(KilledError):
            run_cycles(killed, more=1, watcher=Silent())
    run_cycles(killed, more=1, watcher=Silent())
    assert len(writer.written) == 12 + 10 + 7
    digests = []
    for project in (whole, killed):
        with LedgerReader.open(project.ledger_path) as reads:
            digests.append(reads.digest())
    assert digests[0] == digests[1]


@pytest.mark.usefixtures("drafts_only")
def test_a_judge_that_cannot_be_reached_to_mend_loses_no_draft(
    make_project: Maker, hire: Hire
) -> None:
    judge = Down(taste, mend, "mender")
    hire(asked_twice(judge, 0.5))
    project = make_project(rubric=JUDGED, revision=ALL)
    with pytest.raises(JudgeUnreachableError, match="12 of 12 calls to the judge mender"):
        run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.revisions(1) == []
    judge.up = True
    run_cycles(project, more=1, watcher=Silent())
    found = revisions_by_number(project).values()
    assert len(found) == len(judge.written) == 12
    assert any(r.rejected is None for r in found)


def test_what_cannot_be_mended_is_refused_before_a_row_is_written(
    make_project: Maker, hire: Hire, tmp_path: Path
) -> None:
    hire(ScriptedJudge(taste, "mute"))
    with pytest.raises(ModelError, match="'mute' writes no free text"):
        run_cycles(make_project("a", rubric=JUDGED, revision=ALL), more=1, watcher=Silent())
    with pytest.raises(ConfigError, match="a rubric without a judge criterion"):
        run_cycles(make_project("b", rubric=RULES, revision=ALL), more=1, watcher=Silent())
    for name in ("a", "b"):
        with Ledger.open(tmp_path / name / "state" / "ledger.db") as ledger:
            assert ledger.latest_cycle() is None


def test_a_template_without_the_message_is_refused(make_project: Maker) -> None:
    compact = {"judge": {"path": "lm", "max_critique_tokens": 4, "template": "compact"}}
    project = make_project(rubric=JUDGED, revision=ALL, **compact)
    with pytest.raises(ConfigError, match=r"has no revise\.jinja"):
        run_cycles(project, more=1, watcher=Silent())


@pytest.mark.usefixtures("drafts_only")
def test_a_model_in_this_process_mends_too_and_every_draft_has_its_fate(
    make_project: Maker,
) -> None:
    """The tiny judge rates and writes at random, so what comes of it is only that it is told."""
    brief = {"path": "lm", "max_critique_tokens": 4, "template": "brief", "min_label_mass": 0.0}
    project = make_project(rubric=JUDGED, revision=ALL, judge=brief, judging={"mark_errors": True})
    run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        found, markings = reads.revisions(1), reads.markings(1)
        revised = {c.id for c in reads.completions(1, "revision")}
    assert found
    assert {r.completion_id for r in found} - {None} == revised
    for revision in found:
        assert revision.call is not None
        assert revision.rejected is not None or revision.p_better is not None
        assert 0 < revision.call.reply_tokens <= ALL["max_tokens"]
    assert markings
    assert all(m.call is not None for m in markings)
