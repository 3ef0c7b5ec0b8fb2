"""Filters that nothing can match are named, so that a slip is not taken for a good sign."""

import click

from rlaif.cli.output import one_line
from rlaif.ledger.critique_reads import Asked, CritiqueReads
from rlaif.text import quoted

_NAMED = 10


def warn_of_unknown(reads: CritiqueReads, asked: Asked) -> None:
    """Say on standard error which stage, criterion, judge, policy or tag no critique has."""
    for field, value, known in reads.unknown_values(asked):
        names = ", ".join(map(one_line, known[:_NAMED])) or "none yet"
        more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
        click.echo(f"no critique has --{field} {quoted(value)}; there are: {names}{more}", err=True)
