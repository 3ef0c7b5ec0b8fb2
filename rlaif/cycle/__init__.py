"""The conductor: the only place that knows every stage, and that keeps what each returns.

A stage's units are looked up in the ledger, the missing ones are run, and each is committed as it
arrives with all that it implies. So going on after a kill is not a feature: it is the only way in
which a cycle ever runs, and running a finished one does nothing.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from pydantic import ValidationError

from rlaif.config import RlaifConfig
from rlaif.crew import Crew
from rlaif.cycle.calibrating import calibration, has_labels
from rlaif.cycle.context import CycleContext
from rlaif.cycle.deciding import EVALUATION, PROMOTION, evaluation, promotion
from rlaif.cycle.drafting import (
    CALIBRATION,
    GENERATION,
    JUDGING,
    PREFERENCES,
    SAMPLING,
    generation,
    sampling,
)
from rlaif.cycle.judging import judging
from rlaif.cycle.paying import LedgerReplies, budget_of
from rlaif.cycle.preferring import preferences
from rlaif.cycle.preflight import preflight, verify_incumbent
from rlaif.cycle.rubrics import rubric_file
from rlaif.cycle.telling import keep_once, tell_once
from rlaif.cycle.training import PPO, REWARD_MODEL, ppo, reward_model
from rlaif.cycle.transport import with_transport
from rlaif.engines.local import LocalEngine
from rlaif.errors import BudgetSpentError, ConfigError, UsageError
from rlaif.expectation import expected
from rlaif.judges.taught import untaught
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.rows import CycleRow
from rlaif.ledger.writer import Ledger
from rlaif.models.identity import model_digest
from rlaif.policies import BASE, reconcile_link
from rlaif.progress import Watcher
from rlaif.project import Project

PARKED, SELF_GRADING, SERVERS = "parked", "self-grading", "judge-servers"
UNTAUGHT = "judge-untaught"
Stage = Callable[[CycleContext], None]
Sections = dict[str, Any]

DRAFTING: tuple[tuple[str, Stage], ...] = (
    (SAMPLING, sampling),
    (GENERATION, generation),
    (JUDGING, judging),
    (CALIBRATION, calibration),
    (PREFERENCES, preferences),
)
TRAINING: tuple[tuple[str, Stage], ...] = (
    (REWARD_MODEL, reward_model),
    (PPO, ppo),
    (EVALUATION, evaluation),
)
DECIDING: tuple[tuple[str, Stage], ...] = ((PROMOTION, promotion),)
STAGE_SECTIONS = {
    SAMPLING: ("run", "embedder", "sampling"),
    GENERATION: ("policy.path", "generation"),
    JUDGING: (
        *("judge", "jurors", "rubric", "judging", "revision"),
        *("audit.probe_share", "audit.again_share"),
    ),
    CALIBRATION: ("feedback.calibration", "feedback.min_labels", "feedback.max_drift"),
    PREFERENCES: ("preferences", "audit", "feedback.train_weight"),
    REWARD_MODEL: ("reward_model",),
    PPO: ("policy.optimizer", "ppo", "dpo", "rloo", "grpo", "best_of_n"),
    EVALUATION: ("evaluation",),
    PROMOTION: ("gate", "feedback.on_drift"),
}


def run_cycles(
    project: Project,
    *,
    more: int | None = None,
    until: int | None = None,
    watcher: Watcher,
    lock: ProjectLock | None = None,
) -> list[int]:
    """Run cycles of a project; an unfinished one goes on first and counts.

    Args:
        project: The project.
        more: How many to finish now; or
        until: how many are to be finished in all.
        watcher: Who is told.
        lock: The project's lock, where the caller holds it already.

    Returns:
        The numbers of the cycles that were finished now.

    Raises:
        UsageError: Both or neither of ``more`` and ``until`` are given.
        ProjectLockedError: Another process runs a cycle of this project.
        BudgetSpentError: The budget has no room for another call to a judge: the cycle is parked.
        RlaifError: Whatever stops a cycle; all units committed before it stay.
    """
    if (more is None) == (until is None):
        raise UsageError("how many cycles to run is unclear", "one of more and until", "name one")
    held = ProjectLock(project.lock_path) if lock is None else nullcontext(lock)
    with held, Ledger.open(project.ledger_path) as ledger:
        first = _next_number(ledger)
        last = first + more - 1 if more is not None else until or 0
        finished: list[int] = []
        for number in range(first, last + 1):
            watcher.cycle(number, last)
            _run_cycle(project, ledger, number, watcher)
            finished.append(number)
        return finished


def _next_number(ledger: Ledger) -> int:
    latest = ledger.latest_cycle()
    if latest is None:
        return 1
    return latest.number if latest.status == "running" else latest.number + 1


def _run_cycle(project: Project, ledger: Ledger, number: int, watcher: Watcher) -> None:
    ctx = _begin(project, ledger, number, watcher)
    try:
        _run_stages(ctx, DRAFTING)
        if _trains(ctx):
            _run_stages(ctx, TRAINING)
        _run_stages(ctx, DECIDING)
    except BudgetSpentError as exc:
        keep_once(ledger, PARKED, f"cycle {number} is parked: {exc.reason}", number)
        raise
    ledger.finish_cycle(number)


def _run_stages(ctx: CycleContext, stages: tuple[tuple[str, Stage], ...]) -> None:
    for name, stage in stages:
        if ctx.ledger.stage_done(ctx.number, name):
            continue
        if name == CALIBRATION and not has_labels(ctx):
            continue
        ctx.ledger.begin_stage(ctx.number, name)
        ctx.watcher.stage(ctx.number, name)
        stage(ctx)
        ctx.ledger.finish_stage(ctx.number, name)
        ctx.ledger.checkpoint()


def _trains(ctx: CycleContext) -> bool:
    """Whether this cycle made any preference to train on."""
    return any(p.split == "train" for p in ctx.ledger.preferences(cycle=ctx.number))


def _begin(project: Project, ledger: Ledger, number: int, watcher: Watcher) -> CycleContext:
    """Begin a cycle, or go on with it; whatever can be wrong is found before a row is written."""
    known = ledger.cycle(number)
    config = settings_of(ledger, known, project.config) if known else project.config
    rubric = rubric_file(project, ledger, config, known, watcher)
    replies = LedgerReplies(ledger, number)
    budget = budget_of(ledger, project.config.budget, number, replies)
    crew = Crew(
        project,
        config,
        replies,
        budget,
        rubric,
        tell=lambda said: tell_once(ledger, watcher, SERVERS, f"cycle {number}: {said}", number),
    )
    hashes = preflight(project, ledger, config, crew)
    for stage, now in (
        (JUDGING, hashes[0]),
        (CALIBRATION, hashes[0]),
        (EVALUATION, hashes[-1]),
    ):
        for before in ledger.rubrics_used(number, stage):
            crew.refuse_other_rubric(before, now, number)
    base = project.resolve(config.policy.path)
    ledger.register_base(BASE, model_digest(base), config.policy.path, {"base": True})
    for rubric_hash in hashes:
        ledger.add_rubric(rubric_hash, *crew.rubric_text(), number)
    mended = reconcile_link(project, ledger)
    if mended:
        watcher.note(mended)
    row = _begin_row(project, ledger, number, config, hashes[0])
    _flag_self_grading(ledger, crew, watcher, number)
    _flag_untaught(ledger, crew, watcher, number)
    verify_incumbent(project, ledger, row.incumbent)
    return CycleContext(
        project=project,
        config=config,
        ledger=ledger,
        crew=crew,
        replies=replies,
        engine=LocalEngine(),
        watcher=watcher,
        number=number,
        incumbent=row.incumbent,
    )


def _flag_self_grading(ledger: Ledger, crew: Crew, watcher: Watcher, number: int) -> None:
    """Say where a judge is the policy itself: models prefer what they would have said themselves.

    Panickssery et al. 2024, "LLM evaluators recognize and favor their own generations".
    """
    policies = {row.version: row.digest for row in ledger.policies()}
    juries = (crew.config.jury, crew.config.evaluation_jury)
    told = dict.fromkeys(t for jury in juries for t in crew.self_graders(jury, policies))
    for message in told:
        tell_once(ledger, watcher, SELF_GRADING, message, number)


def _flag_untaught(ledger: Ledger, crew: Crew, watcher: Watcher, number: int) -> None:
    """Say where the bundled judge is asked what it was never taught: its labels mean nothing."""
    config = crew.config
    rubric = crew.panel(config.jury).rubric
    found = untaught((*config.jury, *config.evaluation_jury), rubric)
    if found is not None:
        tell_once(ledger, watcher, UNTAUGHT, f"{found.seen}; {found.action}", number)


def settings_of(ledger: Ledger, known: CycleRow, new: RlaifConfig) -> RlaifConfig:
    """Return a running cycle's settings: those of stages that have begun stay as they were.

    Raises:
        ConfigError: New settings of later stages cannot stand beside those that stay.
    """
    begun = _begun_stages(ledger, known.number)
    kept = {name for stage in begun for name in STAGE_SECTIONS[stage]}
    sections = new.model_dump(mode="json")
    mixed = with_transport(_mixed(sections, known.config, kept), sections)
    try:
        return RlaifConfig.model_validate(mixed)
    except ValidationError as exc:
        raise ConfigError(
            f"cycle {known.number} keeps {', '.join(sorted(kept))} as it began with them, and "
            f"beside them: {expected(exc.errors(include_url=False)[:1])}",
            "changes that can stand beside the settings of stages that have begun",
            "take the change back until the cycle has ended",
        ) from exc


def _mixed(new: Sections, begun: Sections, kept: Iterable[str]) -> Sections:
    """Return new settings, but those named (a section, or ``section.field``) as it was begun."""
    mixed = dict(new)
    for name in sorted(kept):
        section, _, field = name.partition(".")
        if section not in begun:
            continue
        if not field:
            mixed[section] = begun[section]
        elif field in begun[section]:
            mixed[section] = {**mixed[section], field: begun[section][field]}
    return mixed


def _begun_stages(ledger: Ledger, number: int) -> list[str]:
    return [stage for stage in STAGE_SECTIONS if ledger.done_units(number, stage)]


def _begin_row(
    project: Project, ledger: Ledger, number: int, config: RlaifConfig, rubric_hash: str
) -> CycleRow:
    live = ledger.current_policy()
    row = ledger.begin_cycle(
        number,
        run_seed=config.run.seed,
        config=config.model_dump(mode="json"),
        config_hash=project.config.fingerprint(),
        rubric_hash=rubric_hash,
        incumbent=live.version if live else BASE,
    )
    settings = config.model_dump(mode="json")
    if (row.config, row.rubric_hash) == (settings, rubric_hash):
        return row
    return ledger.amend_cycle(
        number, config=settings, config_hash=config.fingerprint(), rubric_hash=rubric_hash
    )
