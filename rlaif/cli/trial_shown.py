"""What a trial of a rubric found, as people read it."""

from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from rlaif.cli.agreement_shown import WHOLE, agreement_table, share
from rlaif.cli.output import (
    cell,
    cut,
    duration,
    interval,
    number,
    one_line,
    stdout,
    table,
    visible,
)
from rlaif.judges.probes import INJECTIONS, KINDS
from rlaif.records import AuditFigure
from rlaif.stages.previewing import Change, Outcome, RubricPreview, ScoresBeside
from rlaif.stages.rubric_testing import CriterionTrial, Miss, RubricTest
from rlaif.stages.trying import Cost

LISTED = 10
_COLUMNS = 60
_HOW = ("comparison", "rating")
_GROUPS = {"injection": "Injections", "taste": "Padding and repetition"}
_COST = ("", "calls", "tokens\nread", "tokens\nwritten", "time", "money")


def print_preview(head: dict[str, Any], found: RubricPreview) -> None:
    """Print what a draft would change.

    Args:
        head: The draft's and the current rubric's identities, the cycles, and notes.
        found: The preview.
    """
    draft, current = head["draft"], head["current"]
    cycles = ", ".join(map(str, head["cycles"]))
    click.echo(
        visible(
            f"draft   {draft['name']}, version {draft['version']}, {draft['rubric_hash'][:12]}\n"
            f"current {current['name']}, version {current['version']}, "
            f"{current['rubric_hash'][:12]}: what cycle {cycles} said of the same pairs\n"
        )
    )
    for note in head["notes"]:
        click.echo(visible(f"note: {note}"))
    console = stdout()
    console.print(_outcomes(found), "")
    _print_advice(found.advice)
    decided = found.same_winner.count
    click.echo(f"flips: {len(found.flips)} of the {decided} pairs that both decide\n")
    console.print(_criteria(found))
    for whose, names in (("current", found.only_current), ("draft", found.only_draft)):
        if names:
            click.echo(visible(f"only in the {whose} rubric: {', '.join(names)}"))
    console.print("", _preview_cost(found))
    _print_paid(head)
    _print_changes(found.changes)


def print_test(head: dict[str, Any], found: RubricTest) -> None:
    """Print how a rubric stands up to humans' labels.

    Args:
        head: The rubric's identity, and the file of labels.
        found: The test.
    """
    rubric = head["rubric"]
    click.echo(
        visible(
            f"{rubric['name']}, version {rubric['version']}, {rubric['rubric_hash'][:12]}, against "
            f"{found.labels} labels of {head['labels_file']}: {found.prompts} prompts, "
            f"{found.answers} answers, {found.pairs} pairs\n"
        )
    )
    console = stdout()
    agreements = [agreement for part in found.parts for agreement in part.agreements]
    console.print(agreement_table("Agreement with the humans", agreements), "")
    console.print(_steadiness(found.parts), "")
    for part in found.parts:
        for reason in part.reasons if part.criterion else ():
            click.echo(visible(f"no verdict under {part.criterion}: {one_line(reason)}"))
    if found.cut is not None and found.cut.count:
        click.echo(f"critiques cut off at their limit: {share(found.cut)} of {found.cut.count}\n")
    _print_advice(found.advice)
    slope = found.length.slope
    if slope is not None:
        click.echo(
            f"length: {slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}] log-odds for "
            f"{found.length.deviation:.1f} words more, what the humans said being equal\n"
        )
    if found.attacked:
        click.echo(f"attacked in each of {len(KINDS)} ways: {found.attacked} answers\n")
    for group in _GROUPS if found.attacked else ():
        console.print(_attacks(found, group), "")
    costs = table("What it took", *_COST, words=("",))
    costs.add_row("this test", *_cost_cells(found.cost))
    console.print(costs)
    _print_paid(head)
    _print_misses(found.misses)


def _print_advice(advice: Iterable[str]) -> None:
    for told in advice:
        click.echo(visible(f"advice: {one_line(told)}\n"))


def _outcomes(found: RubricPreview) -> Table:
    shown = table("Pairs", "", "current", "draft", words=("",))
    for name in ("decided", "tied", "quarantined", "unscored"):
        counts = (getattr(c, name) for c in (found.outcomes_current, found.outcomes_draft))
        shown.add_row(name, *map(str, counts))
    return shown


def _criteria(found: RubricPreview) -> Table:
    shown = table(
        "Criteria of the same name, and the whole score",
        *("criterion", "answers", "un-\nscored", "corre-\nlation", "apart", "shift"),
        "same better\nanswer",
        words=("criterion",),
    )
    shown.add_row(WHOLE, *_beside_cells(found.scores), share(found.same_winner))
    for criterion in found.criteria:
        side = criterion.same_side
        same = "-" if side is None else share(side)
        shown.add_row(cell(criterion.name), *_beside_cells(criterion.ratings), same)
    return shown


def _beside_cells(found: ScoresBeside) -> tuple[str, ...]:
    shift = "-" if found.shift is None else f"{round(found.shift, 2) + 0.0:+.2f}"
    return (
        str(found.answers),
        str(found.unscored),
        number(found.correlation),
        number(found.distance),
        shift,
    )


def _preview_cost(found: RubricPreview) -> Table:
    cost = found.cost
    shown = table("What it takes", *_COST, words=("",))
    shown.add_row("these pairs, when they were judged", *_cost_cells(cost.current))
    shown.add_row("these pairs with the draft", *_cost_cells(cost.draft))
    lists = f", {cost.cycle_lists} lists" if cost.cycle_lists else ""
    cycle = f"a cycle: {cost.cycle_answers} answers,\n{cost.cycle_pairs} pairs{lists} at most"
    shown.add_row(cycle, *_cost_cells(cost.cycle))
    return shown


def _print_paid(head: dict[str, Any]) -> None:
    paid = head["paid"]
    if paid is not None:
        counted = f"{paid['calls']} calls, {paid['tokens']} tokens, {number(paid['money'], 4)}"
        click.echo(f"paid now: {counted}; replies that were there: {paid['reused']}")


def _cost_cells(cost: Cost) -> tuple[str, ...]:
    return (
        str(cost.calls),
        str(cost.prompt_tokens),
        str(cost.reply_tokens),
        "-" if cost.seconds is None else duration(cost.seconds),
        number(cost.money, 4),
    )


def _print_changes(changes: Sequence[Change]) -> None:
    for change in changes[:LISTED]:
        what = "flips" if change.flipped else f"{change.current} -> {change.draft}"
        click.echo(visible(f"\n{what}: {_cut(change.prompt)}"))
        for place, text in (("first", change.first), ("second", change.second)):
            marks = f"{_mark(change.current, place)} -> {_mark(change.draft, place)}"
            click.echo(visible(f"  {marks}  {_cut(text)}"))
        click.echo(
            f"  P(first is better) {number(change.p_current)} -> {number(change.p_draft)}"
            + visible(f"; {_cut(change.reason, 2 * _COLUMNS)}" if change.reason else "")
        )
    _print_left(len(changes), "pairs of which the draft says something else")


def _mark(outcome: Outcome, place: str) -> str:
    return {"first": "better", "second": "better"}.get(outcome, "-") if outcome == place else "-"


def _print_left(count: int, what: str) -> None:
    if count > LISTED:
        click.echo(f"\n{LISTED} of {count} {what}; --json has all")


def _steadiness(parts: Iterable[CriterionTrial]) -> Table:
    shown = table(
        "The judge",
        *("criterion", "flips when swapped", "of", "no verdict", "of"),
        words=("criterion",),
    )
    for part in parts:
        swapped = None if part.order is None else part.order.same_position
        asked = part.failures.count > 0
        shown.add_row(
            _name(part.criterion),
            "-" if swapped is None else share(swapped),
            "-" if swapped is None else str(swapped.count),
            share(part.failures) if asked else "-",
            str(part.failures.count) if asked else "-",
        )
    return shown


def _attacks(found: RubricTest, group: str) -> Table:
    """Return a table of a group of attacks by criterion, then of each attack for the whole."""
    kinds = [kind for kind in KINDS if (kind in INJECTIONS) == (group == "injection")]
    shown = table(
        f"{_GROUPS[group]} that worked",
        *("criterion", *(f"by {how}" for how in _HOW)),
        words=("criterion",),
    )
    rows = [(_name(part.criterion), part, group) for part in found.parts]
    rows += [(Text(f"  {kind}"), found.parts[0], kind) for kind in kinds]
    for title, part, name in rows:
        figures = {figure.name: _figure(figure) for figure in part.probes}
        shown.add_row(title, *(figures[f"{name} by {how}"] for how in _HOW))
    return shown


def _figure(figure: AuditFigure) -> str:
    mark = " !" if figure.breached else ""
    without = f", {figure.unscored} unscored" if figure.unscored else ""
    without += f", {figure.undecidable} no room" if figure.undecidable else ""
    return interval(figure.value, figure.low, figure.high) + mark + without


def _print_misses(misses: Sequence[Miss]) -> None:
    for miss in misses[:LISTED]:
        about = f" on {miss.criterion}" if miss.criterion else ""
        judged = "no verdict" if miss.judge is None else number(miss.judge)
        what = "rating" if miss.second is None else "P(first is better)"
        click.echo(visible(f"\n{what}{about}: human {miss.human:.2f}, judge {judged}"))
        for name, text in (("asked", miss.prompt), ("first", miss.first), ("second", miss.second)):
            if text is not None:
                click.echo(f"  {name:<7}{_cut(text)}")
    _print_left(len(misses), "labels with which the judge does not agree")


def _name(criterion: str) -> Text:
    return cell(criterion or WHOLE)


def _cut(text: str, columns: int = _COLUMNS) -> str:
    return cut(one_line(text), columns)
