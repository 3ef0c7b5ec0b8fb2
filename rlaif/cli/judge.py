"""``rlaif judge``: who judges, and whether they are to be trusted."""

import click
from rich.text import Text

from rlaif.cli.documented import Group
from rlaif.cli.output import LARGEST, cell, emit_json, json_option, number, stdout, table
from rlaif.cli.place import Place
from rlaif.errors import UsageError
from rlaif.ledger.reads import LedgerReads
from rlaif.records import AuditFigure, AuditReport

AUDIT = "judge_audit"


@click.group(
    cls=Group,
    examples=[
        "rlaif judge audit",
        "rlaif judge audit --cycle 2 --json",
    ],
)
def judge() -> None:
    """Show how far the judge is to be trusted."""


@judge.command(
    examples=[
        "rlaif judge audit",
        "rlaif judge audit --cycle 2",
        "rlaif judge audit --json",
    ],
)
@click.option(
    "--cycle",
    type=click.IntRange(1, LARGEST),
    help="The audit of this cycle.  [default: the last one]",
)
@json_option
@click.pass_obj
def audit(place: Place, cycle: int | None, as_json: bool) -> None:
    """Show the audit that each cycle makes of its judge.

    Answers with attacks are judged among the others and never trained on: the share that the judge
    prefers to the same answers without, or grades higher, is counted over all cycles under this
    rubric. The other figures are of the cycle's own verdicts. Each has its interval; a limit of
    [audit] counts as passed only where the whole interval lies beyond it.
    """
    with place.reader() as reader:
        number_of, report = _find(reader, cycle)
    if as_json:
        emit_json({"cycle": number_of, **report.model_dump(mode="json")})
        return
    columns = ("figure", "value", "from", "to", "of", "unscored", "limit", "meaning")
    shown = table(
        f"Audit of the judge, cycle {number_of}, rubric {report.rubric_hash[:12]}",
        *columns,
        words=("figure",),
        prose=("meaning",),
    )
    for figure in report.figures:
        shown.add_row(*_cells(figure))
    stdout().print(shown)
    for breach in report.breaches:
        click.echo(f"beyond its limit: {breach.told}")


def _find(reader: LedgerReads, cycle: int | None) -> tuple[int, AuditReport]:
    wanted = [c.number for c in reader.cycles()][::-1] if cycle is None else [cycle]
    for number_of in wanted:
        found = reader.report(number_of, AUDIT)
        if found is not None:
            return number_of, AuditReport.model_validate(found)
    which = "no cycle has" if cycle is None else f"cycle {cycle} has not"
    raise UsageError(
        f"{which} an audit of its judge",
        "a cycle that has judged answers with a judge model",
        "run a cycle first, or see rlaif status",
    )


def _cells(figure: AuditFigure) -> tuple[str | Text, ...]:
    known = figure.value is not None
    mark = " !" if figure.breached else ""
    return (
        cell(figure.name),
        number(figure.value),
        number(figure.low if known else None),
        number(figure.high if known else None),
        str(figure.count),
        str(figure.unscored),
        number(figure.limit) + mark,
        cell(figure.meaning),
    )
