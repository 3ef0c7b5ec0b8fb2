"""Where servers' replies are kept, raw, before they are read."""

from collections.abc import Sequence
from typing import Protocol

from rlaif.records import StoredReply


class ReplyStore(Protocol):
    """A store of replies by the hash of all that led to them.

    It is used from the thread that called ``judge()`` only.
    """

    def get(self, key: str) -> StoredReply | None:
        """Return the reply with a key, or None."""
        ...

    def put(self, replies: Sequence[StoredReply]) -> Sequence[StoredReply]:
        """Keep replies, all or none; they are durable when this returns.

        A key that is there already, since another process asked the same meanwhile, keeps the
        reply that it has; the later one was paid for too, and is kept as refused ones are.

        Returns:
            What :meth:`get` returns for each one's key from now on. Only that may be used: it is
            what a run that is killed and resumed goes on with.
        """
        ...

    def put_refused(self, replies: Sequence[StoredReply]) -> None:
        """Keep what was paid for and brought nothing, durable too: a budget counts it.

        Each counts, whatever has the same key, and none is ever returned by :meth:`get`.
        """
        ...


class MemoryReplies:
    """A store that lasts as long as the process.

    Attributes:
        groups: How many replies each ``put`` brought, in order.
        refused: What was paid for and is not used, in the order in which it came.
    """

    def __init__(self) -> None:
        self._replies: dict[str, StoredReply] = {}
        self.groups: list[int] = []
        self.refused: list[StoredReply] = []

    def get(self, key: str) -> StoredReply | None:
        """Return the reply with a key, or None."""
        return self._replies.get(key)

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        """Keep replies; the first with a key stays, and is returned for it."""
        self.groups.append(len(replies))
        for reply in replies:
            if reply.key in self._replies:
                self.refused.append(reply)
            else:
                self._replies[reply.key] = reply
        return [self._replies[reply.key] for reply in replies]

    def put_refused(self, replies: Sequence[StoredReply]) -> None:
        """Keep what was paid for in vain."""
        self.refused += replies

    def __len__(self) -> int:
        return len(self._replies)

    def all(self) -> list[StoredReply]:
        """Return every reply, in the order in which they came."""
        return list(self._replies.values())
