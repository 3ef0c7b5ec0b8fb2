"""The ablation's arithmetic: means, paired differences, and that every switch is a setting."""

import math

import pytest

from benchmarks.judge_ablation import SHIPPED, SWITCHES, mean_and_error, summary, table
from rlaif.config import RlaifConfig


def row(switch: str, seed: int, win_rate: float) -> dict[str, object]:
    return {
        "switch": switch,
        "seed": seed,
        "challenger": True,
        "win_rate": win_rate,
        "reward_accuracy": 0.9,
        "preferences": 400,
        "judgements": 800,
        "unscored": 2,
        "decision": "promote",
    }


def test_differences_are_taken_seed_by_seed() -> None:
    """Gains -0.1 and -0.3 by hand: mean -0.2, deviation 0.1414, over the root of two 0.1."""
    rows = [
        row(SHIPPED, 1, 0.8),
        row(SHIPPED, 2, 0.6),
        row("hard labels", 1, 0.7),
        row("hard labels", 2, 0.3),
    ]
    first, second = summary(rows)
    assert (first["switch"], first["win_rate"], first["gain"]) == (SHIPPED, 0.7, 0.0)
    assert second["gain"] == pytest.approx(-0.2)
    assert second["gain_error"] == pytest.approx(0.1)
    expected = "| hard labels | 50.0% ± 20.0% | -20.0% ± 10.0% | 2 of 2 | 90.0% | 400 | 0.2% |"
    assert expected in table([first, second])


def test_a_cycle_without_a_challenger_counts_as_the_base_and_has_no_reward_model() -> None:
    held = {"challenger": False, "win_rate": 0.5, "reward_accuracy": None, "preferences": 0}
    rows = [row(SHIPPED, 1, 0.8), row(SHIPPED, 2, 0.6)]
    rows += [row("hard labels", 1, 0.7), {**row("hard labels", 2, 0.0), **held}]
    _, second = summary(rows)
    assert (second["challengers"], second["reward_accuracy"]) == (1, 0.9)
    assert "| 60.0% ± 10.0% | -10.0% ± 0.0% | 1 of 2 | 90.0% | 200 | 0.2% |" in table([second])
    _, nothing = summary([*rows[:2], rows[3]])
    assert "| 0 of 1 | - | 0 |" in table([nothing])


def test_the_error_of_a_single_run_is_not_known() -> None:
    assert math.isnan(mean_and_error([0.5])[1])


@pytest.mark.parametrize("switch", [s for s in SWITCHES if s != SHIPPED])
def test_every_switch_is_a_setting_that_is_not_the_default(
    switch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    from pathlib import Path

    from rlaif.config import read_config

    path = Path(str(tmp_path)) / "rlaif.toml"
    path.write_text("", encoding="utf-8")
    for name, value in SWITCHES[switch].items():
        monkeypatch.setenv(name, value)
    assert read_config(path) != RlaifConfig()
