"""A juror that stands alone: what it was alone on is held back, told, and found in the log."""

import re
from collections.abc import Mapping

import pytest

from rlaif.config import JudgeConfig
from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.judges import PAIR_LABELS, JudgeRequest, Juror, load_templates
from rlaif.ledger.reader import LedgerReader
from rlaif.project import load_project
from rlaif.testing import ScriptedJudge
from tests.cycle.conftest import JUDGED, Maker
from tests.cycle.watchers import Notes

ALONE = "odd stood alone under kind: over 0.50 from every other juror"


def juror(_: Crew, config: JudgeConfig) -> Juror:
    """Find every answer kind, but odd finds those to questions with an even number rude."""
    name = config.display_name

    def script(request: JudgeRequest) -> Mapping[str, float]:
        if request.labels == PAIR_LABELS:
            return {"A": 0.5, "B": 0.5}
        number = int(re.findall(r"Question (\d+) about", request.text)[-1])
        rude = name == "odd" and number % 2 == 0
        return {"1": float(rude), "2": 0.0, "3": float(not rude)}

    return Juror(name, ScriptedJudge(script, name), load_templates("detailed"), 0.5)


def test_ratings_that_one_juror_stands_alone_on_train_nothing_and_are_not_lost(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlaif.cycle._trains", lambda _: False)
    monkeypatch.setattr(Crew, "_juror", juror)
    made = make_project(
        rubric=JUDGED,
        judging={"pairs_per_prompt": 1, "max_disagreement": 1.0, "max_rating_distance": 1.0},
        preferences={"ties": "keep"},
    )
    seats = "".join(f'\n[[jurors]]\nname = "{name}"\npath = "lm"\n' for name in ("fond", "odd"))
    text = made.config_path.read_text(encoding="utf-8")
    made.config_path.write_text(text + seats, encoding="utf-8")
    project, watcher = load_project(made.root), Notes()
    run_cycles(project, more=1, watcher=watcher)
    with LedgerReader.open(project.ledger_path) as reads:
        scores = reads.scores(1, "judging")
        held = {s.completion_id for s in scores if s.quarantined == ALONE}
        trained = [p for p in reads.preferences() if p.origin == "ratings"]
        shown = reads.critiques(quarantined=True, limit=10_000)
    assert 0 < len(held) < len(scores)
    assert trained
    assert not held & {i for p in trained for i in (p.first_id, p.second_id)}
    assert {view.completions[0].id for view in shown} == held
    assert {view.quarantined for view in shown} == {ALONE}
    told = f"{len(held)} of {len(scores)} answers are in no pair that ratings label"
    assert any(note.startswith(told) for note in watcher.notes)
