"""``rlaif critiques``: what the judge said, and what came of it."""

from typing import Any

import click

from rlaif.cli.critiques.listing import list_critiques
from rlaif.cli.critiques.show import show
from rlaif.cli.critiques.themes import themes
from rlaif.cli.documented import Group

DEFAULT = "list"


class ListingGroup(Group):
    """A group that lists where the first word names none of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command before arguments that are meant for it."""
        asks_help = bool(args) and args[0] in ctx.help_option_names
        if not asks_help and (not args or args[0] not in self.commands):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the usage of the default command, and that there are others."""
        return ["[OPTIONS] [PROMPT_OR_ID]", "| COMMAND [ARGS]..."]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the default command's options, which are this group's too, then the commands."""
        default: Any = self.commands[DEFAULT]
        click.Command.format_options(default, ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(
    cls=ListingGroup,
    examples=[
        'rlaif critiques "capital of France"',
        "rlaif critiques --criterion courteous --verdict low --cycle 2",
        "rlaif critiques show judgement-3f9a0c21be77d04c5a16",
        "rlaif critiques themes",
    ],
)
def critiques() -> None:
    """Show what the judge said.

    A list of critiques, one critique whole, or what the judge complains of. Without a command's
    name this is `list`; a prompt that is called like a command stands after `--`.
    """


critiques.add_command(list_critiques, DEFAULT)
critiques.add_command(show)
critiques.add_command(themes)
