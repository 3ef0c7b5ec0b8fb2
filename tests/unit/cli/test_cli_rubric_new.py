"""``rlaif rubric new``: what it writes, and what it never writes over."""

import json
from pathlib import Path

import pytest
import torch

from cli.conftest import Rlaif
from cli.rubric_samples import changed, general, write
from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.judges import Juror, RubricJudge, TransformersJudge, load_rubric, load_templates
from rlaif.models.loading import load_language_model
from rlaif.project import Project, share
from rlaif.records import Completion, Message, Prompt, Rating


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_new_rubric_is_right_as_it_stands(here: Rlaif, project: Project, language: str) -> None:
    result = here("rubric", "new", "our-tone", "--language", language)
    path = project.root / "prompts" / "rubrics" / "our-tone.toml"
    assert result.exit_code == 0
    assert f"wrote {path}" in result.stdout
    assert 'path = "prompts/rubrics/our-tone.toml" under [rubric]' in result.stdout
    found = load_rubric(path)
    assert (found.name, found.language, len(found.criteria)) == ("our-tone", language, 3)
    assert sum(c.weight for c in found.criteria) == pytest.approx(1.0)
    general(project)
    checked = here("rubric", "validate", path)
    assert checked.exit_code == 0
    assert checked.stdout.startswith(f"{path} is a rubric: 3 criteria, content ")
    text = path.read_text(encoding="utf-8")
    assert "NAME" not in text
    assert sum(line.startswith("#") for line in text.splitlines()) >= 12


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_bundled_judge_can_judge_by_a_new_rubric(
    here: Rlaif, project: Project, language: str
) -> None:
    here("rubric", "new", "mine", "--language", language)
    judge = TransformersJudge(
        load_language_model(str(share("policies", "tiny-judge")), torch.device("cpu")),
        JudgeConfig(),
    )
    panel = RubricJudge(
        load_rubric(project.root / "prompts" / "rubrics" / "mine.toml"),
        judging=JudgingConfig(),
        jury=(Juror("tiny", judge, load_templates("compact"), 0.0),),
    )
    asked = Message(role="user", content="What is the capital of Peru?")
    prompt = Prompt(id="p", messages=(asked,), split="train")
    answer = Completion(
        id="c", prompt_id="p", policy="x", index=0, text="It is Lima.", length=4, ended=True
    )
    (judged,) = panel.rate([(prompt, answer)])
    assert [type(j.verdict) for j in judged] == [Rating] * 3


def test_a_rubric_may_have_a_chinese_name(here: Rlaif, project: Project) -> None:
    found = json.loads(here("rubric", "new", "\u53e3\u543b", "--json").stdout)
    assert found == {
        "path": str(project.root / "prompts" / "rubrics" / "\u53e3\u543b.toml"),
        "setting": "prompts/rubrics/\u53e3\u543b.toml",
    }
    assert load_rubric(Path(found["path"])).name == "\u53e3\u543b"


def test_a_rubric_can_begin_with_another(here: Rlaif, project: Project) -> None:
    assert here("rubric", "new", "ours", "--from", "support-desk").exit_code == 0
    path = project.root / "prompts" / "rubrics" / "ours.toml"
    shipped = share("prompts", "rubrics", "support-desk.toml")
    old = 'name = "support-desk"'
    assert path.read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8").replace(
        old, 'name = "ours"', 1
    )
    assert load_rubric(path).content_hash == load_rubric(shipped).content_hash


def test_a_rubric_without_its_name_on_a_line_is_not_copied(
    here: Rlaif, project: Project, tmp_path: Path
) -> None:
    odd = write(tmp_path, changed(('name = "desk"', "name = 'desk'")))
    result = here("rubric", "new", "ours", "--from", odd)
    assert result.exit_code == 78
    assert f"{odd}: no line of the form" in result.stderr
    assert not (project.root / "prompts" / "rubrics" / "ours.toml").exists()


def test_a_file_that_is_there_is_never_overwritten(here: Rlaif, project: Project) -> None:
    path = project.root / "prompts" / "rubrics" / "helpdesk.toml"
    before = path.read_bytes()
    result = here("rubric", "new", "helpdesk")
    assert result.exit_code == 2
    assert f"{path} exists already" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["a/b", "../up", "", ".hidden", "x.toml", "two words"])
def test_a_name_that_is_no_files_name_is_refused(here: Rlaif, name: str) -> None:
    result = here("rubric", "new", name)
    assert result.exit_code == 2
    assert f"a rubric called {name!r}" in result.stderr


def test_a_new_rubric_needs_a_project(rlaif: Rlaif, tmp_path: Path) -> None:
    result = rlaif("--project", tmp_path, "rubric", "new", "mine")
    assert result.exit_code == 78
    assert "rlaif init DIR" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_with_a_dot_is_a_name_to_every_command(here: Rlaif, project: Project) -> None:
    assert here("rubric", "new", "tone.v2").exit_code == 0
    path = project.root / "prompts" / "rubrics" / "tone.v2.toml"
    assert json.loads(here("rubric", "show", "tone.v2", "--json").stdout)["path"] == str(path)
    checked = here("rubric", "validate", "tone.v2", "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["file"]) == (0, str(path))
    assert here("rubric", "diff", "tone.v2", "tone.v2").exit_code == 0
