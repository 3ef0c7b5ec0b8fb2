"""The report of a project: what each cycle made, how it was judged, what the gate decided."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from rlaif.ledger.reads import LedgerReads
from rlaif.records import (
    OPTIMIZER_NAMES,
    Completion,
    EvaluationReport,
    GateDecision,
    Optimizer,
    PolicyReport,
    Record,
    RewardModelReport,
)

SAMPLES = 5
NEAR_CEILING = 0.8
ROLES = ("challenger", "incumbent", "base")
_DONE = re.compile(r"(all \d+ updates done)?")


class RewardModelFigures(Record):
    """The reward model on held-out preferences; None where it could not be measured."""

    accuracy: float | None
    ece: float | None


class PpoFigures(Record):
    """What the optimiser did, PPO or another; what it does not have is None.

    KL in nats per sequence, ``kl_base`` as the evaluation measured it, with its standard error.
    """

    optimizer: Optimizer
    updates: int
    kl_reference: float | None
    kl_base: float | None
    kl_base_error: float | None
    beta: float | None


class EvaluationFigures(Record):
    """Win rates on held-out prompts as the judge sees them; ``ci`` is the first one's interval."""

    win_rate_vs_incumbent: float
    ci: tuple[float, float]
    win_rate_vs_base: float


class GateFigures(Record):
    """What the gate decided, and why."""

    decision: Literal["promote", "hold"]
    reasons: tuple[str, ...]


class OracleFigures(Record):
    """What an exact grader measured after the gate had decided: mean scores and shares."""

    base: float | None
    incumbent: float | None
    challenger: float | None
    correct_base: float | None
    correct_challenger: float | None
    win_rate_vs_base: float | None
    judge_agreement: float | None


class JudgeFigures(Record):
    """The judge by the humans' frozen labels.

    ``drift`` says in words how that has changed, ``reference`` since which cycles, and why these.
    """

    labels: int
    agreement: float | None
    ci: tuple[float, float]
    drift_found: bool
    drift: str
    reference: str = ""


class CycleFigures(Record):
    """A cycle in figures; what it has not reached yet is None. ``seconds`` are by stage."""

    cycle: int
    prompts: int
    completions: int
    judgements: int
    unscored: int
    preferences: int
    judge: JudgeFigures | None = None
    reward_model: RewardModelFigures | None
    ppo: PpoFigures | None
    evaluation: EvaluationFigures | None
    gate: GateFigures | None
    oracle: OracleFigures | None
    seconds: dict[str, float]


class CycleEvaluation(EvaluationReport):
    """All that an evaluation found, with its cycle."""

    cycle: int


class Sample(Record):
    """A held-out prompt with the answers of the base and of the current policy."""

    prompt: str
    base: str
    current: str


class Report(Record):
    """The whole project: ``cycles`` in figures, ``evaluations`` in full, ``samples`` to read.

    ``policy`` is the version of the live policy, None before the first cycle. ``notes`` say what
    the figures do not: that a judge grades itself, what the judge's replies often lack, training
    that stopped early, prompts that the oracle does not know.
    """

    cycles: tuple[CycleFigures, ...]
    policy: str | None
    evaluations: tuple[CycleEvaluation, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()


def build_report(reads: LedgerReads) -> Report:
    """Read a project's report out of its ledger."""
    numbers = [cycle.number for cycle in reads.cycles()]
    current = reads.current_policy()
    evaluations = ((n, _evaluation(reads, n)) for n in numbers)
    return Report(
        cycles=tuple(cycle_figures(reads, n) for n in numbers),
        policy=None if current is None else current.version,
        evaluations=tuple(
            CycleEvaluation(cycle=n, **dict(found)) for n, found in evaluations if found is not None
        ),
        samples=samples(reads),
        notes=(
            *(event.message for event in reads.events_of("self-grading")),
            *(note for n in numbers for note in _notes(reads, n)),
        ),
    )


def cycle_figures(reads: LedgerReads, number: int) -> CycleFigures:
    """Read one cycle's figures out of the ledger, as far as the cycle has come."""
    counts = reads.cycle_counts(number)
    evaluation = _evaluation(reads, number)
    return CycleFigures(
        cycle=number,
        **dict(counts),
        judge=_judge(reads.report(number, "calibration")),
        reward_model=_reward_model(reads, number),
        ppo=_ppo(reads, number, evaluation),
        evaluation=None if evaluation is None else _win_rates(evaluation),
        gate=_gate(reads.gate_decision(number)),
        oracle=_oracle(reads.oracle_report(number)),
        seconds={s.stage: round(s.seconds, 3) for s in reads.stages(number)},
    )


def samples(reads: LedgerReads, limit: int = SAMPLES) -> tuple[Sample, ...]:
    """Return held-out prompts with two answers, of the newest cycle that asked the live policy.

    The live policy is the one that the ledger names, which a rollback may have changed since the
    gate decided. Where no evaluation ever asked it, the base's own answers of the newest cycle
    stand in its place.
    """
    policy = reads.current_policy()
    fallback: list[Completion] = []
    for cycle in reversed(reads.cycles()):
        base = reads.completions(cycle.number, "eval-base")
        if reads.gate_decision(cycle.number) is None or not base:
            continue
        fallback = fallback or base
        live = _answers_of(reads, cycle.number, policy.digest if policy else None)
        if live:
            return _samples(reads, base, live, limit)
    return _samples(reads, fallback, fallback, limit)


def _answers_of(reads: LedgerReads, cycle: int, digest: str | None) -> list[Completion]:
    """Return the held-out answers of a policy in a cycle, whatever its role in it was."""
    for role in ROLES:
        found = reads.completions(cycle, f"eval-{role}")
        if found and found[0].policy == digest:
            return found
    return []


def _samples(
    reads: LedgerReads, base: Sequence[Completion], live: Sequence[Completion], limit: int
) -> tuple[Sample, ...]:
    current = {answer.prompt_id: answer.text for answer in live}
    both = [answer for answer in base if answer.prompt_id in current][:limit]
    prompts = reads.prompts([answer.prompt_id for answer in both])
    return tuple(
        Sample(prompt=prompt.text, base=answer.text, current=current[prompt.id])
        for prompt, answer in zip(prompts, both, strict=True)
    )


def _notes(reads: LedgerReads, cycle: int) -> list[str]:
    notes = []
    content = reads.report(cycle, "ppo")
    if content is not None:
        ppo = PolicyReport.model_validate(content)
        if not _DONE.fullmatch(ppo.stopped):
            name = OPTIMIZER_NAMES[ppo.optimizer]
            done = f"{name} stopped after {ppo.updates} updates"
            notes.append(f"cycle {cycle}: {done}: {ppo.stopped}")
        if ppo.memory:
            notes.append(f"cycle {cycle}: {ppo.memory}")
    for audit in ("judge_audit", "code_audit"):
        advice = (reads.report(cycle, audit) or {}).get("advice", ())
        notes += [f"cycle {cycle}: {told}" for told in advice]
    notes += _near_ceiling(reads, cycle)
    left_out = (reads.oracle_report(cycle) or {}).get("left_out", 0)
    if left_out:
        notes.append(f"cycle {cycle}: the oracle left out {left_out} prompts that it does not know")
    return notes


def _near_ceiling(reads: LedgerReads, cycle: int) -> list[str]:
    """Say that the lifetime ceiling is near while there is still room to do something about it."""
    row, evaluation = reads.cycle(cycle), _evaluation(reads, cycle)
    if row is None or evaluation is None or evaluation.kl_base_high is None:
        return []
    high, ceiling = evaluation.kl_base_high, row.config["gate"]["max_kl_base"]
    if high < NEAR_CEILING * ceiling:
        return []
    return [
        f"cycle {cycle}: KL to base may be {high:.1f} nats per sequence; beyond gate.max_kl_base = "
        f"{ceiling:g} no challenger is promoted: see the README, The lifetime ceiling"
    ]


def _reward_model(reads: LedgerReads, cycle: int) -> RewardModelFigures | None:
    content = reads.report(cycle, "reward_model")
    if content is None:
        return None
    report = RewardModelReport.model_validate(content)
    return RewardModelFigures(accuracy=report.accuracy, ece=report.ece)


def _ppo(reads: LedgerReads, cycle: int, evaluation: EvaluationReport | None) -> PpoFigures | None:
    content = reads.report(cycle, "ppo")
    if content is None:
        return None
    report = PolicyReport.model_validate(content)
    return PpoFigures(
        optimizer=report.optimizer,
        updates=report.updates,
        kl_reference=report.kl_reference,
        kl_base=None if evaluation is None else evaluation.kl_base,
        kl_base_error=None if evaluation is None else evaluation.kl_base_error,
        beta=report.beta,
    )


def _evaluation(reads: LedgerReads, cycle: int) -> EvaluationReport | None:
    content = reads.report(cycle, "evaluation")
    return None if content is None else EvaluationReport.model_validate(content)


def _win_rates(report: EvaluationReport) -> EvaluationFigures:
    return EvaluationFigures(
        win_rate_vs_incumbent=report.vs_incumbent.rate,
        ci=(report.vs_incumbent.low, report.vs_incumbent.high),
        win_rate_vs_base=report.vs_base.rate,
    )


def _gate(decision: GateDecision | None) -> GateFigures | None:
    if decision is None:
        return None
    return GateFigures(decision=decision.decision, reasons=decision.reasons)


def _judge(content: dict[str, Any] | None) -> JudgeFigures | None:
    if content is None:
        return None
    frozen, drift = content["frozen"], content["drift"]
    return JudgeFigures(
        labels=frozen["labels"],
        agreement=frozen["agreement"],
        ci=(frozen["low"], frozen["high"]),
        drift_found=drift["found"],
        drift=drift["reason"],
        reference=drift.get("basis", ""),
    )


def _oracle(content: dict[str, Any] | None) -> OracleFigures | None:
    if content is None:
        return None
    return OracleFigures(**{name: content.get(name) for name in OracleFigures.model_fields})
