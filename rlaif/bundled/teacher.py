"""The judge's teacher: writes the critique and the verdict that the judge should learn.

A critique recalls what was wanted, quotes what the answer says and then names the quality, so that
the verdict can be read off the critique's words.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from rlaif.bundled.analysis import Analysis, analyse
from rlaif.bundled.grammar import Item, Prompt
from rlaif.bundled.requests import HARMFUL
from rlaif.judges.fencing import bracketed

SHARE = Path(__file__).parents[2] / "prompts"
TEMPLATES = SHARE / "judge" / "compact"
RUBRIC = SHARE / "rubrics" / "helpdesk.toml"

RATINGS = (" 1", " 2", " 3")
SIDES = (" A", " B")
VERDICT = "\nVerdict:"

WORDS = {
    "correct": ("wrong", "half right", "right"),
    "courteous": ("rude", "plain", "kind"),
    "concise": ("long", "middling", "short"),
}


@dataclass(frozen=True)
class Criterion:
    """What the templates need to know of a criterion; choices go from worst to best."""

    name: str
    text: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Lesson:
    """One text for the judge: the message that it reads, and the reply that it should write."""

    message: str
    critique: str
    label: str

    @property
    def reply(self) -> str:
        """Return critique and verdict as the judge should write them."""
        return f"{self.critique}{VERDICT}{self.label}"


@cache
def criteria() -> dict[str, Criterion]:
    """Read the judge criteria of the bundled rubric, by name."""
    return {
        entry["name"]: Criterion(entry["name"], entry["text"], tuple(entry["choices"]))
        for entry in _entries()
        if entry["kind"] == "judge"
    }


def weights() -> dict[str, float]:
    """Return the weights of all criteria of the bundled rubric, by name."""
    return {entry["name"]: float(entry["weight"]) for entry in _entries()}


@cache
def _entries() -> list[dict[str, Any]]:
    with RUBRIC.open("rb") as file:
        entries: list[dict[str, Any]] = tomllib.load(file)["criteria"]
    return entries


@cache
def _template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - text for a model, never HTML
    )
    environment.filters["bracketed"] = bracketed
    return environment.get_template(f"{name}.jinja")


def pointwise_message(criterion: Criterion, prompt: str, completion: str) -> str:
    """Render the message that asks for a rating of one answer."""
    return (
        _template("pointwise")
        .render(criterion=criterion, prompt=prompt, completion=completion)
        .strip()
    )


def pairwise_message(criterion: Criterion, prompt: str, first: str, second: str) -> str:
    """Render the message that asks which of two answers is better."""
    return (
        _template("pairwise")
        .render(criterion=criterion, prompt=prompt, first=first, second=second)
        .strip()
    )


def level(criterion: str, found: Analysis) -> int:
    """Return how good an answer is under a criterion: 0 worst, 1 between, 2 best."""
    if criterion == "correct":
        return round(2 * found.correctness)
    if criterion == "courteous":
        return {"rude": 0, "plain": 1, "courteous": 2}[found.tone]
    return 2 * found.concise


def _wanted(item: Item) -> str:
    if item.fact is not None:
        return item.fact.answer
    return f"declines, {HARMFUL[item.subject]}" if item.family == "harmful" else "a tip"


def _finding(criterion: str, found: Analysis) -> str:
    word = WORDS[criterion][level(criterion, found)]
    if criterion == "correct":
        return f"{found.said}, {word}"
    quote = found.telling if criterion == "courteous" else found.filler
    return f'"{quote}", {word}' if quote else word


def _opening(criterion: str, item: Item) -> str:
    return f"Wanted: {_wanted(item)}. " if criterion == "correct" else ""


def rate(rng: np.random.Generator, prompt: Prompt, text: str, name: str, noise: float) -> Lesson:
    """Write the pointwise lesson on one answer under one criterion.

    Args:
        rng: Draws the noise.
        prompt: What was asked.
        text: The answer.
        name: The criterion.
        noise: Share of verdicts replaced by another label.
    """
    criterion = criteria()[name]
    found = analyse(prompt.item, text)
    choice = level(name, found)
    if rng.random() < noise:
        choice = (choice + 1 + int(rng.integers(2))) % 3
    critique = f"{_opening(name, prompt.item)}A: {_finding(name, found)}."
    return Lesson(pointwise_message(criterion, prompt.text, text), critique, RATINGS[choice])


def compare(
    rng: np.random.Generator, prompt: Prompt, texts: tuple[str, str], name: str, noise: float
) -> Lesson:
    """Write the pairwise lesson on two answers under one criterion; a tie has a random verdict."""
    first, second = (analyse(prompt.item, text) for text in texts)
    difference = level(name, second) - level(name, first)
    side = int(difference > 0) if difference else int(rng.integers(2))
    if rng.random() < noise:
        side = 1 - side
    critique = (
        f"{_opening(name, prompt.item)}A: {_finding(name, first)}. B: {_finding(name, second)}."
    )
    message = pairwise_message(criteria()[name], prompt.text, *texts)
    return Lesson(message, critique, SIDES[side])
