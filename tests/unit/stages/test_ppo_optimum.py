"""PPO finds the optimum where that is known: pi*(y) ~ pi_ref(y) exp(r(y) / beta)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def bandit(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bandit

    yield bandit
    sys.modules.pop("bandit", None)


@pytest.mark.parametrize(
    ("way", "updates"),
    [("reward", 60), ("reward, exact", 80), ("loss, k2", 60), ("loss, exact", 80)],
)
def test_the_policy_comes_near_the_optimum(
    bandit: ModuleType, tmp_path: Path, way: str, updates: int
) -> None:
    """The exact KL does not cancel the noise of the rewards, as k2 of the same tokens does."""
    found = bandit.solve(tmp_path, beta=0.5, updates=updates, way=way)
    assert found.tv_before > 0.4
    assert found.tv_after < 0.1
    assert found.kl_after == pytest.approx(found.kl_optimum, rel=0.3)
    assert found.reward_after < found.reward_optimum + 0.05
