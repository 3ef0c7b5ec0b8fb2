"""What a panel says outside of a cycle, and what that takes."""

import pytest
from trials import ENDS, answer, judged_by, panel_of, prompt

from rlaif.records import JudgeCall, Judgement, Rating
from rlaif.stages.trying import Cost, cost_of, try_panel

P = prompt("p1")
GOOD, BAD, OTHER = answer("p1a", "x=1"), answer("p1b", "x=0"), answer("p1c", "x=0.5 !")


def test_pairs_are_compared_in_both_orders_and_their_answers_rated_once() -> None:
    panel = panel_of(*judged_by("kind", "right"), ENDS)
    tried = try_panel(panel, [(P, OTHER), (P, GOOD)], [(P, GOOD, BAD), (P, BAD, OTHER)])
    assert [a.id for _, a in tried.answers] == ["p1c", "p1a", "p1b"]
    assert {i: s.score for i, s in tried.scores.items()} == {
        "p1a": pytest.approx(2 / 3),
        "p1b": 0.0,
        "p1c": pytest.approx(2 / 3),
    }
    assert [v.p_first for v in tried.verdicts] == [1.0, 0.25]
    assert tried.rating_cost.calls == 3 * 2
    assert tried.comparing_cost.calls == 2 * 2 * 2
    assert tried.cost.calls == 14
    assert len(tried.judgements) == 3 * 3 + 8
    calls = [j.call for j in tried.judgements if j.call is not None]
    assert tried.cost.prompt_tokens == sum(call.prompt_tokens for call in calls) > 0
    assert tried.cost.reply_tokens == 14 * 2
    assert tried.cost.seconds is not None
    assert tried.cost.money is None


def test_every_juror_is_a_call() -> None:
    tried = try_panel(panel_of(*judged_by("kind"), jurors=3), [], [(P, GOOD, BAD)])
    assert (tried.rating_cost.calls, tried.comparing_cost.calls) == (6, 6)
    assert tried.verdicts[0].p_first == 1.0


def test_a_rubric_without_a_judge_costs_no_call() -> None:
    tried = try_panel(panel_of(ENDS), [], [(P, OTHER, BAD)])
    assert tried.cost.calls == 0
    assert tried.comparisons == [[]]
    assert tried.verdicts[0].p_first == pytest.approx(0.998729, abs=1e-6)


def priced(cost: float) -> Judgement:
    call = JudgeCall(
        request_hash="h",
        judge="j",
        request="?",
        reply="!",
        label_probs={},
        prompt_tokens=7,
        reply_tokens=3,
        latency=9.0,
        cost=cost,
    )
    return Judgement(
        id="i",
        criterion="c",
        kind="pointwise",
        completion_ids=("a",),
        critique="",
        verdict=Rating(score=1.0),
        call=call,
    )


def test_money_is_known_where_calls_have_a_price() -> None:
    assert cost_of([priced(0.0)]).money is None
    free = priced(0.0).model_copy(update={"call": None})
    assert cost_of([priced(0.25), free, priced(0.5)], 2.0) == Cost(
        calls=2, prompt_tokens=14, reply_tokens=6, seconds=2.0, money=0.75
    )
    assert cost_of([]) == Cost()


def test_costs_add_up_and_scale() -> None:
    cost = Cost(calls=3, prompt_tokens=10, reply_tokens=5, seconds=1.5, money=0.5)
    assert cost.times(2.5) == Cost(
        calls=8, prompt_tokens=25, reply_tokens=12, seconds=3.75, money=1.25
    )
    assert cost + Cost(calls=1) == cost.model_copy(update={"calls": 4})
    assert cost + cost == cost.times(2)
    assert (Cost() + Cost()).seconds is None
    assert Cost().times(3.0) == Cost()


def test_the_critique_that_is_graded_costs_a_call_too() -> None:
    graded = priced(0.5)
    written = graded.model_copy(update={"writing": graded.call, "grader": "j"})
    assert cost_of([written]) == Cost(calls=2, prompt_tokens=14, reply_tokens=6, money=1.0)
