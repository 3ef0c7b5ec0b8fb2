"""Pools: strict lines, no twins, nothing held out leaks into training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.errors import PromptFileError
from rlaif.records import Message, Prompt
from rlaif.stages.json_lines import LONGEST_LINE
from rlaif.stages.pools import (
    away_from,
    drop_near_duplicates,
    read_pools,
    require_both_splits,
    same_words_otherwise_ordered,
    stable_share,
)


def pool(root: Path, *lines: object, name: str = "a.jsonl") -> Path:
    path = root / name
    text = "\n".join(x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def asked(name: str, split: str = "train") -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=name),), split=split)


BOTH = ({"prompt": "train me", "split": "train"}, {"prompt": "测试我", "split": "eval"})


def test_reads_prompts_and_conversations_of_every_file(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi?"}]
    pool(tmp_path, *BOTH, name="b.jsonl")
    pool(tmp_path, {"id": "x", "messages": turns, "tags": ["t"], "split": "train"}, name="a.jsonl")
    found = read_pools(tmp_path, "*.jsonl", 0.5)
    assert found[0].id == "x"
    assert found[0].text == "system: Be kind.\nuser: Hi?"
    assert found[0].tags == ("t",)
    assert {p.text for p in found[1:]} == {"train me", "测试我"}


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("{not json", "not JSON"),
        ('{"prompt": "a", "promt": "b"}', "promt"),
        ('{"tags": []}', "either 'prompt' or 'messages'"),
        ('{"prompt": "   "}', "not empty"),
        ('{"prompt": "a", "split": "dev"}', "split"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "user's"),
        ("[1, 2]", "[1, 2]\n  expected: an object such as"),
        ('{"prompt": "a\\ud800b"}', "surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ('{"prompt": 3}', "prompt = 3\n  expected: a text, in an object such as"),
        (
            '{"prompt": ["' + "long " * 99 + '"]}',
            "\u2026\n  expected: a text, in an object",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, part: str) -> None:
    path = pool(tmp_path, *BOTH, line)
    with pytest.raises(PromptFileError) as caught:
        read_pools(tmp_path, "*.jsonl", 0.5)
    assert caught.value.exit_code == 78
    assert str(path) in str(caught.value)
    assert caught.value.line == 3
    assert part in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"prompt": "\xff"}')
    with pytest.raises(PromptFileError, match="UTF-8"):
        read_pools(tmp_path, "*.jsonl", 0.5)


@pytest.mark.parametrize("lines", [(), ({"prompt": "a", "split": "train"},)])
def test_an_empty_pool_or_split_is_refused(tmp_path: Path, lines: tuple[object, ...]) -> None:
    pool(tmp_path, *lines)
    with pytest.raises(PromptFileError, match="at least one of each"):
        read_pools(tmp_path, "*.jsonl", 0.0)


def test_twins_are_dropped_and_eval_wins(tmp_path: Path) -> None:
    pool(
        tmp_path,
        {"prompt": "What is it?", "split": "train"},
        {"prompt": "what is  it", "split": "eval"},
        {"prompt": "Another", "split": "train"},
        {"prompt": "another!", "split": "train"},
    )
    found = read_pools(tmp_path, "*.jsonl", 0.5)
    assert [(p.text, p.split) for p in found] == [("what is  it", "eval"), ("Another", "train")]


def test_a_split_that_only_twins_filled_is_refused(tmp_path: Path) -> None:
    pool(tmp_path, {"prompt": "One?", "split": "train"}, {"prompt": "one", "split": "eval"})
    with pytest.raises(PromptFileError, match=r"0 prompts to train on and 1 held out"):
        read_pools(tmp_path, "*.jsonl", 0.5)


def test_both_splits_are_needed() -> None:
    train, held = asked("a"), asked("b", "eval")
    require_both_splits([train, held], "here")
    for lacking in ([train], [held], []):
        with pytest.raises(PromptFileError, match="here: "):
            require_both_splits(lacking, "here")


@pytest.mark.parametrize("splits", [("train", "train"), ("eval", "train"), ("train", "eval")])
def test_one_id_for_two_prompts_is_refused_where_the_second_stands(
    tmp_path: Path, splits: tuple[str, str]
) -> None:
    one, two = ({"id": "x", "prompt": w, "split": s} for w, s in zip("ab", splits, strict=True))
    first = pool(tmp_path, *BOTH, one, name="a.jsonl")
    second = pool(tmp_path, "", two, name="b.jsonl")
    with pytest.raises(PromptFileError, match="two different prompts") as caught:
        read_pools(tmp_path, "*.jsonl", 0.5)
    assert (caught.value.path, caught.value.line) == (second, 2)
    assert f"{first}:3" in str(caught.value)


def test_a_byte_order_mark_and_carriage_returns_are_no_mistake(tmp_path: Path) -> None:
    lines = [json.dumps(line, ensure_ascii=False) for line in BOTH]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    assert [p.text for p in read_pools(tmp_path, "*.jsonl", 0.5)] == ["train me", "测试我"]


def test_a_line_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = pool(tmp_path, BOTH[0], "x" * (LONGEST_LINE + 1))
    with pytest.raises(PromptFileError, match="at most 10,000,000 characters a line") as caught:
        read_pools(tmp_path, "*.jsonl", 0.5)
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    odd = "one\u2028two\u2029three\x85four"
    lines = [{"prompt": odd, "split": "train"}, BOTH[1]]
    text = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (tmp_path / "a.jsonl").write_bytes(text.encode("utf-8"))
    assert [p.text for p in read_pools(tmp_path, "*.jsonl", 0.5)] == [odd, "测试我"]


def test_the_split_is_stable_when_the_pool_grows(tmp_path: Path) -> None:
    few = [{"prompt": f"question {i}"} for i in range(60)]
    pool(tmp_path, *few)
    before = {p.text: p.split for p in read_pools(tmp_path, "*.jsonl", 0.3)}
    pool(tmp_path, *reversed(few), *({"prompt": f"more {i}"} for i in range(60)))
    after = {p.text: p.split for p in read_pools(tmp_path, "*.jsonl", 0.3)}
    assert before.items() <= after.items()
    assert 0.15 < sum(s == "eval" for s in after.values()) / len(after) < 0.45


@given(st.lists(st.text("aZ 0é猫\u2028", max_size=9), min_size=1, max_size=9, unique=True))
def test_stable_shares_lie_in_the_unit_interval(names: list[str]) -> None:
    assert all(0.0 <= stable_share(name) < 1.0 for name in names)


def test_near_duplicates_are_dropped_within_and_across_splits() -> None:
    vectors = {
        "a": [1.0, 0.0],
        "a2": [0.999, 0.0447],
        "b": [0.0, 1.0],
        "held": [0.7071, 0.7071],
        "leak": [0.70, 0.7141],
    }
    prompts = [
        asked("a"),
        asked("a2"),
        asked("b"),
        asked("leak"),
        asked("held", "eval"),
    ]

    def encode(texts: Sequence[str]) -> np.ndarray:
        return np.array([vectors[t] for t in texts], dtype=np.float32)

    kept = drop_near_duplicates(prompts, encode, 0.99)
    assert [p.id for p in kept] == ["a", "b", "held"]
    assert drop_near_duplicates(prompts, encode, 1.0) == prompts


def test_away_from_what_is_held_out_neither_its_words_nor_its_meaning_train() -> None:
    vectors = {
        "held": [1.0, 0.0],
        "HELD!": [0.0, 1.0],
        "near": [0.999, 0.0447],
        "near too": [0.999, -0.0447],
        "far": [0.0, 1.0],
        "far again": [0.0, 1.0],
        "hot is cold": [1.0, 0.0],
        "cold is hot": [1.0, 0.0],
    }

    def encode(texts: Sequence[str]) -> np.ndarray:
        return np.array([vectors[t] for t in texts], dtype=np.float32)

    held_out = [asked("held", "eval"), asked("hot is cold", "eval")]
    prompts = [asked(t) for t in ("far", "near", "HELD!", "far again", "near too")]
    kept = [p.text for p in away_from(prompts, held_out, encode, 0.99)]
    assert kept == ["far", "far again"]
    words_alone = [p.text for p in away_from(prompts, held_out, encode, 1.0)]
    assert words_alone == ["far", "near", "far again", "near too"]
    turned = [asked("cold is hot")]
    assert away_from(turned, held_out[1:], encode, 0.99) == turned
    assert away_from(prompts, [], encode, 0.99) == prompts
    assert away_from([], held_out, encode, 0.99) == []


def test_with_a_threshold_of_one_nothing_is_computed_and_all_are_kept() -> None:
    prompts = [asked("a"), asked("A.")]

    def encode(texts: Sequence[str]) -> np.ndarray:
        raise AssertionError(texts)

    assert drop_near_duplicates(prompts, encode, 1.0) == prompts


def test_prompts_that_differ_in_the_order_of_words_are_no_duplicates() -> None:
    texts = ("Is hot the opposite of cold?", "Is cold the opposite of hot?", "Is cold hot?")
    prompts = [asked(text) for text in texts] + [asked("is Hot: the opposite of cold")]

    def encode(texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), dtype=np.float32)

    assert drop_near_duplicates(prompts, encode, 0.9) == prompts[:2]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Hot is the opposite of cold.", "cold is the opposite of hot", True),
        ("猫追狗。", "狗追猫", True),
        ("What is 12?", "what is 21", True),
        ("2+3-1", "2-3+1", True),
        ("2+3", "2 + 3!", False),
        ("the same words", "The same, words.", False),
        ("a b", "a b b", False),
        ("", "", False),
    ],
)
def test_same_words_in_another_order(one: str, other: str, expected: bool) -> None:
    found = same_words_otherwise_ordered([one, other])
    assert found.tolist() == [[False, expected], [expected, False]]


@given(st.lists(st.text(alphabet="ab 1猫+"), min_size=1, max_size=6))
def test_only_anagrams_of_words_are_otherwise_ordered(texts: list[str]) -> None:
    found = same_words_otherwise_ordered(texts)
    assert (found == found.T).all()
    assert not found.diagonal().any()
    for row, column in np.argwhere(found):
        assert sorted(texts[row].replace(" ", "")) == sorted(texts[column].replace(" ", ""))


def test_near_duplicates_are_found_across_blocks() -> None:
    count = 1_100
    rows = np.eye(count, dtype=np.float32)
    rows[-1] = rows[3]
    prompts = [asked(f"p{i}") for i in range(count)]
    kept = drop_near_duplicates(prompts, lambda texts: rows[: len(texts)], 0.9)
    assert [p.id for p in kept] == [f"p{i}" for i in range(count - 1)]
