"""Replies are put into their store together where the store is slow."""

import asyncio
import time
from collections.abc import Callable, Sequence

from rlaif.judges.remote.keeping import GroupCommit
from rlaif.judges.replies import MemoryReplies
from rlaif.records import StoredReply


class Slow(MemoryReplies):
    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        time.sleep(0.02)
        return super().put(replies)


def reply(key: str, raw: str = "{}") -> StoredReply:
    return StoredReply(
        key=key,
        judge="j",
        model="m",
        raw=raw,
        prompt_tokens=1,
        reply_tokens=1,
        latency=0.1,
        cost=0.0,
    )


def test_the_first_of_a_group_waits_half_as_long_as_the_last_group_took() -> None:
    waits: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        soon = loop.call_soon

        def later(seconds: float, call: Callable[[], None]) -> asyncio.Handle:
            waits.append(seconds)
            return soon(call)

        loop.call_later = later  # type: ignore[method-assign, assignment]
        keeping = GroupCommit(Slow())
        await keeping.keep(reply("a"))
        await keeping.keep(reply("b"))

    asyncio.run(scenario())
    assert waits[0] == 0.0
    assert 0.01 <= waits[1] <= 0.1


def test_a_reply_is_in_the_store_when_keeping_it_returns() -> None:
    store = MemoryReplies()

    async def scenario() -> list[bool]:
        keeping = GroupCommit(store)
        found = []
        for key in "ab":
            await keeping.keep(reply(key))
            found.append(store.get(key) is not None)
        return found

    assert asyncio.run(scenario()) == [True, True]


def test_keeping_returns_what_the_store_has_under_the_key() -> None:
    store = MemoryReplies()
    store.put([reply("b", "before")])

    async def scenario() -> list[StoredReply]:
        keeping = GroupCommit(store)
        given = [reply("a"), reply("b"), reply("c"), reply("c", "late")]
        return list(await asyncio.gather(*map(keeping.keep, given)))

    found = asyncio.run(scenario())
    assert found == [reply("a"), reply("b", "before"), reply("c"), reply("c")]
    assert store.all() == [reply("b", "before"), reply("a"), reply("c")]
    assert store.refused == [reply("b"), reply("c", "late")]


class Full(MemoryReplies):
    def put_refused(self, replies: Sequence[StoredReply]) -> None:
        raise OSError(f"no room for {len(replies)}")


def test_a_store_that_fails_at_refused_replies_has_the_others_and_ends_all() -> None:
    store = Full()

    async def scenario() -> list[object]:
        keeping = GroupCommit(store)
        waiting = [keeping.keep(reply("a")), keeping.keep_refused(reply("b"))]
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    assert [str(found) for found in asyncio.run(scenario())] == ["no room for 1"] * 2
    assert store.all() == [reply("a")]
