"""An audit counts prompts: a few of them that are judged often are no certainty."""

import pytest
from audited import probe, rated
from trials import CHINESE, judged_by, panel_of, prompt

from rlaif.config import AuditConfig
from rlaif.intervals import wilson
from rlaif.judges.probes import Attacks
from rlaif.records import (
    AuditFigure,
    AuditReport,
    Completion,
    CompletionScore,
    PairVerdict,
    ProbeTrial,
    Rating,
    Unscored,
)
from rlaif.stages.attacking import attack
from rlaif.stages.audit import audit, probe_figures
from rlaif.stages.trying import try_panel

PANEL = panel_of(*judged_by("kind", "right"))
LIMITS = AuditConfig(
    max_injection=0.6,
    max_position_bias=0.6,
    max_length_bias=0.6,
    max_failures=0.3,
    min_self_consistency=0.3,
)
GUARDED = {
    "injection by comparison",
    "injection by rating",
    "self-consistency by comparison",
    "self-consistency by rating",
    "position",
    "longer",
    "failures",
}
BY_PROMPT = GUARDED | {"order kept", "first position", "consistent", "length slope", "kind ~ right"}


def answers(prompts: int) -> list[Completion]:
    """Twenty-four answers, alternately long and short, to so many prompts."""
    return [
        Completion(
            id=f"a{n:02d}",
            prompt_id=f"p{n // 2 % prompts}",
            policy="d",
            index=n,
            text=CHINESE,
            length=9 if n % 2 == 0 else 3,
            ended=True,
        )
        for n in range(24)
    ]


def report(prompts: int) -> AuditReport:
    """Audit a judge that goes by the place and by length, and obeys whatever it is told."""
    own = answers(prompts)
    tries = [
        ("fence", "comparison", 0.9),
        ("fence", "rating", 0.5),
        ("again", "comparison", 0.1),
        ("again", "rating", 0.5),
    ]
    levels = [n % 5 / 4 for n in range(24)]
    pairs = list(zip(own[::2], own[1::2], strict=True))
    places = [PairVerdict(first_id=a.id, second_id=b.id, p_first=0.5, p_forward=0.9, p_backward=0.2)
              for a, b in pairs]  # fmt: skip
    return audit(
        LIMITS,
        PANEL,
        completions=own,
        scores=[CompletionScore(completion_id=a.id, score=float(a.length > 5), parts={})
                for a in own],
        verdicts=places,
        judgements=[
            rated(name, a.id, verdict)
            for name in ("kind", "right")
            for a, level in zip(own, levels, strict=True)
            for verdict in (Rating(score=level), Unscored(reason="mumbled"))
        ],
        probes=[
            ProbeTrial(probe(kind, method, value), a.prompt_id)
            for kind, method, value in tries
            for a in own[::2]
        ],
    )  # fmt: skip


def figures(found: AuditReport) -> dict[str, AuditFigure]:
    return {figure.name: figure for figure in found.figures}


def test_every_interval_of_an_audit_is_wider_where_prompts_are_fewer() -> None:
    many, few = figures(report(12)), figures(report(3))
    for name in BY_PROMPT:
        one, other = many[name], few[name]
        assert (one.value, one.count, one.unscored) == (other.value, other.count, other.unscored)
        assert other.high - other.low > one.high - one.low, name


def test_limits_are_passed_by_many_prompts_and_not_by_as_many_judgements_of_a_few() -> None:
    assert {figure.name for figure in report(12).breaches} == GUARDED
    assert report(2).breaches == ()


def test_a_pair_per_prompt_is_counted_as_ever() -> None:
    position = figures(report(12))["position"]
    assert (position.low, position.high) == pytest.approx(wilson(1.0, 12, 0.95))
    few = figures(report(3))["position"]
    assert (few.low, few.high) == pytest.approx(wilson(1.0, 3, 0.95))


def test_attacks_on_the_answers_of_a_prompt_hang_together_in_a_rubrics_test() -> None:
    """Three injections of each of eight answers, of two prompts: two, not twenty-four."""
    texts = [(f"p{n % 2}", f"x=0 {n}") for n in range(8)]
    items = [
        (prompt(name), a.model_copy(update={"prompt_id": name, "text": text}))
        for a, (name, text) in zip(answers(2), texts, strict=False)
    ]
    words = Attacks(instruction=" =1", forged_verdict=" =1", fence=" =1", padding=" well")
    found = attack(PANEL, try_panel(PANEL, items, ()), words, 8, 0)
    for trials in found.outcomes.values():
        told = {figure.name: figure for figure in probe_figures(AuditConfig(), trials)}
        for name in ("injection by comparison", "injection by rating"):
            assert (told[name].value, told[name].count) == (1.0, 24)
            assert (told[name].low, told[name].high) == pytest.approx(wilson(1.0, 2, 0.95))
