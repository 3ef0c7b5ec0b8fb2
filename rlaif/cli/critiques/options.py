"""The filters of critiques, which several commands share."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_args

import click

from rlaif.ledger.critique_facts import VerdictName
from rlaif.ledger.critique_reads import Asked

Bounds = tuple[float | None, float | None]
F = TypeVar("F", bound=Callable[..., Any])


class MarginRange(click.ParamType[Bounds]):
    """A range of margins: ``0.8..``, ``..0.2`` or ``0.2..0.8``."""

    name = "range"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Bounds:
        """Return both bounds, None where one is open."""
        low, dots, high = str(value).partition("..")
        try:
            bounds = tuple(float(end) if end.strip() else None for end in (low, high))
        except ValueError:
            bounds = ()
        known = [end for end in bounds if end is not None]
        in_order = known == sorted(known) and all(0.0 <= end <= 1.0 for end in known)
        if not dots or not known or not in_order:
            self.fail(
                f"{value!r} is no range such as 0.8.. (at least) or ..0.2 (at most)", param, ctx
            )
        return bounds[0], bounds[1]


def filter_options(*, of_verdicts: bool = True) -> Callable[[F], F]:
    """Add the filters to a command, which gets what was asked as ``asked``.

    Args:
        of_verdicts: Whether those of verdicts and pairs are among them.
    """
    options = [*_FACTS, *(_VERDICTS if of_verdicts else ())]

    def add(command: F) -> F:
        @functools.wraps(command)
        def gathered(*args: Any, **given: Any) -> Any:  # noqa: ANN401 - click's own arguments
            names = [name for name in _NAMES if name in given]
            return command(*args, asked=asked_of({n: given.pop(n) for n in names}), **given)

        for option in reversed(options):
            gathered = option(gathered)
        return cast("F", gathered)

    return add


def asked_of(given: dict[str, Any]) -> Asked:
    """Return what the filters ask of the ledger."""
    low, high = given.pop("margin", None) or (None, None)
    return cast("Asked", {**given, "margin_min": low, "margin_max": high})


_FACTS = (
    click.option("--cycle", type=click.IntRange(min=1), help="Only those of this cycle."),
    click.option("--stage", metavar="NAME", help="Only those of this stage."),
    click.option("--criterion", metavar="NAME", help="Only those under this criterion."),
    click.option("--judge", metavar="NAME", help="Only those of this judge; a part will do."),
    click.option(
        "--policy",
        metavar="VERSION",
        help="Only those about answers of this policy: v0001, or its digest's beginning.",
    ),
    click.option("--tag", metavar="NAME", help="Only those of prompts with this tag."),
)
_VERDICTS = (
    click.option(
        "--verdict",
        type=click.Choice(get_args(VerdictName)),
        help="Only those with such a verdict: a rating is low under 1/3, high over 2/3.",
    ),
    click.option(
        "--margin",
        type=MarginRange(),
        help="Only verdicts so decided, 0 being in the middle, 1 at an end: 0.8.. is at least "
        "0.8, ..0.2 at most 0.2.",
    ),
    click.option("--flipped", is_flag=True, help="Only pairs that flip with the order."),
    click.option(
        "--quarantined",
        is_flag=True,
        help="Only of pairs, and ratings, kept from training, with the reason; of a cycle whose "
        "labels the judge's audit holds back, all but what was said of probes.",
    ),
    click.option("--unscored", is_flag=True, help="Only those without a verdict."),
)
_NAMES = (
    *("cycle", "stage", "criterion", "judge", "policy", "tag"),
    *("verdict", "margin", "flipped", "quarantined", "unscored"),
)
