"""The command line: ``rlaif``, one module per noun, each loaded when it is asked for."""

import errno
import importlib
from pathlib import Path
from typing import Any

import click

from rlaif import __version__
from rlaif.cli.documented import Group
from rlaif.cli.place import Place
from rlaif.errors import EXIT_INTERRUPTED, RlaifError

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
            if exc.errno not in _DISK_FAULTS:
                raise
            return ctx.exit(_tell(_disk_fault(exc)))


def _tell(exc: RlaifError) -> int:
    """Print an error, which may quote a file or a model; return its exit code."""
    from rlaif.cli.output import visible

    click.echo(f"{exc.headline}: {visible(exc.args[0])}", err=True)
    return exc.exit_code


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
