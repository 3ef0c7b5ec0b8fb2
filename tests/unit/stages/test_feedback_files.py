"""Files of human feedback: every form is understood, and nothing that is broken is taken."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.errors import FeedbackFileError
from rlaif.stages.feedback_files import Answer, FeedbackLine, Statement, read_feedback
from rlaif.stages.json_lines import LONGEST_LINE

ARABIC, FAMILY, MARKED = (
    "\u0643\u064a\u0641 \u062d\u0627\u0644\u0643\u061f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e\u0301",
)
PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}
RATED = {"prompt": "p", "answer": "a", "rating": 1}
RANKED = {"prompt": "p", "answers": ["a", "b", "c"], "ranking": [2, 0, 1]}


def write(folder: Path, *lines: Any, name: str = "f.jsonl") -> Path:
    path = folder / name
    texts = [x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines]
    path.write_bytes("".join(f"{text}\n" for text in texts).encode("utf-8"))
    return path


def one(folder: Path, *lines: Any, name: str = "f.jsonl") -> FeedbackLine:
    ((_, line),) = read_feedback(write(folder, *lines, name=name))
    return line


@pytest.mark.parametrize(
    ("line", "form", "said"),
    [
        (RATED, "rating", [Statement(0, None, 1.0)]),
        ({**RATED, "rating": 0}, "rating", [Statement(0, None, 0.0)]),
        ({**RATED, "rating": 4, "scale": [1, 5]}, "rating", [Statement(0, None, 0.75)]),
        ({**RATED, "rating": -1, "scale": [-1, 1]}, "rating", [Statement(0, None, 0.0)]),
        (PAIR, "pair", [Statement(0, 1, 1.0)]),
        (
            {"prompt": "p", "first": "a", "second": "b", "better": "second"},
            "pair",
            [Statement(0, 1, 0.0)],
        ),
        (
            {"prompt": "p", "first": "a", "second": "b", "better": "tie"},
            "pair",
            [Statement(0, 1, 0.5)],
        ),
        (
            {"prompt": "p", "first": "a", "second": "b", "better": 0.7},
            "pair",
            [Statement(0, 1, 0.7)],
        ),
        ({"prompt": "p", "answer": "a", "edited": "b"}, "edit", [Statement(0, 1, 1.0)]),
        (
            RANKED,
            "ranking",
            [Statement(0, 1, 1.0), Statement(0, 2, 0.0), Statement(1, 2, 0.0)],
        ),
        (
            {**RANKED, "ranking": [[0, 2], 1]},
            "ranking",
            [Statement(0, 1, 1.0), Statement(0, 2, 0.5), Statement(1, 2, 0.0)],
        ),
    ],
)
def test_every_form_says_what_it_means(
    tmp_path: Path, line: dict[str, Any], form: str, said: list[Statement]
) -> None:
    found = one(tmp_path, line)
    assert (found.form, found.statements()) == (form, said)


def test_of_an_edit_the_edited_answer_comes_first(tmp_path: Path) -> None:
    line = one(tmp_path, {"prompt": "p", "answer": "before", "edited": "after"})
    assert line.shown == (Answer("after", None), Answer("before", None))


def test_words_of_any_script_stay_as_they_are(tmp_path: Path) -> None:
    texts = [ARABIC, FAMILY, MARKED, "\u4f60\u597d\u2028\u4e16\u754c", "a\tb\nc"]
    line = one(tmp_path, {"prompt": ARABIC, "answers": texts, "ranking": [4, 3, 2, 1, 0]})
    assert [answer.text for answer in line.shown] == texts
    assert line.turns[0].content == ARABIC


def test_ids_stand_in_place_of_texts_and_need_no_prompt(tmp_path: Path) -> None:
    line = one(tmp_path, {"chosen_id": "x", "rejected_id": "y", "rater": "ana", "weight": 2})
    assert line.shown == (Answer(None, "x"), Answer(None, "y"))
    assert (line.turns, line.rater, line.weight) == ((), "ana", 2.0)
    mixed = one(tmp_path, {"prompt_id": "p", "chosen_id": "x", "rejected": "b"})
    assert mixed.shown == (Answer(None, "x"), Answer("b", None))


def test_empty_lines_are_passed_over_and_keep_their_numbers(tmp_path: Path) -> None:
    found = read_feedback(write(tmp_path, "", PAIR, "  ", {**RATED, "note": "n"}))
    assert [number for number, _ in found] == [2, 4]


BROKEN = [
    ({**PAIR, "colour": "red"}, "'colour' is not known", "criterion, rater"),
    ({**RATED, "rating": "high"}, "rating = 'high'", "expected: a number, in"),
    ({**RATED, "rating": True}, "rating = True", "expected: a number, in"),
    ({**RATED, "rating": 1.01}, "'rating' = 1.01 is not within [0, 1]", ""),
    ({**RATED, "rating": 6, "scale": [1, 5]}, "'rating' = 6.0 is not within [1, 5]", ""),
    ({**RATED, "scale": [5, 1]}, "'scale' is [lowest, highest], not [5, 1]", ""),
    ({**RATED, "scale": [1, 2, 3]}, "scale", ""),
    ({**RATED, "answer": " \t "}, "answer = ' \\t ': it must not be empty", ""),
    ({**RATED, "answer": ""}, "answer = '': it must not be empty", ""),
    ({**RATED, "prompt": ""}, "prompt = '': it must not be empty", ""),
    ({**RATED, "rater": ""}, "rater = ''", ""),
    ({**RATED, "weight": 0}, "weight = 0", ""),
    ({**RATED, "weight": 0.0009}, "weight = 0.0009", "0.001"),
    ({**RATED, "weight": 1e308}, "weight = 1e+308", "1000"),
    ({**RATED, "rating": 1e308, "scale": [-1e308, 1e308]}, "'scale' is [lowest, highest]", ""),
    ({**RATED, "prompt_id": "x"}, "it has one of 'prompt', 'messages' and 'prompt_id'", ""),
    ({"answer": "a", "rating": 1}, "it has one of 'prompt', 'messages' and 'prompt_id'", ""),
    ({**PAIR, "rejected": "a"}, "two of its answers are the same", ""),
    ({**RANKED, "answers": ["a", "b", "a"]}, "two of its answers are the same", ""),
    ({**PAIR, "scale": [0, 1]}, "its feedback is none of", "chosen + rejected"),
    ({**PAIR, "rating": 1}, "its feedback is none of", ""),
    ({"prompt": "p"}, "it has none", ""),
    ({**PAIR, "chosen_id": "x"}, "it has both 'chosen' and 'chosen_id'", ""),
    ({**RANKED, "ranking": [0, 1]}, "'ranking' holds each of 0 to 2 once", "[0, 1]"),
    ({**RANKED, "ranking": [0, 1, 1]}, "'ranking' holds each of 0 to 2 once", ""),
    ({**RANKED, "ranking": [1, 2, 3]}, "'ranking' holds each of 0 to 2 once", ""),
    ({**RANKED, "ranking": [0, [1, 1], 2]}, "'ranking' holds each of 0 to 2 once", ""),
    ({**RANKED, "answers": ["a"], "ranking": [0]}, "answers = ['a']", ""),
    ({"prompt": "p", "first": "a", "second": "b", "better": "third"}, "better = 'third'", "tie"),
    ({"prompt": "p", "first": "a", "second": "b", "better": 2}, "better = 2", ""),
    ({"prompt": "p", "first": "a", "second": "b", "better": True}, "better = True", ""),
    ({"prompt": "p", "first": "a", "second": "b", "better": [1]}, "better = [1]", ""),
    ({"messages": [], "answer": "a", "rating": 1}, "must end with a user's", ""),
    (
        {"messages": [{"role": "assistant", "content": "x"}], "answer": "a", "rating": 1},
        "must end with a user's",
        "",
    ),
    ({"messages": [{"role": "user"}], "answer": "a", "rating": 1}, "is missing", ""),
    ("[1, 2]", "[1, 2]", "an object"),
    ("{", "not JSON", "one JSON object"),
    ('{"prompt": "p", "answer": "a", "answer": "b", "rating": 1}', "a key stands twice", ""),
    ('{"prompt": "p", "answer": "a", "rating": NaN}', "NaN is no number", ""),
    ('{"prompt": "p", "answer": "a", "rating": 1e999}', "rating = inf", ""),
    ('{"prompt": "p", "answer": "\\ud800", "rating": 1}', "half of a surrogate pair", ""),
    ("[" * 100_000, "nested too deeply", ""),
]


@pytest.mark.parametrize(("line", "seen", "more"), BROKEN)
def test_a_broken_line_is_named_with_what_was_seen(
    tmp_path: Path, line: Any, seen: str, more: str
) -> None:
    path = write(tmp_path, PAIR, "", line, RATED)
    with pytest.raises(FeedbackFileError) as caught:
        read_feedback(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: ")
    assert seen in message
    assert more in message
    assert "expected: " in message
    assert "nothing of it was taken" in message
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("data", "line", "seen"),
    [
        (b"\xef\xbb\xbf\n\xff", 2, "byte 0xff is not UTF-8"),
        (b'{"prompt": "p"}\n{"prompt": "\xff\xfe"}\n', 2, "byte 0xff is not UTF-8"),
        ("{}".encode("utf-16"), 1, "is not UTF-8"),
        (b"", None, "no line"),
        (b"\n \n", None, "no line"),
    ],
)
def test_bytes_that_are_no_utf8_are_refused_with_the_line(
    tmp_path: Path, data: bytes, line: int | None, seen: str
) -> None:
    for name in ("f.jsonl", "f.csv"):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FeedbackFileError) as caught:
            read_feedback(path)
        if name == "f.jsonl" or line is not None:
            assert seen in str(caught.value)
            assert caught.value.line == line


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f.jsonl", json.dumps({**PAIR, "prompt": "Où?"}, ensure_ascii=False) + "\n"),
        ("f.csv", '"prompt",chosen,rejected\r\nOù?,a,b\r\n'),
    ],
)
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8-sig"))
    ((_, line),) = read_feedback(path)
    assert line.prompt == "Où?"


def long_row(path: Path, length: int) -> None:
    """Write a second line of so many characters; of CSV, in its cells."""
    if path.suffix == ".csv":
        path.write_text(f"prompt,chosen,rejected\np,{'c' * (length - 2)},r\n", encoding="utf-8")
    else:
        line = json.dumps({**PAIR, "prompt": ""})
        long = json.dumps({**PAIR, "prompt": "p" * (length - len(line))})
        path.write_text(f"{json.dumps(PAIR)}\n{long}\n", encoding="utf-8")


@pytest.mark.parametrize("name", ["f.jsonl", "f.csv"])
def test_lines_of_both_formats_have_one_bound(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    long_row(path, LONGEST_LINE)
    assert read_feedback(path)[-1][0] == 2
    long_row(path, LONGEST_LINE + 1)
    with pytest.raises(FeedbackFileError) as caught:
        read_feedback(path)
    assert (caught.value.seen, caught.value.expected) == (
        f"{path}:2: a line of 10,000,001 characters",
        "at most 10,000,000 characters a line",
    )


def test_the_limit_of_the_csv_module_stays_what_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = tmp_path / "f.csv"
    long_row(path, 200_000)
    assert len(read_feedback(path)) == 1
    path.write_text('prompt,chosen\np,"a"b\n', encoding="utf-8")
    with pytest.raises(FeedbackFileError):
        read_feedback(path)
    assert csv.field_size_limit() == before


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedbackFileError, match="cannot be read: No such file"):
        read_feedback(tmp_path / "none.jsonl")


def test_a_csv_file_says_the_same(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "prompt,answer,rating,scale,answers,ranking,first,second,better,messages",
        '"a ""quoted"", prompt\nof two lines",an answer,4,"[1, 5]",,,,,,',
        ',,,,"[""a"", ""b""]","[1, 0]",,,,"[{""role"": ""user"", ""content"": ""\u4f60\u597d""}]"',
        "p,,,,,,x,y,0.25,",
        "p,,,,,,x,y,tie,",
        name="f.CSV",
    )
    found = read_feedback(path)
    assert [number for number, _ in found] == [2, 4, 5, 6]
    lines = [line for _, line in found]
    assert lines[0].prompt == 'a "quoted", prompt\nof two lines'
    assert lines[0].statements() == [Statement(0, None, 0.75)]
    assert lines[1].turns[0].content == "\u4f60\u597d"
    assert lines[1].statements() == [Statement(0, 1, 0.0)]
    assert [line.statements()[0].value for line in lines[2:]] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("rows", "line", "seen"),
    [
        (["prompt,colour", "p,red"], 1, "'colour' are unknown"),
        (["prompt,answer,answer"], 1, "stand there twice"),
        (["prompt,answer,rating", "p,a"], 2, "2 cells under 3 columns"),
        (["prompt,answer,rating", "p,a,1", 'p,"a"b,1'], 3, "not CSV"),
        (["prompt,answer,rating", "p,a,1", 'p,"a,1'], 3, "not CSV"),
        (["prompt,answer,rating", "p,a,high"], 2, "rating = 'high'"),
        (["prompt,answer,rating", "p,,1"], 2, "its feedback is none of"),
        (["prompt,answers,ranking", 'p,[a],"[0]"'], 2, "answers = '[a]' is not JSON"),
        (["prompt,answer,rating", "p,a,1e999"], 2, "rating = inf"),
    ],
)
def test_a_broken_csv_file_is_refused_with_the_line(
    tmp_path: Path, rows: list[str], line: int, seen: str
) -> None:
    path = write(tmp_path, *rows, name="f.csv")
    with pytest.raises(FeedbackFileError) as caught:
        read_feedback(path)
    assert seen in str(caught.value)
    assert caught.value.line == line


@st.composite
def rankings(draw: st.DrawFn) -> list[int | list[int]]:
    """Any ranking with ties of two answers to six."""
    order = draw(st.permutations(range(draw(st.integers(2, 6)))))
    cuts = draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    groups: list[list[int]] = []
    for index, cut in zip(order, cuts, strict=True):
        if cut or not groups:
            groups.append([])
        groups[-1].append(index)
    return [group[0] if len(group) == 1 else group for group in groups]


@settings(derandomize=True, deadline=None)
@given(ranking=rankings())
def test_a_ranking_read_from_its_end_says_the_opposite(ranking: list[int | list[int]]) -> None:
    count = sum(len(g) if isinstance(g, list) else 1 for g in ranking)
    answers = [f"answer {i}" for i in range(count)]
    forward, backward = (
        FeedbackLine(prompt="p", answers=answers, ranking=order).statements()
        for order in (ranking, ranking[::-1])
    )
    assert len(forward) == count * (count - 1) // 2
    assert [(s.first, s.second, 1.0 - s.value) for s in forward] == [tuple(s) for s in backward]
    flat = [[i for i in ([g] if isinstance(g, int) else g)] for g in ranking]
    place = {i: n for n, group in enumerate(flat) for i in group}
    for first, second, value in forward:
        assert second is not None
        assert value == (place[first] < place[second]) + 0.5 * (place[first] == place[second])


@settings(derandomize=True, deadline=None, max_examples=200)
@given(data=st.binary(max_size=80), name=st.sampled_from(["f.jsonl", "f.csv"]))
def test_garbage_is_refused_and_never_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with pytest.raises(FeedbackFileError):
        read_feedback(path)
