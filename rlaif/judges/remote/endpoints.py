"""The servers of a judge: which takes the next call, and what each is known not to take."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlaif.errors import ModelError
from rlaif.judges.remote.breaker import Breaker
from rlaif.judges.remote.limiter import Limiter, Outcome

TOP_LOGPROBS = (20, 5)
IN_WORDS = "such verdicts are read from words, which do not say how sure the judge is"
_FORBIDDEN_FROM_THE_START = 3
_WHOLE = 100.0  # seconds from which on their fractions are of no interest


class NoEndpointError(Exception):
    """No endpoint takes a call for longer than the call may last."""


@dataclass(eq=False)
class Endpoint:
    """One server.

    Attributes:
        address: Where it is, up to and with ``/v1``.
        limiter: How many calls it takes at once.
        breaker: Whether it takes any.
        paused_until: It asked to be left alone until then, in seconds of the monotonic clock.
        refused: Fields of a request that it refused.
        top_logprobs: How many alternatives of a token to ask for; lower once it refused more.
        last_failure: The last thing that went wrong with it.
        out: Why it takes no call any more: the key, the model or the account is refused.
        answered: Whether it has ever sent a completion.
        forbidden: How often it has said 403 without having sent one.
        under_way: The calls that were with it when it first said so.
    """

    address: str
    limiter: Limiter
    breaker: Breaker
    paused_until: float = float("-inf")
    refused: set[str] = field(default_factory=set)
    top_logprobs: int = TOP_LOGPROBS[0]
    last_failure: str = ""
    out: ModelError | None = None
    answered: bool = False
    forbidden: int = 0
    under_way: int = 0

    def forbids(self) -> bool:
        """Count a 403, and tell whether nothing else is to be expected.

        A refusal is quick: it says nothing about the calls that were sent before it came.
        """
        if self.answered:
            return False
        if not self.forbidden:
            self.under_way = self.limiter.in_flight
        self.forbidden += 1
        return self.forbidden >= max(_FORBIDDEN_FROM_THE_START, self.under_way)

    def refuse(self, name: str, body: Mapping[str, Any]) -> None:
        """Remember a field that the server refused; too many alternatives are asked for fewer.

        Args:
            name: The field.
            body: The request that it refused; others may have taught it more since.
        """
        if name == "top_logprobs" and body["top_logprobs"] > TOP_LOGPROBS[-1]:
            self.top_logprobs = TOP_LOGPROBS[-1]
        else:
            self.refused.add("logprobs" if name == "top_logprobs" else name)

    def takes_from(self, now: float) -> float:
        """Return when it takes calls again, if nothing else happens."""
        return max(self.breaker.admits_from(now), self.paused_until)

    def takes(self, now: float) -> bool:
        """Tell whether a call may begin now."""
        shut = self.out is not None or now < self.paused_until
        return self.limiter.has_room and not shut and self.breaker.admits(now)


@dataclass(frozen=True)
class Slot:
    """A place for one attempt on an endpoint."""

    endpoint: Endpoint
    began: float
    probe: bool


class Pool:
    """All endpoints of a judge.

    Args:
        endpoints: The servers.
        clock: Seconds of a steady clock.
        tell: Told of each endpoint that begins to fail call upon call, once of each that is taken
            out while others are left, and once of each that refuses log-probs.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._clock = clock
        self._tell = tell
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(
        self,
        patience: float,
        avoid: Collection[Endpoint] = (),
        never: Collection[Endpoint] = (),
    ) -> Slot:
        """Wait for a place: of the endpoints that are closed the least loaded goes first.

        Args:
            patience: Seconds; where no endpoint takes calls for longer than this, waiting is vain.
            avoid: Endpoints to take only if no other has room.
            never: Endpoints that can only answer this call as badly again: others are awaited.

        Raises:
            NoEndpointError: Waiting is vain.
            ModelError: Every endpoint was taken out.
        """
        first = False
        while True:
            self._refuse_none_left()
            now = self._clock()
            endpoint = self._best(now, avoid, never)
            if endpoint is not None:
                endpoint.limiter.begin()
                slot = Slot(endpoint, now, endpoint.breaker.begin())
                self._wake()
                return slot
            await self._change(self._until_one_takes(now, patience, never), first=first)
            first = True

    def release(
        self, slot: Slot, outcome: Outcome, *, alive: bool | None, pause: float | None = None
    ) -> None:
        """Give a place back.

        Args:
            slot: The place.
            outcome: What the attempt says about the endpoint's load.
            alive: What it says about its health; None: nothing.
            pause: Seconds that the endpoint asked to be left alone for.
        """
        now = self._clock()
        endpoint = slot.endpoint
        endpoint.limiter.end(outcome, slot.began, now)
        if pause is not None:
            endpoint.paused_until = max(endpoint.paused_until, now + pause)
        if alive is None:
            endpoint.breaker.abandon(probe=slot.probe)
        elif alive:
            endpoint.breaker.succeed()
        else:
            was = endpoint.breaker.state(now)
            endpoint.breaker.fail(now, probe=slot.probe)
            if was == "closed" and endpoint.breaker.state(now) == "open" and self._tell:
                self._tell(
                    f"{endpoint.last_failure}; it is left alone for a while, and then tried again "
                    "now and then"
                )
        self._wake(everyone=pause is not None or alive is False)

    def has_other(self, tried: Collection[Endpoint]) -> bool:
        """Tell whether there is an endpoint that was not tried."""
        return any(one.out is None and one not in tried for one in self._endpoints)

    def refuse(self, endpoint: Endpoint, name: str, body: Mapping[str, Any]) -> None:
        """Remember a field that an endpoint refused; say so once where verdicts change with it."""
        knew = "logprobs" in endpoint.refused
        endpoint.refuse(name, body)
        if "logprobs" in endpoint.refused and not knew and self._tell is not None:
            self._tell(
                f"{endpoint.address} refuses log-probs: {IN_WORDS}, and its replies are kept so"
            )

    def take_out(self, endpoint: Endpoint, error: ModelError) -> None:
        """Give an endpoint no call any more, and say so unless the run ends for it.

        Raises:
            ModelError: It was the last one.
        """
        first = endpoint.out is None
        endpoint.out = endpoint.out or error
        self._wake(everyone=True)
        self._refuse_none_left()
        if first and self._tell is not None:
            self._tell(
                f"{endpoint.address} is left out from now on, the judge {self._what_is_left()}: "
                f"{error.seen}; expected: {error.expected}; to do: {error.action}"
            )

    def _what_is_left(self) -> str:
        now = self._clock()
        left = [one for one in self._endpoints if one.out is None]
        ready = [one.address for one in left if one.takes_from(now) <= now]
        if ready:
            return f"goes on at {', '.join(ready)}"
        waits = "; ".join(f"{one.address}, which failed ({one.last_failure})" for one in left)
        return f"has only this left, and waits for it: {waits}"

    def _refuse_none_left(self) -> None:
        """End the run where every endpoint was taken out, with the reasons of all."""
        errors = [one.out for one in self._endpoints if one.out is not None]
        if len(errors) < len(self._endpoints):
            return
        seen, expected, action = (
            "; ".join(dict.fromkeys(getattr(error, part) for error in errors))
            for part in ("seen", "expected", "action")
        )
        raise ModelError(seen, expected, action)

    def _best(
        self, now: float, avoid: Collection[Endpoint], never: Collection[Endpoint]
    ) -> Endpoint | None:
        ready = [one for one in self._endpoints if one.takes(now) and one not in never]
        return min(ready, key=lambda one: _preference(one, now, avoid), default=None)

    def _until_one_takes(
        self, now: float, patience: float, never: Collection[Endpoint]
    ) -> float | None:
        """Return the seconds until time alone makes a place; None: a call has to end first.

        Raises:
            NoEndpointError: All are shut for longer than ``patience``.
        """
        left = [one for one in self._endpoints if one.out is None and one not in never]
        opening = min((endpoint.takes_from(now) for endpoint in left), default=math.inf)
        if opening > now + max(patience, 0.0):  # its time may have run out a moment ago
            raise NoEndpointError(self._why(now))
        later = [
            endpoint.takes_from(now)
            for endpoint in left
            if endpoint.limiter.has_room and endpoint.takes_from(now) > now
        ]
        return min(later) - now if later else None

    def _why(self, now: float) -> str:
        shut = [
            f"{one.address} for {_seconds(one.takes_from(now) - now)} more "
            f"(last: {one.last_failure})"
            if one.out is None
            else f"{one.address} was left out ({one.out.seen})"
            for one in self._endpoints
        ]
        return f"no endpoint takes calls: {'; '.join(shut)}"

    async def _change(self, seconds: float | None, *, first: bool) -> None:
        """Wait until there is a place, or for so long.

        Args:
            seconds: The time; None: no end.
            first: Whether to go before all others: one that was woken and found its place taken.
        """
        future = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(future)
        else:
            self._waiting.append(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._forget(future)
            self._wake()
            raise
        self._forget(future)

    def _forget(self, future: asyncio.Future[None]) -> None:
        if future in self._waiting:
            self._waiting.remove(future)

    def _wake(self, *, everyone: bool = False) -> None:
        """Wake whoever has waited longest if there is a place, who wakes the next in turn.

        Everyone looks again where an endpoint was shut: waiting may be vain from now on.
        """
        now = self._clock()
        while self._waiting and (everyone or any(one.takes(now) for one in self._endpoints)):
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                if not everyone:
                    return


def _preference(
    endpoint: Endpoint, now: float, avoid: Collection[Endpoint]
) -> tuple[bool, bool, float]:
    """Sort endpoints: those not to avoid, then those in good health, then the least loaded."""
    load = endpoint.limiter.in_flight / endpoint.limiter.limit
    return endpoint in avoid, endpoint.breaker.state(now) != "closed", load


def _seconds(wait: float) -> str:
    return f"{wait:,.0f} s" if wait >= _WHOLE else f"{wait:.3g} s"
