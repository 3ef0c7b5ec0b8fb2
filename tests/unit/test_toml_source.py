from pathlib import Path

import pytest

from rlaif.errors import ConfigError
from rlaif.toml_source import TomlFile

NESTED = """\
[[fruit]]
name = "apple"
[[fruit.kinds]]
name = "red"
[fruit.kinds.skin]
thick = true
[[fruit.kinds]]
name = "green"

[[fruit]]
name = "pear"
[fruit.stone]
hard = false
[[fruit.kinds]]
name = "soft"
[fruit.kinds.skin]
thick = false
[plain.table]
key = 1
"""


def toml(text: str) -> TomlFile:
    return TomlFile(Path("x.toml"), text, ConfigError)


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("fruit", 0, "name"), 2),
        (("fruit", 0, "kinds", 0), 3),
        (("fruit", 0, "kinds", 0, "name"), 4),
        (("fruit", 0, "kinds", 0, "skin", "thick"), 6),
        (("fruit", 0, "kinds", 1, "name"), 8),
        (("fruit", 1), 10),
        (("fruit", 1, "stone", "hard"), 13),
        (("fruit", 1, "kinds", 0, "name"), 15),
        (("fruit", 1, "kinds", 0, "skin", "thick"), 17),
        (("fruit", 1, "kinds", 0, "weight"), 14),
        (("plain", "table", "key"), 19),
        (("nothing",), None),
    ],
)
def test_tables_within_tables_have_their_lines(
    location: tuple[str | int, ...], line: int | None
) -> None:
    assert toml(NESTED).line_of(location) == line


@pytest.mark.parametrize("fence", ['"""', "'''"])
def test_lines_of_a_long_text_are_no_keys(fence: str) -> None:
    text = f"""\
a = {fence}one = 1
b = 2
[[c]]
{fence}
b = 3
d = {fence}short{fence}
c = 4  # {fence}
"""
    found = toml(text)
    assert found.line_of(("b",)) == 5
    assert found.line_of(("d",)) == 6
    assert found.line_of(("c",)) == 7
    assert found.line_of(("c", 0)) == 7


def test_the_other_quotes_do_not_end_a_long_text() -> None:
    assert toml("a = '''\n\"\"\"\nb = 1\n'''\nb = 2\n").line_of(("b",)) == 5


def test_a_comment_opens_no_text() -> None:
    assert toml('# """\nb = 2\n').line_of(("b",)) == 2


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85"])
def test_only_line_feeds_end_lines(char: str) -> None:
    assert toml(f'a = "x{char}y"\nb = 2\n').line_of(("b",)) == 2


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0x" + "f" * 16, "more than 64 bits"),
        ("[1, { a = 9223372036854775808 }]", "more than 64 bits"),
        ("-9223372036854775809", "more than 64 bits"),
        ("9" * 5000, "not valid TOML"),
        ("[" * 5000 + "]" * 5000, "not valid TOML"),
        ("[" * 64 + "]" * 64, "more than 64 deep"),
    ],
)
def test_what_nothing_can_use_is_refused(value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        toml(f"a = {value}")
    assert caught.value.path == Path("x.toml")


def test_a_table_too_deep_by_its_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than 64 deep"):
        toml("a." * 2000 + "a = 1")


def test_the_widest_and_the_deepest_pass() -> None:
    assert toml("a = 9223372036854775807").data == {"a": 2**63 - 1}
    assert toml("a = -9223372036854775808").data == {"a": -(2**63)}
    assert toml("a = true").data == {"a": True}
    inner: object = toml("a = " + "[" * 63 + "]" * 63).data["a"]
    for _ in range(62):
        assert isinstance(inner, list)
        inner = inner[0]
    assert inner == []
