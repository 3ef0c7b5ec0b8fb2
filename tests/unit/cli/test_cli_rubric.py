"""Rubrics from the command line: new, list, show, validate, diff, and the guide."""

import json
import shlex
import tomllib
from pathlib import Path

import pytest
import torch

from cli.conftest import Rlaif
from cli.judged_pairs import compare_pairs, takes_the_bench, tells
from rlaif.cli.rubric_check import find_errors
from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.crew import Crew
from rlaif.judges import Juror, RubricJudge, TransformersJudge, load_rubric, load_templates
from rlaif.models.loading import load_language_model
from rlaif.project import Project, share
from rlaif.records import Completion, Message, Prompt, Rating
from rlaif.testing import ScriptedJudge

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "rubric-in-five-minutes.md"

WHOLE = """\
name = "desk"
version = "3"
language = "en"

[[criteria]]
name = "right"
kind = "judge"
weight = 0.6
veto = true
threshold = 0.25
description = "For people."
text = "The answer is right."
choices = ["wrong", "half right", "right"]

[[criteria]]
name = "ends"
kind = "rule"
weight = 0.2
rule = { ends_with = ".", max_words = 40 }

[[criteria]]
name = "near"
kind = "embedding"
weight = 0.2
near = ["a friendly answer", "a warm answer"]
"""
RULE = 'rule = { ends_with = ".", max_words = 40 }'
LINES = {text: number for number, text in enumerate(WHOLE.splitlines(), start=1)}


def write(folder: Path, text: str, name: str = "desk.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def changed(*changes: tuple[str, str]) -> str:
    text = WHOLE
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def general(project: Project) -> None:
    """Name a judge that is not the bundled one; validating loads none."""
    settings = project.config_path.read_text(encoding="utf-8")
    old = 'path = "bundled:tiny-judge"'
    assert settings.count(old) == 1
    named = settings.replace(old, 'path = "models/judge"')
    project.config_path.write_text(named, encoding="utf-8")


def test_a_rubric_is_validated_by_its_name_too(here: Rlaif) -> None:
    here("rubric", "new", "our-tone")
    shown = here("rubric", "validate", "our-tone")
    assert shown.exit_code == 0
    assert "our-tone.toml is a rubric: " in shown.stdout
    unknown = here("rubric", "validate", "nobodys")
    assert unknown.exit_code != 0
    assert "nobodys" in unknown.stderr


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


def test_every_broken_criterion_is_named_with_line_and_field(rlaif: Rlaif, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        changed(
            ("weight = 0.6", "weight = -1.0"),
            ("max_words = 40", "max_wrds = 40"),
            ('kind = "embedding"', 'kind = "embeding"'),
        ),
    )
    result = rlaif("rubric", "validate", path)
    assert result.exit_code == 78
    assert result.stdout == ""
    heads = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    rule, kind = LINES[RULE], LINES['kind = "embedding"']
    assert heads == [
        f"Error: {path}:{LINES['weight = 0.6']}: weight = -1.0",
        f"Error: {path}:{rule}: unknown key 'rule.max_wrds'",
        f"Error: {path}:{kind}: kind = 'embeding'",
    ]
    assert result.stderr.count("  to do: ") == 3


def test_errors_as_json(rlaif: Rlaif, tmp_path: Path) -> None:
    path = write(tmp_path, changed(("weight = 0.6", "weight = -1.0")))
    result = rlaif("rubric", "validate", path, "--json")
    assert result.exit_code == 78
    found = json.loads(result.stdout)
    assert (found["valid"], found["content_hash"], found["warnings"]) == (False, None, [])
    (error,) = found["errors"]
    assert error["line"] == LINES["weight = 0.6"]
    assert error["seen"] == "weight = -1.0"
    assert set(error) == {"line", "seen", "expected", "action"}


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("name = = 1", "not valid TOML", 1),
        (changed(('version = "3"', "version = 3")), "version = 3", 2),
        (changed(('name = "near"', 'name = "right"')), "a second criterion named 'right'", 22),
        (WHOLE.replace("= 0.6", "= 0").replace("= 0.2\n", "= 0\n"), "weights that sum to 0", 8),
        (WHOLE + 'text = """\n[[criteria]]\n"""\n', "unknown key 'text'", 26),
    ],
)
def test_what_is_wrong_as_a_whole_is_told_once(
    tmp_path: Path, text: str, words: str, line: int
) -> None:
    (error,) = find_errors(write(tmp_path, text))
    assert words in str(error)
    assert error.line == line


def test_a_criterion_left_out_makes_no_new_error(tmp_path: Path) -> None:
    text = WHOLE.replace("= 0.6", "= nan").replace("= 0.2\n", "= 0\n")
    (error,) = find_errors(write(tmp_path, text))
    assert "weight = nan" in str(error)


def test_a_file_that_is_not_there(rlaif: Rlaif, tmp_path: Path) -> None:
    result = rlaif("rubric", "validate", tmp_path / "none.toml")
    assert result.exit_code == 78
    assert result.stderr.startswith(f"Error: {tmp_path / 'none.toml'}: no such file")


def warnings(rlaif: Rlaif, path: Path) -> list[tuple[int, str]]:
    result = rlaif("rubric", "validate", path, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["valid"]
    return [(w["line"], w["seen"]) for w in found["warnings"]]


def test_a_sound_rubric_has_no_warning(rlaif: Rlaif, tmp_path: Path) -> None:
    assert warnings(rlaif, write(tmp_path, WHOLE)) == []
    for path in share("prompts", "rubrics").glob("*.toml"):
        assert warnings(rlaif, path) == []


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("weight = 0.6\nveto = true\nthreshold = 0.25", "weight = 0", 8, "no weight and no veto"),
        ('name = "near"', 'name = "Right!"', 22, "'right' and 'Right!' are hard to tell apart"),
        ('"half right"', '"Right."', 13, "differ only in case, spaces or punctuation"),
        ('["wrong", "half right", "right"]', '["right", "so so", "wrong"]', 13, "look reversed"),
        ('["wrong", "half right", "right"]', '["3", "2", "1"]', 13, "look reversed"),
        (
            '["wrong", "half right", "right"]',
            '["\u597d", "\u4e00\u822c", "\u5dee"]',
            13,
            "look reversed",
        ),
        ("threshold = 0.25", "threshold = 0.75", 10, "'half right' scores 0.50"),
    ],
)
def test_what_is_seldom_meant_is_a_warning(
    rlaif: Rlaif, tmp_path: Path, old: str, new: str, at: int, words: str
) -> None:
    ((line, seen),) = warnings(rlaif, write(tmp_path, changed((old, new))))
    assert words in seen
    assert line == at


def test_two_criteria_that_ask_the_same_are_a_warning(rlaif: Rlaif, tmp_path: Path) -> None:
    twin = '\n[[criteria]]\nname = "so"\nkind = "judge"\nweight = 1\n'
    twin += 'text = "the answer is right"\nchoices = ["no good", "fine"]\n'
    path = write(tmp_path, WHOLE + twin)
    ((line, seen),) = warnings(rlaif, path)
    assert seen == "'right' and 'so' ask the judge the same"
    assert path.read_text(encoding="utf-8").splitlines()[line - 1] == 'text = "the answer is right"'
    shown = rlaif("rubric", "validate", path).stdout
    assert shown.startswith(f"warning: line {line}: 'right' and 'so' ask the judge the same\n")


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        (
            "The answer is right.",
            "The \u202eanswer\u202c is.",
            12,
            "U+202E (RIGHT-TO-LEFT OVERRIDE) and U+202C (POP DIRECTIONAL FORMATTING)",
        ),
        ("The answer is right.", "The answer\\u0007 is.", 12, "U+0007 (without a name)"),
        ('"half right"', '"half\u200bright"', 13, "U+200B (ZERO WIDTH SPACE)"),
        ("a friendly answer", "a\u3164friendly answer", 25, "U+3164 (HANGUL FILLER)"),
        ('"right"\nkind', '"\ufeffright"\nkind', 6, "U+FEFF (ZERO WIDTH NO-BREAK SPACE)"),
    ],
)
def test_characters_that_people_do_not_see_are_a_warning(
    rlaif: Rlaif, tmp_path: Path, old: str, new: str, at: int, words: str
) -> None:
    found = warnings(rlaif, write(tmp_path, changed((old, new))))
    line, seen = found[0]
    assert seen.startswith(f"{words} in 'criteria")
    assert "people do not see " in seen
    assert line == at


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The answer is right.", "\u7b54\u6848\u6b63\u786e\uff0c\u6709\u793c\u3002"),
        ("The answer is right.", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("The answer is right.", "\U0001f9d1\u200d\U0001f680"),
        (RULE, 'rule = { must_match = ["\u202e"] }'),
    ],
)
def test_words_of_any_script_and_patterns_hide_nothing(
    rlaif: Rlaif, tmp_path: Path, old: str, new: str
) -> None:
    assert warnings(rlaif, write(tmp_path, changed((old, new)))) == []


@pytest.mark.parametrize(
    "choices",
    [
        '["no", "partly", "yes"]',
        '["1", "2", "3"]',
        '["good enough for a draft", "fine", "bad luck"]',
        '["never right", "sometimes", "always right"]',
    ],
)
def test_choices_that_are_not_clearly_reversed_are_left_alone(
    rlaif: Rlaif, tmp_path: Path, choices: str
) -> None:
    text = changed(('["wrong", "half right", "right"]', choices))
    assert warnings(rlaif, write(tmp_path, text)) == []


def test_a_template_that_cannot_show_a_reference_is_a_warning(
    here: Rlaif, rlaif: Rlaif, project: Project, tmp_path: Path
) -> None:
    general(project)
    path = write(tmp_path, WHOLE + '\n[[references]]\nprompt = "2 + 2?"\nanswer = "4"\n')
    ((_, seen),) = warnings(here, path)
    assert "the judge template 'compact' does not show reference" in seen
    assert warnings(lambda *args: rlaif("--project", tmp_path, *args), path) == []


EXAMPLE = """
[[criteria.examples]]
prompt = "2 + 2?"
answer = "5"
critique = "It is 4."
choice = "wrong"
"""


def test_a_jurors_template_is_looked_at_too(here: Rlaif, project: Project, tmp_path: Path) -> None:
    head, one, rest = WHOLE.split("[[criteria]]", 2)
    with_example = "[[criteria]]".join([head, one + EXAMPLE, rest])
    path = write(tmp_path, with_example)
    general(project)
    settings = project.config_path.read_text(encoding="utf-8")
    better = settings.replace('template = "compact"', 'template = "detailed"', 1)
    project.config_path.write_text(better, encoding="utf-8")
    assert warnings(here, path) == []
    shown = here("rubric", "show", path).stdout
    assert "  example   prompt: 2 + 2?\n            answer: 5\n" in shown
    juror = '\n[[jurors]]\nname = "other"\npath = "models/other"\ntemplate = "compact"\n'
    project.config_path.write_text(better + juror, encoding="utf-8")
    ((_, seen),) = warnings(here, path)
    assert "the judge template 'compact' does not show examples" in seen


def test_an_error_in_an_example_is_named_and_hides_no_other(tmp_path: Path) -> None:
    head, one, rest = WHOLE.split("[[criteria]]", 2)
    wrong = EXAMPLE.replace('choice = "wrong"', 'choice = "icy"')
    text = "[[criteria]]".join([head, one + wrong, rest]).replace("max_words = 40", "max_words = 0")
    first, second = find_errors(write(tmp_path, text))
    assert "'icy' is none of the criterion's choices" in str(first)
    assert text.splitlines()[(first.line or 0) - 1] == 'choice = "icy"'
    assert "rule.max_words = 0" in str(second)


def test_a_function_that_is_not_there_is_a_warning(
    here: Rlaif, rlaif: Rlaif, project: Project, tmp_path: Path
) -> None:
    python = '\n[[criteria]]\nname = "f"\nkind = "python"\nweight = 1\nfunction = "kind_words"\n'
    path = write(tmp_path, WHOLE + python)
    general(project)
    ((_, seen),) = warnings(here, path)
    assert seen.startswith("the project could not judge by it: ")
    assert "kind_words" in seen
    assert warnings(lambda *args: rlaif("--project", tmp_path, *args), path) == []
    settings = project.config_path.read_text(encoding="utf-8")
    assert settings.count('python = "off"') == 1
    named = settings.replace('python = "off"', 'python = "criteria.py"')
    project.config_path.write_text(named, encoding="utf-8")
    code = project.root / "criteria.py"
    code.write_text("def kind_words(prompt, completion, context): ...\n", encoding="utf-8")
    assert warnings(here, path) == []


def test_what_the_bundled_judge_was_never_taught_is_a_warning(
    here: Rlaif, rlaif: Rlaif, project: Project, tmp_path: Path
) -> None:
    path = write(tmp_path, WHOLE)
    result = here("rubric", "validate", path)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == [
        "warning: the judge is bundled:tiny-judge, which knows the criteria of the bundled help "
        "desk only ('correct', 'courteous', 'concise'): what it says of 'right' means nothing",
        "  to do: name another judge under [judge] in rlaif.toml, or judge by "
        "prompts/rubrics/helpdesk.toml",
    ]
    assert warnings(lambda *args: rlaif("--project", tmp_path, *args), path) == []
    assert warnings(here, project.root / "prompts" / "rubrics" / "helpdesk.toml") == []
    assert warnings(here, share("prompts", "rubrics", "helpful.toml")) != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "courteous"', 'name = "polite"'),
        ("The answer is kind, not rude.", "The answer is kind."),
        ('"rude", "plain", "kind"', '"rude", "kind"'),
    ],
)
def test_the_bundled_judge_knows_its_criteria_word_by_word(
    here: Rlaif, tmp_path: Path, old: str, new: str
) -> None:
    known = share("prompts", "rubrics", "helpdesk.toml").read_text(encoding="utf-8")
    same = known.replace("weight = 0.27", "weight = 0.5").replace("The manner.", "Its manner.")
    assert warnings(here, write(tmp_path, same)) == []
    ((_, seen),) = warnings(here, write(tmp_path, known.replace(old, new)))
    name = "polite" if "polite" in new else "courteous"
    assert seen.endswith(f"what it says of {name!r} means nothing")


def test_the_bundled_judge_knows_one_template(here: Rlaif, project: Project) -> None:
    settings = project.config_path.read_text(encoding="utf-8")
    changed = settings.replace('template = "compact"', 'template = "detailed"', 1)
    project.config_path.write_text(changed, encoding="utf-8")
    ((_, seen),) = warnings(here, project.root / "prompts" / "rubrics" / "helpdesk.toml")
    assert "in the template 'compact' only: what it says to 'detailed' means nothing" in seen


def test_a_rubric_without_a_judge_criterion_asks_no_judge(here: Rlaif, tmp_path: Path) -> None:
    head, _, rest = WHOLE.split("[[criteria]]", 2)
    assert warnings(here, write(tmp_path, f"{head}[[criteria]]{rest}")) == []


def test_the_gates_own_judge_is_looked_at_too(
    here: Rlaif, project: Project, tmp_path: Path
) -> None:
    general(project)
    path = write(tmp_path, WHOLE)
    assert warnings(here, path) == []
    with project.config_path.open("a", encoding="utf-8") as settings:
        settings.write('\n[evaluation.judge]\npath = "bundled:tiny-judge"\n')
    ((_, seen),) = warnings(here, path)
    assert "bundled:tiny-judge" in seen


def test_diff_goes_criterion_by_criterion(rlaif: Rlaif, tmp_path: Path) -> None:
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(
        tmp_path,
        changed(
            ("weight = 0.6", "weight = 0.5"),
            ('"half right"', '"nearly right"'),
            ("threshold = 0.25", "threshold = 0.4"),
            ('name = "near"', 'name = "close"'),
        ),
        "new.toml",
    )
    result = rlaif("rubric", "diff", old, new)
    assert result.exit_code == 0
    assert result.stdout == (
        f"- {old}\n"
        f"+ {new}\n"
        "- near  embedding, weight 0.2\n"
        "+ close  embedding, weight 0.2\n"
        "~ right\n"
        "  weight -      0.6\n"
        "  weight +      0.5\n"
        "  threshold -   0.25\n"
        "  threshold +   0.4\n"
        "  choices -     wrong\n"
        "                half right\n"
        "                right\n"
        "  choices +     wrong\n"
        "                nearly right\n"
        "                right\n"
        "labels: kept apart, the content differs\n"
    )


def test_diff_as_json(rlaif: Rlaif, tmp_path: Path) -> None:
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(
        tmp_path,
        changed(("threshold = 0.25\n", ""), ("veto = true\n", ""), ("0.6", "0.5")),
        "new.toml",
    )
    found = json.loads(rlaif("rubric", "diff", old, new, "--json").stdout)
    assert found["changed"] == {
        "right": {
            "weight": {"before": 0.6, "after": 0.5},
            "veto": {"before": True, "after": False},
            "threshold": {"before": 0.25, "after": None},
        }
    }
    assert (found["added"], found["removed"], found["reordered"]) == ([], [], False)
    assert found["labels_separated"] is True
    assert found["before"]["content_hash"] != found["after"]["content_hash"]


def test_notes_and_versions_do_not_separate_labels(rlaif: Rlaif, tmp_path: Path) -> None:
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(
        tmp_path, changed(("For people.", "For all."), ('version = "3"', 'version = "4"')), "n.toml"
    )
    shown = rlaif("rubric", "diff", old, new).stdout.splitlines()
    assert shown[2:] == ["labels: shared, as far as the rubric decides: the content is the same"]
    assert not json.loads(rlaif("rubric", "diff", old, new, "--json").stdout)["labels_separated"]


def test_another_order_is_a_difference(rlaif: Rlaif, tmp_path: Path) -> None:
    head, one, two, three = WHOLE.split("[[criteria]]")
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(tmp_path, "[[criteria]]".join([head, two, one, three]), "new.toml")
    shown = rlaif("rubric", "diff", old, new).stdout
    assert "~ the order of the criteria\nlabels: kept apart" in shown


def test_references_are_compared_and_shown(rlaif: Rlaif, tmp_path: Path) -> None:
    reference = '\n[[references]]\nprompt = "2 + 2?"\nanswer = "{}"\n'
    old = write(tmp_path, WHOLE + reference.format("4"), "old.toml")
    new = write(tmp_path, WHOLE + reference.format("four"), "new.toml")
    assert rlaif("rubric", "diff", old, new).stdout.splitlines()[2:] == [
        "~ reference answer to 2 + 2?",
        "  answer -      4",
        "  answer +      four",
        "labels: kept apart, the content differs",
    ]
    assert "  prompt    2 + 2?\n  answer    4\n" in rlaif("rubric", "show", old).stdout


def guide_blocks(kind: str) -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    if kind != "commands":
        return [part.partition("```")[0] for part in text.split(f"```{kind}\n")[1:]]
    return [line.strip() for line in text.splitlines() if line.startswith("    rlaif ")]


def test_the_guides_rubric_is_one(rlaif: Rlaif, tmp_path: Path) -> None:
    blocks = guide_blocks("toml")
    assert len(blocks) == 5
    for block in blocks:
        tomllib.loads(block)
    *plain, reference, examples = blocks
    path = write(tmp_path, "\n".join(plain), "our-desk.toml")
    assert warnings(rlaif, path) == []
    assert sum(c.weight for c in load_rubric(path).criteria) == pytest.approx(1.0)
    whole = load_rubric(write(tmp_path, "\n".join([*plain, examples, reference])))
    assert whole.reference_for(whole.references[0].prompt) == "On Thursday."
    assert len(whole.judge_criteria[-1].examples) == 2


def test_the_guides_commands_work(
    rlaif: Rlaif, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(Crew, "_juror", takes_the_bench(ScriptedJudge(tells)))
    compare_pairs(project)
    head, rubric = guide_blocks("toml")[:2]
    (labels,) = guide_blocks("jsonl")
    lines = guide_blocks("commands")
    assert len(lines) == 8
    for line in lines:
        if line.startswith("rlaif rubric validate"):
            write(project.root / "prompts" / "rubrics", head + rubric, "our-desk.toml")
            write(project.root, labels, "human.jsonl")
        assert rlaif(*shlex.split(line)[1:]).exit_code == 0, line


def test_the_guide_names_what_ships() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for path in share("prompts", "judge").iterdir():
        assert f"`{path.name}`" in text
    for name in ("helpful", "harmless", "honest", "concise", "support-desk", "constitution"):
        assert f"`{name}`" in text
