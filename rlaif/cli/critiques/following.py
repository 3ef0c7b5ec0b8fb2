"""``rlaif critiques --follow``: critiques as they are written."""

import json
import time
from pathlib import Path
from typing import Literal

import click

from rlaif.cli.critiques.printing import csv_text, shown
from rlaif.cli.critiques.unknown import warn_of_unknown
from rlaif.cli.output import harmless_json
from rlaif.ledger.critique_reads import Asked
from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.layout import SCHEMA_VERSION
from rlaif.ledger.lock import lock_holder
from rlaif.ledger.reader import LedgerReader, schema_at
from rlaif.project import Project

POLL_SECONDS = 0.5
STARTING_SECONDS = 5.0
_AT_ONCE = 200


class _Runs:
    """Whether the runs to be waited for are over, asked once a poll.

    A run holds the project's lock from before its first cycle until after its last. One that was
    called at the same moment needs some seconds until it does.

    Args:
        lock: The file of the project's lock.
    """

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._seen = False
        self._polls = round(STARTING_SECONDS / POLL_SECONDS)

    def over(self, *, begun: bool) -> bool:
        """Whether a run was seen and is gone, or none has come for a while after some cycle.

        Args:
            begun: Whether any cycle has begun: the first one is waited for as long as it takes.
        """
        if lock_holder(self._lock) is not None:
            self._seen = True
            return False
        if self._seen or not begun:
            return self._seen
        self._polls -= 1
        return self._polls < 0


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

    Before the first cycle it is waited for.

    Args:
        project: The project whose ledger is read.
        prompt_or_id: As for :meth:`CritiqueReads.critiques`.
        asked: What is asked of critiques.
        limit: How many of those that are there already.
        form: Text, one JSON object a line, or CSV with one header.
        until_done: End with the run that is under way when all it wrote has been printed; where
            none is, after ``STARTING_SECONDS`` in which none began.
    """
    runs = _Runs(project.lock_path)
    if not _wait_for_a_cycle(project, runs, until_done=until_done):
        return
    with LedgerReader.open(project.ledger_path) as reader:
        last = reader.last_critique()
        first = reader.critiques(prompt_or_id, limit=limit, **asked | {"before": last + 1})
        if not first:
            warn_of_unknown(reader, asked)
        _print(first[::-1], form, header=True)
        while True:
            over = runs.over(begun=True)
            end = reader.last_critique()
            while last < end:
                _print(_between(reader, prompt_or_id, asked, last, last + _AT_ONCE), form)
                last = min(last + _AT_ONCE, end)
            if until_done and over:
                return
            time.sleep(POLL_SECONDS)


def _wait_for_a_cycle(project: Project, runs: _Runs, *, until_done: bool) -> bool:
    """Wait until a cycle has begun; return whether one has before the run was over."""
    over = runs.over(begun=False)
    if _has_begun(project):
        return True
    click.echo("no cycle was begun yet: waiting for 'rlaif run'", err=True)
    while not (until_done and over):
        time.sleep(POLL_SECONDS)
        over = runs.over(begun=False)
        if _has_begun(project):
            return True
    return False


def _has_begun(project: Project) -> bool:
    """Whether there is a cycle, and a ledger that a run is not still making or migrating."""
    version = schema_at(project.ledger_path)
    migrating = version < SCHEMA_VERSION and lock_holder(project.lock_path) is not None
    if not version or migrating:
        return False
    with LedgerReader.open(project.ledger_path) as reader:
        return reader.latest_cycle() is not None


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
