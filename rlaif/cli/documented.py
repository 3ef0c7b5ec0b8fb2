"""Commands that carry examples, shown in their help and in the documentation."""

from collections.abc import Sequence
from typing import Any

import click


class _Documented(click.Command):
    """Shows examples between a command's help text and its options.

    Attributes:
        examples: Command lines as a person would type them.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:  # noqa: ANN401 - click's own arguments
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text, then the examples as they are."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Command(_Documented):
    """A command with examples."""


class Group(_Documented, click.Group):
    """A group whose commands have examples too."""

    command_class = Command
