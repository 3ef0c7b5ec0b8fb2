"""Limits are checked before a call, with the calls under way counted in."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config.serving import BudgetConfig
from rlaif.errors import EXIT_TRY_LATER, BudgetSpentError, RlaifError
from rlaif.judges.budget import Bill, Budget, plus
from rlaif.records import Spent

ONE = Spent(calls=1, tokens=100, money=0.5)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 29, 23, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def budget(clock: Clock | None = None, cycle: Spent | None = None, **limits: Any) -> Budget:
    return Budget(BudgetConfig(**limits), clock or Clock(), cycle=cycle)


def spend(of: Budget, *spent: Spent) -> None:
    for one in spent:
        bill = of.begin(one)
        bill.add(one)
        of.end(bill)


def test_without_limits_all_is_admitted() -> None:
    free = budget()
    spend(free, *[Spent(calls=1, tokens=10**9, money=1e9)] * 5)
    assert free.admits(ONE)
    assert free.cycle == free.day == Spent(calls=5, tokens=5 * 10**9, money=5e9)


@pytest.mark.parametrize(
    ("limit", "value", "spent"),
    [
        ("cycle_calls", 3, 3),
        ("cycle_tokens", 399, 300),
        ("cycle_money", 1.75, 1.5),
        ("day_calls", 3, 3),
        ("day_tokens", 300, 300),
        ("day_money", 1.5, 1.5),
    ],
)
def test_a_limit_that_has_no_room_is_named(limit: str, value: float, spent: float) -> None:
    of = budget(**{limit: value})
    for _ in range(3):
        assert of.admits(ONE)
        spend(of, ONE)
    with pytest.raises(BudgetSpentError) as raised:
        of.admits(ONE)
    error = raised.value
    assert (error.limit, error.spent, error.most) == (f"budget.{limit}", spent, value)
    assert error.exit_code == EXIT_TRY_LATER
    assert isinstance(error, RlaifError)
    assert f"budget.{limit} is spent: {spent:g} of {value:g}" in str(error)
    tomorrow = datetime(2026, 11, 30, tzinfo=UTC)
    assert error.frees == (tomorrow if limit.startswith("day") else None)
    when = (
        "at 2026-11-30 00:00 UTC"
        if limit.startswith("day")
        else f"raise budget.{limit} and run again"
    )
    assert when in str(error)


def test_a_call_that_fits_once_others_have_ended_waits() -> None:
    of = budget(cycle_calls=2)
    bills = [of.begin(ONE), of.begin(ONE)]
    assert not of.admits(ONE)
    of.end(bills[0])
    assert of.admits(ONE)
    bills[1].add(ONE)
    of.end(bills[1])
    assert of.admits(ONE)
    spend(of, ONE)
    with pytest.raises(BudgetSpentError):
        of.admits(ONE)


def test_what_was_spent_before_counts() -> None:
    with pytest.raises(BudgetSpentError) as raised:
        budget(cycle_calls=10, cycle=Spent(calls=10)).admits(ONE)
    assert raised.value.spent == 10
    day = Budget(BudgetConfig(day_money=5.0), Clock(), day=Spent(calls=9, money=4.5))
    assert day.admits(ONE)
    spend(day, ONE)
    with pytest.raises(BudgetSpentError):
        day.admits(ONE)


def test_a_new_day_in_utc_frees_the_days_limit_and_not_the_cycles() -> None:
    clock = Clock()
    of = Budget(BudgetConfig(day_calls=1, cycle_calls=2), clock)
    spend(of, ONE)
    with pytest.raises(BudgetSpentError, match="day_calls"):
        of.admits(ONE)
    clock.now = datetime(2026, 11, 30, 7, 59, tzinfo=timezone(timedelta(hours=8)))
    with pytest.raises(BudgetSpentError, match="day_calls"):
        of.admits(ONE)
    clock.now += timedelta(minutes=1)
    assert of.admits(ONE)
    assert of.day == Spent()
    spend(of, ONE)
    clock.now += timedelta(days=1)
    with pytest.raises(BudgetSpentError, match="cycle_calls"):
        of.admits(ONE)


def test_a_clock_that_is_set_back_over_midnight_opens_no_old_day() -> None:
    clock = Clock()
    of = budget(clock, day_calls=3)
    spend(of, ONE, ONE)
    clock.now += timedelta(hours=1)
    spend(of, ONE, ONE)
    clock.now -= timedelta(seconds=5)
    spend(of, ONE)
    with pytest.raises(BudgetSpentError, match="day_calls"):
        of.admits(ONE)


def test_money_that_fits_to_the_cent_fits() -> None:
    of = budget(cycle_money=0.3, cycle_calls=9)
    tenth = Spent(calls=1, tokens=1, money=0.1)
    for _ in range(3):
        assert of.admits(tenth)
        spend(of, tenth)
    with pytest.raises(BudgetSpentError, match="cycle_money"):
        of.admits(Spent(calls=1, tokens=1, money=0.0001))


def test_a_limit_of_tokens_holds_to_the_token() -> None:
    of = budget(cycle_tokens=10**12)
    spend(of, Spent(calls=1, tokens=10**12))
    with pytest.raises(BudgetSpentError, match="cycle_tokens"):
        of.admits(Spent(calls=1, tokens=1))


def test_a_call_counts_on_the_day_on_which_it_ends() -> None:
    clock = Clock()
    of = budget(clock, day_calls=5)
    bill = of.begin(ONE)
    clock.now += timedelta(hours=2)
    bill.add(ONE)
    of.end(bill)
    assert of.day == ONE


def test_what_others_spend_meanwhile_is_of_the_day_and_not_of_the_cycle() -> None:
    clock, asked = Clock(), []
    others = iter([Spent(calls=2), Spent(calls=1), Spent(calls=1)])

    def elsewhere(day: date) -> Spent:
        asked.append(day)
        return next(others)

    of = Budget(BudgetConfig(day_calls=3, cycle_calls=9), clock, elsewhere=elsewhere)
    assert of.admits(ONE)
    of.end(of.begin(ONE))
    with pytest.raises(BudgetSpentError, match="day_calls is spent: 3 of 3"):
        of.admits(ONE)
    assert of.cycle == Spent()
    clock.now += timedelta(days=1)
    assert of.day == Spent(calls=1)
    assert asked == [date(2026, 11, 29)] * 2 + [date(2026, 11, 30)]


def test_others_are_asked_for_each_call_of_a_day_with_a_limit_and_not_for_its_end() -> None:
    asked = []

    def elsewhere(day: date) -> Spent:
        asked.append(day)
        return Spent(calls=1)

    for limits, times in (({"cycle_calls": 9}, 0), ({"day_money": 9.0}, 4), ({}, 0)):
        of = Budget(BudgetConfig(**limits), Clock(), elsewhere=elsewhere)
        for _ in range(4):
            assert of.admits(ONE)
            spend(of, ONE)
        assert len(asked) == times
        asked.clear()
    assert of.day == Spent(calls=5, tokens=400, money=2.0)
    assert len(asked) == 1


def test_a_bill_of_several_attempts_adds_up() -> None:
    bill = Bill()
    bill.add(Spent(calls=1))
    bill.add(ONE)
    assert bill.spent == Spent(calls=2, tokens=100, money=0.5)
    assert plus() == Spent()


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 5)), max_size=120),
)
def test_calls_never_pass_a_limit_that_estimates_do_not_pass(
    most: int, events: list[tuple[bool, int, int]]
) -> None:
    of = budget(cycle_tokens=most)
    under_way: list[tuple[Bill, int]] = []
    for begin, size, which in events:
        if begin:
            estimate = Spent(calls=1, tokens=size)
            try:
                admitted = of.admits(estimate)
            except BudgetSpentError:
                assert of.cycle.tokens + size > most
                continue
            if admitted:
                under_way.append((of.begin(estimate), size))
            else:
                assert under_way
        elif under_way:
            bill, estimated = under_way.pop(which % len(under_way))
            bill.add(Spent(calls=1, tokens=min(estimated, which)))
            of.end(bill)
        assert of.cycle.tokens + sum(held for _, held in under_way) <= most
