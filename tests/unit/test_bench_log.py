"""The benchmark of the critique log, on a ledger of a few hundred critiques."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import it with its parts, for two cycles in place of fifty."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "critique_log"))
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import filling

    monkeypatch.setattr(filling, "CYCLES", 2)
    monkeypatch.setattr(filling, "PROMPTS", 60)
    import log

    yield log
    for name in ("log", "filling", "asking"):
        sys.modules.pop(name, None)


def test_it_asks_everything_of_a_ledger_like_the_real_one(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    given = argparse.Namespace(critiques=700, repeats=1, seed=7)
    found = benchmark.measure(tmp_path, given)
    assert found["critiques"] == 720
    assert found["writing"]["units"] == 4
    assert found["writing"]["per_second"] > 0
    queries = found["queries"]
    assert all(0 <= row["p50"] <= row["p95"] for row in queries.values())
    assert found["over_the_limit"] == [n for n, row in queries.items() if not row["kept"]]
    for name in ("newest", "verdict low", "search chinese, one sign", "rank common word", "show"):
        assert queries[name]["found"] > 0, name
    for name in ("criterion unknown", "search no such word", "verdict tie"):
        assert queries[name]["found"] == 0, name
    assert queries["themes"]["limit"] == 10.0
    assert queries["rank part"]["limit"] == 1.5
    assert queries["like, quarantined"]["limit"] == 0.3


def test_texts_are_the_same_for_a_seed_and_of_the_promised_length(benchmark: ModuleType) -> None:
    import filling

    assert benchmark.SEED
    one, other = (filling.Writer(3).texts(20) for _ in range(2))
    assert one == other
    assert {len(text) for text in one} == {filling.LETTERS}
    assert {len(text) for text in filling.Writer(3).chinese(5)} == {filling.LETTERS}
