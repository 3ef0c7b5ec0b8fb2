"""Cycles, stages, policies, promotions, events."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_samples import CONFIG, RUBRIC, begin, begun, fill_cycle

from rlaif.errors import LedgerError
from rlaif.ledger import clock
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import GateDecision


def decide(ledger: Ledger) -> None:
    with ledger.unit(1, "promotion", "gate") as unit:
        unit.add_gate_decision(GateDecision(decision="hold", checks=()))


def test_a_new_ledger_is_empty(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.latest_cycle() is None
        assert ledger.cycles() == ledger.policies() == ledger.promotions() == []
        assert ledger.current_policy() is None
        assert ledger.prompt_difficulty() == {}


def test_a_cycle_keeps_what_it_was_begun_with(ledger: Ledger) -> None:
    cycle = ledger.latest_cycle()
    assert cycle is not None
    assert (cycle.number, cycle.status, cycle.run_seed) == (1, "running", 7)
    assert (cycle.config, cycle.rubric_hash, cycle.incumbent) == (CONFIG, RUBRIC, "v0000")
    assert cycle.finished_at is None
    assert ledger.cycle_config(1) == CONFIG
    assert ledger.cycle(2) is None
    with pytest.raises(LedgerError, match="cycle 2 was not begun"):
        ledger.cycle_config(2)


def test_the_largest_seed_fits(path: Path) -> None:
    with Ledger.open(path) as ledger:
        begin(ledger, run_seed=2**63 - 1)
        (cycle,) = ledger.cycles()
        assert cycle.run_seed == 2**63 - 1


def test_going_on_with_the_same_settings_changes_nothing(ledger: Ledger) -> None:
    before = ledger.latest_cycle()
    begin(ledger)
    assert ledger.latest_cycle() == before
    assert ledger.events() == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config_hash": "new", "config": {"run": {"seed": 8}}}, "the settings changed"),
        ({"config_hash": "new", "rubric_hash": "new"}, "the settings and the rubric changed"),
        ({"rubric_hash": "new"}, "the rubric changed"),
    ],
)
def test_going_on_with_other_settings_is_told_and_keeps_the_first(
    ledger: Ledger, changes: dict[str, object], named: str
) -> None:
    before = ledger.latest_cycle()
    begin(ledger, **changes)
    assert ledger.latest_cycle() == before
    (event,) = ledger.events()
    assert (event.kind, event.cycle) == ("config-changed", 1)
    assert named in event.message


def test_cycles_come_one_after_the_other(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="cycle 1 has not ended"):
        begin(ledger, 2)
    with pytest.raises(LedgerError, match="has not finished generation, judging, promotion"):
        ledger.finish_cycle(1)
    fill_cycle(ledger)
    with pytest.raises(LedgerError, match="cycle 3 was asked for"):
        begin(ledger, 3)
    begin(ledger, 2)
    assert [(c.number, c.status) for c in ledger.cycles()] == [(1, "done"), (2, "running")]


def test_the_first_cycle_is_number_one(path: Path) -> None:
    with Ledger.open(path) as ledger, pytest.raises(LedgerError, match="cycle 2 was asked for"):
        begin(ledger, 2)


def test_a_finished_cycle_stays_as_it_is(ledger: Ledger) -> None:
    fill_cycle(ledger)
    before = ledger.latest_cycle()
    ledger.finish_cycle(1)
    begin(ledger, config_hash="other")
    assert ledger.latest_cycle() == before
    assert ledger.events() == []
    with pytest.raises(LedgerError, match="has ended"):
        ledger.begin_stage(1, "one more")
    with pytest.raises(LedgerError, match="cycle 9 was not begun"):
        ledger.finish_cycle(9)


def test_stages_are_begun_and_ended_once(ledger: Ledger) -> None:
    assert not ledger.stage_done(1, "generation")
    assert not ledger.stage_done(1, "unheard of")
    ledger.finish_stage(1, "generation")
    assert ledger.stage_done(1, "generation")
    with pytest.raises(LedgerError, match="has ended"):
        ledger.begin_stage(1, "generation")
    with pytest.raises(LedgerError, match="was not begun"):
        ledger.finish_stage(1, "unheard of")
    with pytest.raises(LedgerError, match="cycle 5 was not begun"):
        ledger.begin_stage(5, "generation")
    assert [s.stage for s in ledger.stages(1)] == ["generation", "judging", "promotion"]


def test_the_base_is_registered_once(ledger: Ledger) -> None:
    ledger.register_base("v0000", "digest-base", "elsewhere", {})
    assert len(ledger.policies()) == len(ledger.promotions()) == 1
    with pytest.raises(LedgerError, match="the base policy elsewhere has digest other"):
        ledger.register_base("v0000", "other", "elsewhere", {})


def test_the_last_promotion_names_the_live_policy(ledger: Ledger) -> None:
    def live() -> str:
        policy = ledger.current_policy()
        return policy.version if policy else "none"

    assert live() == "v0000"
    with ledger.unit(1, "promotion", "promote") as unit:
        unit.add_policy("v0001", "bb", "policies/v0001", "v0000", {"win_rate": 0.61})
        unit.add_promotion("v0001", "it won", "promote")
    assert live() == "v0001"
    ledger.promote("v0000", "a person said so", "rollback")
    assert live() == "v0000"
    ledger.promote("v0001", "a person changed their mind")
    assert live() == "v0001"
    assert [(p.position, p.version, p.kind, p.cycle) for p in ledger.promotions()] == [
        (1, "v0000", "base", None),
        (2, "v0001", "promote", 1),
        (3, "v0000", "rollback", None),
        (4, "v0001", "promote", None),
    ]
    policy = ledger.policy("v0001")
    assert policy is not None
    assert (policy.parent, policy.card, policy.cycle) == ("v0000", {"win_rate": 0.61}, 1)


def test_an_unknown_policy_cannot_be_promoted(ledger: Ledger) -> None:
    assert ledger.policy("v0042") is None
    with pytest.raises(LedgerError, match="there is no policy v0042") as error:
        ledger.promote("v0042", "a slip")
    assert "v0000" in error.value.expected
    assert len(ledger.promotions()) == 1


def test_policies_are_listed_by_number_beyond_the_four_digits(ledger: Ledger) -> None:
    with ledger.unit(1, "promotion", "many") as unit:
        for version in ("v10000", "v9999", "v0002"):
            unit.add_policy(version, version, f"policies/{version}", "v0000", {})
    assert [p.version for p in ledger.policies()] == ["v0000", "v0002", "v9999", "v10000"]


def test_the_oracle_reports_once_and_only_after_the_gate(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="cycle 1 has no gate decision"):
        ledger.add_oracle_report(1, {"base": 0.5})
    decide(ledger)
    ledger.add_oracle_report(1, {"base": 0.5})
    with pytest.raises(LedgerError, match="oracle_reports"):
        ledger.add_oracle_report(1, {"base": 0.75})
    assert ledger.oracle_report(1) == {"base": 0.5}


def test_a_rubric_is_kept_as_it_was_used(ledger: Ledger) -> None:
    ledger.add_rubric(RUBRIC, "renamed", "2", "other")
    rubric = ledger.rubric(RUBRIC)
    assert rubric is not None
    assert (rubric.name, rubric.version, rubric.text) == ("helpdesk", "1", "name = 'helpdesk'")
    assert ledger.rubric("unknown") is None


def test_events_come_newest_first(ledger: Ledger) -> None:
    for i in range(5):
        ledger.add_event("note", f"event {i}", cycle=i or None)
    assert [(e.message, e.cycle) for e in ledger.events(2)] == [("event 4", 4), ("event 3", 3)]
    assert ledger.events()[-1].cycle is None


def test_what_a_cycle_made_is_counted(path: Path) -> None:
    with begun(path, "generation", "judging", "promotion") as ledger:
        fill_cycle(ledger)
    with LedgerReader.open(path) as reader:
        assert reader.cycle_counts(1).model_dump() == {
            "prompts": 2,
            "completions": 4,
            "judgements": 8,
            "unscored": 2,
            "preferences": 2,
        }
        assert set(reader.cycle_counts(2).model_dump().values()) == {0}


def test_a_reader_sees_a_cycle_end_while_it_is_open(ledger: Ledger, path: Path) -> None:
    with LedgerReader.open(path) as reader:
        fill_cycle(ledger)
        cycle = reader.latest_cycle()
    assert cycle is not None
    assert cycle.status == "done"


def test_clocks_are_utc_and_durations_do_not_step_back() -> None:
    assert clock.utc_now().tzinfo is UTC
    shown = datetime.fromisoformat(clock.iso_now())
    assert abs(shown - datetime.now(UTC)) < timedelta(seconds=60)  # noqa: TID251 - the clock under test
    first = clock.monotonic()
    assert clock.monotonic() >= first
