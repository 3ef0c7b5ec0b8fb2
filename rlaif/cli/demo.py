"""``rlaif demo``: the bundled world, from nothing to a report."""

import resource
import sys
from pathlib import Path

import click

from rlaif.cli.documented import Command
from rlaif.cli.init import Choices, make_project
from rlaif.cli.output import duration, stdout
from rlaif.cli.place import Place
from rlaif.cli.report import print_report
from rlaif.cli.run import run_until
from rlaif.config import CONFIG_NAME
from rlaif.errors import UsageError
from rlaif.ledger.clock import monotonic
from rlaif.ledger.reader import LedgerReader
from rlaif.project import load_project
from rlaif.report import build_report

_GIB = 2**30
_KIB = 1024


@click.command(
    cls=Command,
    examples=[
        "rlaif demo",
        "rlaif demo --dir my-demo --cycles 1",
    ],
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("state", "demo"),
    show_default=True,
    metavar="DIR",
    help="The demo's project.",
)
@click.option(
    "--cycles", type=click.IntRange(min=1), default=3, show_default=True, help="Finished in all."
)
@click.pass_obj
def demo(place: Place, folder: Path, cycles: int) -> None:
    """Align the bundled help desk: three cycles, then the report.

    It needs no network, no GPU and no account, and leaves an ordinary project behind. Run again,
    it does nothing new and prints the report.
    """
    if place.named is not None:
        raise UsageError(
            "--project was given, but the demo makes a project of its own",
            "--dir",
            "write: rlaif demo --dir DIR",
        )
    began = monotonic()
    if not (folder / CONFIG_NAME).exists():
        make_project(folder, Choices())
    project = load_project(folder)
    done = run_until(project, cycles, aloud=True)
    if done.parked is not None:
        raise done.parked
    click.echo()
    with LedgerReader.open(project.ledger_path) as reader:
        print_report(build_report(reader), stdout())
    peak = f"peak memory {peak_memory() / _GIB:.2f} GiB"
    click.echo(f"elapsed {duration(monotonic() - began)}, {peak}")
    click.echo(f"next: rlaif --project {folder} critiques --limit 3")


def peak_memory() -> int:
    """Return the most memory that this process, or a child of it, ever held, in bytes."""
    unit = 1 if sys.platform == "darwin" else _KIB
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(w).ru_maxrss for w in who) * unit
