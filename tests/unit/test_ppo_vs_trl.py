"""Which precisions the benchmark beside TRL measures, and what it makes of its sides' figures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OURS = ("ppo_vs_trl", "peak", "worlds")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ppo_vs_trl

    yield ppo_vs_trl
    for name in OURS:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("has", "modes"), [(True, ["mixed", "float32", "bfloat16_weights"]), (False, ["float32"])]
)
def test_what_a_cpu_would_emulate_is_left_out_and_said_to_be(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    has: bool,
    modes: list[str],
) -> None:
    monkeypatch.setattr(benchmark, "computes_in_bfloat16", lambda _: has)
    assert benchmark.worthwhile_modes() == modes
    assert ("left out" in capsys.readouterr().err) == (not has)


def test_figures_are_medians_and_shares_of_the_peak(benchmark: ModuleType) -> None:
    runner = benchmark.Runner.__new__(benchmark.Runner)
    runner.seen = [{"seconds": s, "peak_rss_gb": 2.0} for s in (100.0, 3.0, 2.0, 4.0)]
    assert runner.median("seconds") == 3.0, "the first update is left out"
    assert benchmark._figures(runner, flops=6e9, peak=10.0) == {
        "seconds_per_update": 3.0,
        "peak_rss_gb": 2.0,
        "gflops": 2.0,
        "share_of_matmul_peak": 0.2,
    }
