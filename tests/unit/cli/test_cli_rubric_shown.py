"""``rlaif rubric list`` and ``show``: which rubrics there are, and what each asks."""

import json
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.rubric_samples import WHOLE, changed, write
from rlaif.judges import load_rubric
from rlaif.project import Project, share


def test_list_marks_the_active_rubric(here: Rlaif) -> None:
    here("rubric", "new", "mine", "--language", "zh")
    rows = {r["name"] + "/" + r["where"]: r for r in listed(here)}
    assert [name for name, row in rows.items() if row["active"]] == ["helpdesk/project"]
    mine = rows["mine/project"]
    assert (mine["language"], mine["version"], len(mine["criteria"])) == ("zh", "1", 3)
    helpful = rows["helpful/shipped"]
    shipped = load_rubric(Path(helpful["path"]))
    assert helpful["content_hash"] == shipped.content_hash
    assert helpful["criteria"] == ["does-it", "correct", "usable", "no-circles"]
    names = [name.partition("/")[0] for name in rows]
    assert names[:2] == ["helpdesk", "mine"]
    assert names[2:] == sorted(names[2:])


def listed(run: Rlaif) -> list[dict[str, object]]:
    result = run("rubric", "list", "--json")
    assert result.exit_code == 0
    rows: list[dict[str, object]] = json.loads(result.stdout)["rubrics"]
    return rows


def test_list_prints_a_table(here: Rlaif) -> None:
    lines = here("rubric", "list").stdout.splitlines()
    (active,) = [line for line in lines if "*" in line]
    assert active.split()[:4] == ["helpdesk", "*", "project", "en"]
    assert any(line.startswith("constitution-zh ") for line in lines)


def test_outside_of_a_project_the_shipped_ones_are_listed(rlaif: Rlaif, tmp_path: Path) -> None:
    rows = listed(lambda *args: rlaif("--project", tmp_path, *args))
    assert {row["where"] for row in rows} == {"shipped"}
    assert not any(row["active"] for row in rows)


def test_an_active_rubric_elsewhere_comes_first(
    here: Rlaif, project: Project, tmp_path: Path
) -> None:
    elsewhere = write(tmp_path, WHOLE)
    text = project.config_path.read_text(encoding="utf-8")
    setting = 'path = "prompts/rubrics/helpdesk.toml"'
    assert text.count(setting) == 1
    project.config_path.write_text(text.replace(setting, f'path = "{elsewhere}"'), encoding="utf-8")
    first, *rest = listed(here)
    assert (first["path"], first["active"]) == (str(elsewhere), True)
    assert not any(row["active"] for row in rest)


def test_a_broken_rubric_does_not_hide_the_others(here: Rlaif, project: Project) -> None:
    write(project.root / "prompts" / "rubrics", "name = ", "aaa.toml")
    first, second, *_ = listed(here)
    assert first["name"] == "aaa"
    assert "not valid TOML" in str(first["error"])
    assert first["content_hash"] is None
    assert second["name"] == "helpdesk"
    assert "broken:" in here("rubric", "list").stdout


def test_show_says_what_a_rating_is_read_from_where_that_is_not_the_verdict(
    rlaif: Rlaif, tmp_path: Path
) -> None:
    plain = rlaif("rubric", "show", write(tmp_path, WHOLE)).stdout
    assert "graded_by" not in plain
    text = WHOLE.replace('kind = "judge"', 'kind = "judge"\ngraded_by = "errors"', 1)
    shown = rlaif("rubric", "show", write(tmp_path, text)).stdout
    assert "  graded_by errors\n" in shown


def test_show_says_what_is_asked_and_how_much_it_counts(rlaif: Rlaif, tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    result = rlaif("rubric", "show", path)
    assert result.exit_code == 0
    assert result.stdout == (
        "desk  version 3\n"
        "  language  en\n"
        f"  file      {path}\n"
        f"  content   {load_rubric(path).content_hash}\n"
        "\n"
        "right  judge, 60% of the score\n"
        "  note      For people.\n"
        "  asks      The answer is right.\n"
        "  0.00      wrong\n"
        "  0.50      half right\n"
        "  1.00      right\n"
        "  veto      below 0.25 here the whole answer scores 0\n"
        "\n"
        "ends  rule, 20% of the score\n"
        "  rule      max_words: 40\n"
        "            ends_with: .\n"
        "\n"
        "near  embedding, 20% of the score\n"
        "  near      a friendly answer, a warm answer\n"
    )


def test_show_as_json_is_the_whole_rubric(rlaif: Rlaif, tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    found = json.loads(rlaif("rubric", "show", path, "--json").stdout)
    assert found["content_hash"] == load_rubric(path).content_hash
    assert (found["path"], found["version"]) == (str(path), "3")
    assert [c["name"] for c in found["criteria"]] == ["right", "ends", "near"]
    assert found["criteria"][0]["choices"] == ["wrong", "half right", "right"]


def test_a_projects_own_rubric_is_shown_before_the_shipped_one(
    here: Rlaif, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write(project.root / "prompts" / "rubrics", WHOLE, "helpful.toml")
    write(tmp_path, WHOLE, "helpful")
    monkeypatch.chdir(tmp_path)
    assert json.loads(here("rubric", "show", "helpful", "--json").stdout)["path"] == str(own)
    own.unlink()
    shown = json.loads(here("rubric", "show", "helpful", "--json").stdout)
    assert shown["path"] == "helpful"
    Path("helpful").unlink()
    shown = json.loads(here("rubric", "show", "helpful", "--json").stdout)
    assert shown["path"] == str(share("prompts", "rubrics", "helpful.toml"))


@pytest.mark.parametrize("command", [("show", "nope"), ("diff", "helpful", "nope")])
def test_an_unknown_rubric_is_refused(here: Rlaif, command: tuple[str, ...]) -> None:
    result = here("rubric", *command)
    assert result.exit_code == 2
    assert "there is no rubric 'nope'" in result.stderr
    assert "concise, concise-english, " in result.stderr


def test_what_a_terminal_would_obey_is_shown(rlaif: Rlaif, tmp_path: Path) -> None:
    evil = changed(("The answer is right.", "\\u001b[2Jgone \\u202e"))
    path = write(tmp_path, evil)
    for command in (["show", path], ["validate", path], ["diff", path, "helpful"]):
        result = rlaif("rubric", *command)
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout
        assert "\u202e" not in result.stdout
    assert "\u241b[2Jgone" in rlaif("rubric", "show", path).stdout
