"""Keys of very many parts, which the parser takes quadratic time for, never reach it."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif import toml_bounds, toml_source
from rlaif.config import read_config
from rlaif.errors import ConfigError, RubricError
from rlaif.judges.rubric import load_rubric
from rlaif.toml_bounds import check_keys
from rlaif.toml_source import LONGEST_FILE

RUBRICS = sorted((Path(__file__).parents[2] / "prompts" / "rubrics").glob("*.toml"))
HEAD = 'name = "r"\nversion = "1"\n'
MANY = "a." * 499_000
HOSTILE = {
    "bare": f"{MANY}a = 1",
    "header": f"[{MANY}a]",
    "array of tables": f"[[{MANY}a]]",
    "inline": f"x = {{ {MANY}a = 1 }}",
    "quoted": '"a".' * 240_000 + "a = 1",
    "literal": "'.'." * 240_000 + "a = 1",
    "spaced": "a \t. " * 190_000 + "a = 1",
    "empty": '"".' * 320_000 + "a = 1",
    "after texts": 'x = """\n"quoted" \\"""\n"""\ny = \'it"s\' # it\'s\n' + MANY + "a = 1",
}
BROKEN = {
    "one word": "a" * 999_000,
    "quotes": '"' * 999_000,
    "backslashes": '"' + "\\" * 999_000,
    "an open text": '"""' + '\\"""\n' * 190_000 + "\\",
    "an open literal": "'''" + "''x\n" * 240_000,
    "fences": '\\"""\n' * 190_000,
    "comments": "#" * 999_000,
    "commas": "x = [" + "1.5, " * 190_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_key_of_very_many_parts_is_refused_before_it_is_parsed(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toml_source.tomllib, "loads", lambda _: pytest.fail("it was parsed"))
    path = tmp_path / "rubric.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    assert len(HEAD + text) <= LONGEST_FILE
    with pytest.raises(RubricError, match="a key makes tables more than 64 deep") as raised:
        load_rubric(path)
    assert raised.value.line == (HEAD + text).count("\n") + 1
    with pytest.raises(ConfigError, match="a key makes tables more than 64 deep"):
        read_config(path)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_otherwise_is_looked_through_once(text: str) -> None:
    check_keys(text)


@pytest.mark.parametrize("path", RUBRICS, ids=lambda path: path.name)
def test_every_rubric_that_ships_passes(path: Path) -> None:
    check_keys(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "value",
    [
        '"""\n' + "a.b. " * 10_000 + '\\"""\n' + "a." * 10_000 + '"""',
        '"""' + "a." * 5_000 + '"""""',
        "'''" + "\n\\ a." * 5_000 + "'''''",
        '"' + 'a.\\"' * 5_000 + '"',
        "'" + "a.\\ " * 5_000 + "' # " + "it's. " * 5_000,
        "[" + "1.5, " * 5_000 + "2.5]",
        '[\n"a." , # "' + "a." * 99 + "\n1.0 ]",
    ],
)
def test_no_text_number_or_comment_counts(value: str) -> None:
    document = f"x = {value}\ny = 1979-05-27T07:32:00.5\n{'a.' * 62}a = 1.5\n"
    tomllib.loads(document)
    check_keys(document)


def test_the_longest_key_that_may_be_is_not_refused_here() -> None:
    check_keys("a." * 63 + "a = 1")
    with pytest.raises(ValueError, match="at line 3"):
        check_keys('x = """\n"""\n' + "a." * 64 + "a = 1")


KEYS = st.lists(
    st.sampled_from(["a", "b-1", '"."', "'x.y'", '"\\"."', '""', "'\"'"]), min_size=1, max_size=5
)
SPACES = st.sampled_from([".", " . ", "\t."])
VALUES = st.sampled_from(
    [
        *("1.5", "[1.0, 2.5]", '"a.b.c.d"', "'a.b.c.d'", '"""a.b\n"c.d.e" \\"""."""'),
        *("'''a.b.c.d\n''.'''", "1979-05-27T07:32:00.5", "true # a.b.c.d 'x", '{ x = "a.b.c.d" }'),
    ]
)


@given(st.lists(st.tuples(KEYS, SPACES, VALUES), min_size=1, max_size=6))
def test_a_document_is_refused_exactly_where_a_key_has_too_many_parts(
    lines: list[tuple[list[str], str, str]],
) -> None:
    """With three parts as the bound; each key stands under a table of its own, so none clashes."""
    text = "".join(
        f"[t{i}]\n{dot.join(key)} = {value}\n" for i, (key, dot, value) in enumerate(lines)
    )
    tomllib.loads(text)
    long = any(len(key) > 3 for key, _, _ in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toml_bounds, "DEEPEST", 3)
        if long:
            with pytest.raises(ValueError, match="a key makes tables"):
                check_keys(text)
        else:
            check_keys(text)
