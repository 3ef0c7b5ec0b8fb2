"""``rlaif critiques list``, which ``rlaif critiques`` is where no command is named."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

from rlaif.cli.critiques.following import follow
from rlaif.cli.critiques.options import filter_options
from rlaif.cli.critiques.printing import csv_text, shown
from rlaif.cli.critiques.unknown import say_how_many, say_why_no_words, warn_of_unknown
from rlaif.cli.documented import Command
from rlaif.cli.output import LARGEST, emit_json, json_option
from rlaif.cli.place import Place
from rlaif.ledger.critique_reads import Asked
from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.search_words import search_terms

SHOWN = 20


@dataclass(frozen=True)
class Page:
    """Which part of what matches is shown, and how.

    Attributes:
        limit: How many critiques.
        before: Only those with a lower number.
        number: Which page of so many, from 1.
        form: For people, or for programs.
        pager: Whether a long page may go through a pager.
    """

    limit: int
    before: int | None
    number: int
    form: Literal["text", "json", "csv"]
    pager: bool


@click.command(
    "list",
    cls=Command,
    examples=[
        "rlaif critiques --limit 5",
        'rlaif critiques "capital of France"',
        "rlaif critiques --criterion courteous --cycle 2",
        "rlaif critiques --quarantined --policy v0001",
        "rlaif critiques --verdict choice --margin ..0.1 --csv",
        "rlaif critiques --unscored --json",
        "rlaif critiques --search '\"reward-hacking\" polite' --sort rank",
        'rlaif critiques --like "cold towards an upset customer"',
        "rlaif critiques --follow --until-done",
    ],
)
@click.argument("prompt_or_id", required=False)
@filter_options()
@click.option(
    "--search",
    metavar="TEXT",
    help="Only those where critique or prompt hold the words, of 2,000 characters at most.",
)
@click.option(
    "--like",
    metavar="TEXT",
    help="What judges wrote, by meaning: what is most alike first, by the embedder.",
)
@click.option(
    "--sort",
    type=click.Choice(["newest", "rank"]),
    default="newest",
    show_default=True,
    help="With --search: rank puts first what holds rare words often.",
)
@click.option(
    "--limit", type=click.IntRange(1, LARGEST), default=SHOWN, show_default=True, help="How many."
)
@click.option(
    "--before",
    metavar="SEQ",
    type=click.IntRange(1, LARGEST),
    help="Only those with a lower number.",
)
@click.option("--page", type=click.IntRange(1, LARGEST), default=1, help="Which page of --limit.")
@click.option(
    "--follow",
    "follows",
    is_flag=True,
    help="Go on showing new ones as they come; before the first cycle, wait for it.",
)
@click.option(
    "--until-done",
    is_flag=True,
    help="With --follow: end with the `rlaif run` under way, after the last of its cycles; where "
    "none is, after 5 seconds in which none began.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--no-pager", is_flag=True, help="Never show a long page through $PAGER.")
@click.pass_obj
def list_critiques(
    place: Place,
    /,
    prompt_or_id: str | None,
    asked: Asked,
    search: str | None,
    like: str | None,
    sort: Literal["newest", "rank"],
    follows: bool,
    until_done: bool,
    **given: Any,  # noqa: ANN401 - what a page is made of
) -> None:
    """List critiques and verdicts, newest first.

    PROMPT-OR-ID is the id of a critique, a completion, a prompt or a preference, or a prompt's
    text or a part of it. Filters add up. The words of --search are found anywhere, also inside
    of words, in any case; a phrase stands in double quotes.
    """
    asked["search"] = search
    page = _page(given)
    _refuse_contradictions(page, search=search, like=like, sort=sort, follows=follows)
    if until_done and not follows:
        raise click.UsageError("--until-done needs --follow.")
    if follows:
        follow(place.project(), prompt_or_id, asked, page.limit, page.form, until_done=until_done)
        return
    if like is not None:
        _print(page, *_alike(place, like, prompt_or_id, asked, page))
        return
    with place.reader() as reader:
        asked["before"] = page.before
        skip = (page.number - 1) * page.limit
        found = reader.critiques(prompt_or_id, limit=page.limit, skip=skip, order=sort, **asked)
        if not found:
            warn_of_unknown(reader, asked)
            say_how_many(reader, asked, prompt_or_id, page.number)
    _print(page, found, [None] * len(found), older=sort == "newest")


def _page(given: dict[str, Any]) -> Page:
    if given["as_json"] and given["as_csv"]:
        raise click.UsageError("--json and --csv exclude each other.")
    form: Literal["text", "json", "csv"] = (
        "json" if given["as_json"] else "csv" if given["as_csv"] else "text"
    )
    return Page(given["limit"], given["before"], given["page"], form, not given["no_pager"])


def _refuse_contradictions(
    page: Page, *, search: str | None, like: str | None, sort: str, follows: bool
) -> None:
    if search is not None and not search_terms(search):
        raise click.UsageError("--search needs a word.")
    if like is not None and not like.strip():
        raise click.UsageError("--like needs a word.")
    if sort == "rank" and search is None:
        raise click.UsageError("--sort rank needs --search.")
    if follows and (like is not None or sort == "rank" or page.before or page.number > 1):
        raise click.UsageError(
            "--follow shows what comes next: no --like, --sort, --before, --page."
        )
    if like is not None and (sort == "rank" or page.before):
        raise click.UsageError("--like has an order of its own: no --sort, no --before.")


def _alike(
    place: Place, like: str, prompt_or_id: str | None, asked: Asked, page: Page
) -> tuple[list[CritiqueView], list[float]]:
    from rlaif.cli.critiques.likeness import critiques_alike, opened_vectors

    project = place.project()
    with place.reader() as reader:
        vectors, embedder = opened_vectors(project, reader)
        wanted = page.number * page.limit
        found = critiques_alike(reader, vectors, embedder, like, wanted, prompt_or_id, asked)
        found = found[wanted - page.limit :]
        if not found and page.number > 1:
            say_how_many(reader, asked, prompt_or_id, page.number)
        elif not found:
            say_why_no_words(reader, asked, "--like", prompt_or_id)
        return reader.critique_views([seq for seq, _ in found]), [score for _, score in found]


def _print(
    page: Page,
    found: Sequence[CritiqueView],
    similarities: Sequence[float | None],
    *,
    older: bool = False,
) -> None:
    following = found[-1].seq if older and len(found) == page.limit else None
    if page.form == "json":
        rows = [
            view.model_dump(mode="json") | ({} if score is None else {"similarity": score})
            for view, score in zip(found, similarities, strict=True)
        ]
        emit_json({"critiques": rows, "next": following})
        return
    if page.form == "csv":
        click.echo(csv_text(found), nl=False)
        return
    texts = [shown(*pair) for pair in zip(found, similarities, strict=True)]
    if following is not None:
        texts.append(f"older ones: --before {following}")
    text = "\n\n".join(texts) or "no critique matches"
    if page.pager and sys.stdout.isatty() and _is_long(text):
        _through_pager(text)
    else:
        click.echo(text)


def _through_pager(text: str) -> None:
    try:
        click.echo_via_pager(text + "\n")
    except ValueError as exc:  # of the shell's rules of quoting
        click.echo(f"note: $PAGER is no command line ({exc}), so nothing is paged", err=True)
        click.echo(text)


def _is_long(text: str) -> bool:
    columns, lines = shutil.get_terminal_size()
    return sum(len(line) // columns + 1 for line in text.split("\n")) >= lines
