"""What the bundled judge was taught: the judge criteria of the bundled help desk, asked one way."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from rlaif.config import BUNDLED_JUDGE, JudgeConfig, RubricConfig
from rlaif.judges.rubric import JudgeCriterion, Rubric, load_rubric
from rlaif.project import share

_TEMPLATE = "compact"


class Untaught(NamedTuple):
    """Why a judge's verdicts would mean nothing, and what to do about it."""

    seen: str
    action: str


def untaught(jury: Sequence[JudgeConfig], rubric: Rubric) -> Untaught | None:
    """Say what a rubric asks of the bundled judge that it was never taught.

    Args:
        jury: Who judges.
        rubric: By what.

    Returns:
        None where the bundled judge is not among them, is not asked, or knows all of it.
    """
    bundled = [judge for judge in jury if judge.model == BUNDLED_JUDGE]
    if not bundled or not rubric.judge_criteria:
        return None
    known = {_lesson(criterion): criterion.name for criterion in _lessons()}
    strange = [c.name for c in rubric.judge_criteria if _lesson(c) not in known]
    if strange:
        return Untaught(
            f"the judge is {BUNDLED_JUDGE}, which knows the criteria of the bundled help desk only "
            f"({_names(list(known.values()))}): what it says of {_names(strange)} means nothing",
            f"name another judge under [judge] in rlaif.toml, or judge by {RubricConfig().path}",
        )
    template = next((judge.template for judge in bundled if judge.template != _TEMPLATE), None)
    if template is not None:
        return Untaught(
            f"the judge {BUNDLED_JUDGE} was taught questions in the template {_TEMPLATE!r} only: "
            f"what it says to {template!r} means nothing",
            f'set template = "{_TEMPLATE}" under [judge] in rlaif.toml, or name another judge',
        )
    return None


@cache
def _lessons() -> tuple[JudgeCriterion, ...]:
    return load_rubric(share(*RubricConfig().path.split("/"))).judge_criteria


def _lesson(criterion: JudgeCriterion) -> tuple[str, str, tuple[str, ...]]:
    """Return all that the bundled judge is shown of a criterion."""
    return criterion.name, criterion.text, criterion.choices


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
