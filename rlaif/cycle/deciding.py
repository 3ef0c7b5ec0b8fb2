"""The stages that decide: evaluation and promotion."""

from collections import Counter
from dataclasses import dataclass
from math import isnan
from statistics import fmean
from typing import Any

from rlaif.artifacts import verify
from rlaif.cycle.calibrating import judge_calibration
from rlaif.cycle.context import CycleContext
from rlaif.cycle.drafting import EVAL, JUDGING, sample_answers
from rlaif.cycle.judging import compare, rate
from rlaif.cycle.training import (
    PPO,
    REWARD_MODEL,
    artifact_folder,
    relative,
    version_path,
)
from rlaif.ledger.unit import Unit
from rlaif.models.identity import model_digest
from rlaif.policies import BASE, next_version, point_current
from rlaif.records import (
    Completion,
    CompletionScore,
    EvaluationReport,
    PolicyReport,
    Prompt,
    RewardModelReport,
)
from rlaif.stages.evaluation import Duel, kl_to, upper_bound, win_rate
from rlaif.stages.promotion import decide, drift_check, hold, refuse_stranger, write_policy
from rlaif.text import distinct_bigrams

EVALUATION, PROMOTION = "evaluation", "promotion"
CHALLENGER, INCUMBENT, BASE_ROLE = "challenger", "incumbent", "base"


@dataclass(frozen=True)
class Answers:
    """A policy's answers to the held-out prompts, by prompt id, and their scores."""

    completions: dict[str, Completion]
    scores: dict[str, CompletionScore]

    def score_on(self, prompt_id: str) -> float | None:
        """Score of the answer to a prompt."""
        return self.scores[self.completions[prompt_id].id].score

    @property
    def mean_length(self) -> float:
        """Mean length in tokens."""
        return sum(c.length for c in self.completions.values()) / len(self.completions)

    @property
    def diversity(self) -> float:
        """Share of distinct word bigrams over all answers."""
        return distinct_bigrams([c.text for c in self.completions.values()])


def evaluation(ctx: CycleContext) -> None:
    """Measure the challenger against incumbent and base on the held-out prompts."""
    prompts = {p.id: p for p in ctx.ledger.cycle_prompts(ctx.number, EVAL)}
    roles = {
        CHALLENGER: str(artifact_folder(ctx, "challenger")),
        BASE_ROLE: version_path(ctx, BASE),
    }
    if ctx.incumbent != BASE:
        roles[INCUMBENT] = version_path(ctx, ctx.incumbent)
    answers = {role: _answers(ctx, role, path, prompts) for role, path in roles.items()}
    for role in roles:
        if role != CHALLENGER:
            _duel(ctx, role, prompts, answers)
    ctx.run_once(EVALUATION, "summary", lambda rows: _summarise(ctx, rows, prompts, answers))
    ctx.crew.release()


def promotion(ctx: CycleContext) -> None:
    """Let the gate decide; promote or hold."""
    ctx.run_once(PROMOTION, "gate", lambda rows: _decide(ctx, rows))
    point_current(ctx.project, ctx.ledger)


def _answers(ctx: CycleContext, role: str, path: str, prompts: dict[str, Prompt]) -> Answers:
    """Sample and rate a policy's answers, or use those that the last cycle made."""
    purpose = f"{EVAL}-{role}"
    name = f"reuse-{role}"
    reused = role != CHALLENGER and _reuse(ctx, purpose, name, path, prompts)
    if not reused:
        _make(ctx, purpose, path, prompts)
    completions = ctx.ledger.completions(ctx.number, purpose)
    scores = ctx.ledger.scores(ctx.number, EVALUATION, purpose)
    return Answers({c.prompt_id: c for c in completions}, {s.completion_id: s for s in scores})


def _make(ctx: CycleContext, purpose: str, path: str, prompts: dict[str, Prompt]) -> None:
    sample_answers(ctx, EVALUATION, purpose=purpose, path=path, prompts=list(prompts.values()))
    panel = ctx.crew.panel(ctx.config.evaluation_jury)
    completions = ctx.ledger.completions(ctx.number, purpose)
    rate(ctx, panel, EVALUATION, purpose, prompts, completions)


def _reuse(
    ctx: CycleContext, purpose: str, name: str, path: str, prompts: dict[str, Prompt]
) -> bool:
    """Use a policy's answers and scores of the last cycle again, where nothing changed."""
    if name in ctx.ledger.done_units(ctx.number, EVALUATION):
        return True
    found = _earlier(ctx, model_digest(path), prompts)
    if found is None:
        return False

    def work(rows: Unit) -> None:
        rows.add_completions(purpose, list(found.completions.values()))
        rows.add_scores(list(found.scores.values()))

    ctx.run_once(EVALUATION, name, work)
    return True


def _earlier(ctx: CycleContext, digest: str, prompts: dict[str, Prompt]) -> Answers | None:
    last = ctx.ledger.cycle(ctx.number - 1)
    config = ctx.config.model_dump(mode="json")
    same = ("generation", "judging", "run")
    rubric_hash = ctx.crew.panel(ctx.config.evaluation_jury).rubric_hash
    report = ctx.ledger.report(ctx.number - 1, EVALUATION) or {}
    if last is None or report.get("rubric_hash") != rubric_hash:
        return None
    if any(last.config.get(key) != config[key] for key in same):
        return None
    for role in (BASE_ROLE, INCUMBENT, CHALLENGER):
        purpose = f"{EVAL}-{role}"
        completions = ctx.ledger.completions(last.number, purpose)
        by_prompt = {c.prompt_id: c for c in completions if c.policy == digest}
        if by_prompt and set(by_prompt) == set(prompts):
            scores = ctx.ledger.scores(last.number, EVALUATION, purpose)
            return Answers({i: by_prompt[i] for i in prompts}, {s.completion_id: s for s in scores})
    return None


def _duel(
    ctx: CycleContext, role: str, prompts: dict[str, Prompt], answers: dict[str, Answers]
) -> None:
    mine, other = answers[CHALLENGER], answers[role]
    pairs = [(p, mine.completions[i], other.completions[i]) for i, p in prompts.items()]
    panel = ctx.crew.panel(ctx.config.evaluation_jury)
    compare(ctx, panel, EVALUATION, role, pairs, {**mine.scores, **other.scores})


def _summarise(
    ctx: CycleContext, rows: Unit, prompts: dict[str, Prompt], answers: dict[str, Answers]
) -> None:
    challenger, base = answers[CHALLENGER], answers[BASE_ROLE]
    incumbent = answers.get(INCUMBENT, base)
    policy = ctx.crew.policy(str(artifact_folder(ctx, "challenger")))
    kl = kl_to(
        policy,
        ctx.crew.policy(version_path(ctx, BASE)),
        [(prompts[i].messages, c.text, c.ended) for i, c in challenger.completions.items()],
        ctx.config.generation.temperature,
    )
    jury, config = ctx.config.evaluation_jury, ctx.config.evaluation
    panel = ctx.crew.panel(jury)
    mine, other = _mean_scores(challenger, incumbent)
    report = EvaluationReport(
        score_challenger=mine,
        score_incumbent=other,
        vs_incumbent=win_rate(_duels(ctx, challenger, incumbent), config),
        vs_base=win_rate(_duels(ctx, challenger, base), config),
        diversity_challenger=challenger.diversity,
        diversity_base=base.diversity,
        length_challenger=challenger.mean_length,
        length_base=base.mean_length,
        kl_base=kl.mean,
        kl_base_error=None if isnan(kl.error) else kl.error,
        kl_base_high=upper_bound(kl, config.confidence),
        rubric_hash=panel.rubric_hash,
        judge_path=", ".join(j.model for j in jury) if panel.rubric.judge_criteria else "",
        judge_is_trainer=jury == ctx.config.jury,
        self_grading=tuple(ctx.crew.self_graders(jury, _digests(ctx))),
    )
    rows.add_report(EVALUATION, report)


def _digests(ctx: CycleContext) -> dict[str, str]:
    return {row.version: row.digest for row in ctx.ledger.policies()}


def _mean_scores(mine: Answers, other: Answers) -> tuple[float | None, float | None]:
    """Return both mean scores over the prompts on which both have one."""
    pairs = [
        (own, others)
        for prompt_id in mine.completions
        if (own := mine.score_on(prompt_id)) is not None
        and (others := other.score_on(prompt_id)) is not None
    ]
    if not pairs:
        return None, None
    return fmean(own for own, _ in pairs), fmean(others for _, others in pairs)


def _duels(ctx: CycleContext, mine: Answers, other: Answers) -> list[Duel]:
    verdicts = {
        (v.first_id, v.second_id): v for v in ctx.ledger.pair_verdicts(ctx.number, EVALUATION)
    }
    return [
        Duel(
            verdicts[own.id, other.completions[prompt_id].id],
            own.length,
            other.completions[prompt_id].length,
        )
        for prompt_id, own in mine.completions.items()
    ]


def _why_none(ctx: CycleContext) -> str:
    """Say what kept all preferences from training, where one thing kept most."""
    held = ctx.ledger.held_cycles().get(ctx.number)
    if held is not None:
        return f": the judge's audit quarantined them ({'; '.join(held.breaches)})"
    scores = ctx.ledger.scores(ctx.number, JUDGING)
    reasons = Counter(score.unscored for score in scores if score.score is None)
    if not reasons or reasons.total() < len(scores) / 2:
        return ""
    reason = " ".join((reasons.most_common(1)[0][0] or "").split())
    return (
        f": {reasons.total()} of {len(scores)} answers have no score, most often {reason}; see "
        "rlaif critiques --unscored"
    )


def _decide(ctx: CycleContext, rows: Unit) -> None:
    found = ctx.ledger.report(ctx.number, EVALUATION)
    trained = ctx.ledger.report(ctx.number, REWARD_MODEL)
    learned = ctx.ledger.report(ctx.number, PPO)
    if found is None or trained is None or learned is None:
        rows.add_gate_decision(
            hold(f"no preference was left to train on, so there is no challenger{_why_none(ctx)}")
        )
        return
    report = EvaluationReport.model_validate(found)
    ppo_report = PolicyReport.model_validate(learned)
    measured = judge_calibration(ctx, ctx.number)
    drift = None if measured is None else drift_check(ctx.config.feedback, measured.drift)
    reward_report = RewardModelReport.model_validate(trained)
    decision = decide(ctx.config.gate, report, reward_report, drift)
    rows.add_gate_decision(decision)
    if decision.decision == "hold":
        return
    version = next_version(ctx.ledger)
    target = ctx.project.policies / version
    refuse_stranger(target, ctx.number, ctx.config.run.seed)
    card = _card(ctx, version, report, ppo_report)
    verify(artifact_folder(ctx, "challenger"), ppo_report.artifact.digest)
    write_policy(artifact_folder(ctx, "challenger"), target, card)
    rows.add_policy(version, model_digest(str(target)), relative(ctx, target), ctx.incumbent, card)
    rows.add_promotion(version, "; ".join(decision.reasons), "promote")


def _card(
    ctx: CycleContext, version: str, report: EvaluationReport, ppo: PolicyReport
) -> dict[str, Any]:
    parent = ctx.ledger.policy(ctx.incumbent)
    trained = ctx.ledger.report(ctx.number, REWARD_MODEL) or {}
    return {
        "version": version,
        "cycle": ctx.number,
        "parent": ctx.incumbent,
        "parent_digest": parent.digest if parent else None,
        "reward_model_digest": trained["artifact"]["digest"],
        "rubric_hash": ctx.crew.panel(ctx.config.jury).rubric_hash,
        "config_hash": ctx.config.fingerprint(),
        "run_seed": ctx.config.run.seed,
        "judge_path": report.judge_path,
        "win_rate_vs_incumbent": report.vs_incumbent.rate,
        "win_rate_vs_base": report.vs_base.rate,
        "kl_base": report.kl_base,
        "kl_base_error": report.kl_base_error,
        "optimizer": ppo.optimizer,
        "updates": ppo.updates,
        "beta": ppo.beta,
    }
