"""A model from the wild, a rubric without a judge: the same commands bring it up."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rlaif.cli import main
from rlaif.judges import load_rubric
from rlaif.ledger.reader import LedgerReader

DATA = Path(__file__).parent / "data"
RUBRIC = DATA / "warm-stories.toml"


def rlaif(*words: str) -> str:
    found = CliRunner().invoke(main, words, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_the_rubric_asks_no_judge_and_leans_on_embeddings() -> None:
    rubric = load_rubric(RUBRIC)
    assert not rubric.judge_criteria
    assert max(c.weight for c in rubric.embedding_criteria) >= 0.3


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_stories_improve_in_two_cycles(stories: Path, tmp_path: Path) -> None:
    project = str(tmp_path / "stories")
    rlaif(
        *("init", project, "--policy", str(stories), "--rubric", str(RUBRIC)),
        *("--prompts", str(DATA / "openings.jsonl")),
    )
    rlaif("--project", project, "run", "--cycles", "2")
    report = json.loads(rlaif("--project", project, "report", "--json"))
    best = [
        c["evaluation"]["win_rate_vs_base"]
        for c in report["cycles"]
        if c["gate"]["decision"] == "promote"
    ]
    with LedgerReader.open(tmp_path / "stories" / "state" / "ledger.db") as reads:
        base = [s.score for s in reads.scores(1, "evaluation", "eval-base")]
        assert reads.cycle_counts(1).unscored == 0
    assert sum(base) / len(base) <= 0.4
    assert best[-1] >= 0.7
