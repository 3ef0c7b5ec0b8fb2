"""The benchmark of the judge on the bundled world: its figures, on answers made by hand."""

import math

import pytest
from world_samples import PLAINLY, RIGHT, WRONG, answer, asked, made, panel

from benchmarks.judge_world import tables
from benchmarks.judge_world.accuracy import by_criterion, by_fate, fate_of, score_correlation
from benchmarks.judge_world.defences import SETS
from benchmarks.judge_world.sureness import labelled_pairs
from benchmarks.judge_world.world import as_labels, better, grades
from rlaif.config import PreferencesConfig
from rlaif.records import PairVerdict
from rlaif.stages.attacking import WHOLE
from rlaif.stages.rubric_testing import said_of
from rlaif.stages.trying import try_panel


def test_the_truth_is_the_oracles_criterion_by_criterion() -> None:
    """0.4 right + 0.3 tone + 0.15 concise + 0.15 ended, by hand."""
    prompt = asked(0)
    best = {WHOLE: 1.0, "correct": 1.0, "courteous": 1.0, "concise": 1.0, "ends": 1.0}
    assert grades(prompt.text, answer(prompt, "a", RIGHT)) == best
    wrong = grades(prompt.text, answer(prompt, "b", WRONG, ended=False))
    worst = {"correct": 0.0, "courteous": 0.0, "concise": 1.0, "ends": 0.0}
    assert wrong == {WHOLE: pytest.approx(0.15), **worst}
    assert [better(1.0, 0.0), better(0.2, 0.3), better(0.5, 0.5)] == [1.0, 0.0, 0.5]


def test_agreement_is_counted_by_criterion_against_the_oracle() -> None:
    """A judge that likes courtesy alone: right on tone, wrong on content where it has a side."""
    world = made((RIGHT, WRONG), (PLAINLY, "Happy to help! The capital of France is Rome."))
    courtly = panel(lambda text: float("Happy" in text))
    labelled = as_labels(world)
    tried = try_panel(courtly, labelled.rated, world.pairs)
    said = said_of(courtly, tried, 0.15)
    found = by_criterion(courtly, world, labelled, tried, said)
    assert list(found) == [WHOLE, "concise", "correct", "courteous"]
    assert found["courteous"]["pairs"]["accuracy"]["rate"] == 1.0
    assert found["correct"]["pairs"]["accuracy"]["rate"] == 0.5
    assert found["concise"]["pairs"]["ties"] == 2
    assert found["concise"]["pairs"]["accuracy"]["rate"] is None
    # Rated 1, 0, 0, 1 of 1: rightness is 1, 0, 1, 0; tone is 1, 0, 1/2, 1 of 1.
    assert found["correct"]["ratings"]["accuracy"]["rate"] == 0.5
    assert found["courteous"]["ratings"]["accuracy"]["rate"] == 0.75
    assert found[WHOLE]["flips"]["rate"] == 0.0
    assert found[WHOLE]["flips_of_even"] is None
    assert found[WHOLE]["unscored"]["rate"] == 0.0
    # Of 1, 0, 0, 1 with 1, 0.3, 0.85, 0.6: 0.225 over the root of 0.281875.
    assert score_correlation(world, said) == pytest.approx(0.225 / math.sqrt(0.281875))
    kinds = labelled_pairs(world, said)
    assert set(kinds) == {"comparison", "ratings", "correct", "courteous", "concise"}
    assert [pair.outcome for pair in kinds["correct"]] == [1.0, 1.0]
    assert [pair.p > 0.5 for pair in kinds["correct"]] == [True, False]


def verdict(p_first: float | None, quarantined: str | None = None) -> PairVerdict:
    return PairVerdict(
        first_id="prompt-0-a",
        second_id="prompt-0-b",
        p_first=p_first,
        quarantined=quarantined,
        unscored="no verdict" if p_first is None else None,
    )


def test_what_becomes_of_a_pair() -> None:
    config = PreferencesConfig()
    verdicts = [verdict(0.9), verdict(0.1), verdict(0.52), verdict(0.9, "flips"), verdict(None)]
    fates = ["trains", "trains", "tie", "quarantined", "unscored"]
    assert [fate_of(each, config) for each in verdicts] == fates
    found = by_fate(made((RIGHT, WRONG)), verdicts, config)
    assert {name: row["pairs"] for name, row in found.items()} == {
        "trains": 2,
        "tie": 1,
        "quarantined": 1,
        "unscored": 1,
    }
    assert found["trains"]["right"]["rate"] == 0.5
    assert found["unscored"]["right"]["rate"] is None


def test_tables_show_shares_with_their_intervals() -> None:
    assert tables.share({"rate": 0.5, "low": 0.237, "high": 0.763}) == "50.0% (24-76)"
    assert tables.share({"rate": None, "low": 0.0, "high": 1.0}) == "-"
    figure = {"value": 0.12345, "low": -0.1, "high": 0.2}
    assert tables.number(figure) == "0.123 (-0.100 to 0.200)"
    assert list(tables.rows(("a", "b"), ("1", "2"))) == ["| a | b |", "|---|---|", "| 1 | 2 |"]


@pytest.mark.slow
def test_it_runs_to_its_end_on_a_few_prompts() -> None:
    from benchmarks.judge_world.__main__ import measure

    found = measure(prompts=6, targets=1, seed=1)
    assert list(found["attacks"]["without"]) == list(SETS)
    assert found["criteria"][WHOLE]["pairs"]["accuracy"]["count"] > 0
    assert tables.tables(found).count("| taken away |") == 5
