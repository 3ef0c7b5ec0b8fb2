"""The arithmetic of the learning curves' benchmark."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import curves_vs_trl
    finally:
        sys.path.remove(str(BENCHMARKS))
    return curves_vs_trl


def run(rewards: list[float], kl: float) -> list[dict[str, float]]:
    rest = {"length": 8.0, "explained_variance": 0.5}
    return [{"reward": r, "kl": kl * n, **rest} for n, r in enumerate(rewards)]


def test_the_rule_counts_letters_and_bears_an_empty_answer(benchmark: ModuleType) -> None:
    assert benchmark.reward("Eel, 12!") == pytest.approx((2 / 3 - 0.12) / 0.031)
    assert benchmark.reward("") == pytest.approx(-0.12 / 0.031)


def test_the_verdict_is_of_reward_less_the_cost_of_kl(benchmark: ModuleType) -> None:
    mine, theirs = [run([2.0] * 20, 0.0), run([4.0] * 20, 0.0)], [run([5.0] * 20, 1.0)] * 2
    found = benchmark.verdict(mine, theirs, beta=0.1)
    assert found["objective"] == pytest.approx(3.0)
    assert found["objective_of_trl"] == pytest.approx(5.0 - 0.1 * 14.5)
    assert found["standard_error"] == pytest.approx(1.0)
    assert found["ours_is_no_worse"]
    assert benchmark.verdict(mine, theirs, beta=0.2)["difference"] > 0


def test_far_below_the_noise_is_worse(benchmark: ModuleType) -> None:
    mine, theirs = [run([2.0] * 20, 0.0), run([2.1] * 20, 0.0)], [run([5.0] * 20, 0.0)] * 2
    assert not benchmark.verdict(mine, theirs, beta=0.1)["ours_is_no_worse"]


def test_the_best_within_a_kl_ignores_what_lies_beyond(benchmark: ModuleType) -> None:
    climbing = run([float(n) for n in range(20)], 1.0)
    assert benchmark.best_within(climbing, 7.0) == pytest.approx(7.0)
    assert benchmark.best_within(climbing, 100.0) == pytest.approx(17.0)
    assert benchmark.best_within(climbing, 1.0) == 0.0


def test_rows_by_update_hold_mean_and_range(benchmark: ModuleType) -> None:
    (first, second) = benchmark.by_update([run([1.0, 2.0], 1.0), run([3.0, 6.0], 3.0)])
    assert (first["reward"], first["reward_min"], first["reward_max"]) == (2.0, 1.0, 3.0)
    assert (second["kl"], second["kl_min"], second["kl_max"]) == (2.0, 1.0, 3.0)
