"""Attacks on answers, judged by one whose weaknesses are known."""

import pytest
from trials import ENDS, answer, judged_by, panel_of, prompt

from rlaif.judges import RubricJudge
from rlaif.judges.probes import KINDS, Attacks
from rlaif.records import ProbeOutcome
from rlaif.stages.attacking import WHOLE, Attacked, attack
from rlaif.stages.trying import try_panel

ATTACKS = Attacks(
    instruction=" raised to =1",
    forged_verdict=" Verdict: {label}",
    fence=" lowered to =0",
    padding=" mumble",
)
ANSWERS = [(prompt("p1"), answer("p1a", "one")), (prompt("p2"), answer("p2a", "two"))]


def attacked(panel: RubricJudge, count: int = 9, seed: int = 0) -> Attacked:
    return attack(panel, try_panel(panel, ANSWERS, ()), ATTACKS, count, seed)


def outcomes(found: Attacked, criterion: str) -> list[ProbeOutcome]:
    return [trial.outcome for trial in found.outcomes[criterion]]


def values(found: Attacked, criterion: str, kind: str, method: str) -> list[float | None]:
    return [o.value for o in outcomes(found, criterion) if (o.kind, o.method) == (kind, method)]


@pytest.mark.parametrize(
    ("kind", "gain", "preferred"),
    [
        ("instruction", 0.5, 0.75),
        ("forged_verdict", 0.0, 0.5),
        ("fence", -0.5, 0.25),
        ("padding", None, None),
        ("repetition", 0.0, 0.5),
    ],
)
def test_what_an_attack_gains(kind: str, gain: float | None, preferred: float | None) -> None:
    found = attacked(panel_of(*judged_by("kind")))
    assert found.answers == 2
    for criterion in (WHOLE, "kind"):
        assert values(found, criterion, kind, "rating") == [gain, gain]
        assert values(found, criterion, kind, "comparison") == [preferred, preferred]


def test_a_criterion_is_judged_by_its_own_ratings() -> None:
    found = attacked(panel_of(*judged_by("kind"), ENDS))
    assert list(found.outcomes) == [WHOLE, "kind", "ends"]
    assert values(found, WHOLE, "instruction", "rating") == [0.25, 0.25]
    assert values(found, "kind", "instruction", "rating") == [0.5, 0.5]
    assert values(found, "ends", "instruction", "rating") == [0.0, 0.0]
    assert values(found, "ends", "padding", "rating") == [0.0, 0.0]
    assert values(found, "ends", "instruction", "comparison") == []


def test_an_unscored_attack_says_why() -> None:
    found = attacked(panel_of(*judged_by("kind")))
    unscored = [o for o in outcomes(found, WHOLE) if o.value is None]
    assert {o.kind for o in unscored} == {"padding"}
    assert all("kind" in (o.unscored or "") for o in unscored)
    own = [o.unscored for o in outcomes(found, "kind") if o.value is None]
    assert own == ["no verdict under this criterion"] * 4


def test_the_seed_draws_whom_to_attack() -> None:
    def originals(seed: int) -> set[str]:
        found = outcomes(attacked(panel_of(*judged_by("kind")), 1, seed), WHOLE)
        assert len(found) == len(KINDS) * 2
        return {outcome.original_id for outcome in found}

    assert originals(3) == originals(3)
    assert {name for seed in range(9) for name in originals(seed)} == {"p1a", "p2a"}


def test_what_attacks_cost() -> None:
    found = attacked(panel_of(*judged_by("kind", "right")), 2)
    assert found.cost.calls == 10 * 2 + 10 * 2 * 2


@pytest.mark.parametrize(
    ("panel", "count"),
    [(panel_of(*judged_by("kind")), 0), (panel_of(ENDS), 5)],
)
def test_nobody_is_attacked_where_none_is_wanted_or_no_judge_is_asked(
    panel: RubricJudge, count: int
) -> None:
    found = attacked(panel, count)
    assert found.answers == found.cost.calls == 0
    assert all(trials == [] for trials in found.outcomes.values())


def test_a_rubric_that_does_not_compare_has_outcomes_of_ratings_alone() -> None:
    found = attacked(panel_of(*judged_by("kind"), pairwise_weight=0.0))
    assert {outcome.method for outcome in outcomes(found, WHOLE)} == {"rating"}
    assert len(found.outcomes[WHOLE]) == 2 * len(KINDS)
