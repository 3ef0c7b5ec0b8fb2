"""Rubric files gone wrong in every way that can be thought of, and what must come of them."""

from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from rlaif.errors import RubricError
from rlaif.judges import Rubric, load_rubric
from rlaif.project import share

EVERY_KIND = '''\
name = "whole"
version = "1"
language = "zh"
scale = ["差", "中", "好"]

[[references]]
prompt = "一加一得几。"
answer = """
二。
[[criteria]] is a word like any other here
"""

[[references]]
prompt = 'What is "café" in French?'
answer = "un café"

[[criteria]]
name = "有用"
kind = "judge"
weight = 0.5
text = "回答有用。"

[[criteria.examples]]
prompt = "你好"
answer = "你好啊"
critique = "有礼。"
choice = "好"

[[criteria.examples]]
prompt = "سلام"
first = "x"
second = ""
critique = """The second says
nothing = at all."""
better = "first"

[[criteria]]
name = "kind"
kind = "judge"
weight = 1
veto = true
threshold = 0.25
text = "The answer is kind. 👩‍👩‍👧"
choices = ["rude", "kind"]
examples = [{ prompt = "Hi", answer = "Go.", critique = "Rude.", choice = "rude" }]

[[criteria]]
name = "whole"
kind = "rule"
weight = 0.1
description = "For people."
rule = { ends_with = [".", "。"], must_match = "[a-z]+|.", min_words = 2, language = "en" }

[[criteria]]
name = "near"
kind = "embedding"
weight = 0.1
near = ["a warm answer"]

[[criteria]]
name = "private"
kind = "python"
weight = 0.3
function = "no_phone_numbers"

[criteria.options]
allowed = ["030 111"]
deep = { more = [1, 2.5, true, "x"] }
'''

BASES = (
    EVERY_KIND,
    *(path.read_text("utf-8") for path in sorted(share("prompts", "rubrics").glob("*.toml"))),
)
VALUES = (
    *("3", "-1", "1.5", "1e400", "nan", "-inf", "true", '""', '" "', "[]", "{}", "1979-05-27"),
    *("12:30:00", "1979-05-27T07:32:00Z", '["a", 1]', "[[1]]", "{ a.b.c = 1 }", '["a", "a"]'),
    *("0x" + "f" * 5000, "9" * 5000, "-9223372036854775809", '"(?P<a>"', '"a{99999999999}"'),
    *(
        '"[[a]"',
        '"judge"',
        '"rule"',
        '"python"',
        '"lambda"',
        '"\\uD800"',
        '"\\u0000"',
        "'''",
        '"""',
    ),
    "[" * 100 + "]" * 100,
    "[" * 5000 + "]" * 5000,
    '"' + "x" * 5000 + '"',
    '"' + "(" * 1000 + ")" * 1000 + '"',
)
KEYS = (
    *("nmae", "weight", "name.a", "a." * 300 + "a", '"name"', '""', "'kind'", "clé", "名", "="),
    *("criteria", "criteria.examples", "examples", "options", "rule.x", "[x]", "[[criteria]]"),
    *("[[references]]", "[[criteria.examples]]", "[criteria.rule]", "[criteria]", "__class__"),
)
MARKS = (
    "\0",
    "\u2028",
    "\ufeff",
    "\u202e",
    "\u0301",
    "\u200d",
    "\x1b",
    "\r",
    "\n",
    "👋",
    "ﬁ",
    "'''",
)

Change = Callable[[bytes], bytes]


def _at(share_: float, length: int) -> int:
    return min(int(share_ * length), max(length - 1, 0))


def _bytes_change(where: float, what: bytes, cut: int) -> Change:
    def change(data: bytes) -> bytes:
        place = _at(where, len(data))
        return data[:place] + what + data[place + cut :]

    return change


def _line_change(where: float, other: float, way: str) -> Change:
    def change(data: bytes) -> bytes:
        lines = data.split(b"\n")
        i, j = _at(where, len(lines)), _at(other, len(lines))
        match way:
            case "drop":
                del lines[i]
            case "copy":
                lines.insert(j, lines[i])
            case "swap":
                lines[i], lines[j] = lines[j], lines[i]
            case _:
                del lines[min(i, j) : max(i, j)]
        return b"\n".join(lines)

    return change


def _half_change(where: float, new: str, half: int) -> Change:
    """Put something else in the place of a line's key (half 0) or value (half 1)."""

    def change(data: bytes) -> bytes:
        lines = data.split(b"\n")
        with_values = [i for i, line in enumerate(lines) if b" = " in line]
        if with_values:
            place = with_values[_at(where, len(with_values))]
            halves = lines[place].split(b" = ", 1)
            halves[half] = new.encode("utf-8")
            lines[place] = b" = ".join(halves)
        return b"\n".join(lines)

    return change


def changes() -> st.SearchStrategy[Change]:
    """One change to the bytes, lines, keys, types or characters of a file."""
    place = st.floats(0.0, 1.0)
    return st.one_of(
        st.builds(_bytes_change, place, st.binary(max_size=4), st.integers(0, 4)),
        st.builds(_bytes_change, place, st.sampled_from(MARKS).map(str.encode), st.just(0)),
        st.builds(_line_change, place, place, st.sampled_from(("drop", "copy", "swap", "cut"))),
        st.builds(_half_change, place, st.sampled_from(KEYS), st.just(0)),
        st.builds(_half_change, place, st.sampled_from(VALUES), st.just(1)),
    )


def broken_rubrics() -> st.SearchStrategy[bytes]:
    """Return the bytes of a valid rubric file after one to four changes."""

    def changed(base: str, each: list[Change]) -> bytes:
        data = base.encode("utf-8")
        for change in each:
            data = change(data)
        return data

    return st.builds(changed, st.sampled_from(BASES), st.lists(changes(), min_size=1, max_size=4))


def read_or_refuse(data: bytes, path: Path) -> Rubric | RubricError:
    """Read a rubric file of these bytes: a rubric comes of it, or an error that says what is wrong.

    Args:
        data: The bytes.
        path: Where to put them.

    Raises:
        AssertionError: The rubric is none, or the error does not help.
        Exception: Any other error of the reader's, which is the fault that is looked for.
    """
    path.write_bytes(data)
    try:
        rubric = load_rubric(path)
    except RubricError as exc:
        _check_error(exc, path, data)
        return exc
    _check_rubric(rubric)
    return rubric


def _check_error(error: RubricError, path: Path, data: bytes) -> None:
    assert str(error).startswith(f"{path}:"), error
    assert all(part.strip() for part in (error.seen, error.expected, error.action)), error
    most = 1 + data.count(b"\n") + data.count(b"\r")
    assert error.line is None or 1 <= error.line <= most, error
    assert str(error).encode("utf-8")


def _check_rubric(rubric: Rubric) -> None:
    assert rubric.criteria
    assert len(rubric.content_hash) == 64
    assert all(rubric.reference_for(r.prompt) == r.answer for r in rubric.references)
    for criterion in rubric.judge_criteria:
        assert all(e.choice in criterion.choices for e in criterion.rating_examples)
