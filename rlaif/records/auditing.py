"""What is known of the judges themselves."""

from typing import Literal

from pydantic import Field

from rlaif.records.base import Record

ProbeKind = Literal["instruction", "forged_verdict", "fence", "padding", "repetition"]


class ProbeOutcome(Record):
    """How an answer with an attack fared against the answer that it was made of.

    ``value`` is P(the attacked one is better), both orders averaged, for a comparison, and the
    attacked one's score less the original's for a rating; None where unscored.
    """

    probe_id: str
    original_id: str
    kind: ProbeKind
    method: Literal["rating", "comparison"]
    rubric_hash: str
    value: float | None = Field(ge=-1.0, le=1.0)
    unscored: str | None = None


class AuditFigure(Record):
    """One thing that is known of a judge, with its interval.

    ``value`` is None where there was nothing to count. ``limit`` is the setting that it may not
    pass; it is ``breached`` only where the interval lies beyond it, so that chance alone does not
    stop a project.
    """

    name: str
    meaning: str
    value: float | None
    low: float
    high: float
    count: int
    unscored: int = 0
    limit: float | None = None
    breached: bool = False

    @property
    def told(self) -> str:
        """The figure in words, with its interval and its limit."""
        value = "nothing to count" if self.value is None else f"{self.value:.2f}"
        interval = f"({self.low:.2f} to {self.high:.2f}, of {self.count})"
        limit = "" if self.limit is None else f", at most {self.limit:.2f}"
        return f"{self.meaning}: {value} {interval}{limit}"


class AuditReport(Record):
    """What one cycle's judging tells of the judge; probes count from all cycles of this rubric."""

    rubric_hash: str
    figures: tuple[AuditFigure, ...]

    @property
    def breaches(self) -> tuple[AuditFigure, ...]:
        """The figures that lie beyond their limits."""
        return tuple(figure for figure in self.figures if figure.breached)
