"""The command line: ``rlaif``, one module per noun, each loaded when it is asked for."""

import errno
import importlib
import re
from pathlib import Path
from typing import Any

import click

from rlaif import __version__
from rlaif.cli.documented import Group
from rlaif.cli.place import Place
from rlaif.errors import EXIT_INTERRUPTED, RlaifError, UsageError

COMMANDS = {
    "init": "rlaif.cli.init:init",
    "run": "rlaif.cli.run:run",
    "demo": "rlaif.cli.demo:demo",
    "status": "rlaif.cli.status:status",
    "report": "rlaif.cli.report:report",
    "critiques": "rlaif.cli.critiques:critiques",
    "rubric": "rlaif.cli.rubric:rubric",
    "judge": "rlaif.cli.judge:judge",
    "feedback": "rlaif.cli.feedback:feedback",
    "policy": "rlaif.cli.policy:policy",
    "export": "rlaif.cli.export:export",
    "ledger": "rlaif.cli.ledger:ledger",
}
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_SHOWN = 400  # characters of an argument or a path that is refused


class Commands(Group):
    """A group that imports a command's module when it is needed, and turns errors into exits."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which a project meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, importing its module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, all of whose words must be UTF-8: nothing else can be stored."""
        refused = next((arg for arg in args if _NOT_UTF8.search(arg)), None)
        if refused is not None and not ctx.resilient_parsing:
            ctx.exit(_tell(_not_utf8(refused)))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run a command; an error raised on purpose becomes its message and its exit code."""
        try:
            return super().invoke(ctx)
        except RlaifError as exc:
            return ctx.exit(_tell(exc))
        except KeyboardInterrupt:
            click.echo("interrupted: what was committed is kept", err=True)
            return ctx.exit(EXIT_INTERRUPTED)
        except OSError as exc:
            if exc.errno == errno.ENAMETOOLONG:
                return ctx.exit(_tell(_too_long(exc)))
            if exc.errno not in _DISK_FAULTS:
                raise
            return ctx.exit(_tell(_disk_fault(exc)))


def _tell(exc: RlaifError) -> int:
    """Print an error, which may quote a file or a model; return its exit code."""
    from rlaif.cli.output import visible

    click.echo(f"{exc.headline}: {visible(exc.args[0])}", err=True)
    return exc.exit_code


def _not_utf8(argument: str) -> UsageError:
    from rlaif.text import shortened

    escaped = argument.encode("utf-8", "backslashreplace").decode("utf-8")
    as_typed = escaped.replace(r"\udc", r"\x")  # bytes that are not UTF-8 come as U+DC80 to U+DCFF
    return UsageError(
        f"the argument {shortened(as_typed, _SHOWN)} is not UTF-8",
        "text in UTF-8, in names of files too",
        "write it in UTF-8 (a terminal's locale says how it encodes), or rename the file",
    )


def _too_long(exc: OSError) -> UsageError:
    from rlaif.text import shortened

    return UsageError(
        f"{shortened(str(exc.filename or 'a path'), _SHOWN)}: too long for the disk",
        "names of files and folders that the disk can hold: mostly 255 bytes each, .toml included",
        "name it shorter",
    )


def _disk_fault(exc: OSError) -> RlaifError:
    full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    return RlaifError(
        f"{exc.filename or 'the disk'}: {exc.strerror}",
        "room on the disk" if full else "a file that this user may read and write",
        "make room and run the command again: what was committed is kept"
        if full
        else "check the permissions, then run the command again",
    )


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=[
        "rlaif demo",
        "rlaif init my-project",
        "rlaif --project my-project run --cycles 2",
        "rlaif --project my-project report",
    ],
)
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The project's folder; default: the current one.",
)
@click.version_option(__version__, prog_name="rlaif")
@click.pass_context
def main(ctx: click.Context, project: Path | None) -> None:
    """Keep a language model aligned to a written rubric by AI feedback.

    Exit codes: 0 done, 1 failure, 2 usage, 75 try again later (another process is running cycles of
    this project, or a limit of the budget is spent), 78 configuration, 130 interrupted.
    """
    ctx.obj = Place(project)
