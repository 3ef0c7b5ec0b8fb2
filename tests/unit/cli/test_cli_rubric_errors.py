"""``rlaif rubric validate``: what is wrong, by line and field."""

import json
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.rubric_samples import EXAMPLE, LINES, RULE, WHOLE, changed, write
from rlaif.cli.rubric_check import find_errors


def test_a_rubric_is_validated_by_its_name_too(here: Rlaif) -> None:
    here("rubric", "new", "our-tone")
    shown = here("rubric", "validate", "our-tone")
    assert shown.exit_code == 0
    assert "our-tone.toml is a rubric: " in shown.stdout
    unknown = here("rubric", "validate", "nobodys")
    assert unknown.exit_code != 0
    assert "nobodys" in unknown.stderr


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


def test_an_error_in_an_example_is_named_and_hides_no_other(tmp_path: Path) -> None:
    head, one, rest = WHOLE.split("[[criteria]]", 2)
    wrong = EXAMPLE.replace('choice = "wrong"', 'choice = "icy"')
    text = "[[criteria]]".join([head, one + wrong, rest]).replace("max_words = 40", "max_words = 0")
    first, second = find_errors(write(tmp_path, text))
    assert "'icy' is none of the criterion's choices" in str(first)
    assert text.splitlines()[(first.line or 0) - 1] == 'choice = "icy"'
    assert "rule.max_words = 0" in str(second)
