"""Humans' labels with readable ids, and what is measured by them."""

from collections.abc import Mapping
from typing import Any

from rlaif.records import HumanLabel
from rlaif.stages.drift import FrozenAgreement


def said(
    name: str, value: float, *, prompt: str = "p", rated: bool = False, **more: Any
) -> HumanLabel:
    """Make a label on answers ``<prompt>/a`` and ``<prompt>/b``, or a rating of the first."""
    fields: dict[str, Any] = {
        "id": name,
        "prompt_id": prompt,
        "form": "rating" if rated else "pair",
        "first_id": f"{prompt}/a",
        "second_id": None if rated else f"{prompt}/b",
        "value": value,
        "frozen": False,
    }
    return HumanLabel(**fields | more)


def measured(by_label: Mapping[str, float | None]) -> FrozenAgreement:
    """What a cycle measured on frozen labels, each of a prompt of its own."""
    return FrozenAgreement(
        agreement=None,
        low=0.0,
        high=1.0,
        labels=len(by_label),
        prompts=len(by_label),
        unscored=0,
        by_label=dict(by_label),
    )
