"""Whole cycles with real models: what they leave, and that stopping changes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from rlaif.artifacts import verify
from rlaif.cycle import run_cycles
from rlaif.errors import (
    ConfigError,
    ProjectLockedError,
    PromptFileError,
    RubricError,
    UsageError,
)
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.models.adapters import base_of
from rlaif.models.identity import model_digest
from rlaif.policies import previous_policy, promote_policy
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from rlaif.report import build_report
from rlaif.testing import make_tiny_lm
from tests.cycle.conftest import JUDGED, RULES, SMALL, Maker
from tests.cycle.watchers import Notes, StopAfter, StopAt, StopAtStage, Stopped


def digest(project: Project) -> str:
    with LedgerReader.open(project.ledger_path) as reads:
        return reads.digest()


def test_a_cycle_leaves_every_row_and_a_promoted_folder(make_project: Maker) -> None:
    project = make_project()
    assert run_cycles(project, more=1, watcher=Silent()) == [1]
    with LedgerReader.open(project.ledger_path) as reads:
        counts = reads.cycle_counts(1)
        assert (counts.prompts, counts.preferences > 0, counts.unscored) == (12, True, 0)
        assert len(reads.completions(1, "train")) == 36
        assert reads.stages(1)[0].stage == "sampling"
        assert all(s.finished_at for s in reads.stages(1))
        decision = reads.gate_decision(1)
        assert decision is not None
        assert decision.decision == "promote", decision.reasons
        live = reads.current_policy()
        assert live is not None
        assert (live.version, live.parent, live.cycle) == ("v0001", "v0000", 1)
        for artifact in reads.artifacts():
            verify(project.root / artifact.path, artifact.digest)
        assert {m.name for m in reads.metrics(1, "ppo")} >= {"reward", "kl_reference", "beta"}
    current = project.policies / "current"
    assert current.resolve() == project.policies / "v0001"
    assert model_digest(str(current)) == live.digest
    lineage = json.loads((current / "lineage.json").read_text(encoding="utf-8"))
    assert (lineage["parent"], lineage["cycle"]) == ("v0000", 1)


def test_stopped_again_and_again_it_ends_the_same(make_project: Maker) -> None:
    undisturbed, disturbed = make_project("a"), make_project("b")
    run_cycles(undisturbed, more=2, watcher=Silent())
    stops = 0
    while True:
        try:
            run_cycles(disturbed, until=2, watcher=StopAfter(1))
        except Stopped:
            stops += 1
            assert stops < 60
            continue
        break
    assert stops > 8
    assert digest(disturbed) == digest(undisturbed)
    for version in ("v0001", "v0002"):
        folders = [p.policies / version for p in (undisturbed, disturbed)]
        if folders[0].exists():
            assert model_digest(str(folders[0])) == model_digest(str(folders[1]))


def test_running_until_what_is_done_does_nothing(make_project: Maker) -> None:
    project = make_project()
    run_cycles(project, until=1, watcher=Silent())
    before = digest(project)
    assert run_cycles(project, until=1, watcher=Silent()) == []
    assert digest(project) == before


def test_two_runs_of_one_seed_agree_and_of_two_seeds_do_not(make_project: Maker) -> None:
    first, again, other = make_project("a"), make_project("b"), make_project("c", run={"seed": 5})
    for project in (first, again, other):
        run_cycles(project, more=1, watcher=Silent())
    assert digest(first) == digest(again)
    assert digest(first) != digest(other)


def test_a_judge_that_says_nothing_usable_changes_nothing(make_project: Maker) -> None:
    project, notes = make_project(rubric=JUDGED), Notes()
    run_cycles(project, more=1, watcher=notes)
    assert "the judge lm is the policy v0000 itself" in notes.notes
    with LedgerReader.open(project.ledger_path) as reads:
        assert [e.kind for e in reads.events()].count("self-grading") == 1
        counts = reads.cycle_counts(1)
        assert counts.unscored == counts.judgements > 0
        assert counts.preferences == 0
        decision = reads.gate_decision(1)
        assert decision is not None
        assert decision.decision == "hold"
        assert "no preference" in decision.reasons[0]
        assert "36 of 36 answers have no score, most often kind: the labels" in decision.reasons[0]
        assert decision.reasons[0].endswith("see rlaif critiques --unscored")
        assert "the judge lm is the policy v0000 itself" in build_report(reads).notes
        assert reads.current_policy().version == "v0000"
        assert {s.stage for s in reads.stages(1)} == {
            "sampling",
            "generation",
            "judging",
            "preferences",
            "promotion",
        }


def test_a_rubric_changed_under_way_waits_for_the_next_cycle(make_project: Maker) -> None:
    project, notes = make_project(), Notes()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAfter(2))
    rubric = project.root / "rubric.toml"
    rubric.write_text(RULES.replace("max_words = 4", "max_words = 9"), encoding="utf-8")
    assert run_cycles(project, more=2, watcher=notes) == [1, 2]
    assert [n for n in notes.notes if "rubric.toml was changed" in n] == notes.notes != []
    with LedgerReader.open(project.ledger_path) as reads:
        first, second = reads.cycles()
        assert {p.rubric_hash for p in reads.preferences(cycle=1)} == {first.rubric_hash}
        assert {p.rubric_hash for p in reads.preferences(cycle=2)} == {second.rubric_hash}
        assert first.rubric_hash != second.rubric_hash
        assert [e.kind for e in reads.events() if e.kind.startswith("rubric")] == ["rubric-kept"]
    undisturbed = make_project("undisturbed")
    run_cycles(undisturbed, more=1, watcher=Silent())
    labels = []
    for one in (project, undisturbed):
        with LedgerReader.open(one.ledger_path) as reads:
            labels.append(reads.preferences(cycle=1))
    assert labels[0] == labels[1] != []


def test_a_rubric_that_is_none_is_refused_and_the_last_one_kept(make_project: Maker) -> None:
    project, notes = make_project(), Notes()
    rubric = project.root / "rubric.toml"
    rubric.write_text(RULES.replace("weight = 0.7", "weight = much"), encoding="utf-8")
    with pytest.raises(RubricError):
        run_cycles(project, more=1, watcher=notes)
    rubric.write_text(RULES, encoding="utf-8")
    run_cycles(project, more=1, watcher=notes)
    assert notes.notes == []
    rubric.write_text(RULES.replace("weight = 0.7", "weight = much"), encoding="utf-8")
    run_cycles(project, more=1, watcher=notes)
    (note,) = notes.notes
    assert note.startswith("the rubric is refused, the one before stays in use: ")
    assert "rubric.toml:9: not valid TOML" in note
    with LedgerReader.open(project.ledger_path) as reads:
        first, second = reads.cycles()
        assert first.rubric_hash == second.rubric_hash
        assert "rubric-refused" in [e.kind for e in reads.events()]


class StopIn(Silent):
    """Raises once a stage has done a unit."""

    def __init__(self, stage: str) -> None:
        self.wanted, self.now = stage, ""

    def stage(self, cycle: int, name: str) -> None:  # noqa: ARG002 - the watcher's signature
        self.now = name

    def units(self, done: int, total: int, noun: str) -> None:  # noqa: ARG002 - likewise
        if self.now == self.wanted and done and "ratings" in noun:
            raise Stopped


def test_the_gates_judge_may_not_change_in_the_midst_of_an_evaluation(
    make_project: Maker, tmp_path: Path
) -> None:
    gates = make_tiny_lm(tmp_path / "gate-judge", context=1024)
    judge = {**SMALL["judge"], "min_label_mass": 0.0}
    evaluation = {"judge": {**judge, "path": str(gates)}}
    project = make_project(rubric=JUDGED, judge=judge, evaluation=evaluation)
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopIn("evaluation"))
    shutil.rmtree(gates)
    make_tiny_lm(gates, context=1024, seed=99)
    with pytest.raises(ConfigError, match="another rubric, template or judge"):
        run_cycles(project, more=1, watcher=Silent())


def test_settings_changed_under_way_wait_for_the_next_cycle(make_project: Maker) -> None:
    project = make_project()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAfter(1))
    settings = project.config_path.read_text(encoding="utf-8")
    changed = settings.replace("completions_per_prompt = 3", "completions_per_prompt = 4")
    project.config_path.write_text(changed, encoding="utf-8")
    run_cycles(load_project(project.root), more=2, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        assert len(reads.completions(1, "train")) == 36
        assert len(reads.completions(2, "train")) == 48
        assert "config-changed" in {e.kind for e in reads.events()}


def test_the_optimizer_can_be_chosen_until_its_stage_is_done(make_project: Maker) -> None:
    project = make_project()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("ppo"))
    settings = project.config_path.read_text(encoding="utf-8")
    for old, new in (('"ppo"', '"dpo"'), ('path = "lm"\n# how a', 'path = "else"\n# how a')):
        assert old in settings
        settings = settings.replace(old, new)
    project.config_path.write_text(settings, encoding="utf-8")
    with pytest.raises(Stopped):
        run_cycles(load_project(project.root), more=1, watcher=StopAtStage("evaluation"))
    project.config_path.write_text(settings.replace('"dpo"', '"rloo"'), encoding="utf-8")
    run_cycles(load_project(project.root), more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        report = reads.report(1, "ppo")
        assert report is not None
        assert report["optimizer"] == "dpo"
        assert {m.name for m in reads.metrics(1, "ppo")} >= {"loss", "margin"}


@pytest.mark.parametrize("optimizer", ["dpo", "rloo", "grpo", "best_of_n"])
def test_a_cycle_runs_with_each_optimizer_and_may_be_stopped(
    make_project: Maker, optimizer: str
) -> None:
    groups = {"updates": 3, "rollout_batch": 12, "minibatch": 6, "micro_batch": 6, "group_size": 3}
    changes: dict[str, dict[str, object]] = {
        "policy": {"optimizer": optimizer},
        "dpo": {"epochs": 3, "batch_size": 4, "micro_batch": 4, "checkpoint_steps": 1},
        "rloo": {**groups, "checkpoint_updates": 1},
        "grpo": {**groups, "checkpoint_updates": 1},
        "best_of_n": {"samples": 2, "batch_size": 4, "micro_batch": 4, "checkpoint_steps": 1},
    }
    calm, stopped = make_project("calm", **changes), make_project("stopped", **changes)
    run_cycles(calm, more=1, watcher=Silent())
    with pytest.raises(Stopped):
        run_cycles(stopped, more=1, watcher=StopAt("updates", 2))
    run_cycles(stopped, more=1, watcher=Silent())
    assert digest(calm) == digest(stopped)
    with LedgerReader.open(calm.ledger_path) as reads:
        report = build_report(reads)
    figures = report.cycles[0].ppo
    assert figures is not None
    assert figures.optimizer == optimizer
    assert figures.kl_base is not None
    assert (figures.kl_reference is None) == (optimizer in {"dpo", "best_of_n"})
    assert report.notes == ()


def test_cycles_of_adapters_go_on_from_each_other_and_may_be_stopped(make_project: Maker) -> None:
    changes: dict[str, dict[str, object]] = {
        "gate": {**SMALL["gate"], "min_win_rate": 0.0, "max_length_growth": 9.0},
        "ppo": {**SMALL["ppo"], "lora_rank": 4, "learning_rate": 1e-3},
        "reward_model": {
            **SMALL["reward_model"], "lora_rank": 4, "ensemble": 2, "ensemble_kind": "adapters",
        },
    }  # fmt: skip
    calm, stopped = make_project("calm", **changes), make_project("stopped", **changes)
    run_cycles(calm, more=2, watcher=Silent())
    for watcher in (StopAt("updates", 2), StopAt("updates", 3)):
        with pytest.raises(Stopped):
            run_cycles(stopped, until=2, watcher=watcher)
    run_cycles(stopped, until=2, watcher=Silent())
    assert digest(calm) == digest(stopped)
    with LedgerReader.open(calm.ledger_path) as reads:
        assert [p.version for p in reads.policies()] == ["v0000", "v0001", "v0002"]
    for version in ("v0001", "v0002"):
        names = {p.name for p in (calm.policies / version).iterdir()}
        assert "adapter_model.safetensors" in names
        assert "model.safetensors" not in names
        assert base_of(calm.policies / version) == str((calm.root / "lm").resolve())


def test_a_second_process_is_told_who_holds_the_project(make_project: Maker) -> None:
    project = make_project()
    with ProjectLock(project.lock_path), pytest.raises(ProjectLockedError) as caught:
        run_cycles(project, more=1, watcher=Silent())
    assert caught.value.exit_code == 75


def test_a_broken_pool_stops_at_the_start_and_costs_nothing(make_project: Maker) -> None:
    project = make_project()
    run_cycles(project, more=1, watcher=Silent())
    before = digest(project)
    pool = project.root / "prompts" / "pools" / "more.jsonl"
    pool.write_text('{"promt": "typo"}\n', encoding="utf-8")
    with pytest.raises(PromptFileError, match=r"more\.jsonl:1"):
        run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycle(1).status == "done"
    pool.unlink()
    assert run_cycles(project, until=2, watcher=Silent()) == [2]
    assert digest(project) != before


def test_rolled_back_and_mended_links(make_project: Maker) -> None:
    project = make_project()
    run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        assert previous_policy(reads) == "v0000"
    promote_policy(project, "v0000", "a person's word", "rollback")
    current = project.policies / "current"
    assert current.resolve() == (project.root / "lm").resolve()
    current.unlink()
    current.symlink_to("v0001")
    notes: list[str] = []

    class Listening(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    run_cycles(project, more=1, watcher=Listening())
    assert any("the ledger wins" in note for note in notes)
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycle(2).incumbent == "v0000"
    with pytest.raises(UsageError, match="v0042"):
        promote_policy(project, "v0042", "", "promote")


def test_how_many_cycles_must_be_clear(make_project: Maker) -> None:
    project = make_project()
    for wrong in ({}, {"more": 1, "until": 1}):
        with pytest.raises(UsageError):
            run_cycles(project, watcher=Silent(), **wrong)


def test_a_projects_paths_are_not_in_its_digest(make_project: Maker, tmp_path: Path) -> None:
    first, moved = make_project("short"), make_project("a-much-longer-name")
    for project in (first, moved):
        run_cycles(project, more=1, watcher=Silent())
    assert digest(first) == digest(moved)
    assert str(tmp_path) not in json.dumps(
        [a.path for a in LedgerReader.open(first.ledger_path).artifacts()]
    )
