"""A cycle hears a rater's last word: what it replaced neither calibrates nor trains."""

import json
from pathlib import Path

import pytest

from rlaif.cycle import run_cycles
from rlaif.ledger.reader import LedgerReader
from tests.cycle.conftest import Maker
from tests.cycle.test_human_feedback import StopAtStage, Stopped, command, report


def test_what_was_replaced_neither_calibrates_nor_trains(
    make_project: Maker, tmp_path: Path
) -> None:
    project = make_project(feedback={"frozen_share": 0.0, "train_weight": 1.0})
    line = {"prompt": "How do I greet?", "chosen": "Hello.", "rejected": "Go.", "rater": "ana"}
    path = tmp_path / "labels.jsonl"
    for said in (line, {**line, "chosen": "Go.", "rejected": "Hello."}):
        path.write_text(json.dumps(said) + "\n", encoding="utf-8")
        command(project, "feedback", "import", path)
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAtStage("reward_model"))
    with LedgerReader.open(project.ledger_path) as reads:
        old, new = reads.human_labels()
        assert reads.cycle_labels(1) == [new]
        humans = [p for p in reads.preferences(cycle=1) if p.origin == "human"]
        assert [p.label for p in humans] == [new.value] != [old.value]
    assert report(project).labels == 1
