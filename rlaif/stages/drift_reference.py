"""Which earlier cycles a measurement of the judge is held against, and why these.

A rubric's hash covers all that decides a verdict as far as the owner sets it. So another hash is a
change on purpose, and begins a reference of its own; a judge that says other things under one hash
changed behind its name. That stays drift until the owner accepts the judge as a cycle measured it:
from then on that cycle and those after it are the reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rlaif.records import Record
from rlaif.stages.drift import Drift, FrozenAgreement, find_drift

ACCEPTED = "judge_accepted"
_DIGEST = 12


class Acceptance(Record):
    """The owner's word that the judge is right as a cycle measured it.

    Attributes:
        cycle: The first cycle that later ones are compared with.
        reason: Why, in the owner's words.
    """

    cycle: int
    reason: str


@dataclass(frozen=True)
class Measured:
    """What a cycle measured on the frozen labels, and under which rubric, judge and settings."""

    rubric_hash: str
    frozen: FrozenAgreement


@dataclass(frozen=True)
class Reference:
    """What a measurement is compared with.

    Attributes:
        measured: Earlier measurements by cycle.
        basis: Why these, in words; why there are none, where none are left.
    """

    measured: dict[int, FrozenAgreement]
    basis: str


def reference_of(
    earlier: Mapping[int, Measured], rubric_hash: str, accepted: Acceptance | None = None
) -> Reference:
    """Choose what a measurement is compared with.

    Args:
        earlier: All earlier measurements by cycle.
        rubric_hash: What the judge judges by now.
        accepted: The last acceptance; older ones no longer count.
    """
    begin = 0 if accepted is None else accepted.cycle
    recent = [cycle for cycle in sorted(earlier) if cycle >= begin]
    same = [cycle for cycle in recent if earlier[cycle].rubric_hash == rubric_hash]
    measured = {cycle: earlier[cycle].frozen for cycle in same}
    if not recent:
        return Reference({}, "")
    if not same:
        then = earlier[recent[-1]].rubric_hash
        return Reference(
            {},
            f"the rubric or the judge was changed since cycle {recent[-1]} "
            f"({then[:_DIGEST]}, now {rubric_hash[:_DIGEST]}): a new reference begins with this "
            "cycle",
        )
    words = [f"compared with {_cycles(same)}"]
    if len(same) < len(recent):
        words.append(f"{len(recent) - len(same)} under another rubric or judge left out")
    if accepted is not None:
        words.append(f"the judge was accepted as cycle {begin} measured it: {accepted.reason}")
    return Reference(measured, "; ".join(words))


def drift_from(
    reference: Reference, now: FrozenAgreement, prompt_of: Mapping[str, str], max_drift: float
) -> Drift:
    """Compare a measurement with its reference, as :func:`rlaif.stages.drift.find_drift` does."""
    found = find_drift(now, reference.measured, prompt_of, max_drift)
    if reference.measured:
        return found.model_copy(update={"basis": reference.basis})
    if reference.basis and now.labels:
        return found.model_copy(update={"begins": True, "reason": reference.basis})
    return found


def _cycles(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"cycle {numbers[0]}"
    return f"{len(numbers)} cycles, {numbers[0]} to {numbers[-1]}"
