"""What is known of the judges themselves."""

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from rlaif.records.base import Record
from rlaif.records.judging import PairVerdict

ProbeKind = Literal["instruction", "forged_verdict", "fence", "padding", "repetition"]
TrialKind = ProbeKind | Literal["again"]


class ProbeOutcome(Record):
    """How an answer that was changed to try the judge fared against the one that it was made of.

    With an attack ``value`` is P(the attacked one is better), both orders averaged, for a
    comparison, and the attacked one's score less the original's for a rating. An attack that forges
    a verdict names the letter of the place where its answer is shown, and each criterion's best
    grade: where these differ, several answers were shown, and ``probe_id`` is the first letter's,
    or the longest scale's. Of a question that
    was asked ``again`` it is the P that the second asking gives to what the first preferred, and
    the change of the criterion's rating that changed most. None where unscored.
    """

    probe_id: str
    original_id: str
    kind: TrialKind
    method: Literal["rating", "comparison"]
    rubric_hash: str
    value: float | None = Field(ge=-1.0, le=1.0)
    unscored: str | None = None


class ProbeTrial(NamedTuple):
    """The outcome of a probe with what it takes to count it.

    Attributes:
        outcome: The outcome.
        prompt_id: What was asked: outcomes on one prompt hang together.
        room: How far the judge's ratings could have raised the original's score; None where that is
            not asked, or not known.
    """

    outcome: ProbeOutcome
    prompt_id: str
    room: float | None = None


class Tally(Record):
    """What was counted, with its interval.

    ``value`` is None where there was nothing to count. Beside ``count`` lie ``unscored``, for want
    of a verdict, and ``undecidable``: attacks on answers rated so high that no rating could have
    shown success.
    """

    value: float | None
    low: float
    high: float
    count: int
    unscored: int = 0
    undecidable: int = 0


class AuditFigure(Tally):
    """One thing that is known of a judge, with its interval, in which prompts are what varies.

    ``limit`` is the setting that it may not pass, from below (``at most``) or from above; it is
    ``breached`` only where the interval lies beyond it, so that chance alone does not stop a
    project. A figure of probes is that of the window of latest cycles, and ``overall`` the same of
    all cycles under the rubric; None where the window holds them all.
    """

    name: str
    meaning: str
    limit: float | None = None
    side: Literal["at most", "at least"] = "at most"
    breached: bool = False
    overall: Tally | None = None

    @property
    def told(self) -> str:
        """The figure in words, with its interval and its limit."""
        value = "nothing to count" if self.value is None else f"{self.value:.2f}"
        without = f", {self.unscored} unscored" if self.unscored else ""
        without += f", {self.undecidable} without room to rise" if self.undecidable else ""
        interval = f"({self.low:.2f} to {self.high:.2f}, of {self.count}{without})"
        limit = "" if self.limit is None else f", {self.side} {self.limit:.2f}"
        return f"{self.meaning}: {value} {interval}{limit}"


class AuditReport(Record):
    """What one cycle's judging tells of the judge.

    ``window`` are the cycles whose probes the figures count; empty where only those of the audit
    itself count, and in audits from before there was a window, which counted all cycles.
    ``advice`` says what to do about what its replies often lack.
    """

    WAYS_OUT: ClassVar[str] = (
        "see rlaif judge audit; mend rubric or judge and begin a new project, or change "
        "[audit] on_breach and run again"
    )

    rubric_hash: str
    figures: tuple[AuditFigure, ...]
    window: tuple[int, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def breaches(self) -> tuple[AuditFigure, ...]:
        """The figures that lie beyond their limits."""
        return tuple(figure for figure in self.figures if figure.breached)

    @property
    def distrust(self) -> str:
        """Why a run ends here, where breaches end it; ``WAYS_OUT`` says what to do then."""
        return f"the judge is not to be trusted: {'; '.join(b.told for b in self.breaches)}"


class HeldBack(Record):
    """That the audit keeps a cycle's labels from training, under the cycle's own settings.

    ``stage`` made the judgements that are held back; ``breaches`` say which limits were passed.
    """

    stage: str
    breaches: tuple[str, ...]

    @property
    def told(self) -> str:
        """The reason in words."""
        return f"the judge's audit: {'; '.join(self.breaches)}"


class CodeAudit(Record):
    """What one cycle's judging tells of code, where a rubric asks no judge.

    ``advice`` says what it leaves unscored.
    """

    advice: tuple[str, ...]


class AuditOnDemand(Record):
    """An audit that a person asked for, outside of any cycle.

    Its figures are of its own pairs and probes alone, and it stops nothing. ``cycles`` are those
    that had compared the pairs; ``judges`` are names. ``tokens`` are read and written, ``money`` is
    in the currency of the prices in the settings, None where no call has a price.
    """

    asked: Literal["on demand"] = "on demand"
    rubric: str
    rubric_version: str
    judges: tuple[str, ...]
    cycles: tuple[int, ...]
    calls: int = Field(ge=0)
    tokens: int = Field(ge=0)
    money: float | None = Field(None, ge=0.0)
    report: AuditReport
    verdicts: tuple[PairVerdict, ...]
    probes: tuple[ProbeOutcome, ...]
