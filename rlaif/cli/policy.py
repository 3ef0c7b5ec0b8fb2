"""``rlaif policy``: the policies of a project, and which one is live."""

from pathlib import Path
from typing import Literal

import click

from rlaif.cli.documented import Group
from rlaif.cli.output import emit_json, hanging, json_option, one_line, stdout, table, visible
from rlaif.cli.place import Place
from rlaif.errors import UsageError
from rlaif.export import check_policy
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import PolicyRow, PromotionRow
from rlaif.project import Project

BASE, CURRENT = "base", "current"


@click.group(
    cls=Group,
    examples=[
        "rlaif policy list",
        'rlaif policy sample current "What is the capital of France?"',
    ],
)
def policy() -> None:
    """List, show, try, promote and roll back policies.

    A policy is named by its version, or as 'base' or 'current'.
    """


@policy.command(
    "list",
    examples=[
        "rlaif policy list",
        "rlaif policy list --json",
    ],
)
@json_option
@click.pass_obj
def list_policies(place: Place, as_json: bool) -> None:
    """List all policies; the live one is marked."""
    with place.reader() as reader:
        known, live, moves = reader.policies(), reader.current_policy(), reader.promotions()
    current = live.version if live else None
    if as_json:
        rows = [row.model_dump(mode="json") for row in known]
        emit_json({"current": current, "policies": rows})
        return
    columns = ("version", "live", "cycle", "parent", "digest", "last change")
    words, prose = ("version", "live", "parent", "digest"), ("last change",)
    shown = table("Policies", *columns, words=words, prose=prose)
    for row in known:
        shown.add_row(
            row.version,
            "*" if row.version == current else "",
            "-" if row.cycle is None else str(row.cycle),
            row.parent or "-",
            row.digest[:12],
            _last_change(row.version, moves),
        )
    stdout().print(shown)


@policy.command(
    examples=[
        "rlaif policy show current",
        "rlaif policy show v0001 --json",
    ],
)
@click.argument("version", metavar="V")
@json_option
@click.pass_obj
def show(place: Place, version: str, as_json: bool) -> None:
    """Show a policy's lineage card and when it was live."""
    with place.reader() as reader:
        row = find_policy(reader, version)
        moves = [move for move in reader.promotions() if move.version == row.version]
    if as_json:
        promotions = [move.model_dump(mode="json") for move in moves]
        emit_json({**row.model_dump(mode="json"), "promotions": promotions})
        return
    facts = row.model_dump(exclude={"card"}) | row.card
    for key, value in facts.items():
        click.echo(hanging(visible(key), "-" if value is None else str(value), width=22))
    for move in moves:
        click.echo(hanging(move.kind, f"{move.at[:19]}  {move.reason}", width=22))


@policy.command(
    examples=[
        'rlaif policy sample current "What is the capital of France?" -n 5',
        "rlaif policy sample base --temperature 0",
    ],
)
@click.argument("version", metavar="V")
@click.argument("prompt", required=False)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Answers to PROMPT; without one, held-out prompts to answer.",
)
@click.option(
    "--temperature", type=click.FloatRange(min=0), help="0: the likeliest words; default: as set."
)
@click.option("--seed", type=click.IntRange(min=0), help="Default: the project's seed.")
@json_option
@click.pass_obj
def sample(
    place: Place,
    version: str,
    prompt: str | None,
    count: int,
    temperature: float | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Let a policy answer PROMPT, or some held-out prompts."""
    from rlaif.cli import sampling

    wish = sampling.Wish(prompt=prompt, count=count, temperature=temperature, seed=seed)
    found = sampling.sample(place.project(), version, wish)
    if as_json:
        emit_json({"policy": version, "samples": found})
        return
    for item in found:
        click.echo(hanging("prompt", item["prompt"]))
        click.echo(hanging("answer", item["answer"] + ("" if item["ended"] else " [cut off]")))


@policy.command(
    examples=[
        'rlaif policy promote v0002 --reason "reads better"',
    ],
)
@click.argument("version", metavar="V")
@click.option("--reason", metavar="TEXT", default="by hand", help="Goes into the ledger.")
@json_option
@click.pass_obj
def promote(place: Place, version: str, reason: str, as_json: bool) -> None:
    """Make a known policy the live one, whatever the gate said."""
    _change(place, version, reason, "promote", as_json)


@policy.command(
    examples=[
        'rlaif policy rollback --reason "too terse"',
    ],
)
@click.option("--reason", metavar="TEXT", default="by hand", help="Goes into the ledger.")
@json_option
@click.pass_obj
def rollback(place: Place, reason: str, as_json: bool) -> None:
    """Go back to the policy that was live before this one."""
    from rlaif.policies import previous_policy

    with place.reader() as reader:
        version = previous_policy(reader)
    _change(place, version, reason, "rollback", as_json)


def find_policy(reads: LedgerReads, version: str) -> PolicyRow:
    """Return a policy by its version, or the one called ``base`` or ``current``.

    Raises:
        UsageError: There is no such policy.
    """
    known = reads.policies()
    if not known:
        raise UsageError("there is no policy yet", "a project that has run", "rlaif run")
    found = next((row for row in known if row.version == version), None)
    if version == BASE:
        found = next((row for row in known if row.parent is None), None)
    elif version == CURRENT:
        found = reads.current_policy()
    if found is None:
        names = ", ".join([BASE, CURRENT, *(row.version for row in known)])
        raise UsageError(
            f"there is no policy {version!r}", f"one of: {names}", "see 'rlaif policy list'"
        )
    return found


def serving_path(project: Project, row: PolicyRow) -> str:
    """Return what ``from_pretrained`` takes for a policy; a folder is checked against the ledger.

    Raises:
        ArtifactError: The folder is missing, or its bytes are not those that were promoted.
    """
    path = project.resolve(row.path)
    if row.cycle is not None or Path(path).is_absolute():
        check_policy(row, project.file(path))
    return path


def _change(
    place: Place, version: str, reason: str, kind: Literal["promote", "rollback"], as_json: bool
) -> None:
    from rlaif.policies import promote_policy

    project = place.project()
    with place.reader() as reader:
        row = find_policy(reader, version)
        before = reader.current_policy()
    serving_path(project, row)
    promote_policy(project, row.version, reason, kind)
    was = before.version if before else None
    if as_json:
        emit_json({"current": row.version, "before": was, "kind": kind, "reason": reason})
    else:
        click.echo(f"{row.version} is live now (before: {was or 'none'})")


def _last_change(version: str, moves: list[PromotionRow]) -> str:
    mine = [move for move in moves if move.version == version]
    if not mine:
        return "-"
    chief = one_line(mine[-1].reason).partition(";")[0]
    return f"{mine[-1].kind} {mine[-1].at[:19]}: {chief}"
