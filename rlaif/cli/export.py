"""``rlaif export``: preferences and policies for other tools."""

from pathlib import Path

import click

from rlaif.cli.documented import Group
from rlaif.cli.output import emit_json, harmless_json, json_option
from rlaif.cli.place import Place
from rlaif.cli.policy import find_policy
from rlaif.errors import UsageError
from rlaif.export import (
    export_policy,
    json_line,
    preference_rows,
    write_jsonl,
    write_parquet,
)


@click.group(
    cls=Group,
    examples=[
        "rlaif export preferences --format jsonl --out preferences.jsonl",
        "rlaif export policy current my-model",
    ],
)
def export() -> None:
    """Write preferences or a policy for other tools."""


@export.command(
    examples=[
        "rlaif export preferences > preferences.jsonl",
        "rlaif export preferences --format parquet --out preferences.parquet --cycle 2",
    ],
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="JSON lines, or Parquet.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="File to write; JSON lines go to standard output without it.",
)
@click.option("--cycle", type=click.IntRange(min=1), help="Only those of this cycle.")
@json_option
@click.pass_obj
def preferences(
    place: Place, form: str, out: Path | None, cycle: int | None, as_json: bool
) -> None:
    """Write preferences in TRL's format.

    prompt, chosen and rejected are lists of messages; beside them: label = P(chosen is better),
    margin = 2 * label - 1, ids, cycle, split, origin and the rubric's hash. TRL's reward trainer
    subtracts 'margin' from the difference of rewards: drop the column where that is not wanted.
    With --json a summary is printed as JSON.
    """
    if out is None and (form == "parquet" or as_json):
        raise UsageError(
            "no file is named", "--out F with --format parquet or --json", "add --out F"
        )
    with place.reader() as reader:
        rows = preference_rows(reader, cycle)
        if out is None:
            for row in rows:
                click.echo(harmless_json(json_line(row)))
            return
        count = (write_jsonl if form == "jsonl" else write_parquet)(rows, _ready(out))
    if as_json:
        emit_json({"out": str(out), "format": form, "preferences": count})
    else:
        click.echo(f"wrote {count} preferences to {out}")


@export.command(
    "policy",
    examples=[
        "rlaif export policy current my-model",
        "rlaif export policy current my-model --merged",
        "rlaif export policy v0002 my-model --json",
    ],
)
@click.argument("version", metavar="V")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--merged", is_flag=True, help="Write plain weights where V is an adapter.")
@json_option
@click.pass_obj
def one_policy(place: Place, version: str, folder: Path, merged: bool, as_json: bool) -> None:
    """Copy policy V to DIR, checked against the ledger.

    An adapter stays one, in PEFT's format, and names its base by its full path; --merged adds it to
    its base and writes a model that needs nothing else.
    """
    with place.reader() as reader:
        row = find_policy(reader, version)
    export_policy(row, Path(place.project().resolve(row.path)), folder, merged=merged)
    if as_json:
        emit_json({"policy": row.version, "digest": row.digest, "out": str(folder)})
    else:
        click.echo(f"wrote policy {row.version} to {folder}")


def _ready(out: Path) -> Path:
    """Return the path of a file to write, refusing one whose folder is missing."""
    if not out.parent.is_dir():
        raise UsageError(
            f"{out.parent} is not a folder", "an existing folder", "make it, or name another"
        )
    return out
