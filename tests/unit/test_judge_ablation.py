"""The ablation's arithmetic: means, paired differences, and that every switch is a setting."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import judge_ablation
from benchmarks.judge_ablation import (
    ROOT,
    SHIPPED,
    SOURCES,
    SWITCHES,
    completed,
    mean_and_error,
    source_digest,
    summary,
    table,
)
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
    from rlaif.config import read_config

    path = Path(str(tmp_path)) / "rlaif.toml"
    path.write_text("", encoding="utf-8")
    for name, value in SWITCHES[switch].items():
        monkeypatch.setenv(name, value)
    assert read_config(path) != RlaifConfig()


def test_a_run_of_other_code_or_settings_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[tuple[str, int]] = []

    def run(switch: str, seed: int) -> dict[str, object]:
        made.append((switch, seed))
        return row(switch, seed, len(made) / 10)

    monkeypatch.setattr(judge_ablation, "run", run)
    monkeypatch.setattr(judge_ablation, "source_digest", lambda: "before")
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps([row(SHIPPED, 1, 0.9)]), encoding="utf-8")
    first = completed(kept, [1, 2], [SHIPPED])
    assert [r["win_rate"] for r in first] == [0.1, 0.2]
    assert completed(kept, [1, 2], [SHIPPED]) == first
    assert made == [(SHIPPED, 1), (SHIPPED, 2)]
    monkeypatch.setattr(judge_ablation, "source_digest", lambda: "after")
    assert [r["win_rate"] for r in completed(kept, [1], [SHIPPED])] == [0.3]
    monkeypatch.setitem(SWITCHES, SHIPPED, {"RLAIF_PPO__UPDATES": "1"})
    assert [r["win_rate"] for r in completed(kept, [1], [SHIPPED])] == [0.4]
    monkeypatch.setenv("RLAIF_PPO__UPDATES", "2")
    monkeypatch.setitem(SWITCHES, SHIPPED, {})
    assert [r["win_rate"] for r in completed(kept, [1], [SHIPPED])] == [0.5]


def test_the_digest_is_of_every_source(tmp_path: Path) -> None:
    assert all((ROOT / folder).is_dir() for folder in SOURCES)
    module = tmp_path / "rlaif" / "a.py"
    module.parent.mkdir()
    found = set()
    for name, words in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.toml", "y = 1")):
        (module.parent / name).write_text(words, encoding="utf-8")
        found.add(source_digest(tmp_path))
    assert len(found) == 3
