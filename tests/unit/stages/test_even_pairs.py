"""A pair that is exactly even is a tie, whatever the margin, and no win of the second."""

import pytest

from rlaif.config import PreferencesConfig
from rlaif.records import PairVerdict
from rlaif.stages.preferences import LabelledPair, make_preferences
from rlaif.stages.previewing import outcome_of


def trained(label: float, config: PreferencesConfig) -> list[float]:
    pair = LabelledPair("a", "b", label, "comparison")
    return [p.label for p in make_preferences([pair], {"a": "p"}, config, "h")]


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_without_a_margin_exactly_even_is_a_tie(labels: str) -> None:
    drop = PreferencesConfig(labels=labels, min_margin=0.0)
    keep = PreferencesConfig(labels=labels, min_margin=0.0, ties="keep")
    assert trained(0.5, drop) == []
    assert trained(0.5, keep) == [0.5]


def test_without_a_margin_anything_else_has_a_side() -> None:
    config = PreferencesConfig(labels="hard", min_margin=0.0)
    assert trained(0.4999, config) == [0.0]
    assert trained(0.5001, config) == [1.0]


def test_a_preview_calls_it_a_tie_too() -> None:
    even = PairVerdict(first_id="a", second_id="b", p_first=0.5)
    assert outcome_of(even, PreferencesConfig(min_margin=0.0)) == "tie"
