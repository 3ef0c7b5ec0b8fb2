"""``rlaif init``: a project's folder, for the bundled world and for anybody's own."""

import errno
import json
import tomllib
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from rlaif.cli import init as init_command
from rlaif.config import CONFIG_NAME, RlaifConfig
from rlaif.project import load_project, share

RUBRIC = """name = "stories"
version = "1"
language = "en"

[[criteria]]
name = "ends"
kind = "rule"
weight = 1.0
rule = { ends_with = "." }
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "story"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
def rubric(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(RUBRIC, encoding="utf-8")
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "openings [1].jsonl"
    lines = [json.dumps({"prompt": f"Once there was fox number {i}"}) for i in range(40)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_bare_it_is_the_bundled_world(rlaif: Rlaif, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "new"
    result = rlaif("init", root)
    assert result.exit_code == 0
    assert f"next: rlaif --project {root} run" in result.stdout
    assert sorted(p.name for p in root.iterdir()) == ["policies", "prompts", CONFIG_NAME, "state"]
    project = load_project(root)
    assert project.config.oracle.grader == "bundled"
    assert project.config.judge.template == "compact"
    assert project.config.model_copy(update={"oracle": RlaifConfig().oracle}) == RlaifConfig()
    for name in ("pools/helpdesk.jsonl", "rubrics/helpdesk.toml", "judge/detailed/pairwise.jinja"):
        shipped = share("prompts", *name.split("/"))
        assert (root / "prompts" / name).read_bytes() == shipped.read_bytes()


def test_every_setting_is_written_with_its_default(rlaif: Rlaif, tmp_path: Path) -> None:
    rlaif("init", tmp_path / "new")
    written = tomllib.loads((tmp_path / "new" / CONFIG_NAME).read_text(encoding="utf-8"))
    defaults = RlaifConfig().model_dump(exclude_none=True)
    assert defaults.pop("jurors") == ()
    assert defaults["judge"].pop("options") == {}
    assert {name: set(section) for name, section in written.items()} == {
        name: set(section) for name, section in defaults.items()
    }
    assert isinstance(written["run"]["seed"], int)


def test_a_pool_that_is_not_there_is_named(rlaif: Rlaif, tmp_path: Path) -> None:
    result = rlaif("init", tmp_path / "new", "--prompts", tmp_path / "nope.jsonl")
    assert result.exit_code == 78
    assert "nope.jsonl: no such file" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_foreign_policy_with_its_own_rubric_and_prompts(
    rlaif: Rlaif, tmp_path: Path, model: Path, rubric: Path, prompts: Path
) -> None:
    root = tmp_path / "new"
    options = ("--policy", model, "--rubric", rubric, "--prompts", prompts)
    result = rlaif("init", root, *options, "--json")
    found = json.loads(result.stdout)
    assert found["project"] == str(root)
    assert found["notes"] == [
        "the judge is bundled:tiny-judge, which knows the help desk only: name another in "
        "[judge] where the rubric has criteria of kind judge"
    ]
    config = load_project(root).config
    assert config.policy.path == str(model)
    assert config.rubric.path == "prompts/rubrics/mine.toml"
    assert config.oracle.grader == ""
    assert [p.name for p in (root / "prompts" / "rubrics").iterdir()] == ["mine.toml"]
    assert [p.name for p in (root / "prompts" / "pools").iterdir()] == ["openings [1].jsonl"]


JUDGED = (
    RUBRIC
    + """
[[criteria]]
name = "warm"
kind = "judge"
weight = 1.0
text = "The story is warm."
choices = ["cold", "warm"]
"""
)


@pytest.mark.parametrize("options", [(), ("--judge", "bundled:tiny-judge"), ("--policy",)])
def test_a_rubric_that_the_bundled_judge_was_never_taught_is_named(
    rlaif: Rlaif, tmp_path: Path, model: Path, rubric: Path, options: tuple[str, ...]
) -> None:
    rubric.write_text(JUDGED, encoding="utf-8")
    given = (*options, model) if options == ("--policy",) else options
    result = rlaif("init", tmp_path / "new", "--rubric", rubric, *given)
    assert result.exit_code == 0
    (note,) = (line for line in result.stdout.splitlines() if "the judge is" in line)
    assert "which knows the criteria of the bundled help desk only" in note
    assert "what it says of 'warm' means nothing; name another judge under [judge]" in note


def test_another_judge_is_taken_at_its_word(
    rlaif: Rlaif, tmp_path: Path, model: Path, rubric: Path
) -> None:
    rubric.write_text(JUDGED, encoding="utf-8")
    result = rlaif("init", tmp_path / "new", "--rubric", rubric, "--judge", model)
    assert "the judge is" not in result.stdout


def test_relative_model_paths_become_absolute(
    rlaif: Rlaif, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    result = rlaif("init", tmp_path / "new", "--policy", "story", "--judge", "./story")
    config = load_project(tmp_path / "new").config
    assert config.policy.path == config.judge.path == str(model)
    assert config.judge.template == "detailed"
    assert "there are no prompts yet" in result.stdout
    assert "edit prompts/rubrics/helpdesk.toml" in result.stdout
    assert list((tmp_path / "new" / "prompts" / "pools").iterdir()) == []


def test_hub_ids_stay_as_they_are(rlaif: Rlaif, tmp_path: Path) -> None:
    rlaif("init", tmp_path / "new", "--policy", "org/policy", "--judge", "org/judge")
    config = load_project(tmp_path / "new").config
    assert (config.policy.path, config.judge.path) == ("org/policy", "org/judge")


def test_own_prompts_take_the_place_of_the_bundled_pool(
    rlaif: Rlaif, tmp_path: Path, prompts: Path
) -> None:
    named = prompts.rename(prompts.with_name("questions.txt"))
    rlaif("init", tmp_path / "new", "--prompts", named)
    pools = tmp_path / "new" / "prompts" / "pools"
    assert [p.name for p in pools.iterdir()] == ["questions.txt.jsonl"]
    assert load_project(tmp_path / "new").config.oracle.grader == ""


def test_a_project_is_never_overwritten(rlaif: Rlaif, tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text("mine", encoding="utf-8")
    result = rlaif("init", tmp_path)
    assert result.exit_code == 2
    assert f"{CONFIG_NAME} exists already" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == [CONFIG_NAME]


def test_a_file_in_the_way_is_refused(rlaif: Rlaif, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    result = rlaif("init", tmp_path / "file")
    assert result.exit_code == 2
    assert "is a file" in result.stderr


def test_files_that_are_there_are_kept(rlaif: Rlaif, tmp_path: Path) -> None:
    mine = tmp_path / "prompts" / "rubrics" / "helpdesk.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text(RUBRIC, encoding="utf-8")
    result = rlaif("init", tmp_path)
    assert result.exit_code == 0
    assert "kept prompts/rubrics/helpdesk.toml as it was" in result.stdout
    assert mine.read_text(encoding="utf-8") == RUBRIC


def test_half_a_project_is_none_and_can_be_made_again(
    rlaif: Rlaif, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "new"))

    with monkeypatch.context() as patch:
        patch.setattr(init_command, "write_atomically", full)
        result = rlaif("init", tmp_path / "new")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert rlaif("--project", tmp_path / "new", "status").exit_code == 78
    assert rlaif("init", tmp_path / "new").exit_code == 0
    assert rlaif("--project", tmp_path / "new", "status").exit_code == 0


def refusal(rlaif: Rlaif, tmp_path: Path, *options: object) -> str:
    """Return the message of an init that is refused and leaves nothing behind."""
    result = rlaif("init", tmp_path / "new", *options)
    assert result.exit_code == 78
    assert result.stdout == ""
    assert not (tmp_path / "new").exists()
    return result.stderr


def test_a_broken_rubric_is_refused_with_its_line(
    rlaif: Rlaif, tmp_path: Path, rubric: Path
) -> None:
    rubric.write_text(
        RUBRIC.replace("weight = 1.0", "weight = 1.0\nwieght = 2.0"), encoding="utf-8"
    )
    message = refusal(rlaif, tmp_path, "--rubric", rubric)
    assert f"{rubric}:9: " in message
    assert "wieght" in message


def test_a_broken_pool_is_refused_with_its_line(
    rlaif: Rlaif, tmp_path: Path, prompts: Path
) -> None:
    lines = prompts.read_text(encoding="utf-8").splitlines()
    prompts.write_text("\n".join([*lines[:6], '{"promt": "x"}', *lines[6:]]), encoding="utf-8")
    message = refusal(rlaif, tmp_path, "--prompts", prompts)
    assert f"{prompts}:7: 'promt' is not known" in message


def test_an_empty_pool_is_refused(rlaif: Rlaif, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    message = refusal(rlaif, tmp_path, "--prompts", tmp_path / "empty.jsonl")
    assert "0 prompts to train on" in message


@pytest.mark.parametrize("option", ["--rubric", "--prompts"])
def test_a_missing_file_is_refused(rlaif: Rlaif, tmp_path: Path, option: str) -> None:
    assert "absent" in refusal(rlaif, tmp_path, option, tmp_path / "absent.toml")


@pytest.mark.parametrize("option", ["--policy", "--judge", "--embedder"])
def test_a_missing_or_unfinished_model_is_refused(
    rlaif: Rlaif, tmp_path: Path, option: str
) -> None:
    assert "is not a folder" in refusal(rlaif, tmp_path, option, "./absent")
    assert "has no " in refusal(rlaif, tmp_path, option, tmp_path)
    assert "does not ship" in refusal(rlaif, tmp_path, option, "bundled:absent")
