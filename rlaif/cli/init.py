"""``rlaif init``: a new project's folder."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import click

from rlaif.artifacts import write_atomically
from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, json_option
from rlaif.config import (
    CONFIG_NAME,
    EmbedderConfig,
    JudgeConfig,
    OracleConfig,
    PolicyConfig,
    RlaifConfig,
    RubricConfig,
    SamplingConfig,
)
from rlaif.config_file import render_config
from rlaif.errors import ModelError, PromptFileError, UsageError
from rlaif.project import BUNDLED, share

_POOLS = Path("prompts", "pools")
_RUBRICS = Path("prompts", "rubrics")
_TEMPLATES = Path("prompts", "judge")
_PATH_LIKE = (".", "/", "~")

Copies = list[tuple[Path, Path]]


@dataclass(frozen=True)
class Choices:
    """What a new project is made of; None takes the bundled world's.

    Attributes:
        policy: The base policy: a folder, a hub id, or ``bundled:NAME``.
        judge: The judge, likewise.
        embedder: The embedder, likewise.
        rubric: A rubric file, which is copied.
        prompts: A pool of prompts, which is copied.
    """

    policy: str | None = None
    judge: str | None = None
    embedder: str | None = None
    rubric: Path | None = None
    prompts: Path | None = None

    @property
    def foreign_policy(self) -> bool:
        """Whether the policy is not a bundled one."""
        return self.policy is not None and not self.policy.startswith(BUNDLED)

    @property
    def bundled_prompts(self) -> bool:
        """Whether the bundled pool goes into the project."""
        return self.prompts is None and not self.foreign_policy

    @property
    def template(self) -> str:
        """The judge's template: the bundled judge was trained on one of its own."""
        return "detailed" if self.judge and not self.judge.startswith(BUNDLED) else "compact"


@click.command(
    cls=Command,
    examples=[
        "rlaif init my-project",
        "rlaif init stories --policy models/stories --rubric rubric.toml --prompts openings.jsonl",
        "rlaif init chat --policy org/chat-model --judge org/judge-model --rubric rubric.toml",
    ],
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--policy", metavar="M", help="Base policy: a folder, a hub id, or bundled:NAME.")
@click.option("--judge", metavar="M", help="Judge: a folder, a hub id, or bundled:NAME.")
@click.option("--rubric", metavar="F", type=click.Path(path_type=Path), help="Rubric file to copy.")
@click.option(
    "--prompts", metavar="F", type=click.Path(path_type=Path), help="Pool of prompts to copy."
)
@click.option("--embedder", metavar="M", help="A sentence-transformers model.")
@json_option
def init(
    folder: Path,
    policy: str | None,
    judge: str | None,
    rubric: Path | None,
    prompts: Path | None,
    embedder: str | None,
    as_json: bool,
) -> None:
    """Make a project in DIR: settings, prompts, rubric.

    rlaif.toml holds every setting with its default; prompts/, policies/ and state/ lie beside.
    Without options it is the bundled help desk. A pool of prompts is a file of JSON lines such as
    {"prompt": "What is the capital of France?"}; the rubric is a TOML file. Both are copied, so
    that the project holds all that it was told.
    """
    notes = make_project(folder, Choices(policy, judge, embedder, rubric, prompts))
    if as_json:
        emit_json({"project": str(folder.resolve()), "notes": notes})
        return
    click.echo(f"made the project {folder}: settings in {folder / CONFIG_NAME}")
    for note in notes:
        click.echo(f"note: {note}")
    click.echo(f"next: rlaif --project {folder} run")


def make_project(root: Path, choices: Choices) -> list[str]:
    """Make a project's folder; its settings are written last, so that half a project is none.

    Args:
        root: The folder, made if missing. Files that are there already are kept.
        choices: What it is made of.

    Returns:
        What a person should know, one line each.

    Raises:
        UsageError: There is a project already, or another file in the way.
        ConfigError: A rubric, pool or model that was named cannot serve.
    """
    root = root.expanduser()
    if (root / CONFIG_NAME).exists() or (root.exists() and not root.is_dir()):
        raise UsageError(
            f"{root / CONFIG_NAME} exists already" if root.is_dir() else f"{root} is a file",
            "a new folder, or one without a project",
            "name another folder, or edit the settings of the project that is there",
        )
    config = _config(choices)
    wanted = [*_shipped(choices), *_given(choices, config)]
    for sub in (_POOLS, _RUBRICS, _TEMPLATES, Path("policies"), Path("state")):
        (root / sub).mkdir(parents=True, exist_ok=True)
    kept = [str(target) for source, target in wanted if not _copy(source, root / target)]
    write_atomically(root / CONFIG_NAME, render_config(config))
    return [*(f"kept {name} as it was" for name in kept), *_notes(choices, config)]


def _config(choices: Choices) -> RlaifConfig:
    rubric = choices.rubric.name if choices.rubric else Path(RubricConfig().path).name
    sections = {
        "policy": _model(PolicyConfig().path, choices.policy, "config.json"),
        "judge": _model(JudgeConfig().path, choices.judge, "config.json"),
        "embedder": _model(EmbedderConfig().path, choices.embedder, "modules.json"),
    }
    return RlaifConfig(
        policy=PolicyConfig(path=sections["policy"]),
        judge=JudgeConfig(path=sections["judge"], template=choices.template),
        embedder=EmbedderConfig(path=sections["embedder"]),
        rubric=RubricConfig(path=(_RUBRICS / rubric).as_posix()),
        oracle=OracleConfig(grader="bundled" if choices.bundled_prompts else ""),
    )


def _model(default: str, name: str | None, needed: str) -> str:
    """Return how a model is written into the settings: folders absolute, hub ids as they are."""
    if name is None:
        return default
    if name.startswith(BUNDLED):
        share("policies", name.removeprefix(BUNDLED))
        return name
    folder = Path(name).expanduser()
    if folder.is_dir() and (folder / needed).is_file():
        return str(folder.resolve())
    if folder.exists() or name.startswith(_PATH_LIKE):
        raise ModelError(
            f"{folder} " + (f"has no {needed}" if folder.is_dir() else "is not a folder"),
            f"a model's folder in Hugging Face format, with {needed}",
            "check the path; a hub id is written without a leading '.', '/' or '~'",
        )
    return name


def _shipped(choices: Choices) -> Iterator[tuple[Path, Path]]:
    """Yield the files that ship with rlaif and belong into the project, and where they go."""
    folders = [_TEMPLATES, *([_POOLS] if choices.bundled_prompts else [])]
    for folder in folders:
        source = share(*folder.parts)
        for path in sorted(source.rglob("*")):
            if path.suffix in {".jinja", ".jsonl"}:
                yield path, folder / path.relative_to(source)
    if choices.rubric is None:
        path = Path(RubricConfig().path)
        yield share(*path.parts), path


def _given(choices: Choices, config: RlaifConfig) -> Copies:
    """Return the files that the user named, checked, and where they go."""
    copies: Copies = []
    if choices.rubric is not None:
        source = choices.rubric.expanduser()
        _check_rubric(source)
        copies.append((source, Path(config.rubric.path)))
    if choices.prompts is not None:
        source = choices.prompts.expanduser()
        _check_pool(source, config.sampling)
        copies.append((source, _POOLS / f"{source.name.removesuffix('.jsonl')}.jsonl"))
    return copies


def _check_rubric(path: Path) -> None:
    from rlaif.judges.rubric import load_rubric

    load_rubric(path)


def _check_pool(path: Path, sampling: SamplingConfig) -> None:
    from rlaif.stages.pools import read_pools

    if not path.is_file():
        raise PromptFileError(
            "no such file", "a file of JSON lines", "name an existing file", path=path
        )
    read_pools(path.parent, escape(path.name), sampling.eval_share)


def _copy(source: Path, target: Path) -> bool:
    """Copy a file; one that is there already with other bytes is kept, and False returned."""
    if target.exists():
        return target.read_bytes() == source.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True


def _notes(choices: Choices, config: RlaifConfig) -> Iterator[str]:
    if choices.foreign_policy and choices.prompts is None:
        yield f"there are no prompts yet: put JSON lines into {_POOLS}/"
    if choices.foreign_policy and choices.rubric is None:
        yield f"the rubric is the bundled help desk's: edit {RubricConfig().path}"
    untaught = None if choices.rubric is None else _untaught(choices.rubric, config)
    if untaught is not None:
        yield untaught
    elif choices.foreign_policy and choices.judge is None:
        yield (
            "the judge is bundled:tiny-judge, which knows the help desk only: name another in "
            "[judge] where the rubric has criteria of kind judge"
        )


def _untaught(rubric: Path, config: RlaifConfig) -> str | None:
    from rlaif.judges.rubric import load_rubric
    from rlaif.judges.taught import untaught

    found = untaught(config.jury, load_rubric(rubric.expanduser()))
    return None if found is None else f"{found.seen}; {found.action}"
