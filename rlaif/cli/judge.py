"""``rlaif judge``: who judges, and whether they are to be trusted."""

import click
from rich.console import Group as Lines
from rich.padding import Padding

from rlaif.cli.documented import Group
from rlaif.cli.judge_drift import accept, drift_line, drift_of
from rlaif.cli.output import (
    LARGEST,
    cell,
    emit_json,
    json_option,
    measured,
    number,
    one_line,
    stderr,
    stdout,
    table,
    visible,
)
from rlaif.cli.place import Place
from rlaif.config import hide_model_hub_noise
from rlaif.errors import UsageError
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import AuditRow
from rlaif.records import AuditFigure, AuditReport, Tally

AUDIT, JUDGING = "judge_audit", "judging"
PAIRS = 20


@click.group(
    cls=Group,
    examples=[
        "rlaif judge audit",
        "rlaif judge audit --now",
        'rlaif judge accept --reason "a new model behind the same name, and a good one"',
    ],
)
def judge() -> None:
    """Show how far to trust the judge; accept one that changed."""


judge.add_command(accept)


@judge.command(
    examples=[
        "rlaif judge audit",
        "rlaif judge audit --cycle 2",
        "rlaif judge audit --now",
        "rlaif judge audit --now --n 50 --json",
        "rlaif judge audit --on-demand",
    ],
)
@click.option(
    "--cycle",
    type=click.IntRange(1, LARGEST),
    help="The audit of this cycle.  [default: the last one]",
)
@click.option("--now", is_flag=True, help="Make an audit now, show it, and keep it.")
@click.option(
    "--n",
    "count",
    type=click.IntRange(1, LARGEST),
    help=f"With --now: how many stored pairs are judged.  [default: {PAIRS}]",
)
@click.option("--on-demand", is_flag=True, help="The last audit that was made with --now.")
@json_option
@click.pass_obj
def audit(
    place: Place, cycle: int | None, now: bool, count: int | None, on_demand: bool, as_json: bool
) -> None:
    """Show a cycle's audit of its judge, or make one now.

    Answers with attacks are judged among the others and never trained on: the share that the judge
    prefers to the same answers without, or grades higher, is counted over the latest cycles under
    this rubric ([audit] window_cycles), as is how often it says the same when asked again; below
    stands the same of all cycles under it. Answers rated too high to be graded higher are counted
    apart. The other figures are of the cycle's own verdicts. Each has its interval, in which
    several judgements of one prompt count for less than as many of several prompts; a limit of
    [audit] counts as passed only where the whole interval lies beyond it.

    Order, position, length, and whether comparing and rating agree, are figures of the pairs that
    cycles compare: those whose ratings lie farthest apart, which are the easiest. Of answers that
    are nearly alike expect worse.

    Where humans have labelled answers, the last line says whether the judge agrees with them as it
    did, and with which cycles it is compared; see rlaif judge accept.

    With --now the judge and the rubric of the settings judge the newest pairs that cycles compared,
    and one answer of each of their prompts is attacked, and one asked about again. It is kept apart
    from cycles: no figure, limit or label of theirs knows of it, and it stops nothing. It pays from
    [budget] as rlaif rubric preview does, and no cycle may be running.
    """
    if now + on_demand + (cycle is not None) > 1:
        raise click.UsageError("--cycle, --now and --on-demand exclude each other.")
    if count is not None and not now:
        raise click.UsageError("--n needs --now.")
    if now or on_demand:
        _show_on_demand(_audited(place, count or PAIRS) if now else _kept(place), as_json)
        return
    with place.reader() as reader:
        number_of, report = _find(reader, cycle)
        by_humans = drift_of(reader, number_of)
    if as_json:
        drift = None if by_humans is None else by_humans.drift.model_dump(mode="json")
        emit_json({"cycle": number_of, **report.model_dump(mode="json"), "drift": drift})
    else:
        print_audit(
            f"Audit of the judge, cycle {number_of}, rubric {report.rubric_hash[:12]}", report
        )
        click.echo(drift_line(by_humans))


def _audited(place: Place, count: int) -> AuditRow:
    from rlaif.cli.watching import watching
    from rlaif.cycle.auditing import audit_now

    hide_model_hub_noise()
    with watching(stderr(), trial="judge audit") as watcher:
        return audit_now(place.project(), count, watcher)


def _kept(place: Place) -> AuditRow:
    with place.reader() as reader:
        found = reader.audit(reader.last_audit())
    if found is None:
        raise UsageError(
            "no audit was made on demand", "one that was", "make one: rlaif judge audit --now"
        )
    return found


def _show_on_demand(row: AuditRow, as_json: bool) -> None:
    found = row.audit
    if as_json:
        emit_json(row.model_dump(mode="json"))
        return
    cycles = ", ".join(str(number_of) for number_of in found.cycles)
    print_audit(
        f"Audit {row.number} on demand, {row.at[:16]} UTC, rubric {found.report.rubric_hash[:12]}",
        found.report,
    )
    paid = "" if found.money is None else f", {number(found.money)} of money"
    click.echo(
        visible(
            f"{len(found.verdicts)} pairs of cycle {cycles} judged by {', '.join(found.judges)} "
            f"under {found.rubric} {found.rubric_version}: {found.calls} calls, "
            f"{found.tokens} tokens{paid}"
        )
    )


def print_audit(title: str, report: AuditReport) -> None:
    """Print an audit: each figure's name with its meaning below, and what lies beyond its limit."""
    shown = table(title, *("figure", "value", "of", "un-\nscored", "limit"), prose=("figure",))
    for figure in report.figures:
        shown.add_row(*_cells(figure))
    stdout().print(shown)
    if any(figure.overall is not None for figure in report.figures):
        cycles = ", ".join(map(str, report.window))
        click.echo(
            f"attacks and second askings: of cycle {cycles}, which limits go by; "
            "below, of all cycles under this rubric"
        )
    for breach in report.breaches:
        click.echo(visible(f"beyond its limit: {breach.told}"))
    for advice in report.advice:
        click.echo(visible(f"advice: {one_line(advice)}"))


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


def _cells(figure: AuditFigure) -> tuple[str | Lines, ...]:
    counted: list[Tally] = [figure] if figure.overall is None else [figure, figure.overall]
    high = figure.undecidable
    without = f"\nwithout {high} that were rated too high to rise" if high else ""
    return (
        Lines(cell(figure.name), Padding(cell(figure.meaning + without), (0, 0, 0, 2))),
        "\n".join(measured(each.value, each.low, each.high) for each in counted),
        "\n".join(str(each.count) for each in counted),
        "\n".join(str(each.unscored) for each in counted),
        _limit(figure) + (" !" if figure.breached else ""),
    )


def _limit(figure: AuditFigure) -> str:
    least = "\u2265 " if figure.limit is not None and figure.side == "at least" else ""
    return least + number(figure.limit)
