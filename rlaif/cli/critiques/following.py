"""``rlaif critiques --follow``: critiques as they are written."""

import json
import time
from typing import Literal

import click

from rlaif.cli.critiques.printing import csv_text, shown
from rlaif.cli.critiques.unknown import warn_of_unknown
from rlaif.cli.output import harmless_json
from rlaif.ledger.critique_reads import Asked
from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.lock import lock_holder
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project

POLL_SECONDS = 0.5
_AT_ONCE = 200


def follow(
    project: Project,
    prompt_or_id: str | None,
    asked: Asked,
    limit: int,
    form: Literal["text", "json", "csv"],
    *,
    until_done: bool,
) -> None:
    """Print the newest critiques that match, oldest first, then each new one as it is committed.

    Args:
        project: The project whose ledger is read.
        prompt_or_id: As for :meth:`CritiqueReads.critiques`.
        asked: What is asked of critiques.
        limit: How many of those that are there already.
        form: Text, one JSON object a line, or CSV with one header.
        until_done: End when no process is running cycles and all it wrote has been printed.
    """
    with LedgerReader.open(project.ledger_path) as reader:
        last = reader.last_critique()
        first = reader.critiques(prompt_or_id, limit=limit, **asked | {"before": last + 1})
        if not first:
            warn_of_unknown(reader, asked)
        _print(first[::-1], form, header=True)
        while True:
            running = lock_holder(project.lock_path) is not None
            end = reader.last_critique()
            while last < end:
                _print(_between(reader, prompt_or_id, asked, last, last + _AT_ONCE), form)
                last = min(last + _AT_ONCE, end)
            if until_done and not running:
                return
            time.sleep(POLL_SECONDS)


def _between(
    reader: LedgerReader, prompt_or_id: str | None, asked: Asked, last: int, end: int
) -> list[CritiqueView]:
    window: Asked = asked | {"after": last, "before": end + 1}
    return reader.critiques(prompt_or_id, limit=end - last, order="oldest", **window)


def _print(
    found: list[CritiqueView], form: Literal["text", "json", "csv"], *, header: bool = False
) -> None:
    if form == "json":
        for view in found:
            line = json.dumps(view.model_dump(mode="json"), ensure_ascii=False)
            click.echo(harmless_json(line))
    elif form == "csv":
        click.echo(csv_text(found, header=header), nl=False)
    else:
        for view in found:
            click.echo(shown(view) + "\n")
