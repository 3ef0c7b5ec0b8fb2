"""``rlaif critiques themes``: what the model is told off for, and what went away."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from rlaif.cli.critiques.options import filter_options
from rlaif.cli.critiques.unknown import say_why_no_words
from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, hanging, json_option, visible
from rlaif.cli.place import Place
from rlaif.ledger.critique_reads import Asked
from rlaif.ledger.reads import LedgerReads
from rlaif.records import Record

if TYPE_CHECKING:
    from rlaif.cli.critiques.vectors import CritiqueVectors

SHOWN = 8
MOST = 100
_BARS = "▁▂▃▄▅▆▇█"


class Theme(Record):
    """Complaints that mean something alike: the one in their middle, and how many a cycle had."""

    seq: int
    id: str
    critique: str
    complaints: int
    cycles: dict[int, int]


@click.command(
    cls=Command,
    examples=[
        "rlaif critiques themes",
        "rlaif critiques themes --criterion courteous --themes 4 --json",
    ],
)
@filter_options(of_verdicts=False)
@click.option(
    "--themes",
    "count",
    type=click.IntRange(1, MOST),
    default=SHOWN,
    show_default=True,
    help="How many at most.",
)
@json_option
@click.pass_obj
def themes(place: Place, asked: Asked, count: int, as_json: bool) -> None:
    """Group complaints by meaning, with counts per cycle.

    Complaints are judges' critiques with ratings under 1/3, and with those under 2/3 where the
    answer lost a comparison; what rules and other code say is left out. They are grouped by the
    project's embedder; each theme is shown by the complaint in its middle. The same ledger always
    gives the same themes.

    A theme is gone since the first finished cycle after it in which anything was judged that the
    filters let through; with --stage it is enough that this stage is finished. Of one cycle alone
    (--cycle) nothing is said to be new or gone.
    """
    from rlaif.cli.critiques.likeness import opened_vectors

    project = place.project()
    with place.reader() as reader:
        vectors, _ = opened_vectors(project, reader)
        found = find_themes(reader, vectors, count, project.config.run.seed, asked)
        compared = compared_cycles(reader, asked)
        shown = [c.number for c in reader.cycles() if asked.get("cycle") in (None, c.number)]
        if not found:
            say_why_no_words(reader, asked, "themes")
    if as_json:
        emit_json({"themes": [theme.model_dump(mode="json") for theme in found]})
    else:
        click.echo("\n\n".join(_shown(t, shown, compared) for t in found) or "no complaint matches")


def find_themes(
    reads: LedgerReads, vectors: "CritiqueVectors", count: int, seed: int, asked: Asked
) -> list[Theme]:
    """Return the themes of all complaints that match, the most frequent first.

    Args:
        reads: The ledger.
        vectors: The critiques' vectors, filled.
        count: How many themes at most.
        seed: The run's seed.
        asked: What is asked of critiques.
    """
    import numpy as np

    from rlaif.cli.critiques.clusters import clusters

    seqs, rows = vectors.load()
    complaints = dict(reads.complaints(**asked))
    places = np.flatnonzero(np.isin(seqs, np.fromiter(complaints, np.int64, len(complaints))))
    chosen = np.asarray(seqs[places])
    groups = clusters(np.asarray(rows[places]), count, seed)
    views = reads.critique_views([int(chosen[group.centre]) for group in groups])
    return [
        Theme(
            seq=view.seq,
            id=view.id,
            critique=view.critique,
            complaints=len(group.members),
            cycles=dict(
                sorted(Counter(complaints[s] for s in chosen[group.members].tolist()).items())
            ),
        )
        for view, group in zip(views, groups, strict=True)
    ]


def compared_cycles(reads: LedgerReads, asked: Asked) -> list[int]:
    """Return the cycles that a theme can be new or gone by, first to last.

    They are those that will bring no more complaints and have judged something that matches: all of
    the cycle is finished, or the stage that is asked for. None, where one cycle alone is asked for.

    Args:
        reads: The ledger.
        asked: What is asked of critiques.
    """
    if asked.get("cycle") is not None:
        return []
    stage = asked.get("stage")
    return [
        cycle.number
        for cycle in reads.cycles()
        if (cycle.status == "done" or (stage and reads.stage_done(cycle.number, stage)))
        and any(True for _ in reads.critique_seqs(**asked | {"cycle": cycle.number}))
    ]


def _shown(theme: Theme, cycles: list[int], compared: list[int]) -> str:
    counts = [theme.cycles.get(cycle, 0) for cycle in cycles]
    return "\n".join(
        [
            click.style(f"{theme.complaints} complaints{_fate(theme, compared)}", bold=True),
            hanging("cycles", f"{_bars(counts)}  {_ends(theme)}"),
            hanging("such as", visible(theme.critique)),
            hanging("", theme.id),
        ]
    )


def _fate(theme: Theme, compared: list[int]) -> str:
    """Say whether a theme is gone by a later cycle that was judged, or new in its only one."""
    first, last = min(theme.cycles), max(theme.cycles)
    gone = next((cycle for cycle in compared if cycle > last), None)
    if gone is not None:
        return f", gone since cycle {gone}"
    new = first == last and any(cycle < first for cycle in compared)
    return f", new in cycle {first}" if new else ""


def _bars(counts: list[int]) -> str:
    most = max(counts)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)


def _ends(theme: Theme) -> str:
    first, last = min(theme.cycles), max(theme.cycles)
    if first == last:
        return f"{theme.cycles[first]} in cycle {first}"
    return f"{theme.cycles[first]} in cycle {first}, {theme.cycles[last]} in cycle {last}"
