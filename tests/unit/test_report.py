"""The report, read from a ledger."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.filled import CHINESE, ORACLE, fill_project

from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.report import OracleFigures, Report, build_report, cycle_figures, samples


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerReader]:
    project = fill_project(tmp_path_factory.mktemp("filled"))
    with LedgerReader.open(project.ledger_path) as opened:
        yield opened


@pytest.fixture
def report(reader: LedgerReader) -> Report:
    return build_report(reader)


def test_a_cycle_counts_what_it_made(report: Report) -> None:
    first = report.cycles[0]
    assert (first.prompts, first.completions, first.judgements) == (2, 8, 3)
    assert (first.unscored, first.preferences) == (1, 3)
    stages = ["sampling", "generation", "judging", "preferences", "reward_model", "ppo"]
    assert list(first.seconds) == [*stages, "evaluation", "promotion"]
    assert all(seconds >= 0.0 for seconds in first.seconds.values())


def test_figures_come_from_the_stages_reports(report: Report) -> None:
    first = report.cycles[0]
    assert first.reward_model is not None
    assert (first.reward_model.accuracy, first.reward_model.ece) == (0.8125, 0.0625)
    assert first.ppo is not None
    assert first.ppo.model_dump() == {
        "optimizer": "ppo",
        "updates": 20,
        "kl_reference": 5.5,
        "kl_base": 6.25,
        "kl_base_error": None,
        "beta": 0.0625,
    }
    assert first.evaluation is not None
    assert first.evaluation.ci == (0.625, 0.875)
    assert (first.evaluation.win_rate_vs_incumbent, first.evaluation.win_rate_vs_base) == (
        0.75,
        0.8125,
    )


def test_a_hold_gives_only_the_reasons_against(report: Report) -> None:
    gates = [cycle.gate for cycle in report.cycles]
    assert gates[0] is not None
    assert gates[0].decision == "promote"
    assert gates[1] is not None
    assert gates[1].reasons == ("KL to base 61.00 is not at most 60.00",)
    assert gates[2] is None


def test_the_oracle_stands_apart_and_only_where_it_measured(report: Report) -> None:
    measured = report.cycles[0].oracle
    assert measured is not None
    assert measured.model_dump() == {n: ORACLE[n] for n in OracleFigures.model_fields}
    assert [cycle.oracle for cycle in report.cycles[1:]] == [None, None]


def test_an_unfinished_cycle_has_none_for_what_is_to_come(report: Report) -> None:
    third = report.cycles[2]
    assert (third.cycle, third.completions, third.judgements) == (3, 4, 0)
    assert (third.reward_model, third.ppo, third.evaluation, third.gate) == (None,) * 4


def test_evaluations_are_there_in_full(report: Report) -> None:
    assert [e.cycle for e in report.evaluations] == [1, 2]
    assert report.evaluations[1].vs_incumbent.length_controlled == 0.5
    assert report.evaluations[0].judge_is_trainer


def test_samples_show_the_policy_that_the_gate_left_live(
    reader: LedgerReader, tmp_path: Path
) -> None:
    held = samples(reader)
    assert [s.prompt for s in held] == [
        "Hi there! Tell me the opposite of push.",
        "Hurry up. Do you know the capital of Chile?",
    ]
    assert held[0].base == f"base of cycle 2: {CHINESE}"
    assert held[0].current == f"incumbent of cycle 2: {CHINESE}"
    with LedgerReader.open(fill_project(tmp_path, cycles=1).ledger_path) as younger:
        promoted = samples(younger, limit=1)
    assert [s.current for s in promoted] == [f"challenger of cycle 1: {CHINESE}"]


def test_after_a_rollback_the_samples_are_those_of_the_policy_that_is_live(
    tmp_path: Path,
) -> None:
    project = fill_project(tmp_path / "two")
    with Ledger.open(project.ledger_path) as ledger:
        ledger.promote("v0000", "too terse", "rollback")
        assert [s.current for s in samples(ledger, 1)] == [f"base of cycle 2: {CHINESE}"]
    project = fill_project(tmp_path / "one", cycles=1)
    with Ledger.open(project.ledger_path) as ledger:
        ledger.promote("v0000", "too terse", "rollback")
        assert [s.current for s in samples(ledger, 1)] == [f"base of cycle 1: {CHINESE}"]


def test_a_live_policy_that_the_newest_evaluation_left_out_is_shown_from_an_older_one(
    tmp_path: Path,
) -> None:
    project = fill_project(tmp_path)
    with sqlite3.connect(project.ledger_path) as connection:
        connection.execute("UPDATE completions SET policy = 'x' WHERE id LIKE '%incumbent%'")
    connection.close()
    with Ledger.open(project.ledger_path) as ledger:
        (sample,) = samples(ledger, 1)
    assert sample.base == f"base of cycle 1: {CHINESE}"
    assert sample.current == f"challenger of cycle 1: {CHINESE}"


def test_a_live_policy_that_was_never_evaluated_is_shown_as_the_base(tmp_path: Path) -> None:
    project = fill_project(tmp_path)
    with Ledger.open(project.ledger_path) as ledger:
        with ledger.unit(3, "judging", "x") as unit:
            unit.add_policy("v0002", "e" * 64, "policies/v0002", "v0001", {})
        ledger.promote("v0002", "by hand")
        assert [s.current for s in samples(ledger, 1)] == [f"base of cycle 2: {CHINESE}"]


def test_training_that_stopped_early_is_noted(report: Report) -> None:
    assert report.notes == ("cycle 2: PPO stopped after 7 updates: KL rose\nto 99.00",)


@pytest.mark.parametrize(("high", "noted"), [(15.9, False), (16.0, True), (23.4, True)])
def test_a_lifetime_ceiling_that_is_near_is_noted(
    tmp_path: Path, high: float, *, noted: bool
) -> None:
    project = fill_project(tmp_path)
    with sqlite3.connect(project.ledger_path) as connection:
        connection.execute(
            "UPDATE reports SET content = json_set(content, '$.kl_base_error', 0.5, "
            "'$.kl_base_high', ?) WHERE kind = 'evaluation' AND cycle = 1",
            (high,),
        )
    connection.close()
    with Ledger.open(project.ledger_path) as ledger:
        notes = [note for note in build_report(ledger).notes if note.startswith("cycle 1: ")]
    expected = f"KL to base may be {high} nats per sequence; beyond gate.max_kl_base = 20 no"
    assert len(notes) == int(noted)
    assert all(expected in note for note in notes)


def test_the_report_survives_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_ledger_without_cycles_gives_an_empty_report(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = build_report(ledger)
    assert found == Report(cycles=(), policy=None, evaluations=(), samples=())


def test_a_single_cycle_can_be_read_alone(reader: LedgerReader, report: Report) -> None:
    assert cycle_figures(reader, 2) == report.cycles[1]
