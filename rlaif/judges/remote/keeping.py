"""Replies are kept before they are read, those that come together in one go."""

import asyncio
import time
from collections.abc import Sequence

from rlaif.judges.replies import ReplyStore
from rlaif.records import StoredReply

_PATIENCE = 0.5
_LONGEST = 0.1


class GroupCommit:
    """Puts replies into a store; each waits until it is durable, and shares the wait with others.

    The first of a group waits for others half as long as the last group took to put: groups grow
    with the disk's slowness, and a fast store keeps nobody waiting.

    Args:
        store: The store.
    """

    def __init__(self, store: ReplyStore) -> None:
        self._store = store
        self._took = 0.0
        self._pending: list[StoredReply] = []
        self._refused: list[StoredReply] = []
        self._done: asyncio.Future[Sequence[StoredReply]] | None = None

    async def keep(self, reply: StoredReply) -> StoredReply:
        """Keep a reply; it is durable when this returns.

        Returns:
            What the store has under its key: the reply, or one that came before it.

        Raises:
            Exception: What the store raised, to all of the group. Of its replies and its refused
                ones the store has all or none; it may have the replies where only the refused ones
                failed, and a later run finds them.
        """
        place, done = len(self._pending), self._group()
        self._pending.append(reply)
        return (await asyncio.shield(done))[place]

    async def keep_refused(self, reply: StoredReply) -> None:
        """Keep what was paid for and is no answer, as :meth:`keep` keeps a reply."""
        done = self._group()
        self._refused.append(reply)
        await asyncio.shield(done)

    def flush(self) -> None:
        """Put what waits into the store now."""
        replies, refused, done = self._take()
        if done is None:
            return
        start = time.perf_counter()
        try:
            stored = self._store.put(replies) if replies else ()
            if refused:
                self._store.put_refused(refused)
        except Exception as exc:  # noqa: BLE001 - it goes to everyone who waits for it
            done.set_exception(exc)
        else:
            done.set_result(stored)
        self._took = time.perf_counter() - start

    def _group(self) -> asyncio.Future[Sequence[StoredReply]]:
        """Return what the group waits for that is gathering; begin one if none is."""
        if self._done is None:
            loop = asyncio.get_running_loop()
            self._done = loop.create_future()
            loop.call_later(min(_LONGEST, _PATIENCE * self._took), self.flush)
        return self._done

    def _take(
        self,
    ) -> tuple[
        Sequence[StoredReply],
        Sequence[StoredReply],
        asyncio.Future[Sequence[StoredReply]] | None,
    ]:
        replies, refused, done = self._pending, self._refused, self._done
        self._pending, self._refused, self._done = [], [], None
        return replies, refused, done
