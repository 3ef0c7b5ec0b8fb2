"""An audit of the judge on demand: between cycles, on pairs that they compared, kept apart.

It holds the project's lock, since it writes and may pay. What it finds goes into a table of its
own: no cycle's figure, limit or digest knows of it. A judge on servers is asked anew, as a stored
reply would hide that it changed; an audit that is stopped finds its own replies again.
"""

from collections.abc import Iterator

from rlaif.crew import Crew
from rlaif.cycle.drafting import JUDGING
from rlaif.cycle.paying import LedgerReplies, budget_of
from rlaif.errors import ConfigError, UsageError
from rlaif.judges import RubricJudge
from rlaif.judges.panel import ComparedItem
from rlaif.judges.probes import load_attacks
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import AuditRow
from rlaif.ledger.writer import Ledger
from rlaif.progress import Watcher
from rlaif.project import Project
from rlaif.records import AuditOnDemand, PairVerdict
from rlaif.seeds import derive_seed
from rlaif.stages.audit_now import Audited, audit_pairs
from rlaif.stages.previewing import draw_newest

AUDITED = "judge-audit-on-demand"
Drawn = list[tuple[int, PairVerdict]]


def audit_now(project: Project, count: int, watcher: Watcher) -> AuditRow:
    """Audit the judge of the settings under the rubric of the settings, and keep what is found.

    Args:
        project: The project.
        count: How many of the newest pairs that cycles compared are judged.
        watcher: Who is told.

    Raises:
        UsageError: No cycle has compared pairs yet.
        ConfigError: The rubric asks no judge.
        ProjectLockedError: Another process runs a cycle of this project.
        TrialStoppedError: The budget has no room for another call; replies that came are kept.
    """
    if not project.ledger_path.is_file():
        raise _nothing_stored(project)
    with ProjectLock(project.lock_path), Ledger.open(project.ledger_path) as ledger:
        number = ledger.last_audit() + 1
        seed = derive_seed(project.config.run.seed, "judge audit", number)
        drawn = draw_newest(_compared(ledger), count, seed)
        if not drawn:
            raise _nothing_stored(project)
        replies = LedgerReplies(ledger, None)
        budget = budget_of(ledger, project.config.budget, None, replies)
        crew = Crew(
            project,
            project.config,
            replies,
            budget,
            tell=watcher.note,
            answered=lambda done, total: watcher.units(done, total, "replies"),
        )
        panel = crew.panel(project.config.jury)
        _require_judge(project, panel)
        names = tuple(juror.name for juror in panel.jury)
        watcher.note(f"auditing {', '.join(names)} on {len(drawn)} pairs by {panel.rubric.name}")
        attacks = load_attacks(panel.rubric.language, project.root)
        with replies.anew(f"judge audit {number}"):
            found = audit_pairs(
                panel,
                project.config.audit,
                _items(ledger, drawn),
                attacks,
                seed,
                lambda step: watcher.stage(0, step),
            )
        kept = ledger.add_audit(_record(panel, names, drawn, found), AUDITED, _told(found))
        ledger.checkpoint()
        return kept


def _compared(reads: LedgerReads) -> Iterator[Drawn]:
    """Yield what cycles compared, newest first."""
    for cycle in reversed(reads.cycles()):
        yield [(cycle.number, verdict) for verdict in reads.pair_verdicts(cycle.number, JUDGING)]


def _items(reads: LedgerReads, drawn: Drawn) -> list[ComparedItem]:
    ids = [(verdict.first_id, verdict.second_id) for _, verdict in drawn]
    named = sorted({name for both in ids for name in both})
    answers = {answer.id: answer for answer in reads.completions_by_id(named)}
    prompts = {p.id: p for p in reads.prompts(sorted({a.prompt_id for a in answers.values()}))}
    return [
        (prompts[answers[first].prompt_id], answers[first], answers[second])
        for first, second in dict.fromkeys(ids)
    ]


def _record(
    panel: RubricJudge, names: tuple[str, ...], drawn: Drawn, found: Audited
) -> AuditOnDemand:
    return AuditOnDemand(
        rubric=panel.rubric.name,
        rubric_version=panel.rubric.version,
        judges=names,
        cycles=tuple(sorted({cycle for cycle, _ in drawn})),
        calls=found.cost.calls,
        tokens=found.cost.prompt_tokens + found.cost.reply_tokens,
        money=found.cost.money,
        report=found.report,
        verdicts=tuple(found.verdicts),
        probes=tuple(found.probes),
    )


def _told(found: Audited) -> str:
    beyond = "; ".join(breach.told for breach in found.report.breaches)
    said = f"beyond its limits: {beyond}" if beyond else "nothing lies beyond its limit"
    return f"an audit on demand, of {len(found.verdicts)} pairs: {said}"


def _require_judge(project: Project, panel: RubricJudge) -> None:
    if not panel.jury:
        raise ConfigError(
            f"the rubric {panel.rubric.name} asks no judge",
            "a criterion of kind judge, whose judge can be audited",
            "give it one, or name another rubric in [rubric] path",
            path=project.file(project.config.rubric.path),
        )


def _nothing_stored(project: Project) -> UsageError:
    return UsageError(
        f"no cycle of {project.root} has compared pairs yet",
        "pairs that were judged, to judge them again",
        "run a cycle first (rlaif run)",
    )
