"""The labels come from the judge: with its weights at random, three cycles change nothing."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rlaif.cli import main
from rlaif.judges import load_rubric
from rlaif.project import share
from rlaif.seeds import seed_everything


def rlaif(*words: str) -> str:
    found = CliRunner().invoke(main, words, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def random_judge(folder: Path) -> Path:
    bundled = share("policies", "tiny-judge")
    seed_everything(7)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(bundled))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.05)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(bundled).save_pretrained(folder)
    return folder


def test_most_of_the_rubric_is_the_judges() -> None:
    rubric = load_rubric(share("prompts", "rubrics", "helpdesk.toml"))
    judged = sum(c.weight for c in rubric.judge_criteria)
    assert judged / sum(c.weight for c in rubric.criteria) >= 0.8


@pytest.mark.slow
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("min_label_mass", ["0.5", "0.0"])
def test_a_random_judge_teaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, min_label_mass: str
) -> None:
    project = str(tmp_path / "project")
    rlaif("init", project)
    monkeypatch.setenv("RLAIF_JUDGE__PATH", str(random_judge(tmp_path / "judge")))
    monkeypatch.setenv("RLAIF_JUDGE__MIN_LABEL_MASS", min_label_mass)
    rlaif("--project", project, "run", "--cycles", "3")
    report = json.loads(rlaif("--project", project, "report", "--json"))
    rates = [
        c["oracle"]["win_rate_vs_base"]
        for c in report["cycles"]
        if c["gate"]["decision"] == "promote" and c["oracle"]
    ]
    assert 0.45 <= (rates[-1] if rates else 0.5) <= 0.55
