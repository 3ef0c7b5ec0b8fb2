"""Humans' labels with readable ids."""

from typing import Any

from rlaif.records import HumanLabel


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
