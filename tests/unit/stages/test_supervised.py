"""Supervised text for the ptx term: read strictly, in order, without what is held out."""

import json
from pathlib import Path

import pytest

from rlaif.config import RlaifConfig
from rlaif.errors import ConfigError
from rlaif.records import Message, Prompt
from rlaif.stages.supervised import Example, read_examples


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def pool(*held_out: str) -> list[Prompt]:
    train = Prompt(id="t", messages=user("In training?"), split="train")
    return [train, *(Prompt(id=t, messages=user(t), split="eval") for t in held_out)]


def text(folder: Path, *lines: object, name: str = "text.jsonl") -> Path:
    path = folder / name
    shown = (x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines)
    path.write_bytes("\r\n".join(shown).encode("utf-8-sig"))
    return path


def test_examples_come_in_the_order_of_the_file_each_with_its_line(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "请用中文。"}, {"role": "user", "content": "法国首都?"}]
    path = text(
        tmp_path,
        {"prompt": "Who?", "completion": " I. "},
        "",
        {"messages": turns, "completion": "巴黎。"},
        {"prompt": "In training?", "completion": "Yes."},
        {"prompt": "Who?", "completion": " I. "},
    )
    chinese = tuple(Message.model_validate(turn) for turn in turns)
    first = Example(messages=user("Who?"), text=" I. ", ended=True)
    assert read_examples(path, pool()) == [
        (1, first),
        (3, Example(messages=chinese, text="巴黎。", ended=True)),
        (4, Example(messages=user("In training?"), text="Yes.", ended=True)),
        (5, first),
    ]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("{not json", "not JSON"),
        ('{"prompt": "a"}', "'completion' is missing"),
        (
            '{"prompt": "a", "completion": " \\n"}',
            "completion = ' \\n': a completion must not be",
        ),
        ('{"prompt": "a", "completion": ["b"]}', "completion = ['b']"),
        ('{"prompt": "a", "completion": "b", "split": "train"}', "split"),
        ('{"completion": "b"}', "either 'prompt' or 'messages'"),
        ('{"prompt": "", "completion": "b"}', "not empty"),
        ('{"prompt": "a", "completion": "\\ud800"}', "surrogate"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, part: str) -> None:
    path = text(tmp_path, {"prompt": "Who?", "completion": "I."}, line)
    with pytest.raises(ConfigError) as caught:
        read_examples(path, pool())
    message = str(caught.value)
    assert caught.value.exit_code == 78
    assert message.startswith(f"{path}:2: ")
    assert part in message
    assert "expected: " in message
    assert "to do: mend the line" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "cannot be read"), (b"\xff", "UTF-8"), (b"\n \n", "no example")],
)
def test_a_file_without_an_example_is_refused(
    tmp_path: Path, content: bytes | None, part: str
) -> None:
    path = tmp_path / "text.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=part) as caught:
        read_examples(path, pool())
    assert caught.value.path == path


def test_what_answers_a_held_out_prompt_does_not_train(tmp_path: Path) -> None:
    lines = [{"prompt": p, "completion": "Paris."} for p in ("capital of FRANCE", "And of Chile?")]
    path = text(tmp_path, *lines)
    assert [n for n, _ in read_examples(path, pool("Capital of France?"))] == [2]
    with pytest.raises(ConfigError, match="2 lines, all to prompts that are held out"):
        read_examples(path, pool("Capital of France?", "And of Chile?"))


@pytest.mark.parametrize(
    ("ppo", "optimizer", "expected"),
    [
        ({"ptx_path": "t.jsonl", "ptx_coefficient": 0.1}, "ppo", "t.jsonl"),
        ({"ptx_path": "t.jsonl", "ptx_coefficient": 0.1}, "dpo", None),
        ({"ptx_path": "t.jsonl"}, "ppo", None),
        ({"ptx_coefficient": 0.1}, "ppo", None),
    ],
)
def test_only_a_term_that_weighs_something_reads_a_file(
    ppo: dict[str, object], optimizer: str, expected: str | None
) -> None:
    config = RlaifConfig.model_validate({"ppo": ppo, "policy": {"optimizer": optimizer}})
    assert config.supervised_text == expected


def test_settings_have_one_digest_wherever_the_text_lies() -> None:
    here, there = (
        RlaifConfig.model_validate({"ppo": {"ptx_path": path, "ptx_coefficient": 0.1}})
        for path in ("/here/t.jsonl", "/there/t.jsonl")
    )
    assert here.fingerprint() == there.fingerprint()
