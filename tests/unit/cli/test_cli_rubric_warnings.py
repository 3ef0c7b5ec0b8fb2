"""``rlaif rubric validate``: what is valid and seldom meant."""

from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.rubric_samples import EXAMPLE, RULE, WHOLE, changed, general, warnings, write
from rlaif.project import Project, share


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
