"""``rlaif rubric preview`` and ``rlaif rubric test``: a rubric is tried before it is used."""

from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, json_option, stderr
from rlaif.cli.place import Place
from rlaif.cli.rubric_files import find_rubric
from rlaif.config import hide_model_hub_noise
from rlaif.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from rlaif.cycle.paying import LedgerReplies
    from rlaif.judges import Rubric, RubricJudge
    from rlaif.judges.budget import Budget
    from rlaif.ledger.reads import LedgerReads
    from rlaif.ledger.rows import RubricRow
    from rlaif.progress import Watcher
    from rlaif.project import Project
    from rlaif.records import Judgement, PairVerdict
    from rlaif.stages.feedback_files import FeedbackLine
    from rlaif.stages.previewing import Stored
    from rlaif.stages.rubric_testing import Labelled

JUDGING, TRAIN = "judging", "train"
PAIRS_SHOWN, ATTACKED = 20, 10


@click.command(
    cls=Command,
    examples=[
        "rlaif rubric preview our-tone",
        "rlaif rubric preview prompts/rubrics/our-tone.toml --n 50",
        "rlaif rubric preview draft.toml --json",
    ],
)
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--n",
    "count",
    type=click.IntRange(min=1),
    default=PAIRS_SHOWN,
    show_default=True,
    help="How many stored pairs are judged.",
)
@json_option
@click.pass_obj
def preview(place: Place, name: str, count: int, as_json: bool) -> None:
    """Judge stored pairs with a draft of a rubric.

    The draft judges the newest pairs that cycles have compared, drawn by the run's seed, in both
    orders. Shown is what it says beside what was said of them: pairs whose better answer changes,
    ties, quarantine, criteria of the same name, and what a cycle with the draft would cost.
    No label changes. What a judge on servers replies is kept in the ledger, so that nothing is paid
    for twice, and counts in [budget]: to the day, and a trial may take no more than a cycle may.
    Where there is no room for another call it stops with exit code 75. Asked for again it goes on
    from there, and limits per cycle count from 0 anew.
    """
    from rlaif.cli.trial_shown import print_preview
    from rlaif.stages.previewing import preview as put_beside
    from rlaif.stages.trying import try_panel

    project, draft = place.project(), find_rubric(place, name)
    cycles, stored, row = _stored(project, count)
    with _bench(project, draft, "rubric preview") as bench:
        panel = bench.panel
        _say(bench, f"judging {len(stored.pairs)} pairs")
        tried = try_panel(panel, (), [pair.item for pair in stored.pairs], bench.began)
    found = put_beside(panel, tried, stored, project.config)
    if bench.reused:
        found = found.untimed()
    head = {
        "draft": _identity(panel, draft),
        "current": {"name": row.name, "version": row.version, "rubric_hash": row.hash},
        "cycles": cycles,
        "notes": list(_notes(project, panel, stored, row)),
        "paid": _paid(bench),
    }
    if as_json:
        emit_json({**head, **found.model_dump(mode="json")})
    else:
        print_preview(head, found)


@click.command(
    cls=Command,
    examples=[
        "rlaif rubric test our-tone --labels human.jsonl",
        "rlaif rubric test draft.toml --labels human.csv --probes 0 --json",
    ],
)
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--labels",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What humans said, as rlaif feedback import takes it.",
)
@click.option(
    "--probes",
    type=click.IntRange(min=0),
    default=ATTACKED,
    show_default=True,
    metavar="N",
    help="How many of the answers are attacked, each in five ways.",
)
@json_option
@click.pass_obj
def test(place: Place, name: str, labels: Path, probes: int, as_json: bool) -> None:
    """Hold a rubric against humans' labels.

    The project's judge judges the labelled answers by it, pairs in both orders. Shown are accuracy
    and Cohen's kappa, how often the verdict flips when two answers are swapped, how often there is
    none, and how often attacks on these very answers work: injections, padding, repetition. All
    by criterion and for the whole, with 95% intervals. A poor rubric is no error: the exit code
    is 0. What a judge on servers replies is kept and paid for as rlaif rubric preview says; nothing
    else is written into the ledger.
    """
    from rlaif.cli.trial_shown import print_test
    from rlaif.judges.probes import load_attacks
    from rlaif.judges.rubric import load_rubric
    from rlaif.seeds import derive_seed
    from rlaif.stages.feedback_files import read_feedback
    from rlaif.stages.rubric_testing import hold_against

    project, file = place.project(), find_rubric(place, name)
    labelled = _labelled(project, labels, read_feedback(labels), load_rubric(file))
    with _bench(project, file, "rubric test") as bench:
        panel = bench.panel
        _say(bench, f"judging {len(labelled.rated)} answers and {len(labelled.pairs)} pairs")
        found = hold_against(
            panel,
            labelled,
            project.config.audit,
            load_attacks(panel.rubric.language, project.root),
            temperature=project.config.judging.score_temperature,
            probes=probes,
            seed=derive_seed(project.config.run.seed, "rubric test"),
            began=bench.began,
        )
    if bench.reused:
        found = found.model_copy(update={"cost": found.cost.untimed()})
    head = {
        "rubric": _identity(panel, file),
        "labels_file": str(labels),
        "paid": _paid(bench),
    }
    if as_json:
        emit_json({**head, **found.model_dump(mode="json")})
    else:
        print_test(head, found)


@dataclass(frozen=True)
class Bench:
    """Who judges here, and what they are paid.

    Attributes:
        panel: The rubric with its judges.
        watcher: Who is told how far it is.
        replies: Where servers' replies are kept; None where no judge is on a server.
        budget: What they may cost.
    """

    panel: "RubricJudge"
    watcher: "Watcher"
    replies: "LedgerReplies | None" = None
    budget: "Budget | None" = None

    @property
    def reused(self) -> bool:
        """Whether any reply was there already."""
        return self.replies is not None and self.replies.reused > 0

    def began(self, step: str) -> None:
        """Say that a step begins."""
        self.watcher.stage(0, step)


@contextmanager
def _bench(project: "Project", rubric: Path, trial: str) -> "Iterator[Bench]":
    """Load who judges here, by a rubric of any file; how far they are goes to standard error.

    Replies of servers go into the ledger group by group, each a short transaction of its own, also
    while another process runs a cycle: both see what the other spends of the day.
    """
    from rlaif.cli.watching import watching
    from rlaif.crew import Crew

    hide_model_hub_noise()
    config = project.config
    with watching(stderr(), trial=trial) as watcher, ExitStack() as stack:

        def answered(done: int, total: int) -> None:
            watcher.units(done, total, "replies")

        replies = budget = None
        if any(judge.server is not None for judge in config.jury):
            from rlaif.cycle.paying import LedgerReplies, budget_of
            from rlaif.ledger.writer import Ledger

            ledger = stack.enter_context(Ledger.open(project.ledger_path))
            replies = LedgerReplies(ledger, None)
            budget = budget_of(ledger, config.budget, None, replies)
        crew = Crew(project, config, replies, budget, rubric, watcher.note, answered)
        yield Bench(crew.panel(config.jury), watcher, replies, budget)


def _paid(bench: Bench) -> dict[str, Any] | None:
    """Return what this trial paid for now, and how many replies were there already.

    None where no judge is on a server.
    """
    if bench.budget is None or bench.replies is None:
        return None
    return {**bench.budget.cycle.model_dump(mode="json"), "reused": bench.replies.reused}


def _say(bench: Bench, what: str) -> None:
    names = ", ".join(juror.name for juror in bench.panel.jury) or "code alone"
    bench.watcher.note(f"{what} by {bench.panel.rubric.name}, with {names}")


def _identity(panel: "RubricJudge", path: Path) -> dict[str, Any]:
    rubric = panel.rubric
    return {
        "path": str(path),
        "name": rubric.name,
        "version": rubric.version,
        "content_hash": rubric.content_hash,
        "rubric_hash": panel.rubric_hash,
    }


def _stored(project: "Project", count: int) -> "tuple[list[int], Stored, RubricRow]":
    """Read the newest compared pairs, with the cycles that they are of and the rubric."""
    from rlaif.ledger.reader import LedgerReader
    from rlaif.seeds import derive_seed
    from rlaif.stages.previewing import draw_newest

    if not project.ledger_path.is_file():
        raise _nothing_stored(project)
    with LedgerReader.open(project.ledger_path) as reader:
        seed = derive_seed(project.config.run.seed, "rubric preview")
        drawn = draw_newest(_compared(reader), count, seed)
        if not drawn:
            raise _nothing_stored(project)
        cycles = sorted({cycle for cycle, _ in drawn})
        used = reader.rubrics_used(cycles[-1], JUDGING)[0]
        row = reader.rubric(used, cycles[-1])
        if row is None:
            raise LedgerError(
                f"{reader.path} has no rubric {used[:12]}", "the rubric of its labels"
            )
        return cycles, _all_about(reader, drawn), row


def _compared(reader: "LedgerReads") -> "Iterator[list[tuple[int, PairVerdict]]]":
    """Yield what cycles compared, newest first, as long as they judged by one rubric."""
    rubric = None
    for cycle in reversed(reader.cycles()):
        verdicts = reader.pair_verdicts(cycle.number, JUDGING)
        used = reader.rubrics_used(cycle.number, JUDGING)
        if verdicts and used != (rubric or used):
            return
        if verdicts:
            rubric = used
            yield [(cycle.number, verdict) for verdict in verdicts]


def _all_about(reader: "LedgerReads", drawn: "Sequence[tuple[int, PairVerdict]]") -> "Stored":
    from rlaif.stages.previewing import Stored, StoredPair

    verdicts = [verdict for _, verdict in drawn]
    pairs = {frozenset((v.first_id, v.second_id)) for v in verdicts}
    ids = sorted({name for pair in pairs for name in pair})
    answers = {answer.id: answer for answer in reader.completions_by_id(ids)}
    prompts = {p.id: p for p in reader.prompts(sorted({a.prompt_id for a in answers.values()}))}
    cycles = sorted({cycle for cycle, _ in drawn})
    own = [c for cycle in cycles for c in reader.completions(cycle, TRAIN)]
    beside = sorted({*ids, *(answer.id for answer in own if answer.prompt_id in prompts)})
    return Stored(
        pairs=[
            StoredPair(
                prompts[answers[v.first_id].prompt_id], answers[v.first_id], answers[v.second_id], v
            )
            for v in verdicts
        ],
        scores={
            score.completion_id: score
            for cycle in cycles
            for score in reader.scores(cycle, JUDGING)
            if score.completion_id in answers
        },
        judgements=[
            judgement
            for cycle in cycles
            for judgement in reader.judgements(beside, cycle=cycle, stage=JUDGING)
            if _is_about(judgement, answers.keys(), pairs)
        ],
    )


def _is_about(judgement: "Judgement", answers: "Set[str]", pairs: "set[frozenset[str]]") -> bool:
    """Tell whether a judgement rates an answer, compares a pair, or ranks a list with a pair."""
    ids = frozenset(judgement.completion_ids)
    if judgement.kind == "listwise":
        return any(frozenset(pair) in pairs for pair in combinations(ids, 2))
    return ids in pairs or (judgement.kind == "pointwise" and ids <= answers)


def _notes(
    project: "Project", panel: "RubricJudge", stored: "Stored", row: "RubricRow"
) -> Iterator[str]:
    """Yield what else may be behind a difference than the draft."""
    from rlaif.judges.rubric import asks_the_same

    if panel.rubric_hash == row.hash:
        yield "the pairs were judged by just this: what differs is the judge's own doing"
    in_force = project.file(project.config.rubric.path)
    if in_force.is_file() and not asks_the_same(in_force, row.text):
        yield (
            f"{project.config.rubric.path} is not what the pairs were judged by: it was changed "
            "since"
        )
    then = {j.call.judge for j in stored.judgements if j.call is not None}
    if then - {juror.judge.digest for juror in panel.jury} and panel.jury:
        yield "the pairs were judged by another judge: what differs may be its doing"


def _nothing_stored(project: "Project") -> UsageError:
    return UsageError(
        f"no cycle of {project.root} has compared pairs yet",
        "pairs that were judged, to judge them again",
        "run a cycle first (rlaif run), or hold the rubric against labels of your own "
        "(rlaif rubric test NAME --labels FILE)",
    )


def _labelled(
    project: "Project", file: Path, lines: "list[tuple[int, FeedbackLine]]", rubric: "Rubric"
) -> "Labelled":
    """Find what the lines are about; the ledger is opened only where a line names its rows."""
    from rlaif.ledger.reader import LedgerReader

    named = any(x.prompt_id or any(answer.id for answer in x.shown) for _, x in lines)
    if not named or not project.ledger_path.is_file():
        return _planned(file, lines, rubric, None)
    with LedgerReader.open(project.ledger_path) as reader:
        return _planned(file, lines, rubric, reader)


def _planned(
    file: Path,
    lines: "list[tuple[int, FeedbackLine]]",
    rubric: "Rubric",
    reader: "LedgerReads | None",
) -> "Labelled":
    from rlaif.feedback import Known, plan_import
    from rlaif.stages.rubric_testing import Labelled

    criteria = [criterion.name for criterion in rubric.criteria]
    known = Known.of(reader, (), criteria, seed=0, frozen_share=0.0)
    plan = plan_import(file, lines, known, reader)
    labels = plan.counting
    stated = {name for label in labels for name in (label.first_id, label.second_id) if name}
    stored = sorted(stated - plan.completions.keys())
    found = [] if reader is None else reader.completions_by_id(stored)
    return Labelled(
        labels=labels,
        prompts={**known.prompts, **plan.prompts},
        answers={**plan.completions, **{answer.id: answer for answer in found}},
    )
