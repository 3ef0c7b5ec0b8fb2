"""What a draft changes, on verdicts that are known by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials import ENDS, answer, judged_by, panel_of, prompt, scored

from rlaif.config import PreferencesConfig, RlaifConfig
from rlaif.judges import RubricJudge
from rlaif.judges.rubric import JudgeCriterion
from rlaif.records import (
    Choice,
    CompletionScore,
    JudgeCall,
    Judgement,
    PairVerdict,
    Rating,
    Unscored,
    Verdict,
)
from rlaif.stages.cycle_cost import cycle_size, preview_cost
from rlaif.stages.previewing import (
    Outcome,
    RubricPreview,
    Stored,
    StoredPair,
    draw_newest,
    outcome_of,
    preview,
)
from rlaif.stages.trying import Cost, Tried, cost_of, try_panel

CONFIG = RlaifConfig()
WORDS = {
    "p1": ("x=1", "x=0"),
    "p2": ("x=0.5", "y=0.5"),
    "p3": ("x=1", "x=0.5"),
    "p4": ("mumble", "x=0.5"),
    "p5": ("bias=1", "x=0"),
}
P_STORED: dict[str, float | None] = {"p1": 0.2, "p2": 0.9, "p3": 0.6, "p4": 0.7, "p5": None}
SCORES = {
    **{"p1a": 0.25, "p1b": 0.5, "p2a": 0.25, "p2b": 0.5, "p3a": 1.0},
    **{"p3b": 0.5, "p4a": 0.5, "p4b": None, "p5a": 1.0, "p5b": 0.25},
}


def verdict(name: str) -> PairVerdict:
    p_first = P_STORED[name]
    return PairVerdict(
        first_id=f"{name}a",
        second_id=f"{name}b",
        p_first=p_first,
        quarantined="it flipped" if name == "p4" else None,
        unscored="mumbled" if p_first is None else None,
    )


PAIRS = [
    StoredPair(prompt(n), answer(f"{n}a", one), answer(f"{n}b", other), verdict(n))
    for n, (one, other) in WORDS.items()
]


def said(criterion: str, ids: tuple[str, ...], verdict: Verdict, judge: str = "one") -> Judgement:
    call = JudgeCall(
        request_hash="h",
        judge="digest",
        request="?",
        reply="!",
        label_probs={},
        prompt_tokens=10,
        reply_tokens=2,
        latency=1.0,
        cost=0.5,
    )
    return Judgement(
        id=f"{criterion}-{'-'.join(ids)}-{judge}",
        criterion=criterion,
        kind="pointwise" if len(ids) == 1 else "pairwise",
        completion_ids=ids,
        critique="words",
        verdict=verdict,
        judge=judge,
        call=call,
    )


def both_orders(
    criterion: str, name: str, forward: float | None, backward: float | None, judge: str = "one"
) -> list[Judgement]:
    """What was said with first shown first, and shown second, as P(first is better)."""
    shown = ((f"{name}a", f"{name}b"), forward), ((f"{name}b", f"{name}a"), backward)
    return [
        said(
            criterion,
            ids,
            Unscored(reason="mumbled")
            if p is None
            else Choice(p_first=p if ids[0].endswith("a") else 1.0 - p),
            judge,
        )
        for ids, p in shown
    ]


def stored(judgements: list[Judgement], scores: dict[str, CompletionScore] | None = None) -> Stored:
    found = scores or {n: scored(n, s, kind=s or 0.0) for n, s in SCORES.items()}
    return Stored(PAIRS, found, judgements)


def previewed(panel: RubricJudge, known: Stored, config: RlaifConfig = CONFIG) -> RubricPreview:
    tried = try_panel(panel, (), [pair.item for pair in PAIRS])
    return preview(panel, tried, known, config)


def test_outcomes_flips_and_what_moved_most_come_first() -> None:
    found = previewed(panel_of(*judged_by("kind")), stored([]))
    current, draft = found.outcomes_current, found.outcomes_draft
    assert found.pairs == 5
    assert (current.decided, current.tied, current.quarantined, current.unscored) == (3, 0, 1, 1)
    assert (draft.decided, draft.tied, draft.quarantined, draft.unscored) == (2, 1, 1, 1)
    same = found.same_winner
    assert (same.rate, same.count, same.unscored) == (0.5, 2, 3)
    assert [(c.prompt_id, c.current, c.draft, c.flipped) for c in found.changes] == [
        ("p1", "second", "first", True),
        ("p4", "quarantined", "unscored", False),
        ("p5", "unscored", "quarantined", False),
        ("p2", "first", "tie", False),
    ]
    flip, mumbled, biased, _ = found.changes
    assert found.flips == (flip,)
    assert (flip.first, flip.second, flip.p_current, flip.p_draft) == ("x=1", "x=0", 0.2, 1.0)
    assert flip.prompt == prompt("p1").text
    assert flip.reason == ""
    assert mumbled.p_draft is None
    assert "kind" in mumbled.reason
    assert "flips with the order" in biased.reason


def test_scores_are_compared_answer_by_answer() -> None:
    found = previewed(panel_of(*judged_by("kind")), stored([])).scores
    old = [0.25, 0.5, 0.25, 0.5, 1.0, 0.5, 1.0, 0.25]
    new = [1.0, 0.0, 0.5, 0.5, 1.0, 0.5, 1.0, 0.0]
    assert (found.answers, found.unscored) == (8, 2)
    assert found.distance == pytest.approx((0.75 + 0.5 + 0.25 + 0.25) / 8)
    assert found.shift == pytest.approx((0.75 - 0.5 + 0.25 - 0.25) / 8)
    mean = sum(old) / 8, sum(new) / 8
    gaps = [(x - mean[0], y - mean[1]) for x, y in zip(old, new, strict=True)]
    spread = sum(x * x for x, _ in gaps) * sum(y * y for _, y in gaps)
    assert found.correlation == pytest.approx(sum(x * y for x, y in gaps) / spread**0.5)


def test_criteria_are_matched_by_name() -> None:
    old = [said("kind", ("p1a",), Rating(score=1.0)), said("old", ("p1a",), Rating(score=1.0))]
    found = previewed(panel_of(*judged_by("kind", "new"), ENDS), stored(old))
    assert [c.name for c in found.criteria] == ["kind"]
    assert found.only_current == ("old",)
    assert found.only_draft == ("new", "ends")


def kind_of(judgements: list[Judgement], *others: JudgeCriterion) -> tuple[float | None, int, int]:
    found = previewed(panel_of(*judged_by("kind"), *others), stored(judgements))
    side = found.criteria[0].same_side
    assert side is not None
    return side.rate, side.count, side.unscored


def test_a_criterions_side_is_that_of_both_orders_together() -> None:
    told = [
        *both_orders("kind", "p1", 0.9, 0.3),
        *both_orders("kind", "p3", 0.1, 0.7),
        *both_orders("kind", "p4", 0.9, 0.9),
    ]
    assert kind_of(told) == (0.5, 2, 1)
    assert kind_of(told[:2]) == (1.0, 1, 0)
    assert kind_of(both_orders("kind", "p1", 0.9, None)) == (None, 0, 1)
    even = both_orders("kind", "p1", 0.5, 0.5) + both_orders("kind", "p3", 0.9, 0.9)
    assert kind_of(even) == (1.0, 1, 0)


def test_jurors_of_then_are_merged_before_they_are_compared() -> None:
    told = [
        judgement
        for ones, others in zip(
            both_orders("kind", "p1", 0.9, 0.9, "one"),
            both_orders("kind", "p1", 0.4, 0.4, "two"),
            strict=True,
        )
        for judgement in (ones, others)
    ]
    assert kind_of(told) == (1.0, 1, 0)


def test_a_criterion_that_was_not_compared_has_no_side() -> None:
    rated = [said("kind", ("p1a",), Rating(score=1.0))]
    found = previewed(panel_of(*judged_by("kind")), stored(rated)).criteria[0]
    assert found.same_side is None
    assert found.ratings.answers == 9
    silent = panel_of(*judged_by("kind"), pairwise_weight=0.0)
    told = stored(both_orders("kind", "p1", 0.9, 0.9))
    assert previewed(silent, told).criteria[0].same_side is None


def test_what_it_costs_then_now_and_for_a_cycle() -> None:
    config = RlaifConfig.model_validate(
        {
            "sampling": {"prompts_per_cycle": 40, "eval_prompts": 10},
            "generation": {"completions_per_prompt": 3},
            "judging": {"pairs_per_prompt": 2},
        }
    )
    cost = previewed(
        panel_of(*judged_by("kind")), stored(both_orders("kind", "p1", 0.9, 0.3)), config
    ).cost
    assert (cost.current.calls, cost.current.prompt_tokens, cost.current.money) == (2, 20, 1.0)
    assert cost.current.seconds is None
    assert cost.draft.calls == 10 + 10
    assert (cost.cycle_answers, cost.cycle_pairs) == (120 + 4 + 30, 80 + 4 + 20)
    assert cost.cycle.calls == 154 + 2 * 104
    assert cost.cycle.seconds is not None


UNTRIED = {"probe_share": 0.0, "again_share": 0.0}
OWN_JUDGE = {"evaluation": {"judge": {"path": "other", "template": "detailed"}}}
LISTS: dict[str, Any] = {
    "judge": {"path": "other", "template": "detailed"},
    "sampling": {"prompts_per_cycle": 40, "eval_prompts": 10},
    "generation": {"completions_per_prompt": 6},
    "judging": {"pairs_per_prompt": 2, "compare": "lists", "list_size": 5, "list_orders": 3},
}


def test_a_cycle_that_ranks_lists_takes_their_calls_and_no_pairs_but_probes_and_duels() -> None:
    config = RlaifConfig.model_validate(LISTS)
    panel = panel_of(*judged_by("kind", "right"), jurors=2, compare="lists")
    cost = previewed(panel, stored([]), config).cost
    assert (cost.cycle_answers, cost.cycle_pairs) == (240 + 2 + 2 + 30, 2 + 20)
    assert cost.cycle_lists == 40
    assert cost.cycle.calls == 4 * (274 + 2 * 22 + 3 * 40)


def test_a_list_is_no_longer_than_there_are_answers_and_has_no_more_orders() -> None:
    few = {"generation": {"completions_per_prompt": 2}, "audit": UNTRIED}
    judging = {"judging": LISTS["judging"] | {"pairs_per_prompt": 1}}
    config = RlaifConfig.model_validate(LISTS | few | judging | OWN_JUDGE)
    cost = previewed(panel_of(*judged_by("kind"), compare="lists"), stored([]), config).cost
    assert (cost.cycle_pairs, cost.cycle_lists) == (0, 40)
    assert cost.cycle.calls == 40 * 2 + 40 * 2


def test_a_ranking_reads_the_further_answers_too_and_pays_for_them() -> None:
    """Answers of 10 letters at half a token a letter: three more are 15 tokens, at 1 each."""
    judge = {
        "name": "one",
        "backend": "openai",
        "template": "detailed",
        "server": {"endpoints": ["http://a/v1"], "model": "m", "prompt_price": 1e6},
    }
    changes = {"judge": judge, "audit": UNTRIED}
    config = RlaifConfig.model_validate(LISTS | changes | OWN_JUDGE)
    pair = (prompt("p1"), answer("p1a", "ten letter"), answer("p1b", "TEN LETTER"))
    call = JudgeCall(
        request_hash="h",
        judge="digest",
        request="\u95ee" * 100,
        reply="!",
        label_probs={},
        prompt_tokens=50,
        reply_tokens=2,
        latency=1.0,
        cost=0.5,
    )
    compared = [
        judgement.model_copy(update={"call": call})
        for judgement in both_orders("kind", "p1", 0.9, 0.9)
    ]
    tried = Tried(
        answers=tuple((pair[0], one) for one in pair[1:]),
        pairs=(pair,),
        ratings=[[], []],
        comparisons=[compared],
        scores={},
        verdicts=[],
        rating_cost=Cost(),
        comparing_cost=cost_of(compared, 4.0),
    )
    panel = panel_of(*judged_by("kind"), compare="lists")
    cycle = preview_cost(panel, tried, Cost(), config).cycle
    assert (cycle.calls, cycle.prompt_tokens, cycle.reply_tokens) == (120, 120 * 65, 240)
    assert cycle.money == pytest.approx(120 * 15.5)
    assert cycle.seconds == pytest.approx(4.0 / 2 * 120)


def test_a_cycle_of_the_settings() -> None:
    config = RlaifConfig.model_validate(
        {
            "sampling": {"prompts_per_cycle": 4, "eval_prompts": 10},
            "generation": {"completions_per_prompt": 2},
            "evaluation": {"judge": {"path": "other"}},
        }
    )
    assert cycle_size(config, probes=False, ranks=False) == (8, 4, 0)
    assert cycle_size(config, probes=True, ranks=False) == (10, 6, 0)
    for shares, more in (({"probe_share": 0.0}, 1), ({"probe_share": 0.0, "again_share": 0.0}, 0)):
        audit = config.audit.model_copy(update=shares)
        some = config.model_copy(update={"audit": audit})
        assert cycle_size(some, probes=True, ranks=False) == (8 + more, 4 + more, 0)
    own = config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update={"judge": None})}
    )
    assert cycle_size(own, probes=False, ranks=False) == (8 + 30, 4 + 20, 0)


@pytest.mark.parametrize(
    ("p_first", "expected"),
    [(0.46, "tie"), (0.5, "tie"), (0.56, "first"), (0.44, "second"), (None, "unscored")],
)
def test_outcomes(p_first: float | None, expected: Outcome) -> None:
    pair = PairVerdict(
        first_id="a", second_id="b", p_first=p_first, unscored=None if p_first else "mumbled"
    )
    assert outcome_of(pair, PreferencesConfig(min_margin=0.05)) == expected
    kept = pair.model_copy(update={"quarantined": "split"})
    assert outcome_of(kept, PreferencesConfig()) == ("quarantined" if p_first else "unscored")


def test_the_newest_go_first_and_no_more_is_read_than_is_needed() -> None:
    read: list[int] = []

    def batches() -> Iterator[list[int]]:
        for newest in (30, 20, 10):
            read.append(newest)
            yield list(range(newest, newest + 5))

    drawn = draw_newest(batches(), 8, seed=1)
    assert read == [30, 20]
    assert drawn[:5] == [30, 31, 32, 33, 34]
    assert set(drawn[5:]) < {20, 21, 22, 23, 24}
    assert drawn[5:] == sorted(set(drawn[5:]))
    assert draw_newest(batches(), 8, seed=1) == drawn
    assert {tuple(draw_newest(batches(), 8, seed=s)) for s in range(9)} != {tuple(drawn)}


@given(
    st.lists(st.lists(st.integers(), max_size=6), max_size=5),
    st.integers(1, 20),
    st.integers(0, 2**62),
)
def test_a_draw_is_as_many_as_there_are_and_passes_over_nothing_newer(
    sizes: list[list[int]], count: int, seed: int
) -> None:
    batches = [[(i, j) for j in range(len(batch))] for i, batch in enumerate(sizes)]
    drawn = draw_newest(batches, count, seed)
    everything = [pair for batch in batches for pair in batch]
    assert len(drawn) == len(set(drawn)) == min(count, len(everything))
    assert drawn == sorted(drawn)
    oldest = drawn[-1][0] if drawn else 0
    assert [pair for pair in everything if pair[0] < oldest] == [p for p in drawn if p[0] < oldest]


def test_fewer_are_drawn_where_there_are_no_more() -> None:
    assert draw_newest([[1, 2]], 5, seed=0) == [1, 2]
    assert draw_newest([], 5, seed=0) == []
    assert len(draw_newest([[1, 2, 3]], 2, seed=0)) == 2
