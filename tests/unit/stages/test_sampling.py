"""Which prompts a cycle draws."""

import numpy as np
import pytest

from rlaif.config import SamplingConfig
from rlaif.records import Message, Prompt
from rlaif.stages.sampling import choose_held_out_prompts, choose_training_prompts

POOL = [
    Prompt(
        id=f"p{i}",
        messages=(Message(role="user", content=f"p{i}"),),
        split="eval" if i % 5 == 0 else "train",
    )
    for i in range(50)
]


def angles(texts: list[str]) -> np.ndarray:
    turn = np.array([2 * np.pi * int(t[1:]) / 50 for t in texts])
    return np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)


def draw(
    strategy: str, cycle: int, count: int = 10, difficulty: dict[str, float] | None = None
) -> list[str]:
    config = SamplingConfig(strategy=strategy, prompts_per_cycle=count)
    found = choose_training_prompts(
        POOL, config, seed=7, cycle=cycle, encode=angles, difficulty=difficulty or {}
    )
    assert all(p.split == "train" for p in found)
    return [p.id for p in found]


@pytest.mark.parametrize("strategy", ["uniform", "coverage", "hard"])
def test_a_draw_is_repeatable_and_without_repeats(strategy: str) -> None:
    first = draw(strategy, 2)
    assert first == draw(strategy, 2)
    assert len(set(first)) == 10


def test_uniform_meets_every_prompt_before_any_again() -> None:
    seen = [i for cycle in range(1, 5) for i in draw("uniform", cycle)]
    assert len(set(seen)) == 40
    assert draw("uniform", 5) != draw("uniform", 1)


def test_uniform_across_the_seam_of_two_passes_has_no_repeats() -> None:
    drawn = [draw("uniform", cycle, count=15) for cycle in range(1, 4)]
    assert all(len(set(d)) == 15 for d in drawn)
    assert set(drawn[0] + drawn[1] + drawn[2]) == {p.id for p in POOL if p.split == "train"}


def test_a_draw_larger_than_the_pool_takes_all() -> None:
    assert len(draw("uniform", 1, count=500)) == 40
    assert len(draw("coverage", 1, count=500)) == 40


def test_coverage_spreads_over_the_space() -> None:
    def widest_gap(ids: list[str]) -> float:
        turns = np.sort([int(i[1:]) for i in ids])
        return float(np.diff(np.append(turns, turns[0] + 50)).max())

    assert widest_gap(draw("coverage", 3)) <= 8
    assert widest_gap(draw("coverage", 3)) < widest_gap(draw("uniform", 3))


def test_hard_takes_the_lowest_and_counts_the_unseen_as_average() -> None:
    difficulty = {"p1": 0.1, "p2": 0.2, "p3": 0.9, "p4": 0.8}
    drawn = draw("hard", 1, count=38, difficulty=difficulty)
    assert drawn[:2] == ["p1", "p2"]
    assert not {"p3", "p4"} & set(drawn)


def test_held_out_prompts_are_the_same_in_any_order() -> None:
    found = choose_held_out_prompts(POOL, 6)
    assert found == choose_held_out_prompts(list(reversed(POOL)), 6)
    assert {p.split for p in found} == {"eval"}
    assert found[:3] == choose_held_out_prompts(POOL, 3)
