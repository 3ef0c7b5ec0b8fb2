"""Cycles with humans' labels: measured, calibrated, trained beside, and the same when stopped."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rlaif import crew
from rlaif.cli import main
from rlaif.cycle import run_cycles
from rlaif.cycle.paying import LedgerReplies
from rlaif.judges.protocol import PAIR_LABELS, JudgeReply, JudgeRequest
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import digest_of
from rlaif.stages.calibration import JudgeCalibration
from rlaif.stages.pools import read_pools
from rlaif.testing import ScriptedJudge
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.test_cycle import digest
from tests.cycle.watchers import StopAfter, Stopped

FEEDBACK = {"min_labels": 20, "frozen_share": 0.4}
PROMPTS = 40


def chance(*names: object) -> float:
    return int(digest_of(list(map(str, names)))[:8], 16) / 2**32


def quality(text: str) -> float:
    if "kind" in text:
        return 0.9
    return 0.1 if "Go away" in text else chance(text)


class Taste:
    """A judge's taste, far surer than the humans below find it right; ``sign`` turns it round."""

    def __init__(self) -> None:
        self.sign = 1.0

    def __call__(self, request: JudgeRequest) -> dict[str, float]:
        levels = [0.5 + self.sign * (quality(text) - 0.5) for text in request.shown]
        if request.labels == PAIR_LABELS:
            p = 1.0 / (1.0 + math.exp(-6.0 * (levels[0] - levels[1])))
            return {"A": p, "B": 1.0 - p}
        place = levels[0] * (len(request.labels) - 1)
        return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}


def write_labels(path: Path, agreeing: float = 0.75, **more: object) -> Path:
    """Pairs of a kind and a rude answer; the humans take the kind one so often."""
    lines = []
    for number in range(PROMPTS):
        pair = [f"A kind answer, {number}. \u4f60\u597d", f"Go away, {number}! \U0001f600"]
        if number >= agreeing * PROMPTS:
            pair.reverse()
        line = {"prompt": f"How do I greet {number}?", "chosen": pair[0], "rejected": pair[1]}
        lines.append(json.dumps({**line, **more}, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


Judged = Callable[..., Project]


@pytest.fixture
def taste() -> Taste:
    return Taste()


@pytest.fixture
def judged(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch, taste: Taste, tmp_path: Path
) -> Judged:
    """Make a project whose judge has a taste, with humans' labels imported."""
    monkeypatch.setattr(crew, "TransformersJudge", lambda *_: ScriptedJudge(taste))

    def make(name: str = "project", **settings: object) -> Project:
        feedback = {**FEEDBACK, **settings}
        audit = {"probe_share": 0.0, "again_share": 0.0}
        project = make_project(name, JUDGED, feedback=feedback, audit=audit)
        told = command(project, "feedback", "import", write_labels(tmp_path / "labels.jsonl"))
        assert "40 labels: 40 new, 0 known" in told
        return project

    return make


class StopAtStage(Silent):
    """Stops where a stage has begun to judge."""

    def __init__(self, name: str) -> None:
        self.name, self.now = name, ""

    def stage(self, cycle: int, name: str) -> None:  # noqa: ARG002 - the watcher's signature
        self.now = name

    def units(self, done: int, total: int, noun: str) -> None:  # noqa: ARG002 - likewise
        if self.now == self.name:
            raise Stopped


class Listening(StopAtStage):
    """Keeps what it is told, up to the reward model."""

    def __init__(self) -> None:
        super().__init__("reward_model")
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def command(project: Project, *args: object) -> str:
    """Run a command; return what it printed."""
    done = CliRunner().invoke(
        main, ["--project", str(project.root), *map(str, args)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


def report(project: Project, cycle: int = 1) -> JudgeCalibration:
    with LedgerReader.open(project.ledger_path) as reads:
        return JudgeCalibration.model_validate(reads.report(cycle, "calibration"))


def test_labels_are_judged_calibrate_and_train(judged: Judged) -> None:
    project = judged(train_weight=0.5)
    run_cycles(project, more=1, watcher=Silent())
    found = report(project)
    whole = found.agreements[0]
    assert (found.labels, whole.accuracy.rate, whole.accuracy.count) == (PROMPTS, 0.75, PROMPTS)
    assert found.order.consistent.rate == 1.0
    calibration = found.comparison.calibration
    assert calibration is not None
    with LedgerReader.open(project.ledger_path) as reads:
        labels = {x.id: x for x in reads.cycle_labels(1)}
        frozen = [x for x in labels.values() if x.frozen]
        assert found.frozen.labels == len(frozen)
        assert found.comparison.labels == PROMPTS - len(frozen)
        made = reads.preferences(cycle=1)
        humans = [p for p in made if p.origin == "human"]
        assert {p.weight for p in humans} == {0.5}
        assert {p.prompt_id for p in humans} == {x.prompt_id for x in labels.values()} - {
            x.prompt_id for x in frozen
        }
        assert {p.label for p in humans} == {0.0, 1.0}
        raw = {(v.first_id, v.second_id): v.p_first for v in reads.pair_verdicts(1, "judging")}
        compared = [p for p in made if p.origin == "comparison"]
        assert compared
        for preference in compared:
            said = raw[preference.first_id, preference.second_id]
            assert said is not None
            assert preference.label == pytest.approx(calibration.apply(said))
            assert abs(preference.label - 0.5) < abs(said - 0.5)
            assert preference.weight == 1.0
        reward = reads.report(1, "reward_model")
        assert reward is not None
        assert reward["preferences"] == sum(p.split == "train" for p in made)
        assert reads.critiques("How do I greet 3?")[0].stage == "calibration"
        decision = reads.gate_decision(1)
        assert decision is not None
        assert decision.checks[-1].name == "judge_drift"
        assert decision.checks[-1].passed


def test_only_what_is_frozen_is_asked_anew(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    project = judged()
    inside: list[str] = []
    judge = ScriptedJudge.judge

    @contextmanager
    def anew(_: LedgerReplies, stage: str) -> Iterator[None]:
        inside.append(stage)
        yield
        inside.clear()

    asked: dict[bool, set[str]] = {True: set(), False: set()}

    def listening(self: ScriptedJudge, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        asked[bool(inside)] |= {text for request in requests for text in request.shown}
        return judge(self, requests)

    monkeypatch.setattr(LedgerReplies, "anew", anew)
    monkeypatch.setattr(ScriptedJudge, "judge", listening)
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("reward_model"))
    with LedgerReader.open(project.ledger_path) as reads:
        texts: dict[bool, set[str]] = {True: set(), False: set()}
        for label in reads.cycle_labels(1):
            both = [label.first_id, str(label.second_id)]
            texts[label.frozen] |= {c.text for c in reads.completions_by_id(both)}
        generated = {c.text for c in reads.completions(1, "train")}
    assert asked[True] == texts[True]
    assert asked[False] - generated == texts[False]


def told_of(project: Project, path: Path, prompts: Sequence[str]) -> str:
    """Import pairs that are not to train, run until they would; return what the watcher heard."""
    lines = [{"prompt": text, "chosen": "Yes.", "rejected": "No."} for text in prompts]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    command(project, "feedback", "import", path)
    watcher = Listening()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=watcher)
    with LedgerReader.open(project.ledger_path) as reads:
        humans = [p for p in reads.preferences(cycle=1) if p.origin == "human"]
        assert len(reads.cycle_labels(1)) == PROMPTS + len(prompts)
    assert len(humans) == PROMPTS
    return watcher.notes[-1]


def test_prompts_that_the_policy_cannot_take_do_not_train_and_are_told(
    judged: Judged, tmp_path: Path
) -> None:
    project = judged(train_weight=1.0, frozen_share=0.0)
    told = told_of(project, tmp_path / "long.jsonl", ["long " * 2000])
    assert "does not take do not train: 1" in told


def test_what_nearly_asks_what_is_held_out_does_not_train(judged: Judged, tmp_path: Path) -> None:
    project = judged(train_weight=1.0, frozen_share=0.0)
    config = project.config.sampling.model_copy(update={"duplicate_similarity": 0.99})
    project.config = project.config.model_copy(update={"sampling": config})
    pool = read_pools(project.root, config.pools, config.eval_share)
    asked = next(p.text for p in pool if p.split == "eval")
    told = told_of(project, tmp_path / "near.jsonl", [asked, f"{asked} {asked}"])
    assert "in its words or nearly, do not train: 2" in told


def test_with_weight_nothing_only_measures(judged: Judged) -> None:
    project = judged(calibration="off")
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("reward_model"))
    with LedgerReader.open(project.ledger_path) as reads:
        made = reads.preferences(cycle=1)
        assert {p.origin for p in made} == {"comparison", "ratings"}
        raw = {(v.first_id, v.second_id): v.p_first for v in reads.pair_verdicts(1, "judging")}
        assert all(
            p.label == raw[p.first_id, p.second_id] for p in made if p.origin == "comparison"
        )
    assert report(project).agreements[0].accuracy.rate == 0.75


def test_stopped_again_and_again_it_ends_the_same(judged: Judged) -> None:
    undisturbed, disturbed = judged("a", train_weight=1.0), judged("b", train_weight=1.0)
    run_cycles(undisturbed, more=1, watcher=Silent())
    stops = 0
    while True:
        try:
            run_cycles(disturbed, until=1, watcher=StopAfter(1))
        except Stopped:
            stops += 1
            assert stops < 60
            continue
        break
    assert stops > 5
    assert digest(disturbed) == digest(undisturbed)


def test_labels_that_come_while_the_judge_is_measured_wait(judged: Judged, tmp_path: Path) -> None:
    project = judged()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("calibration"))
    more = write_labels(tmp_path / "more.jsonl", rater="ben")
    assert "40 new" in command(project, "feedback", "import", more)
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("reward_model"))
    assert report(project).labels == PROMPTS
    with LedgerReader.open(project.ledger_path) as reads:
        assert (len(reads.cycle_labels(1)), len(reads.human_labels())) == (PROMPTS, 2 * PROMPTS)


def test_labels_that_come_after_preferences_wait_for_the_next_cycle(
    make_project: Maker, tmp_path: Path
) -> None:
    project = make_project()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("reward_model"))
    command(project, "feedback", "import", write_labels(tmp_path / "late.jsonl"))
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("reward_model"))
    with LedgerReader.open(project.ledger_path) as reads:
        assert "calibration" not in {s.stage for s in reads.stages(1)}
        assert reads.cycle_labels(1) == []


def gate(project: Project, cycle: int) -> Any:
    with LedgerReader.open(project.ledger_path) as reads:
        decision = reads.gate_decision(cycle)
    assert decision is not None
    return next(check for check in decision.checks if check.name == "judge_drift")


def test_a_judge_that_changed_behind_its_name_stops_promotion(judged: Judged, taste: Taste) -> None:
    project = judged()
    run_cycles(project, more=1, watcher=Silent())
    assert "first time" in gate(project, 1).reason
    taste.sign = -1.0
    run_cycles(project, more=1, watcher=Silent())
    first, second = report(project, 1), report(project, 2)
    assert first.rubric_hash == second.rubric_hash
    assert second.drift.found
    assert second.drift.reference == 1
    assert second.frozen.agreement == pytest.approx(1.0 - (first.frozen.agreement or 0.0))
    check = gate(project, 2)
    assert not check.passed
    assert "since cycle 1, which is a sure fall by more than 0.050" in check.reason
    assert "yes" in command(project, "feedback", "report")
    told = json.loads(command(project, "report", "--json"))["cycles"]
    assert [c["judge"]["drift_found"] for c in told] == [False, True]
    assert "Judge and humans" in command(project, "report")
