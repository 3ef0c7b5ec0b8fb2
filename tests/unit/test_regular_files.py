"""What people name is read where it is a regular file; pipes and devices are refused, unread."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlaif.errors import ConfigError
from rlaif.judges.rubric import load_rubric
from rlaif.judges.template_folder import TemplateFolder
from rlaif.stages.feedback_files import read_feedback
from rlaif.stages.json_lines import AskedLine, read_json_lines

PAIR = '{"prompt": "p", "chosen": "a", "rejected": "b"}\n'


def _lines(path: Path) -> object:
    return read_json_lines(path, AskedLine, "{}")


READERS: list[Callable[[Path], Any]] = [load_rubric, read_feedback, _lines]


def _refusal(read: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.exit_code == 78
    assert caught.value.path == path
    return caught.value.seen


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def unwaiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let who opens a pipe fail, instead of waiting for a writer that never comes."""

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(Path, "open", refuse)


@pytest.mark.usefixtures("unwaiting")
@pytest.mark.parametrize("read", READERS)
def test_a_pipe_is_refused_before_anyone_waits_for_it(
    pipe: Path, read: Callable[[Path], Any]
) -> None:
    assert "a pipe, not a regular file" in _refusal(read, pipe)


@pytest.mark.usefixtures("unwaiting")
@pytest.mark.parametrize("read", READERS)
def test_a_device_is_refused_also_behind_a_link(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/zero")
    assert "a device, not a regular file" in _refusal(read, Path("/dev/zero"))
    assert "a device, not a regular file" in _refusal(read, link)


@pytest.mark.usefixtures("unwaiting")
def test_a_message_of_a_template_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pointwise.jinja")
    with pytest.raises(ConfigError, match=r"pointwise.jinja: a pipe, not a regular file"):
        TemplateFolder(tmp_path)


@pytest.mark.parametrize("read", READERS)
def test_a_folder_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    assert "a folder, not a regular file" in _refusal(read, tmp_path)


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text(PAIR, encoding="utf-8")
    link = tmp_path / "link.jsonl"
    link.symlink_to("there.jsonl")
    assert len(read_feedback(link)) == 1
