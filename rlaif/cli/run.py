"""``rlaif run``: cycles, from where they stand."""

from dataclasses import dataclass, field
from typing import Any

import click

from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, json_option, stderr
from rlaif.cli.place import Place
from rlaif.cli.report import cycle_line
from rlaif.cli.watching import watching
from rlaif.config import hide_model_hub_noise
from rlaif.errors import BudgetSpentError, UsageError
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project
from rlaif.report import CycleFigures, cycle_figures


@click.command(
    cls=Command,
    examples=[
        "rlaif run",
        "rlaif run --cycles 3",
        "rlaif --project state/demo run --until-cycle 3 --json",
    ],
)
@click.option("--cycles", type=click.IntRange(min=1), metavar="N", help="Run N more.  [default: 1]")
@click.option(
    "--until-cycle", type=click.IntRange(min=1), metavar="N", help="Run until N are finished."
)
@json_option
@click.pass_obj
def run(place: Place, cycles: int | None, until_cycle: int | None, as_json: bool) -> None:
    """Run cycles, from where they stand.

    A cycle samples prompts, answers and judges them, trains, evaluates, and promotes or holds.
    An unfinished cycle goes on from where it stopped and counts as the first of N. With
    --until-cycle nothing is done where N are finished already. Progress goes to standard error,
    a line for each finished cycle to standard output. Where the budget has no room for another call
    to a judge, the cycle is parked: the exit code is 75, --json says under "parked" which limit it
    was and when there is room again, and the same command goes on with it.
    """
    if cycles is not None and until_cycle is not None:
        raise UsageError("--cycles and --until-cycle are both given", "one of them", "drop one")
    project = place.project()
    target = until_cycle or len(finished_cycles(project)) + (cycles or 1)
    done = run_until(project, target, aloud=not as_json)
    if as_json:
        emit_json(_as_json(done))
    elif not done.finished and done.parked is None:
        click.echo(f"{target} cycles are finished already: nothing to do")
    if done.parked is not None:
        raise done.parked


@dataclass
class Done:
    """What a run came to.

    Attributes:
        finished: The cycles that were finished now.
        parked: Why the next one is parked, if it is.
    """

    finished: list[CycleFigures] = field(default_factory=list)
    parked: BudgetSpentError | None = None


def _as_json(done: Done) -> dict[str, Any]:
    """Return what a run came to as JSON; a parked cycle with the limit that is spent."""
    parked, frees = done.parked, done.parked and done.parked.frees
    return {
        "finished": [figures.model_dump(mode="json") for figures in done.finished],
        "parked": parked
        and {
            "limit": parked.limit,
            "spent": parked.spent,
            "most": parked.most,
            "frees": frees and frees.isoformat(),
        },
    }


def finished_cycles(project: Project) -> list[int]:
    """Return the numbers of the cycles that have ended; an old ledger is brought up to date."""
    from rlaif.ledger.writer import Ledger

    if not project.ledger_path.is_file():
        return []
    with Ledger.open(project.ledger_path) as ledger:
        return [c.number for c in ledger.cycles() if c.status == "done"]


def run_until(project: Project, target: int, *, aloud: bool) -> Done:
    """Run until so many cycles are finished, with the oracle's figures after each.

    Args:
        project: The project.
        target: How many cycles are to be finished in all.
        aloud: Whether each finished cycle's line goes to standard output.

    Returns:
        The cycles that were finished now, and whether the budget ended it before.
    """
    hide_model_hub_noise()
    measure(project)
    done = Done()
    missing = range(len(finished_cycles(project)) + 1, target + 1)
    if not missing:
        return done
    with ProjectLock(project.lock_path) as lock:  # held between cycles too: a run is one whole
        _read_inputs(project)
        from rlaif.cycle import run_cycles

        with watching(stderr(), target) as watcher:
            for number in missing:
                try:
                    fresh = run_cycles(project, until=number, watcher=watcher, lock=lock)
                except BudgetSpentError as exc:
                    done.parked = exc
                    break
                measure(project)
                done.finished += _told(project, fresh, aloud)
    return done


def _read_inputs(project: Project) -> None:
    """Read the files that people wrote first: what is wrong is said before the slow imports."""
    from rlaif.judges.rubric import load_rubric
    from rlaif.stages.pools import read_pools
    from rlaif.stages.supervised import read_examples

    config = project.config
    if not project.ledger_path.is_file():  # later a broken rubric is refused, and the last one kept
        load_rubric(project.file(config.rubric.path))
    pool = read_pools(project.root, config.sampling.pools, config.sampling.eval_share)
    if config.supervised_text is not None:
        read_examples(project.file(config.supervised_text), pool)


def measure(project: Project) -> None:
    """Let the oracle, where there is one, grade every finished cycle that it has not graded."""
    if not project.config.oracle.grader or not project.ledger_path.is_file():
        return
    finished = finished_cycles(project)
    with LedgerReader.open(project.ledger_path) as reader:
        ungraded = [number for number in finished if reader.oracle_report(number) is None]
    if ungraded:
        from rlaif import oracle_report

        for number in ungraded:
            oracle_report.measure(project, number)


def _told(project: Project, numbers: list[int], aloud: bool) -> list[CycleFigures]:
    with LedgerReader.open(project.ledger_path) as reader:
        found = [cycle_figures(reader, number) for number in numbers]
    for figures in found:
        if aloud:
            click.echo(cycle_line(figures))
    return found
