"""``rlaif status``: where the project stands."""

from typing import Any

import click

from rlaif.cli.documented import Command
from rlaif.cli.judge import AUDIT, JUDGING
from rlaif.cli.output import duration, emit_json, json_option, one_line
from rlaif.cli.place import Place
from rlaif.ledger.lock import LockHolder, lock_holder
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import CycleRow, EventRow, PolicyRow, StageRow
from rlaif.project import Project
from rlaif.records import AuditReport, Record
from rlaif.report import GateFigures

EVENTS = 5


class Stop(Record):
    """Why ``rlaif run`` cannot go on with a cycle, and what to do about it."""

    why: str
    to_do: str


class CycleStatus(Record):
    """The newest cycle: how far each of its stages is, and what its gate decided.

    ``stopped`` is None unless the judge's audit ended the run, and would end the next one too.
    """

    number: int
    status: str
    stages: tuple[StageRow, ...]
    gate: GateFigures | None
    stopped: Stop | None


class Status(Record):
    """Where a project stands; ``running`` is the process that runs its cycles now."""

    project: str
    policy: PolicyRow | None
    cycles_finished: int
    cycle: CycleStatus | None
    running: LockHolder | None
    events: tuple[EventRow, ...]


@click.command(
    cls=Command,
    examples=[
        "rlaif status",
        "rlaif --project state/demo status --json",
    ],
)
@json_option
@click.pass_obj
def status(place: Place, as_json: bool) -> None:
    """Show the live policy, the newest cycle and who is running."""
    found = read_status(place.project())
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        click.echo("\n".join(_lines(found)))


def read_status(project: Project) -> Status:
    """Read where a project stands; one that never ran stands at its beginning."""
    facts: dict[str, Any] = {"policy": None, "cycles_finished": 0, "cycle": None, "events": ()}
    running = lock_holder(project.lock_path)
    stops = running is None and project.config.audit.on_breach == "stop"
    if project.ledger_path.is_file():
        with LedgerReader.open(project.ledger_path) as reader:
            facts = _facts(reader, stops=stops)
    return Status(project=str(project.root), running=running, **facts)


def _facts(reads: LedgerReads, *, stops: bool) -> dict[str, Any]:
    cycles = reads.cycles()
    return {
        "policy": reads.current_policy(),
        "cycles_finished": sum(c.status == "done" for c in cycles),
        "cycle": _cycle_status(reads, cycles[-1], stops=stops) if cycles else None,
        "events": tuple(reads.events(EVENTS)),
    }


def _cycle_status(reads: LedgerReads, cycle: CycleRow, *, stops: bool) -> CycleStatus:
    decision = reads.gate_decision(cycle.number)
    return CycleStatus(
        number=cycle.number,
        status=cycle.status,
        stages=tuple(reads.stages(cycle.number)),
        gate=decision and GateFigures(decision=decision.decision, reasons=decision.reasons),
        stopped=_stop(reads, cycle.number) if stops else None,
    )


def _stop(reads: LedgerReads, cycle: int) -> Stop | None:
    """Return why a run that breaches end cannot go on; once judging has ended it can."""
    content = reads.report(cycle, AUDIT)
    if content is None or reads.stage_done(cycle, JUDGING):
        return None
    report = AuditReport.model_validate(content)
    return Stop(why=report.distrust, to_do=report.WAYS_OUT) if report.breaches else None


def _lines(found: Status) -> list[str]:
    live = f"{found.policy.version} ({found.policy.path})" if found.policy else "none yet"
    lines = [
        f"project   {found.project}",
        f"policy    {live}",
        f"finished  {found.cycles_finished} cycles",
        f"running   {_running(found.running)}",
    ]
    if found.cycle is None:
        return [*lines, "next      rlaif run"]
    lines += [f"cycle     {found.cycle.number}, {_state(found)}", *map(_stage, found.cycle.stages)]
    if found.cycle.stopped is not None:
        lines.append(f"stopped   {one_line(found.cycle.stopped.why)}")
        lines.append(f"to do     {found.cycle.stopped.to_do}")
    if found.cycle.gate is not None:
        reasons = one_line("; ".join(found.cycle.gate.reasons))
        lines.append(f"gate      {found.cycle.gate.decision}: {reasons}")
    lines += [f"event     {e.at[:19]} {e.kind}: {one_line(e.message)}" for e in found.events]
    return lines


def _state(found: Status) -> str:
    if found.cycle is None or found.cycle.status == "done":
        return "done"
    if found.cycle.stopped is not None:
        return "stopped by the judge's audit: 'rlaif run' fails again"
    return "running" if found.running else "unfinished: 'rlaif run' goes on with it"


def _running(holder: LockHolder | None) -> str:
    if holder is None:
        return "nothing"
    return f"process {holder.pid} ({one_line(holder.command)}), since {holder.since[:19]}"


def _stage(row: StageRow) -> str:
    state = "done" if row.finished_at else "begun"
    return f"  {row.stage:<14}{state:<7}{row.units:>5} units  {duration(row.seconds):>12}"
