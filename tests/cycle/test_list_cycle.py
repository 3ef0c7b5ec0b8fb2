"""Cycles whose judge ranks lists: labels follow the ranking, whatever stops the cycle."""

from collections import Counter
from itertools import combinations

import pytest

from rlaif.config import JudgeConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.errors import ConfigError
from rlaif.judges import PAIR_LABELS, JudgeRequest, Juror, load_templates
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import PairVerdict, Ranking
from rlaif.testing import ScriptedJudge
from tests.cycle.conftest import JUDGED, Maker

LISTS = {"compare": "lists", "list_size": 3, "pairwise_weight": 1.0}
SMALL_BATCHES = {"path": "lm", "max_critique_tokens": 4, "template": "detailed", "batch_size": 12}


def spread(text: str) -> float:
    """A taste that tells any two texts apart."""
    return sum(ord(sign) * (place + 1) for place, sign in enumerate(text)) % 997 / 997


def likes(request: JudgeRequest) -> dict[str, float] | str:
    """Rates all alike, so that nothing but rankings can tell answers apart."""
    if request.asks == "ranking":
        levels = [spread(text) for text in request.shown]
        order = sorted(range(len(levels)), key=lambda place: -levels[place])
        return "Well.\nRanking: " + " > ".join(request.labels[place] for place in order)
    if request.labels == PAIR_LABELS:
        return {"A": 0.5, "B": 0.5}
    return {label: float(label == "2") for label in request.labels}


def as_shown(request: JudgeRequest) -> dict[str, float] | str:
    """Ranks answers as it sees them."""
    if request.asks == "ranking":
        return "Well.\nRanking: " + " > ".join(request.labels)
    return likes(request)


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedJudge]:
    """Every project's judge follows ``likes``; return those that were made."""
    made: list[ScriptedJudge] = []

    def juror(_: Crew, config: JudgeConfig) -> Juror:
        made.append(ScriptedJudge(likes, "listing"))
        template = load_templates(config.template)
        return Juror("listing", made[-1], template, config.min_label_mass)

    monkeypatch.setattr(Crew, "_juror", juror)
    return made


class StopError(Exception):
    """A run was stopped on purpose."""


class Stop(Silent):
    """Stops a run before a stage, or once so many batches of rankings are done."""

    def __init__(self, stage: str = "", batches: int = -1) -> None:
        self._stage = stage
        self._batches = batches

    def stage(self, cycle: int, stage: str) -> None:  # noqa: ARG002 - a watcher's signature
        if stage == self._stage:
            raise StopError

    def units(self, done: int, total: int, noun: str) -> None:  # noqa: ARG002 - as above
        if noun == "batches of rankings" and done == self._batches:
            raise StopError


def run_until(project: Project, stop: Stop) -> None:
    with pytest.raises(StopError):
        run_cycles(project, more=1, watcher=stop)


def verdicts_of(project: Project) -> list[PairVerdict]:
    with LedgerReader.open(project.ledger_path) as reads:
        return reads.pair_verdicts(1, "judging")


def test_labels_follow_the_ranking(make_project: Maker, judges: list[ScriptedJudge]) -> None:
    project = make_project(rubric=JUDGED, judging=LISTS, judge=SMALL_BATCHES)
    assert run_cycles(project, more=1, watcher=Silent()) == [1]
    with LedgerReader.open(project.ledger_path) as reads:
        answers = {c.id: c for c in reads.completions(1, "train")}
        listed = [j for j in reads.judgements(cycle=1, stage="judging") if j.kind == "listwise"]
        verdicts = reads.pair_verdicts(1, "judging")
        preferences = reads.preferences(cycle=1)
        units = [u for u in reads.done_units(1, "judging") if u.startswith("rankings")]
        evaluated = reads.judgements(cycle=1, stage="evaluation")
    assert len(listed) == 2 * len({frozenset(j.completion_ids) for j in listed}) == 24
    for judgement in listed:
        said = judgement.verdict
        assert isinstance(said, Ranking)
        ranked = [spread(answers[judgement.completion_ids[place]].text) for place in said.places]
        assert ranked == sorted(ranked, reverse=True)
        assert judgement.method == "words"
    lists = {frozenset(j.completion_ids) for j in listed}
    pairs = {frozenset(pair) for ids in lists for pair in combinations(sorted(ids), 2)}
    assert {frozenset((v.first_id, v.second_id)) for v in verdicts} == pairs
    assert len(verdicts) == len(pairs)
    for verdict in verdicts:
        better = spread(answers[verdict.first_id].text) > spread(answers[verdict.second_id].text)
        assert verdict.p_first is not None
        assert (verdict.p_first > 0.5) == better
        assert verdict.quarantined is None
    by_pair = {(v.first_id, v.second_id): v.p_first for v in verdicts}
    compared = [p for p in preferences if p.origin == "comparison"]
    assert compared
    assert all(by_pair[p.first_id, p.second_id] == p.label for p in compared)
    assert len(units) == 3  # 12 lists, 12 // 3 in a unit
    assert {j.kind for j in evaluated} == {"pointwise", "pairwise"}
    assert any(r.asks == "ranking" for judge in judges for r in judge.requests)


@pytest.mark.usefixtures("judges")
def test_judging_of_lists_that_was_stopped_ends_the_same(make_project: Maker) -> None:
    whole, stopped = (
        make_project(name, rubric=JUDGED, judging=LISTS, judge=SMALL_BATCHES) for name in "ab"
    )
    run_until(whole, Stop("reward_model"))
    run_until(stopped, Stop(batches=1))
    run_until(stopped, Stop(batches=2))
    with LedgerReader.open(stopped.ledger_path) as reads:
        done = [u for u in reads.done_units(1, "judging") if u.startswith("rankings")]
        assert sorted(done) == ["rankings-train-0000", "rankings-train-0001"]
        assert reads.preferences() == []
    run_until(stopped, Stop("reward_model"))
    digests = []
    for project in (whole, stopped):
        with LedgerReader.open(project.ledger_path) as reads:
            assert reads.preferences() != []
            digests.append(reads.digest())
    assert digests[0] == digests[1]


def test_lists_that_change_with_the_order_train_nothing(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def juror(_: Crew, config: JudgeConfig) -> Juror:
        judge = ScriptedJudge(as_shown, "as-shown")
        return Juror("as-shown", judge, load_templates("detailed"), config.min_label_mass)

    monkeypatch.setattr(Crew, "_juror", juror)
    project = make_project(rubric=JUDGED, judging=LISTS)
    run_cycles(project, more=1, watcher=Silent())
    found = verdicts_of(project)
    assert found
    assert all("rankings change with the order" in (v.quarantined or "") for v in found)
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.preferences() == []
        decision = reads.gate_decision(1)
        assert decision is not None
        assert decision.decision == "hold"
        quarantined = reads.critiques(quarantined=True, limit=1000)
        assert {view.kind for view in quarantined} == {"listwise"}
        assert len(quarantined) == 24


@pytest.mark.usefixtures("judges")
def test_probes_are_compared_beside_lists_and_change_no_label(make_project: Maker) -> None:
    tried, untried = (
        make_project(name, rubric=JUDGED, judging=LISTS, audit={"probe_share": share})
        for name, share in (("tried", 0.5), ("untried", 0.0))
    )
    for project in (tried, untried):
        run_until(project, Stop("preferences"))
    assert verdicts_of(tried) == verdicts_of(untried) != []
    with LedgerReader.open(tried.ledger_path) as reads:
        probes = {p.id for p in reads.completions(1, "probe-compared")}
        kinds = Counter(
            j.kind
            for j in reads.judgements(cycle=1)
            if len(j.completion_ids) > 1 and probes.intersection(j.completion_ids)
        )
    assert len(probes) == 6 + 2  # two forge a verdict, and are compared with either letter
    assert kinds == {"pairwise": 12}


def test_a_template_that_cannot_ask_for_rankings_is_refused_before_the_first_row(
    make_project: Maker,
) -> None:
    project = make_project(
        rubric=JUDGED, judging=LISTS, judge={"path": "lm", "template": "compact"}
    )
    with pytest.raises(ConfigError, match=r"'compact' has no listwise\.jinja"):
        run_cycles(project, more=1, watcher=Silent())
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycles() == []


@pytest.mark.usefixtures("judges")
def test_a_judge_of_evaluation_alone_need_not_rank(make_project: Maker) -> None:
    apart = {"judge": {"path": "lm", "template": "compact", "name": "other"}}
    project = make_project(rubric=JUDGED, judging=LISTS, evaluation=apart)
    crew = Crew(project, project.config)
    assert crew.panel(project.config.jury).ranks
    assert not crew.panel(project.config.evaluation_jury).ranks
