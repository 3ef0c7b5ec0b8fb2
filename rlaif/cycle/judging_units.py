"""What is judged together: answers, pairs and lists are cut into units."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from rlaif.judges.panel import ComparedItem
from rlaif.records import Completion, ProbeKind, TrialKind
from rlaif.stages.probing import first_pairs

Attacked = Sequence[tuple[ProbeKind, Completion]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class JudgingUnit(Generic[Item]):
    """Answers, pairs or lists that are judged together, twins of some answers beside.

    ``tried`` are answers that get a twin with an attack, or one that is asked about again;
    ``again`` are the places of pairs that are compared again.
    """

    name: str
    items: tuple[Item, ...]
    tried: tuple[tuple[TrialKind, Completion], ...] = ()
    again: tuple[int, ...] = ()


def cuts(count: int, size: int, *, whole: bool) -> list[slice]:
    """Cut so many items into units of a size, the last one with what is left.

    Args:
        count: How many there are.
        size: Of a unit.
        whole: Leave no smaller one: they are a size or more, as even as can be. What is learned of
            jurors from a few would label those few otherwise than the rest.
    """
    if not whole:
        return [slice(start, start + size) for start in range(0, count, size)]
    parts = min(max(1, count // size), count)
    return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]


def units_of(
    name: str, items: Sequence[Item], cuts: Sequence[slice], attacked: Attacked
) -> list[JudgingUnit[Item]]:
    """Make units of items, and deal the attacked answers to them in turn."""
    return [
        JudgingUnit(f"{name}-{number:04d}", tuple(items[cut]), tuple(attacked[number :: len(cuts)]))
        for number, cut in enumerate(cuts)
    ]


def again_in(
    units: Sequence[JudgingUnit[ComparedItem]], drawn: Collection[str]
) -> list[JudgingUnit[ComparedItem]]:
    """Mark the first pair of each prompt drawn as one that is compared again."""
    pairs = [item for unit in units for item in unit.items]
    chosen = [place for place in first_pairs(pairs) if pairs[place][0].id in drawn]
    marked, start = [], 0
    for unit in units:
        places = (place - start for place in chosen)
        marked.append(replace(unit, again=tuple(p for p in places if 0 <= p < len(unit.items))))
        start += len(unit.items)
    return marked
