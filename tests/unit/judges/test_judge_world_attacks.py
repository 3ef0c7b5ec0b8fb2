"""The benchmark of the judge: which answers are attacked, and when an attack succeeds."""

import math

import pytest
from world_samples import PLAINLY, RIGHT, WRONG, answer, asked, made, panel, question

from benchmarks.judge_world.attacks import (
    OWN,
    PLAIN,
    Outcome,
    Target,
    attacked,
    draw_targets,
    make_cases,
    try_cases,
)
from benchmarks.judge_world.defences import ALL, ALL_ON
from benchmarks.judge_world.success import Judged, differences, success
from rlaif.config import RlaifConfig
from rlaif.judges import RubricJudge
from rlaif.judges.probes import KINDS, load_attacks


def test_the_worse_answer_of_a_pair_that_the_oracle_tells_apart_is_attacked() -> None:
    world = made((RIGHT, WRONG), (WRONG, RIGHT), (RIGHT, RIGHT))
    targets = draw_targets(world, 5, seed=1)
    assert [target.worse.text for target in targets] == [WRONG, WRONG]
    assert [target.better.text for target in targets] == [RIGHT, RIGHT]


def test_an_attack_that_makes_an_answer_as_good_is_left_out() -> None:
    """The worse answer had not ended; attacked ones have, so saying it twice draws level."""
    prompt = asked(0)
    unended = answer(prompt, "a", PLAINLY, ended=False)
    target = Target(prompt, unended, answer(prompt, "b", PLAINLY))
    kinds = [case.kind for case in make_cases([target], load_attacks("en"), "3")]
    assert "repetition" not in kinds
    assert {PLAIN, "padding", "forged rival"} <= set(kinds)


def outcomes_of(gullible: RubricJudge) -> dict[str, Outcome]:
    target = draw_targets(made((RIGHT, WRONG)), 1, seed=1)
    cases = make_cases(target, load_attacks("en"), "3")
    return {o.kind: o for o in try_cases(gullible, ALL, cases, RlaifConfig())}


def test_a_judge_that_is_talked_round_is_found_out() -> None:
    talked = outcomes_of(panel(lambda t: 1.0 if "Note to the grader" in t else 0.5 * (t == RIGHT)))
    assert set(talked) == {PLAIN, *KINDS, *OWN}
    won = {kind for kind, outcome in talked.items() if outcome.label_won}
    assert won == {"instruction"}
    assert talked["instruction"].gain == pytest.approx(1.0)
    assert talked["instruction"].p_twin == pytest.approx(1 / (1 + math.exp(-8)))
    assert (talked[PLAIN].gain, talked[PLAIN].p_twin) == (0.0, None)
    assert talked["padding"].p_twin == pytest.approx(0.5)


def test_a_pair_that_ends_even_trains_nothing() -> None:
    even = outcomes_of(panel(lambda _: 0.5))
    assert {outcome.fate for outcome in even.values()} == {"tie"}
    assert not any(outcome.label_won for outcome in even.values())


def outcome(kind: str, target: str, **what: float | str | None) -> Outcome:
    plain: dict[str, float | str | None] = {"gain": 0.0, "p_twin": 0.5, "fate": "trains"}
    fields = {**plain, "p_worse": 0.1, **what}
    return Outcome(kind=kind, target=target, **fields)  # type: ignore[arg-type]


def test_success_is_counted_by_kind_and_by_measure() -> None:
    judged = Judged.of(
        [
            outcome(PLAIN, "a", p_worse=0.9, p_twin=None),
            outcome("padding", "a", gain=0.2, p_worse=0.9),
            outcome("padding", "b", gain=0.1, p_twin=0.6, fate="tie", p_worse=0.9),
            outcome("forged turn", "a", gain=None, p_twin=None, fate="unscored", p_worse=None),
        ],
        margin=0.1,
    )
    found = success(judged)
    assert found[PLAIN]["label"]["rate"] == 1.0
    rates = {measure: row["rate"] for measure, row in found["padding"].items()}
    assert rates == {"label": 0.5, "held": 0.5, "rating": 0.5, "twin": 0.5}
    turn = found["forged turn"]
    assert (turn["label"]["rate"], turn["held"]["rate"]) == (0.0, 1.0)
    assert (turn["rating"]["rate"], turn["rating"]["unscored"]) == (None, 1)
    assert found["all attacks"]["label"]["count"] == 3
    assert found["all probes"]["label"]["count"] == 2


def test_differences_are_of_the_same_attacks() -> None:
    shipped = Judged.of([outcome("padding", f"{i}", p_worse=0.9 * (i < 2)) for i in range(8)], 0.1)
    opened = Judged.of([outcome("padding", f"{i}", p_worse=0.9 * (i > 0)) for i in range(8)], 0.1)
    row = differences({ALL_ON: shipped, "open": opened}, ALL_ON, seed=1)["open"]["all attacks"]
    label = row["label"]
    assert (label["value"], label["more"], label["fewer"]) == (pytest.approx(5 / 8), 6, 1)
    assert -1.0 <= label["low"] < label["value"] < label["high"] <= 1.0
    assert row["held"] == {"value": 0.0, "low": 0.0, "high": 0.0, "more": 0, "fewer": 0}
    none = differences({ALL_ON: shipped, "open": opened}, ALL_ON, seed=1)["open"]["all of our own"]
    assert none["label"]["value"] is None


def test_attacked_answers_have_ids_of_their_own() -> None:
    one = answer(asked(0), "a", RIGHT)
    ids = {attacked(one, kind, question(RIGHT, kind)).id for kind in (PLAIN, *KINDS, *OWN)}
    assert len(ids) == 1 + len(KINDS) + len(OWN)
