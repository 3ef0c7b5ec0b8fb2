"""Rubrics as people read them, and what differs between two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rlaif.cli.output import hanging, percent, visible
from rlaif.judges.rubric import AnyCriterion, JudgeCriterion, Rubric

_COMMON = frozenset(("name", "kind", "weight", "veto", "threshold", "description"))
_JUDGES_OWN = frozenset(("text", "choices", "examples"))
_WIDTH = 10


@dataclass(frozen=True)
class Difference:
    """What differs between two rubrics, as far as it can change a label.

    Attributes:
        added: Criteria that only the second has.
        removed: Criteria that only the first has.
        changed: Fields by criterion, each with its value before and after.
        references: Reference answers by prompt, before and after; None where there is none.
        reordered: Whether the criteria that both have stand in another order.
        separated: Whether labels of the one are kept apart from labels of the other.
    """

    added: tuple[AnyCriterion, ...]
    removed: tuple[AnyCriterion, ...]
    changed: dict[str, dict[str, tuple[Any, Any]]]
    references: dict[str, tuple[str | None, str | None]]
    reordered: bool
    separated: bool

    def as_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {
            "added": [fields_of(criterion) for criterion in self.added],
            "removed": [fields_of(criterion) for criterion in self.removed],
            "changed": {
                name: {field: {"before": old, "after": new} for field, (old, new) in fields.items()}
                for name, fields in self.changed.items()
            },
            "references": {
                prompt: {"before": old, "after": new}
                for prompt, (old, new) in self.references.items()
            },
            "reordered": self.reordered,
            "labels_separated": self.separated,
        }


def difference(before: Rubric, after: Rubric) -> Difference:
    """Compare two rubrics criterion by criterion, by name; notes for people do not count."""
    old = {criterion.name: criterion for criterion in before.criteria}
    new = {criterion.name: criterion for criterion in after.criteria}
    changed = {
        name: fields
        for name in old
        if name in new and (fields := _changed(fields_of(old[name]), fields_of(new[name])))
    }
    return Difference(
        added=tuple(criterion for name, criterion in new.items() if name not in old),
        removed=tuple(criterion for name, criterion in old.items() if name not in new),
        changed=changed,
        references=_changed(_references(before), _references(after)),
        reordered=[n for n in old if n in new] != [n for n in new if n in old],
        separated=before.content_hash != after.content_hash,
    )


def fields_of(criterion: AnyCriterion) -> dict[str, Any]:
    """Return the fields of a criterion that say something, as JSON values, notes left out."""
    dumped = criterion.model_dump(mode="json", exclude_none=True, include=set(criterion.content))
    return {key: value for key, value in dumped.items() if value not in ([], {})}


def rubric_text(rubric: Rubric, path: Path) -> str:
    """Return a rubric as people read it."""
    total = sum(criterion.weight for criterion in rubric.criteria)
    lines = [
        click.style(visible(f"{rubric.name}  version {rubric.version}"), bold=True),
        hanging("language", rubric.language, _WIDTH),
        hanging("file", str(path), _WIDTH),
        hanging("content", rubric.content_hash, _WIDTH),
    ]
    for criterion in rubric.criteria:
        lines += ["", *_criterion_lines(criterion, criterion.weight / total)]
    references = _references(rubric)
    if references:
        lines += ["", click.style("reference answers", bold=True)]
    for prompt, answer in references.items():
        lines += [hanging("prompt", prompt, _WIDTH), hanging("answer", answer, _WIDTH)]
    return "\n".join(lines)


def difference_text(found: Difference) -> str:
    """Return a difference as people read it."""
    lines = [
        *(f"- {_headline(criterion)}" for criterion in found.removed),
        *(f"+ {_headline(criterion)}" for criterion in found.added),
    ]
    for name, fields in found.changed.items():
        lines.append(f"~ {visible(name)}")
        lines += [line for field, values in fields.items() for line in _both(field, *values)]
    if found.reordered:
        lines.append("~ the order of the criteria")
    for prompt, values in found.references.items():
        lines += [f"~ reference answer to {visible(prompt)}", *_both("answer", *values)]
    labels = (
        "labels: kept apart, the content differs"
        if found.separated
        else "labels: shared, as far as the rubric decides: the content is the same"
    )
    return "\n".join([*lines, labels])


def _criterion_lines(criterion: AnyCriterion, share: float) -> Iterator[str]:
    yield click.style(visible(criterion.name), bold=True) + (
        f"  {criterion.kind}, {percent(share)} of the score"
    )
    if criterion.description:
        yield hanging("note", criterion.description, _WIDTH)
    if isinstance(criterion, JudgeCriterion):
        yield hanging("asks", criterion.text, _WIDTH)
        for place, choice in enumerate(criterion.choices):
            yield hanging(f"{place / (len(criterion.choices) - 1):.2f}", choice, _WIDTH)
        for example in criterion.examples:
            yield hanging("example", _plain(example.model_dump()), _WIDTH)
    for key, value in _own_fields(criterion):
        yield hanging(key, value, _WIDTH)
    if criterion.veto:
        yield hanging(
            "veto", f"below {criterion.threshold:g} here the whole answer scores 0", _WIDTH
        )


def _own_fields(criterion: AnyCriterion) -> Iterator[tuple[str, str]]:
    for key, value in fields_of(criterion).items():
        if key not in _COMMON | _JUDGES_OWN:
            yield key, _plain(value)


def _plain(value: object) -> str:
    """Return a value as people read it: a table or list on lines of its own."""
    if isinstance(value, dict):
        parts = [f"{key}: {_plain(inner)}" for key, inner in value.items() if inner is not None]
        return "\n".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _headline(criterion: AnyCriterion) -> str:
    veto = ", veto" if criterion.veto else ""
    return f"{visible(criterion.name)}  {criterion.kind}, weight {criterion.weight:g}{veto}"


def _both(field: str, old: object, new: object) -> Iterator[str]:
    for sign, value in (("-", old), ("+", new)):
        if value is not None:
            shown = "\n".join(map(_plain, value)) if isinstance(value, list) else _plain(value)
            yield hanging(f"{field} {sign}", shown, 14)


def _references(rubric: Rubric) -> dict[str, str]:
    return {found.prompt: found.answer for found in rubric.references}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names: Sequence[str] = list(dict.fromkeys((*before, *after)))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }
