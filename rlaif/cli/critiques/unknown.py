"""Why nothing matches, so that a slip is not taken for a good sign."""

import click

from rlaif.cli.output import one_line
from rlaif.ledger.critique_reads import Asked, CritiqueReads
from rlaif.text import quoted

_NAMED = 10


def warn_of_unknown(reads: CritiqueReads, asked: Asked) -> None:
    """Say on standard error which cycle, stage, criterion, judge, ... no critique has."""
    for field, value, known in reads.unknown_values(asked):
        names = ", ".join(map(one_line, known[:_NAMED])) or "none yet"
        more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
        click.echo(f"no critique has --{field} {quoted(value)}; there are: {names}{more}", err=True)


def say_why_no_words(
    reads: CritiqueReads, asked: Asked, what: str, prompt_or_id: str | None = None
) -> None:
    """Say on standard error why nothing that a judge wrote matches.

    Args:
        reads: The ledger.
        asked: What was asked of critiques.
        what: What looks at judges' words alone, for instance ``--like``.
        prompt_or_id: As for :meth:`CritiqueReads.critiques`.
    """
    warn_of_unknown(reads, asked)
    newest = reads.critiques(prompt_or_id, limit=1, **asked)
    if newest and newest[0].method == "code":
        click.echo(
            f"{what} looks at what judges wrote; {quoted(newest[0].criterion)} is judged by code",
            err=True,
        )


def say_how_many(reads: CritiqueReads, asked: Asked, prompt_or_id: str | None, page: int) -> None:
    """Say on standard error that a page lies behind the last one, where something matches."""
    if page > 1 and reads.critiques(prompt_or_id, limit=1, **asked):
        click.echo(f"fewer match than would fill {page - 1:,} pages: take a lower --page", err=True)
