"""``rlaif feedback``: what humans say of answers, and what the judge is worth by it."""

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from rich.table import Table

from rlaif.cli.agreement_shown import agreement_table, share
from rlaif.cli.documented import Group
from rlaif.cli.output import (
    LARGEST,
    cell,
    emit_json,
    interval,
    json_option,
    number,
    one_line,
    percent,
    stdout,
    table,
    visible,
)
from rlaif.cli.place import Place
from rlaif.errors import ConfigError
from rlaif.records import HumanLabel
from rlaif.text import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlaif.feedback import FeedbackPlan, Line
    from rlaif.ledger.reads import LedgerReads
    from rlaif.project import Project
    from rlaif.stages.calibration import Fitted, JudgeCalibration

T = TypeVar("T")
_EVEN, _SHOWN_WORDS = 0.5, 32
SHOWN = 20


@click.group(
    cls=Group,
    examples=[
        "rlaif feedback import labels.jsonl --rater ana",
        "rlaif feedback report",
    ],
)
def feedback() -> None:
    """Let humans measure the judge, and train beside it."""


@feedback.command(
    "import",
    examples=[
        "rlaif feedback import labels.jsonl",
        "rlaif feedback import ratings.csv --rater ana --dry-run",
    ],
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--rater", default="", metavar="NAME", help="Who said what no line ascribes.")
@click.option("--dry-run", is_flag=True, help="Read and check the file; take nothing.")
@json_option
@click.pass_obj
def import_(place: Place, file: Path, rater: str, dry_run: bool, as_json: bool) -> None:
    """Import ratings, pairs, rankings or edits from a file.

    All of it or nothing. Each line of FILE (JSON lines, or CSV where its name ends with .csv) has a
    prompt, one answer or more, and what a human said of them; see docs/guides/human-feedback.md.
    The next cycle judges the same and measures the judge by it. The same file again changes
    nothing. What a named rater says later of the same thing replaces what they said before. With
    --dry-run a broken rubric or pool does not stand in the way: what could not be checked without
    it is said.
    """
    from rlaif.ledger.reader import LedgerReader
    from rlaif.ledger.writer import Ledger
    from rlaif.stages.feedback_files import read_feedback

    project = place.project()
    lines = read_feedback(file)
    unchecked: list[str] = []
    if not dry_run:
        with Ledger.open(project.ledger_path) as ledger:
            plan = _plan(project, file, lines, ledger, rater)
            new = ledger.add_human_labels(
                list(plan.labels.values()),
                prompts=list(plan.prompts.values()),
                completions=list(plan.completions.values()),
                source=file.name,
            )
    elif project.ledger_path.is_file():
        with LedgerReader.open(project.ledger_path) as reader:
            plan = _plan(project, file, lines, reader, rater, unchecked)
            new = len(plan.labels.keys() - {label.id for label in reader.human_labels()})
    else:
        plan = _plan(project, file, lines, None, rater, unchecked)
        new = len(plan.labels)
    counts = _counts(len(lines), plan, new)
    if as_json:
        emit_json({**counts, "dry_run": dry_run, "unchecked": unchecked})
    else:
        click.echo(_told(counts, dry_run))
        for what in unchecked:
            click.echo(visible(f"not checked: {what}"))


@feedback.command(
    "list",
    examples=[
        "rlaif feedback list",
        "rlaif feedback list --limit 100 --json",
    ],
)
@click.option(
    "--limit", type=click.IntRange(1, LARGEST), default=SHOWN, show_default=True, help="How many."
)
@json_option
@click.pass_obj
def list_(place: Place, limit: int, as_json: bool) -> None:
    """List what humans said, the last of it.

    A label that a later word of the same rater replaced is marked so: it does not count.
    """
    from rlaif.stages.last_words import last_words

    with place.reader() as reader:
        everything = reader.human_labels()
        labels, counting = everything[-limit:], {label.id for label in last_words(everything)}
        prompts = {p.id: p.text for p in reader.prompts(sorted({x.prompt_id for x in labels}))}
        shown_ids = sorted({i for x in labels for i in (x.first_id, x.second_id) if i is not None})
        answers = {c.id: c.text for c in reader.completions_by_id(shown_ids)}
    if as_json:
        told = [{**x.model_dump(mode="json"), "replaced": x.id not in counting} for x in labels]
        emit_json({"labels": told})
        return
    if not labels:
        click.echo("no human has said anything yet: rlaif feedback import FILE")
        return
    shown = table(
        "",
        *("form", "criterion", "says", "weight", "rater", "use", "prompt"),
        words=("form", "criterion", "rater", "use"),
        prose=("says", "prompt"),
    )
    for label in labels:
        shown.add_row(
            label.form,
            cell(label.criterion or "-"),
            cell(_saying(label, answers)),
            f"{label.weight:g}",
            cell(label.rater or "-"),
            _use(label, counting),
            cell(one_line(prompts[label.prompt_id])),
        )
    stdout().print(shown)


@feedback.command(
    examples=[
        "rlaif feedback report",
        "rlaif feedback report --json",
    ],
)
@json_option
@click.pass_obj
def report(place: Place, as_json: bool) -> None:
    """Show what the judge is worth by the humans' labels.

    Of the last cycle: agreement by criterion, what the order of the answers does, and calibration
    before and after, on labels that it was not fitted on. Of every cycle: the agreement with the
    frozen labels, and its drift.
    """
    with place.reader() as reader:
        found = _calibrations(reader)
    if as_json:
        cycles = [{"cycle": n, **report.model_dump(mode="json")} for n, report in found.items()]
        emit_json({"cycles": cycles})
    elif found:
        _print(found)
    else:
        click.echo("no cycle has been measured yet: import labels, then rlaif run")


def _plan(
    project: "Project",
    file: Path,
    lines: "Sequence[Line]",
    reads: "LedgerReads | None",
    rater: str,
    unchecked: list[str] | None = None,
) -> "FeedbackPlan":
    """Turn lines into rows; with ``unchecked`` without what is broken, which is then named there.

    Raises:
        ConfigError: A line cannot be taken; without ``unchecked`` also: the rubric or a pool is
            broken.
    """
    from rlaif.feedback import Known, plan_import
    from rlaif.judges.rubric import load_rubric
    from rlaif.stages.pools import read_pools

    config = project.config
    sampling, rubric = config.sampling, project.file(config.rubric.path)
    pool = _unless_broken(
        lambda: read_pools(project.root, sampling.pools, sampling.eval_share),
        "which prompts the pools have",
        unchecked,
    )
    criteria = _unless_broken(
        lambda: [criterion.name for criterion in load_rubric(rubric).criteria],
        "whether the criteria are the rubric's",
        unchecked,
    )
    known = Known.of(reads, pool or (), criteria, config.run.seed, config.feedback.frozen_share)
    return plan_import(file, lines, known, reads, rater)


def _unless_broken(read: Callable[[], T], what: str, unchecked: list[str] | None) -> T | None:
    """Read a file; where it is broken and there is a list for it, say there what is not known."""
    try:
        return read()
    except ConfigError as exc:
        if unchecked is None:
            raise
        unchecked.append(f"{what}, for {exc.seen}")
        return None


def _counts(lines: int, plan: "FeedbackPlan", new: int) -> dict[str, int]:
    return {
        "lines": lines,
        "labels": len(plan.labels),
        "new": new,
        "frozen": sum(label.frozen for label in plan.labels.values()),
        "repeated": plan.repeated,
        "replaced": plan.replaced,
        "new_prompts": len(plan.prompts),
        "new_answers": len(plan.completions),
    }


def _told(counts: dict[str, int], dry_run: bool) -> str:
    would = "nothing was taken (--dry-run); " if dry_run else ""
    repeated = f", {counts['repeated']} said twice" if counts["repeated"] else ""
    known = counts["labels"] - counts["new"]
    earlier = (
        "1 earlier label" if counts["replaced"] == 1 else f"{counts['replaced']} earlier labels"
    )
    replaced = f", {earlier} replaced" if counts["replaced"] else ""
    return (
        f"{would}{counts['lines']} lines, {counts['labels']} labels{repeated}: "
        f"{counts['new']} new, {known} known{replaced}; {counts['frozen']} frozen; "
        f"{counts['new_prompts']} new prompts, {counts['new_answers']} new answers"
    )


def _use(label: HumanLabel, counting: Container[str]) -> str:
    if label.id not in counting:
        return "replaced"
    return "frozen" if label.frozen else "free"


def _saying(label: HumanLabel, answers: Mapping[str, str]) -> str:
    """Say it in the answers' words: which of two has which number, nobody has seen."""
    first = _words(answers[label.first_id])
    if label.second_id is None:
        return f"{label.value:.2f} of 1 for {first}"
    second, p_first = _words(answers[label.second_id]), label.value
    if p_first == _EVEN:
        return f"{first} as good as {second}"
    better, worse = (first, second) if p_first > _EVEN else (second, first)
    sure = max(p_first, 1.0 - p_first)
    return f"{better} over {worse}" + ("" if sure == 1.0 else f" with {percent(sure)}")


def _words(text: str) -> str:
    return f'"{shortened(one_line(text), _SHOWN_WORDS)}"'


def _calibrations(reads: "LedgerReads") -> "dict[int, JudgeCalibration]":
    from rlaif.stages.calibration import JudgeCalibration

    reports = {c.number: reads.report(c.number, "calibration") for c in reads.cycles()}
    return {n: JudgeCalibration.model_validate(r) for n, r in reports.items() if r is not None}


def _print(found: "dict[int, JudgeCalibration]") -> None:
    console = stdout()
    cycle, latest = max(found.items())
    title = f"Agreement of judge and humans, cycle {cycle}"
    console.print(agreement_table(title, latest.agreements), "")
    console.print(f"the same side in both orders: {share(latest.order.consistent)}\n")
    for name, fitted in (("comparisons", latest.comparison), ("ratings", latest.ratings)):
        console.print(f"labels from {name}: {_calibration_line(fitted)}")
    console.print(_drift_table(found))


def _drift_table(found: "dict[int, JudgeCalibration]") -> Table:
    shown = table(
        "\nAgreement with the frozen labels",
        *("cycle", "labels", "unscored", "agreement", "drift", "says"),
        words=("drift",),
        prose=("says",),
    )
    for cycle, measured in found.items():
        frozen = measured.frozen
        shown.add_row(
            str(cycle),
            str(frozen.labels),
            str(frozen.unscored),
            interval(frozen.agreement, frozen.low, frozen.high),
            "yes" if measured.drift.found else "no",
            cell(measured.drift.told),
        )
    return shown


def _calibration_line(fitted: "Fitted") -> str:
    measured = fitted.measured
    figures = (
        ""
        if measured is None
        else (
            f"; cross-fitted, log-loss {number(measured.log_loss_before, 4)} before, "
            f"{number(measured.log_loss_after, 4)} after; calibration error "
            f"{number(measured.ece_before, 3)} before, {number(measured.ece_after, 3)} after"
        )
    )
    if fitted.calibration is None:
        return f"none applied: {fitted.reason}{figures}"
    temperature = fitted.calibration.temperature
    how = "isotonic" if temperature is None else f"temperature {temperature:.3f}"
    return f"{how}, fitted on {fitted.labels} pairs{figures}"
