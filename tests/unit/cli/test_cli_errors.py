"""Bad input: one message that says file, line or field, and the documented exit code."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.conftest import Rlaif
from rlaif import __version__
from rlaif.cli import main
from rlaif.cli import status as status_command
from rlaif.config import CONFIG_NAME
from rlaif.project import Project


def broken(here: Rlaif, project: Project, old: str, new: str) -> str:
    """Return the message that a changed rlaif.toml gives, which is the same for all commands."""
    text = project.config_path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    project.config_path.write_text(text.replace(old, new, 1), encoding="utf-8")
    messages = set()
    for command in (["status"], ["report"], ["run"], ["policy", "list"]):
        result = here(*command)
        assert result.exit_code == 78
        assert result.stdout == ""
        messages.add(result.stderr)
    (message,) = messages
    return str(message)


def line_of(project: Project, words: str) -> int:
    lines = project.config_path.read_text(encoding="utf-8").splitlines()
    return 1 + next(i for i, line in enumerate(lines) if line.startswith(words))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = ", "sead = 1\nseed = ", ["run.sead", "write 'seed'"]),
        ("[gate]", "[gaet]", ["gaet", "write 'gate'"]),
        ("seed = 20261122", 'seed = "many"', ["run.seed = 'many'", "a whole number"]),
        ("temperature = 1.0", "temperature = nan", ["generation.temperature = nan"]),
        ("minibatch = 16", "minibatch = 48", ["ppo.minibatch = 48", "ppo.rollout_batch = 64"]),
        ("clip = 0.2", "clip = = 0.2", ["not valid TOML"]),
    ],
)
def test_a_broken_configuration(
    here: Rlaif, project: Project, old: str, new: str, words: list[str]
) -> None:
    message = broken(here, project, old, new)
    assert message.startswith(f"Error: {project.config_path}:")
    assert all(part in message for part in words)
    assert "\n  expected: " in message
    assert "\n  to do: " in message


def test_a_wrong_field_is_named_with_its_line(here: Rlaif, project: Project) -> None:
    message = broken(here, project, "seed = 20261122", "seed = -1")
    assert f"{CONFIG_NAME}:{line_of(project, 'seed')}: run.seed = -1" in message


def test_a_setting_from_the_environment_is_checked_too(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_RUN__SEED", "soon")
    result = here("status")
    assert result.exit_code == 78
    assert "run.seed = 'soon'" in result.stderr


def test_a_folder_that_is_no_project(rlaif: Rlaif, tmp_path: Path) -> None:
    result = rlaif("--project", tmp_path, "report")
    assert result.exit_code == 78
    assert f"{tmp_path} has no {CONFIG_NAME}" in result.stderr
    assert "rlaif init DIR" in result.stderr


def test_the_current_folder_is_the_project(
    project: Project, rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    assert f"project   {project.root}" in rlaif("status").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["run", "--cycles", "0"],
        ["run", "--cycles", "2", "--until-cycle", "3"],
        ["critiques", "--limit", "none"],
        ["policy", "show"],
        ["export", "preferences", "--format", "csv"],
        ["demo"],
    ],
)
def test_wrong_usage(here: Rlaif, arguments: list[str]) -> None:
    result = here(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert result.stdout == ""


def test_a_file_that_is_no_ledger(here: Rlaif, project: Project) -> None:
    project.ledger_path.write_bytes(b"not a database, but long enough to be read as one" * 20)
    result = here("report")
    assert result.exit_code == 1
    assert "ledger.db" in result.stderr


def test_controls_in_a_quoted_file_are_shown_and_not_obeyed(here: Rlaif, project: Project) -> None:
    text = project.config_path.read_text(encoding="utf-8")
    evil = text.replace('device = "auto"', 'device = "\\u001b[2Jauto"')
    project.config_path.write_text(evil, encoding="utf-8")
    result = here("status")
    assert result.exit_code == 78
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "room on the disk"), (errno.EACCES, "check the permissions")],
)
def test_a_full_or_forbidden_disk_is_told_in_words(
    project: Project, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def fail(_: Project) -> None:
        raise OSError(code, "the system's words", "some/file")

    monkeypatch.setattr(status_command, "read_status", fail)
    result = CliRunner().invoke(main, ["--project", str(project.root), "status"])
    assert result.exit_code == 1
    assert "some/file: the system's words" in result.stderr
    assert words in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["critiques", "--search", "\udcff\udcfe"],
        ["critiques", "\udcff\udcfe"],
        ["critiques", "show", "\udcff\udcfe"],
        ["critiques", "--like", "\udcff\udcfe"],
        ["critiques", "--search=\udcff\udcfe"],
        ["feedback", "import", "absent.jsonl", "--rater", "\udcff\udcfe"],
        ["rubric", "new", "\udcff\udcfe"],
        ["--project", "\udcff\udcfe", "status"],
        ["\udcff\udcfe"],
    ],
)
def test_arguments_that_are_not_utf8_are_refused(
    here: Rlaif, project: Project, arguments: list[str]
) -> None:
    before = project.ledger_path.read_bytes()
    result = here(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "\\xff\\xfe" in result.stderr
    assert "\n  expected: text in UTF-8" in result.stderr
    assert "\n  to do: " in result.stderr
    assert project.ledger_path.read_bytes() == before


def test_a_lone_surrogate_that_is_no_byte_is_shown_as_it_is_and_cut(rlaif: Rlaif) -> None:
    result = rlaif("critiques", "--search", "\ud83d" + "很" * 1000)
    assert result.exit_code == 2
    assert "\\ud83d很" in result.stderr
    assert "很" * 400 not in result.stderr


def test_arguments_in_chinese_and_with_emoji_are_taken(here: Rlaif) -> None:
    assert here("critiques", "--search", "很好\U0001f600").exit_code == 0


def test_completion_goes_on_where_an_argument_is_not_utf8() -> None:
    environment = {"_RLAIF_COMPLETE": "bash_complete", "COMP_WORDS": "rlaif x\udcff r"}
    result = CliRunner().invoke(
        main, [], env={**environment, "COMP_CWORD": "2"}, prog_name="rlaif", catch_exceptions=False
    )
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["rubric", "new", "n" * 300],
        ["rubric", "new", "our-tone", "--from", "n" * 300],
        ["rubric", "preview", "n" * 300],
        ["rubric", "show", "n" * 300],
        ["rubric", "show", "名" * 100],
        ["--project", "n" * 300, "status"],
    ],
)
def test_a_name_too_long_for_the_disk_is_told_in_words(here: Rlaif, arguments: list[str]) -> None:
    result = here(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "too long" in result.stderr
    assert "\n  expected: " in result.stderr
    assert "\n  to do: " in result.stderr


def test_an_interrupt_is_130(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: Project) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status_command, "read_status", interrupt)
    result = CliRunner().invoke(main, ["--project", str(project.root), "status"])
    assert result.exit_code == 130
    assert "what was committed is kept" in result.stderr


def test_a_bug_shows_its_traceback(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(_: Project) -> None:
        raise OSError(errno.EBADF, "a bug")

    monkeypatch.setattr(status_command, "read_status", bug)
    with pytest.raises(OSError, match="a bug"):
        CliRunner().invoke(main, ["--project", str(project.root), "status"], catch_exceptions=False)


def test_as_a_program_of_its_own(project: Project) -> None:
    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rlaif.cli", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, encoding="utf-8"
        )

    assert program("--version").stdout == f"rlaif, version {__version__}\n"
    status = program("--project", str(project.root), "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "v0001" in status.stdout
    refused = program("--project", str(project.root / "absent"), "status")
    assert (refused.returncode, refused.stdout) == (78, "")
