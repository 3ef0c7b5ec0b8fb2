"""The documentation says what the program does: every command and every setting is in it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import click
import pytest
from pydantic import BaseModel

from rlaif.cli import main
from rlaif.cli.docs import cli_page, settings_page, write_docs
from rlaif.config import RlaifConfig, ServerConfig
from rlaif.records import make_id

DOCS = Path(__file__).parents[2] / "docs"


def commands(
    command: click.Command = main, path: tuple[str, ...] = ("rlaif",)
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


ALL = dict(commands())
EXAMPLES = [(name, line) for name, c in ALL.items() for line in getattr(c, "examples", ())]


def test_the_pages_in_the_repository_are_those_that_the_code_makes() -> None:
    remedy = "run: python -m rlaif.cli.docs"
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == cli_page(), remedy
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), remedy


def test_the_script_writes_both_pages(tmp_path: Path) -> None:
    write_docs(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cli.md", "settings.md"]


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_ids_in_examples_are_such_as_there_are(name: str, line: str) -> None:
    ids = re.findall(r"\b([a-z]+)-([0-9a-f]{8,})\b", line)
    assert {len(digits) for _, digits in ids} <= {len(make_id("judgement").split("-")[1])}, name
    assert {kind for kind, _ in ids} <= {"judgement", "completion", "prompt"}, name


def test_every_promised_command_is_there() -> None:
    assert set(ALL) == {
        "rlaif",
        *(f"rlaif {name}" for name in ("init", "run", "demo", "status", "report", "critiques")),
        *("rlaif policy", "rlaif policy list", "rlaif policy show", "rlaif policy sample"),
        *("rlaif policy promote", "rlaif policy rollback", "rlaif ledger", "rlaif ledger digest"),
        *("rlaif judge", "rlaif judge accept", "rlaif judge audit"),
        *("rlaif feedback", "rlaif feedback import", "rlaif feedback list"),
        "rlaif feedback report",
        *("rlaif export", "rlaif export preferences", "rlaif export policy"),
        *("rlaif rubric", "rlaif rubric new", "rlaif rubric list", "rlaif rubric show"),
        *("rlaif rubric validate", "rlaif rubric diff"),
        *("rlaif rubric preview", "rlaif rubric test"),
        *(f"rlaif critiques {name}" for name in ("list", "show", "themes")),
    }


@pytest.mark.parametrize("name", ALL)
def test_a_command_is_documented_with_all_its_options(name: str) -> None:
    page = cli_page()
    start = page.index(f"`{name}`\n")
    section = page[start:].split("\n#", 1)[0]
    for parameter in ALL[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in section
            assert parameter.help


@pytest.mark.parametrize("name", list(ALL)[1:])
def test_a_command_has_a_short_line_that_is_not_cut(name: str) -> None:
    assert not ALL[name].get_short_help_str(limit=61).endswith("...")


@pytest.mark.parametrize("name", ALL)
def test_a_command_has_examples(name: str) -> None:
    lines = [line for owner, line in EXAMPLES if owner == name]
    assert lines
    assert all(line.startswith("rlaif ") for line in lines)


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_is_a_command_line_that_parses(name: str, line: str) -> None:
    words = shlex.split(line.split(" > ")[0])[1:]
    command: click.Command = main
    parent: click.Context | None = None
    path = ["rlaif"]
    while isinstance(command, click.Group):
        context: Any = command.make_context(path[-1], words, parent=parent)
        word, inner, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert inner is not None
        command, parent, path = inner, context, [*path, str(word)]
    command.make_context(path[-1], words, parent=parent)
    assert " ".join(path).startswith(name)


def test_every_setting_is_documented_with_its_default() -> None:
    page = settings_page()
    for name, field in RlaifConfig.model_fields.items():
        model = field.annotation
        if get_origin(model) is tuple:
            assert f"\n## `[[{name}]]`\n" in page
            continue
        section = page.split(f"\n## `[{name}]`\n", 1)[1].split("\n## ", 1)[0]
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        if name == "judge":
            own = page.split("\n## `[judge.server]`\n", 1)[1].split("\n## ", 1)[0]
            assert all(f"| `{key}` |" in own for key in ServerConfig.model_fields)
        for key, setting in model.model_fields.items():
            (row,) = [line for line in section.splitlines() if line.startswith(f"| `{key}` |")]
            assert setting.description
            assert setting.description.replace("|", "\\|") in row
