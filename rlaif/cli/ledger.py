"""``rlaif ledger``: the one file that holds it all."""

import click

from rlaif.cli.documented import Group
from rlaif.cli.output import emit_json, json_option
from rlaif.cli.place import Place


@click.group(
    cls=Group,
    examples=[
        "rlaif ledger digest",
    ],
)
def ledger() -> None:
    """Look at the ledger itself."""


@ledger.command(
    examples=[
        "rlaif ledger digest",
        "rlaif --project state/demo ledger digest --json",
    ],
)
@json_option
@click.pass_obj
def digest(place: Place, as_json: bool) -> None:
    """Print a hash over all content but clocks and host facts.

    Two runs with the same settings and seed on one CPU machine print the same digest, killed and
    resumed or not.
    """
    with place.reader() as reader:
        found = reader.digest()
    if as_json:
        emit_json({"digest": found})
    else:
        click.echo(found)
