"""Critiques as people and programs read them."""

import csv
import io
from collections.abc import Iterable, Iterator

import click

from rlaif.cli.output import hanging, one_line, percent, visible
from rlaif.ledger.critique_view import CritiqueView
from rlaif.records import Choice, Ranking, Rating, Unscored, Verdict

COLUMNS = (
    *("seq", "id", "cycle", "stage", "criterion", "kind", "judge", "verdict", "value", "reason"),
    *("margin", "flipped", "quarantined", "prompt_id", "tags", "prompt", "first_id", "first"),
    *("second_id", "second", "others", "cut", "critique"),
)
_LETTERS = "ABCDEFGHI"
# What OWASP lists under CSV injection, full-width signs too.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BREAKS = ("\t", "\r", "\n")


def shown(view: CritiqueView, similarity: float | None = None) -> str:
    """Return a critique with all that it is about, several lines long."""
    head = f"cycle {view.cycle}  {view.stage}  {view.criterion}  {view.kind}  {view.id}"
    labels = labels_of(view)
    lines = [
        click.style(visible(head), bold=True),
        hanging("prompt", f"{view.prompt}  ({view.prompt_id})"),
        *(
            hanging(label, f"{completion.text}  ({completion.id})")
            for label, completion in zip(labels, view.completions, strict=True)
        ),
        hanging("critique", view.critique + ("  (cut off)" if view.cut else "")),
        hanging("verdict", _verdict_line(view)),
    ]
    if view.quarantined is not None:
        lines.append(hanging("held back", view.quarantined))
    if similarity is not None:
        lines.append(hanging("alike", f"{similarity:.2f}"))
    return "\n".join(lines)


def labels_of(view: CritiqueView) -> tuple[str, ...]:
    """Return what a critique's answers are called: those of a list as the judge called them."""
    if view.kind == "listwise":
        return tuple(_LETTERS[: len(view.completions)])
    return ("answer",) if len(view.completions) == 1 else ("first", "second")


def verdict_words(verdict: Verdict) -> str:
    """Return a verdict in words."""
    match verdict:
        case Rating(score=score):
            return f"{score:.2f} of 1"
        case Choice(p_first=p_first):
            return f"first is better with {percent(p_first)}"
        case Ranking(places=places):
            return " > ".join(_LETTERS[place] for place in places)
        case Unscored(reason=reason):
            return f"unscored: {reason}"


def csv_text(views: Iterable[CritiqueView], *, header: bool = True) -> str:
    """Return critiques as CSV, one a row.

    Texts are made harmless for terminals, and those that a spreadsheet would compute get an
    apostrophe before them.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _row(view)] for view in views)
    return target.getvalue()


def _verdict_line(view: CritiqueView) -> str:
    said_by = f"  (by {one_line(view.judge)})" if view.judge else ""
    return f"{verdict_words(view.verdict)}{said_by}" + (
        "  it flips with the order" if view.flipped else ""
    )


def _row(view: CritiqueView) -> Iterator[object]:
    first, second = (*view.completions, None)[:2]
    verdict = view.verdict
    yield from (view.seq, view.id, view.cycle, view.stage, view.criterion, view.kind)
    yield from (view.judge, verdict.type)
    if isinstance(verdict, Ranking):
        yield verdict_words(verdict)
    else:
        yield getattr(verdict, "score", getattr(verdict, "p_first", None))
    yield verdict.reason if isinstance(verdict, Unscored) else None
    yield from (view.margin, int(view.flipped), view.quarantined, view.prompt_id)
    yield from (" ".join(view.tags), view.prompt)
    yield from (first and first.id, first and first.text)
    yield from (second and second.id, second and second.text)
    yield " ".join(completion.id for completion in view.completions[2:])
    yield from (int(view.cut), view.critique)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    computed = value.startswith(_BREAKS) or value.lstrip().startswith(_FORMULA)
    return visible(f"'{value}" if computed else value)
