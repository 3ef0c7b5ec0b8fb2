"""How far a judge agrees with humans, as people read it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

from rlaif.cli.output import cell, interval, measured, table

if TYPE_CHECKING:
    from rlaif.judges.agreement import Proportion
    from rlaif.judges.kappa import Kappa
    from rlaif.stages.calibration import Agreement

WHOLE = "(whole)"


def agreement_table(title: str, agreements: "Iterable[Agreement]") -> Table:
    """Return a table of agreements, by criterion and kind of labels."""
    shown = table(title, "criterion", "labels", "right", "kappa", words=("criterion",))
    for found in agreements:
        shown.add_row(
            cell(found.criterion + _about(found) if found.criterion else WHOLE),
            _counted(found),
            share(found.accuracy),
            _kappa(found.kappa),
        )
    return shown


def share(found: "Proportion") -> str:
    """Return a share with its interval."""
    return interval(found.rate, found.low, found.high)


def _about(found: "Agreement") -> str:
    """Return what labels are about where it is not the criterion itself."""
    return "\n  by labels of the whole" if found.about == "whole" else ""


def _counted(found: "Agreement") -> str:
    """Return how many labels there are of a kind, and how many of them the judge scored."""
    count, unscored = found.accuracy.count, found.accuracy.unscored
    of = f"{count} of {count + unscored}" if unscored else str(count)
    return f"{of} {found.kind}"


def _kappa(found: "Kappa") -> str:
    kappa = found.kappa
    return "-" if kappa is None else measured(kappa.value, kappa.low, kappa.high)
