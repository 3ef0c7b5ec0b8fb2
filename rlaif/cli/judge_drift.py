"""``rlaif judge accept``, and what an audit says of drift."""

from typing import TYPE_CHECKING

import click

from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, interval, json_option, visible
from rlaif.cli.place import Place
from rlaif.errors import UsageError

if TYPE_CHECKING:
    from rlaif.ledger.reads import LedgerReads
    from rlaif.stages.calibration import JudgeCalibration

CALIBRATION = "calibration"


@click.command(
    cls=Command,
    examples=[
        'rlaif judge accept --reason "the provider moved the name to a new model, we looked at it"',
    ],
)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with the time.")
@json_option
@click.pass_obj
def accept(place: Place, reason: str, as_json: bool) -> None:
    """Accept the judge as the last cycle measured it.

    Each cycle holds the judge's agreement with humans' frozen labels against earlier cycles under
    the same rubric hash. A rubric or judge that you change has another hash and begins anew by
    itself. A judge that changed behind its name has drifted, in every cycle, until this command:
    then later cycles are compared with the last one that measured the judge and with those after
    it, so that a later drift is found as before. What a cycle has found already stays. The reason
    is kept in the ledger as an event, and shown with each later comparison.
    """
    from rlaif.ledger.writer import Ledger
    from rlaif.stages.drift_reference import ACCEPTED

    words = " ".join(reason.split())
    if not words:
        raise click.UsageError("--reason needs a word or more.")
    project = place.project()
    with place.reader() as reader:
        cycle, measured = _last(reader)
    with Ledger.open(project.ledger_path) as ledger:
        ledger.add_event(ACCEPTED, words, cycle)
        kept = ledger.last_event(ACCEPTED)
    frozen = measured.frozen
    if as_json:
        emit_json(
            {
                **({} if kept is None else kept.model_dump(mode="json")),
                "agreement": frozen.agreement,
                "ci": (frozen.low, frozen.high),
                "labels": frozen.labels,
                "drift": measured.drift.model_dump(mode="json"),
            }
        )
        return
    rate = interval(frozen.agreement, frozen.low, frozen.high)
    click.echo(
        f"accepted: the judge as cycle {cycle} measured it, agreement {rate} with {frozen.labels} "
        "frozen labels; later cycles are compared with this one and those after it"
    )


def drift_of(reader: "LedgerReads", cycle: int) -> "JudgeCalibration | None":
    """Return what a cycle measured by humans' labels, None where there were none."""
    from rlaif.stages.calibration import JudgeCalibration

    found = reader.report(cycle, CALIBRATION)
    return None if found is None else JudgeCalibration.model_validate(found)


def drift_line(measured: "JudgeCalibration | None") -> str:
    """Say in a line whether the judge has drifted, and since when."""
    if measured is None:
        return "drift: not measured, no human has labelled answers"
    return visible(f"drift: {'yes' if measured.drift.found else 'no'}: {measured.drift.told}")


def _last(reader: "LedgerReads") -> "tuple[int, JudgeCalibration]":
    for cycle in reversed(reader.cycles()):
        found = drift_of(reader, cycle.number)
        if found is not None and found.frozen.labels:
            return cycle.number, found
    raise UsageError(
        "no cycle has measured the judge by frozen labels yet",
        "a cycle that has, to accept the judge as it was then",
        "import labels of humans (rlaif feedback import FILE), then run a cycle",
    )
