"""Drafts on trial against what a real cycle wrote."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rlaif.cli import main
from rlaif.config import JudgeConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.judges import PAIR_LABELS, JudgeRequest, Juror, load_templates
from rlaif.ledger.reader import LedgerReader
from rlaif.progress import Silent
from rlaif.project import Project
from rlaif.records import digest_of
from rlaif.testing import ScriptedJudge
from tests.cycle.conftest import JUDGED, RULES, Maker


def whim(*names: object) -> float:
    return int(digest_of(list(map(str, names)))[:8], 16) / 2**32


def whimsical(request: JudgeRequest) -> dict[str, float]:
    """Judge by chance, the same answers always alike, with a liking for what is shown first."""
    if request.labels == PAIR_LABELS:
        p = 0.15 + 0.7 * whim(request.criterion, *request.shown)
        return {"A": p, "B": 1.0 - p}
    place = whim(request.criterion, *request.shown) * (len(request.labels) - 1)
    return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}


@pytest.fixture
def project(make_project: Maker, monkeypatch: pytest.MonkeyPatch) -> Project:
    def juror(_: Crew, config: JudgeConfig) -> Juror:
        judge = ScriptedJudge(whimsical)
        return Juror("whimsical", judge, load_templates("detailed"), config.min_label_mass)

    monkeypatch.setattr(Crew, "_juror", juror)
    made = make_project(
        rubric=JUDGED,
        judging={"pairs_per_prompt": 2, "flip_threshold": 0.3},
        ppo={"updates": 1, "checkpoint_updates": 1},
    )
    run_cycles(made, more=1, watcher=Silent())
    return made


def previewed(project: Project, draft: Path) -> dict[str, object]:
    arguments = ["--project", str(project.root), "rubric", "preview", str(draft)]
    done = CliRunner().invoke(main, [*arguments, "--n", "99", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_draft_that_is_the_rubric_changes_nothing_and_one_of_rules_costs_nothing(
    project: Project, tmp_path: Path
) -> None:
    with LedgerReader.open(project.ledger_path) as reader:
        verdicts = reader.pair_verdicts(1, "judging")
        before = reader.digest()
    same = previewed(project, project.root / "rubric.toml")
    assert same["pairs"] == len(verdicts) == 24
    outcomes = same["outcomes_draft"]
    assert same["outcomes_current"] == outcomes
    assert isinstance(outcomes, dict)
    assert outcomes["quarantined"] == sum(v.quarantined is not None for v in verdicts) > 0
    assert same["changes"] == []
    assert same["notes"] == [
        "the pairs were judged by just this: what differs is the judge's own doing"
    ]
    (kind,) = same["criteria"]  # type: ignore[misc]
    assert (kind["ratings"]["distance"], kind["same_side"]["rate"]) == (0.0, 1.0)
    cost = same["cost"]
    assert isinstance(cost, dict)
    assert cost["current"]["calls"] == cost["draft"]["calls"] > 48

    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    other = previewed(project, rules)
    assert (other["only_current"], other["only_draft"]) == (["kind"], ["brief", "open"])
    assert other["cost"]["cycle"]["calls"] == 0  # type: ignore[index]
    assert other["changes"] != []
    with LedgerReader.open(project.ledger_path) as reader:
        assert reader.digest() == before
