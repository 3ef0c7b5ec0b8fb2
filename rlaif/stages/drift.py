"""Whether the judge still says what it said: its agreement with frozen labels, cycle by cycle.

The same labels are looked at in two cycles, so what makes a label hard or easy cancels: only what
the judge changed is left. Labels of one prompt stand or fall together, so prompts are what is
counted: the change is a mean over labels with the variance of sums over prompts, and its interval
is Student's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import Field
from scipy.special import stdtrit

from rlaif.clusters import error_of_mean, numbered
from rlaif.intervals import wilson
from rlaif.judges.agreement import CONFIDENCE, Estimate
from rlaif.records import HumanLabel, Probability, Record

FEWEST_PROMPTS = 10
TO_ACCEPT = "to go on from the judge as it is: rlaif judge accept"


class FrozenAgreement(Record):
    """How far the judge agrees with the frozen labels.

    Attributes:
        agreement: Its mean over scored labels; None without one.
        low: Lower end of Wilson's interval at the number of prompts; nothing in [0, 1] varies more
            than a coin.
        high: Its upper end.
        labels: Frozen labels that are about what the rubric holds.
        prompts: Prompts of scored ones.
        unscored: Those of which the judge gave no verdict.
        by_label: Each label's agreement, None where unscored. Of a pair 1 where the judge is on the
            human's side, else 0; of a tie what is missing to 1 of the judge's margin; of a rating
            what is missing to 1 of the distance.
    """

    agreement: Probability | None
    low: Probability
    high: Probability
    labels: int
    prompts: int
    unscored: int
    by_label: dict[str, Probability | None]


class Drift(Record):
    """Whether the agreement has fallen, and against which cycle.

    Attributes:
        found: Whether it has surely fallen by more than is allowed.
        reason: The figures in words, or why there are none.
        reference: The earlier cycle that shows a fall most surely: the change's upper end is the
            lowest. Where none can tell, the one that shares most prompts.
        change: Of the agreement on the labels that both cycles judged, with its interval.
        labels: How many these are.
        prompts: Their prompts.
        basis: Which earlier cycles it is compared with and why these; empty where with none.
        begins: Whether the rubric or the judge was changed, so that later cycles are compared with
            this one.
    """

    found: bool
    reason: str = Field(min_length=1)
    reference: int | None = None
    change: Estimate | None = None
    labels: int = 0
    prompts: int = 0
    basis: str = ""
    begins: bool = False

    @property
    def told(self) -> str:
        """The reason, and with what it was compared."""
        return f"{self.reason}; {self.basis}" if self.basis else self.reason


def agreement_with(label: HumanLabel, said: float | None) -> float | None:
    """Return how far a judge agrees with a label, in [0, 1]; None where it said nothing.

    Args:
        label: What the human said.
        said: The judge's rating, or its P(first is better).
    """
    if said is None:
        return None
    if label.second_id is None:
        return 1.0 - abs(said - label.value)
    if label.value == 0.5:
        return 1.0 - 2.0 * abs(said - 0.5)
    return float((said - 0.5) * (label.value - 0.5) > 0.0)


def measure_frozen(
    labels: Sequence[HumanLabel], said: Mapping[str, float | None]
) -> FrozenAgreement:
    """Measure the agreement with the frozen labels.

    Args:
        labels: Any labels; the frozen ones count.
        said: By label id, what the judge said; labels that are not in it are left out.
    """
    frozen = [label for label in labels if label.frozen and label.id in said]
    by_label = {label.id: agreement_with(label, said[label.id]) for label in frozen}
    scored = [value for value in by_label.values() if value is not None]
    prompts = len({label.prompt_id for label in frozen if by_label[label.id] is not None})
    mean = min(math.fsum(scored) / len(scored), 1.0) if scored else None
    low, high = wilson(mean or 0.0, prompts, CONFIDENCE)
    return FrozenAgreement(
        agreement=mean,
        low=low,
        high=high,
        labels=len(frozen),
        prompts=prompts,
        unscored=len(frozen) - len(scored),
        by_label=by_label,
    )


def find_drift(
    now: FrozenAgreement,
    earlier: Mapping[int, FrozenAgreement],
    prompt_of: Mapping[str, str],
    max_drift: float,
) -> Drift:
    """Compare a measurement with earlier ones, those that ``drift_reference`` leaves.

    What is unscored does not agree here: a judge that fell silent has drifted. It is held against
    every one that shares ``FEWEST_PROMPTS`` prompts. Against one of many measurements chance alone
    falls a little, so the level is shared among these (Bonferroni).

    Args:
        now: This cycle's.
        earlier: By cycle.
        prompt_of: Label id -> prompt id.
        max_drift: How far the agreement may fall.

    Returns:
        Drift is found where the upper end of a change's interval is below ``-max_drift``.
    """
    if not now.labels:
        return Drift(found=False, reason="no frozen label: there is nothing to measure drift on")
    changes = _changes(now, earlier)
    if not changes:
        return Drift(found=False, reason="the frozen labels are measured for the first time")
    prompts = {c: len({prompt_of[name] for name in change}) for c, change in changes.items()}
    telling = [cycle for cycle in changes if prompts[cycle] >= FEWEST_PROMPTS]
    if not telling:
        most = min(changes, key=lambda cycle: (-prompts[cycle], cycle))
        return Drift(
            found=False,
            reason=f"frozen labels of {prompts[most]} prompts, at least {FEWEST_PROMPTS} are "
            "needed to tell drift from noise",
            reference=most,
            labels=len(changes[most]),
            prompts=prompts[most],
        )
    level = 1.0 - (1.0 - CONFIDENCE) / len(telling)
    estimates = {cycle: change_of_mean(changes[cycle], prompt_of, level) for cycle in telling}
    surest = min(telling, key=lambda cycle: (estimates[cycle].high, cycle))
    estimate, labels = estimates[surest], len(changes[surest])
    return Drift(
        found=estimate.high < -max_drift,
        reason=f"agreement with {labels} frozen labels changed by {estimate.value:+.3f} "
        f"[{estimate.low:+.3f}, {estimate.high:+.3f}] since cycle {surest}",
        reference=surest,
        change=estimate,
        labels=labels,
        prompts=prompts[surest],
    )


def change_of_mean(
    changes: Mapping[str, float], prompt_of: Mapping[str, str], confidence: float
) -> Estimate:
    """Return the mean of changes with Student's interval, prompts being what varies.

    They are taken to vary at least as much as one label that changed altogether would bring, so
    that labels which all changed alike, or not at all, are not certainty.

    Args:
        changes: By label id, from -1 to 1.
        prompt_of: Label id -> prompt id; two prompts or more.
        confidence: Of the two-sided interval.
    """
    mean, clusters = _mean(changes.values()), [prompt_of[name] for name in changes]
    deviations = np.array(list(changes.values())) - mean
    least = 1.0 - 1.0 / len(changes)
    error = error_of_mean(deviations, numbered(clusters, len(changes)), least)
    half = float(stdtrit(len(set(clusters)) - 1, 0.5 + confidence / 2.0)) * error
    return Estimate(value=mean, error=error, low=max(mean - half, -1.0), high=min(mean + half, 1.0))


def _changes(
    now: FrozenAgreement, earlier: Mapping[int, FrozenAgreement]
) -> dict[int, dict[str, float]]:
    """Return by earlier cycle how the agreement changed with each label that it judged too."""
    found = {
        cycle: {
            name: (value or 0.0) - (before.by_label[name] or 0.0)
            for name, value in now.by_label.items()
            if name in before.by_label
        }
        for cycle, before in earlier.items()
    }
    return {cycle: change for cycle, change in found.items() if change}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
