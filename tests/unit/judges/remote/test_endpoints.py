"""Which endpoint takes the next call, and who waits."""

import asyncio
import time

import pytest

from rlaif.errors import ModelError
from rlaif.judges.remote.breaker import Breaker
from rlaif.judges.remote.endpoints import Endpoint, NoEndpointError, Pool, Slot
from rlaif.judges.remote.limiter import Limiter


def endpoint(name: str, most: int = 4) -> Endpoint:
    return Endpoint(name, Limiter(most), Breaker(2, 5.0), last_failure=f"{name} broke")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def take(pool: Pool, count: int, *avoid: Endpoint) -> list[Slot]:
    async def several() -> list[Slot]:
        return [await pool.acquire(10.0, avoid) for _ in range(count)]

    return asyncio.run(several())


def names(slots: list[Slot]) -> str:
    return "".join(slot.endpoint.address for slot in slots)


def test_the_least_loaded_goes_first() -> None:
    a, b = endpoint("a", 6), endpoint("b", 2)
    assert names(take(Pool([a, b], Clock()), 8)) == "abaaabaa"


def test_one_that_failed_a_call_is_taken_last() -> None:
    a, b = endpoint("a"), endpoint("b")
    assert names(take(Pool([a, b], Clock()), 6, a)) == "bbbbaa"


def test_one_in_doubt_is_taken_after_those_in_health() -> None:
    clock = Clock()
    a, b = endpoint("a"), endpoint("b", 3)
    for _ in range(2):
        a.breaker.fail(clock(), probe=False)
    clock.now += 5.0
    slots = take(Pool([a, b], clock), 4)
    assert names(slots) == "bbba"
    assert [slot.probe for slot in slots] == [False, False, False, True]


def test_all_shut_for_too_long_is_said_at_once_with_the_reasons() -> None:
    clock = Clock()
    a, b = endpoint("a"), endpoint("b")
    a.breaker.fail(clock(), probe=False)
    a.breaker.fail(clock(), probe=False)
    b.paused_until = clock() + 60.0
    c = endpoint("c")
    c.paused_until = clock() + 99_999.0
    pool = Pool([a, b, c], clock)
    with pytest.raises(NoEndpointError) as raised:
        asyncio.run(pool.acquire(4.9))
    for part in (
        "a for 5 s more (last: a broke)",
        "b for 60 s more (last: b broke)",
        "c for 99,999 s more",
    ):
        assert part in str(raised.value)


def test_whoever_waits_longest_gets_the_place_that_is_given_back() -> None:
    async def scenario() -> list[str]:
        pool = Pool([endpoint("a", 1)])
        order: list[str] = []

        async def work(name: str) -> None:
            slot = await pool.acquire(10.0)
            order.append(name)
            await asyncio.sleep(0)
            pool.release(slot, "ok", alive=True)

        await asyncio.gather(*(work(name) for name in "abcdefgh"))
        return order

    assert asyncio.run(scenario()) == list("abcdefgh")


def test_those_who_wait_are_told_when_all_shut() -> None:
    async def scenario() -> list[object]:
        pool = Pool([endpoint("a", 2)])
        slots = [await pool.acquire(1.0) for _ in range(2)]
        waiting = [asyncio.create_task(pool.acquire(1.0)) for _ in range(5)]
        await asyncio.sleep(0.01)
        for slot in slots:
            pool.release(slot, "other", alive=False)
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    found = asyncio.run(scenario())
    assert [type(one) for one in found] == [NoEndpointError] * 5


def test_a_pause_is_waited_for_and_then_taken_by_all() -> None:
    async def scenario() -> float:
        one = endpoint("a", 8)
        pool = Pool([one])
        pool.release(await pool.acquire(5.0), "overload", alive=None, pause=0.2)
        one.limiter.limit = 8.0
        start = time.monotonic()
        await asyncio.gather(*(pool.acquire(5.0) for _ in range(8)))
        return time.monotonic() - start

    assert 0.19 <= asyncio.run(scenario()) < 1.0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    clock, one = Clock(), endpoint("a")
    pool = Pool([one], clock)
    for slot, pause in zip(take(pool, 2), (5.0, 1.0), strict=True):
        pool.release(slot, "overload", alive=None, pause=pause)
    clock.now += 4.9
    assert not one.takes(clock())
    clock.now += 0.1
    assert one.takes(clock())


def test_a_waiter_that_is_cancelled_does_not_take_the_place_along() -> None:
    async def scenario() -> None:
        pool = Pool([endpoint("a", 1)])
        slot = await pool.acquire(1.0)
        first, second = (asyncio.create_task(pool.acquire(1.0)) for _ in range(2))
        await asyncio.sleep(0)
        pool.release(slot, "ok", alive=True)
        first.cancel()
        assert isinstance(await asyncio.wait_for(second, 1.0), Slot)
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()

    asyncio.run(scenario())


def test_waiting_costs_no_time_while_nothing_happens() -> None:
    async def scenario() -> float:
        one = endpoint("a", 2)
        one.paused_until = time.monotonic() + 0.3
        pool = Pool([one])
        cpu = time.process_time()
        tasks = [asyncio.create_task(pool.acquire(5.0)) for _ in range(50)]
        await asyncio.sleep(0.4)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return time.process_time() - cpu

    assert asyncio.run(scenario()) < 0.15


def test_what_was_refused_is_remembered() -> None:
    one = endpoint("a")
    one.refuse("n", {"n": 3})
    for _ in range(3):
        one.refuse("top_logprobs", {"top_logprobs": 20})
    assert (one.top_logprobs, one.refused) == (5, {"n"})
    one.refuse("top_logprobs", {"top_logprobs": 5})
    assert one.refused == {"n", "logprobs"}


def test_that_a_server_begins_to_fail_is_told_once_until_it_has_answered() -> None:
    told: list[str] = []
    a = endpoint("a")
    pool = Pool([a], Clock(), told.append)

    def ends(alive: bool) -> None:
        for slot in take(pool, 1):
            pool.release(slot, "other", alive=alive)

    ends(alive=False)
    assert told == []
    ends(alive=False)
    assert told == ["a broke; it is left alone for a while, and then tried again now and then"]
    a.breaker.succeed()
    ends(alive=False)
    ends(alive=False)
    assert len(told) == 2


def test_a_call_waits_for_a_server_that_is_busy_rather_than_ask_one_that_is_another_model() -> None:
    wrong, busy = endpoint("w"), endpoint("b", 1)
    pool = Pool([wrong, busy])

    async def waited() -> list[str]:
        first = await pool.acquire(1.0, never=[wrong])
        second = asyncio.create_task(pool.acquire(1.0, [wrong], [wrong]))
        await asyncio.sleep(0)
        assert not second.done()
        pool.release(first, "ok", alive=True)
        return [first.endpoint.address, (await second).endpoint.address]

    assert asyncio.run(waited()) == ["b", "b"]
    with pytest.raises(NoEndpointError):
        asyncio.run(pool.acquire(1.0, never=[wrong, busy]))


def test_where_only_one_that_failed_is_left_it_is_not_called_the_one_that_goes_on() -> None:
    clock, told = Clock(), list[str]()
    down, bad, well = endpoint("down"), endpoint("bad"), endpoint("well")
    for _ in range(2):
        down.breaker.fail(clock(), probe=False)
    refusal = ModelError("bad answered 401", "a key that it takes", "check the key")
    pool = Pool([down, bad, well], clock, told.append)
    pool.take_out(bad, refusal)
    pool.take_out(well, refusal)
    assert told[0].startswith("bad is left out from now on, the judge goes on at well: ")
    assert told[1].startswith(
        "well is left out from now on, the judge has only this left, and waits for it: down, "
        "which failed (down broke): "
    )


def test_a_call_whose_time_has_run_out_is_not_told_that_an_open_endpoint_is_shut() -> None:
    async def late() -> Slot:
        async with asyncio.timeout(0.02):
            return await pool.acquire(-0.001)

    pool = Pool([endpoint("full", 1)], Clock())
    take(pool, 1)
    with pytest.raises(TimeoutError):
        asyncio.run(late())
