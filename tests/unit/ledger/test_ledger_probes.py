"""What the ledger tells of probes: by cycle, with the scores of what they were made of."""

from ledger_samples import CONFIG, RUBRIC, fill_cycle, probe

from rlaif.ledger.writer import Ledger
from rlaif.records import AuditReport


def begin_next(ledger: Ledger, number: int) -> None:
    ledger.begin_cycle(
        number,
        run_seed=7,
        config=CONFIG,
        config_hash="config-hash",
        rubric_hash=RUBRIC,
        incumbent="v0000",
    )
    ledger.begin_stage(number, "judging")


def test_probes_come_by_cycle_oldest_first(ledger: Ledger) -> None:
    fill_cycle(ledger)
    begin_next(ledger, 2)
    late = probe("completion-colours-0-attacked", "completion-colours-0", value=0.5)
    with ledger.unit(2, "judging", "more") as unit:
        unit.add_probes([late])
    found = ledger.probes_by_cycle(RUBRIC)
    assert {cycle: len(own) for cycle, own in found.items()} == {1: 2, 2: 1}
    assert list(found) == [1, 2]
    assert found[2] == [late]
    assert ledger.probes(RUBRIC) == [*found[1], late]
    assert ledger.probes_by_cycle("another") == {}


def test_the_scores_of_what_was_attacked_are_found(ledger: Ledger) -> None:
    fill_cycle(ledger)
    found = ledger.probed_scores(RUBRIC)
    attacked = {probe.original_id for probe in ledger.probes(RUBRIC)}
    assert attacked
    assert {score.completion_id for score in found} <= attacked
    given = {score.completion_id: score for score in ledger.scores(1, "judging")}
    assert found == [given[score.completion_id] for score in found] != []
    assert ledger.probed_scores("another") == []


def test_the_cycles_that_reported_on_a_rubric(ledger: Ledger) -> None:
    fill_cycle(ledger)
    for number, about in ((2, "another"), (3, RUBRIC)):
        begin_next(ledger, number)
        with ledger.unit(number, "judging", "audit") as unit:
            unit.add_report("judge_audit", AuditReport(rubric_hash=about, figures=()))
        ledger.finish_stage(number, "judging")
        ledger.finish_cycle(number)
    assert ledger.reported_under(RUBRIC, "judge_audit") == [3]
    assert ledger.reported_under("another", "judge_audit") == [2]
    assert ledger.reported_under(RUBRIC, "evaluation") == []
