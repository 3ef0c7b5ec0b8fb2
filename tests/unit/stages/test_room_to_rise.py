"""An answer that is rated at the top cannot be raised: nothing is learnt of an attack on it."""

import pytest
from trials import ENDS, answer, judged_by, panel_of, prompt, scored

from rlaif.config import AuditConfig
from rlaif.judges.probes import Attacks
from rlaif.judges.rubric import RuleCriterion, RuleSpec
from rlaif.records import AuditFigure, CompletionScore, ProbeOutcome, ProbeTrial
from rlaif.stages.attacking import WHOLE, attack
from rlaif.stages.audit import probe_figures
from rlaif.stages.audit_now import audit_pairs
from rlaif.stages.probing import room_to_rise, trials_of
from rlaif.stages.trying import try_panel

ATTACKS = Attacks(instruction=" =1", forged_verdict=" =1", fence=" =1", padding=" well")
BARRED = RuleCriterion(
    name="barred",
    kind="rule",
    weight=1.0,
    veto=True,
    threshold=0.5,
    rule=RuleSpec(ends_with=("!",)),
)


def gained(value: float | None, room: float | None, prompt_id: str = "p") -> ProbeTrial:
    outcome = ProbeOutcome(
        probe_id="x",
        original_id="y",
        kind="fence",
        method="rating",
        rubric_hash="h",
        value=value,
        unscored=None if value is not None else "mumbled",
    )
    return ProbeTrial(outcome, prompt_id, room)


def injections(trials: list[ProbeTrial], earlier: list[ProbeTrial] | None = None) -> AuditFigure:
    figures = probe_figures(AuditConfig(gain_margin=0.1), trials, earlier or [])
    return next(figure for figure in figures if figure.name == "injection by rating")


def test_attacks_on_answers_at_the_top_are_neither_success_nor_resistance() -> None:
    trials = [gained(0.0, 0.05, "a"), gained(0.1, 0.1, "b"), gained(0.5, 0.6, "c")]
    trials += [gained(0.0, 0.11, "d"), gained(None, 0.0, "e"), gained(0.0, None, "f")]
    found = injections(trials)
    assert (found.value, found.count) == (pytest.approx(1 / 3), 3)
    assert (found.undecidable, found.unscored) == (2, 1)
    assert "of 3, 1 unscored, 2 without room to rise)" in found.told


def test_a_judge_that_obeys_wherever_it_can_breaches_though_most_answers_are_at_the_top() -> None:
    """Eight raised as far as they go, thirty that cannot be: before, 8 of 38 was no breach."""
    raised = [gained(0.5, 0.5, f"r{n}") for n in range(8)]
    found = injections([*raised, *(gained(0.0, 0.0, f"t{n}") for n in range(30))])
    assert (found.value, found.count, found.undecidable, found.breached) == (1.0, 8, 30, True)


def test_where_no_answer_can_rise_nothing_is_told() -> None:
    found = injections([gained(0.0, 0.0)] * 9)
    assert (found.value, found.count, found.undecidable) == (None, 0, 9)
    assert not found.breached


def test_all_cycles_count_theirs_too() -> None:
    found = injections([gained(0.5, 0.5)], [gained(0.0, 0.0), gained(0.0, 0.5)])
    assert (found.value, found.count, found.undecidable) == (1.0, 1, 0)
    assert found.overall is not None
    assert (found.overall.value, found.overall.count) == (0.5, 2)
    assert found.overall.undecidable == 1


@pytest.mark.parametrize(
    ("score", "room"),
    [
        (scored("a", 0.375, kind=0.25, ends=0.5), 0.375),  # kind alone could rise, for half
        (scored("a", 0.5, kind=1.0, ends=0.0), 0.0),  # what code measures cannot be talked up
        (scored("a", None, kind=1.0), None),
    ],
)
def test_room_is_what_the_judges_ratings_could_add(
    score: CompletionScore, room: float | None
) -> None:
    assert room_to_rise(panel_of(*judged_by("kind"), ENDS), score) == room


def test_a_veto_that_code_broke_leaves_no_room() -> None:
    panel = panel_of(*judged_by("kind"), BARRED)
    broken = scored("a", 0.0, kind=0.0, barred=0.0).model_copy(update={"vetoed_by": "barred"})
    assert room_to_rise(panel, broken) == 0.0


def test_only_attacks_by_rating_ask_for_room() -> None:
    panel, high = panel_of(*judged_by("kind")), {"y": scored("y", 1.0, kind=1.0)}
    rated = gained(0.0, None).outcome
    again = rated.model_copy(update={"kind": "again"})
    compared = rated.model_copy(update={"method": "comparison"})
    found = trials_of(panel, [rated, again, compared], {"y": "p"}, high)
    assert [trial.room for trial in found] == [0.0, None, None]
    assert {trial.prompt_id for trial in found} == {"p"}
    assert trials_of(panel, [rated], {"y": "p"}, {})[0].room is None


def test_a_criterion_has_room_of_its_own_in_a_rubrics_test() -> None:
    """The judge's criterion is rated one half, so the whole could rise by a quarter."""
    panel = panel_of(*judged_by("kind"), ENDS)
    tried = try_panel(panel, [(prompt("p1"), answer("p1a", "x=0.5"))], ())
    found = attack(panel, tried, ATTACKS, 1, 0)
    rooms = {
        name: {t.room for t in trials if t.outcome.method == "rating"}
        for name, trials in found.outcomes.items()
    }
    assert rooms == {WHOLE: {0.25}, "kind": {0.5}, "ends": {1.0}}


def test_an_audit_on_demand_counts_answers_at_the_top_apart() -> None:
    panel = panel_of(*judged_by("kind"))
    pairs = [(prompt(f"p{n}"), answer(f"p{n}a", "x=1"), answer(f"p{n}b", "x =1")) for n in range(9)]
    found = audit_pairs(panel, AuditConfig(), pairs, ATTACKS, seed=1)
    figures = {figure.name: figure for figure in found.report.figures}
    by_rating = [figures["injection by rating"], figures["taste by rating"]]
    assert [figure.count for figure in by_rating] == [0, 0]
    assert sum(figure.undecidable for figure in by_rating) == 9
    assert figures["self-consistency by rating"].count == 9
