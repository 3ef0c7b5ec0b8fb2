"""One call from its first attempt to its last: budget, time, back-off, fail-over."""

import asyncio
import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from rlaif.config.serving import ServerConfig
from rlaif.errors import ModelError
from rlaif.judges.budget import Bill
from rlaif.judges.remote.asking import Asked, Asking, Question
from rlaif.judges.remote.completion import (
    Completion,
    MalformedReplyError,
    Said,
    names_model,
    read_completion,
)
from rlaif.judges.remote.endpoints import Endpoint, NoEndpointError, Pool, Slot
from rlaif.judges.remote.failures import AttemptError, ForbiddenError, RefusedFieldError
from rlaif.judges.remote.keeping import GroupCommit
from rlaif.judges.remote.limiter import Outcome
from rlaif.judges.remote.run import Account, Counts, Stop
from rlaif.judges.remote.sending import Sender
from rlaif.judges.remote.waits import Backoff
from rlaif.judges.remote.writing import Writing
from rlaif.records import Spent, StoredReply
from rlaif.text import quoted

T = TypeVar("T")
_BYTES_PER_TOKEN = 3  # of UTF-8; English has about 4, Chinese 3 to 5
_MILLION = 1e6


class CallFailedError(Exception):
    """A call brought no reply in all its attempts."""


@dataclass(frozen=True)
class Received:
    """A reply: how it was asked for, as it is kept, and as it reads.

    Attributes:
        asked: How it was asked for.
        stored: As it is kept.
        completion: As it reads.
        silent: Why it holds no words; it was paid for, and is no result that is ever found again.
    """

    asked: Asked
    stored: StoredReply
    completion: Completion
    silent: str = ""

    def kept_as(self, stored: StoredReply) -> "Received":
        """Return what the store has instead: itself, unless another process was faster."""
        if stored == self.stored:
            return self
        return Received(self.asked, stored, read_completion(stored.raw))


@dataclass(frozen=True)
class Tools:
    """What calls are made with; all of it is shared by the calls of one ``judge()``."""

    config: ServerConfig
    asking: Asking
    pool: Pool
    sender: Sender
    account: Account
    keeping: GroupCommit
    backoff: Backoff
    counts: Counts
    stop: Stop


class Call:
    """One call. Its time runs from its first attempt, not while it waits for the first place.

    Args:
        tools: What it is made with.
        question: What is asked.
    """

    def __init__(self, tools: Tools, question: Question) -> None:
        self._tools = tools
        self._config = tools.config
        self._question = question
        self._most_read = _tokens_of(question.request.text)
        self._most_written = tools.asking.most_tokens(question.request) * question.draws
        self._estimate = Spent(
            calls=1,
            tokens=self._most_read + self._most_written,
            money=_cost(tools.config, self._most_read, self._most_written),
        )
        self._failures: list[AttemptError] = []
        self._tried: set[Endpoint] = set()
        self._strangers: set[Endpoint] = set()
        self._deadline: float | None = None

    async def run(self) -> Received:
        """Ask until a reply comes; it is kept when this returns, and so is all that was paid for.

        One without words comes back too, kept as what was paid for in vain: asking for it again
        would cost as much, and bring the same.

        Raises:
            CallFailedError: None came, with the reasons.
            BudgetSpentError: The budget has no room for the call.
            ModelError: Every call would fail alike: no endpoint is left.
        """
        while True:
            bill = await self._wait(self._admission())
            try:
                slot = await self._wait(self._place())
                received = await self._attempt(slot, bill)
            except AttemptError as failed:
                self._failures.append(failed)
                self._tried.add(slot.endpoint)
                if failed.kind == "elsewhere":
                    self._strangers.add(slot.endpoint)
                if failed.paid is not None:
                    await self._tools.keeping.keep_refused(failed.paid)
            else:
                return await self._kept(received)
            finally:
                self._tools.account.end(bill)
            if not self._goes_on():
                raise self._failed()

    async def _kept(self, received: Received) -> Received:
        if received.silent:
            await self._tools.keeping.keep_refused(received.stored)
            self._tools.counts.failures += 1
            return received
        stored = await self._tools.keeping.keep(received.stored)
        self._tools.counts.replies += 1
        return received.kept_as(stored)

    async def _wait(self, what: Coroutine[Any, Any, T]) -> T:
        """Wait for something before an attempt, no longer than the call may last."""
        try:
            with self._tools.stop.waiting():
                async with asyncio.timeout_at(self._deadline):
                    return await what
        except TimeoutError:
            raise self._failed(f"no reply within {self._config.total_seconds:g} s") from None
        finally:
            what.close()

    async def _admission(self) -> Bill:
        """Rest after a failure, unless another endpoint is left; then wait for the budget."""
        if self._failures and not self._tools.pool.has_other(self._tried):
            await asyncio.sleep(self._tools.backoff.seconds(len(self._failures)))
        return await self._tools.account.begin(self._estimate)

    async def _place(self) -> Slot:
        now = asyncio.get_running_loop().time()
        left = self._config.total_seconds if self._deadline is None else self._deadline - now
        try:
            slot = await self._tools.pool.acquire(left, self._tried, self._strangers)
        except NoEndpointError as exc:
            raise self._failed(str(exc)) from None
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + left
        return slot

    async def _attempt(self, slot: Slot, bill: Bill) -> Received:
        """Make an attempt, and give its place back with what it taught."""
        outcome: Outcome = "other"
        alive: bool | None = None
        pause: float | None = None
        try:
            received = await self._in_time(slot.endpoint, bill)
            outcome, alive = "ok", True
        except AttemptError as exc:
            slot.endpoint.last_failure = exc.reason
            alive, pause = exc.alive, exc.pause
            if exc.kind == "overload" or exc.slow:
                outcome = "overload"
            if exc.kind == "overload" and pause is None and slot.endpoint.limiter.limit <= 1.0:
                alive = False  # too much for it, one call at a time: as good as broken
            raise
        finally:
            self._tools.pool.release(slot, outcome, alive=alive, pause=pause)
        return received

    async def _in_time(self, endpoint: Endpoint, bill: Bill) -> Received:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._sent(endpoint, bill)
        except TimeoutError:
            reason = f"{endpoint.address}: no reply within {self._config.total_seconds:g} s"
            late = AttemptError("final", reason, sent=True, slow=True, alive=False)
            asked = self._tools.asking.form(self._question, endpoint.refused)
            raise self._charged(late, asked, bill, self._config.total_seconds) from None

    async def _sent(self, endpoint: Endpoint, bill: Bill) -> Received:
        """Send the question, without the fields that the server refuses one after the other."""
        asking = self._tools.asking
        while True:
            asked = asking.form(self._question, endpoint.refused)
            body = asking.body(self._question, asked, endpoint.refused, endpoint.top_logprobs)
            self._tools.counts.calls += 1
            self._tools.counts.retries += bool(self._failures)
            start = time.perf_counter()
            try:
                raw = await self._tools.sender.post(endpoint.address, body)
            except RefusedFieldError as refused:
                self._tools.pool.refuse(endpoint, refused.name, body)
            except ModelError as exc:
                self._tools.pool.take_out(endpoint, exc)
                raise AttemptError("out", exc.seen) from None
            except ForbiddenError as exc:
                raise self._forbidden(endpoint, exc) from None
            except AttemptError as exc:
                raise self._charged(exc, asked, bill, time.perf_counter() - start) from None
            else:
                return self._received(endpoint, asked, raw, time.perf_counter() - start, bill)

    def _forbidden(self, endpoint: Endpoint, failed: ForbiddenError) -> AttemptError:
        """Leave an endpoint out that says nothing but 403; else the question is what it forbids."""
        if not endpoint.forbids():
            return failed
        self._tools.pool.take_out(endpoint, failed.always)
        return AttemptError("out", failed.always.seen)

    def _received(
        self, endpoint: Endpoint, asked: Asked, raw: str, latency: float, bill: Bill
    ) -> Received:
        """Read the envelope of a reply and book what it cost.

        Raises:
            AttemptError: It is no completion, or of another model.
        """
        try:
            completion = read_completion(raw)
        except MalformedReplyError as exc:
            reason = f"{endpoint.address}: {exc}"
            garbled = AttemptError("trouble", reason, sent=True, raw=raw)
            raise self._charged(garbled, asked, bill, latency) from None
        endpoint.answered = True
        stored = self._stored(asked, raw, completion, latency)
        tokens = stored.prompt_tokens + stored.reply_tokens
        bill.add(Spent(calls=1, tokens=tokens, money=stored.cost))
        fault = self._fault(endpoint.address, completion)
        if fault is not None:
            fault.paid = stored
            raise fault
        return Received(asked, stored, completion, self._silence(endpoint.address, completion))

    def _fault(self, address: str, completion: Completion) -> AttemptError | None:
        """Say why a completion is no reply to the question, if so."""
        if not is_of_the_model(self._config, completion):
            reason = (
                f"{address}: the reply is of the model {quoted(completion.model)}, not of "
                f"{quoted(self._config.model)} (judge.server.check_model = false takes it)"
            )
            return AttemptError("elsewhere", reason)
        return None

    def _silence(self, address: str, completion: Completion) -> str:
        """Say why a completion holds no words; nothing where it does."""
        if any((said.content or "").strip() for said in completion.said):
            return ""
        return f"{address}: the reply has no words ({self._why_silent(completion.said[0])})"

    def _why_silent(self, said: Said) -> str:
        if said.refusal is not None:
            return f"refusal: {quoted(said.refusal)}"
        finish = f"finish_reason: {quoted(said.finish)}"
        if said.finish != "length":
            return finish
        if isinstance(self._question.request, Writing):
            return f"{finish}, at {self._question.request.max_tokens} tokens"
        return f"{finish}; raise judge.server.max_tokens"

    def _charged(
        self, failed: AttemptError, asked: Asked, bill: Bill, latency: float
    ) -> AttemptError:
        """Book an attempt that may be charged for, at the most that it is likely to have taken.

        What the server counted is not known; one that wrote to the limit and came too late charges
        for all of it, and a limit that such calls do not reach would be none.
        """
        if failed.sent:
            bill.add(self._estimate)
            failed.paid = StoredReply(
                key=asked.key,
                judge=self._tools.asking.digest,
                model=self._config.model,
                raw=failed.raw,
                prompt_tokens=self._most_read,
                reply_tokens=self._most_written,
                latency=latency,
                cost=self._estimate.money,
            )
        return failed

    def _stored(
        self, asked: Asked, raw: str, completion: Completion, latency: float
    ) -> StoredReply:
        """Return what is kept of a reply; tokens that the server does not count are estimated."""
        read, written = completion.prompt_tokens, completion.reply_tokens
        if read is None:
            read = self._most_read
        if written is None:
            words = "".join(said.content or "" for said in completion.said)
            written = _tokens_of(words)
        return StoredReply(
            key=asked.key,
            judge=self._tools.asking.digest,
            model=completion.model or self._config.model,
            raw=raw,
            prompt_tokens=read,
            reply_tokens=written,
            latency=latency,
            cost=_cost(self._config, read, written),
        )

    def _goes_on(self) -> bool:
        """Tell whether another attempt may help; of overload only time has enough.

        An endpoint that is left out from now on has cost the call no attempt.
        """
        last = self._failures[-1].kind
        counted = sum(failure.kind not in {"overload", "out"} for failure in self._failures)
        if self._tools.stop.over or counted >= self._config.attempts:
            return False
        if last == "elsewhere":
            return self._tools.pool.has_other(self._tried)
        return last != "final"

    def _failed(self, reason: str = "") -> CallFailedError:
        """Say how often the call was tried and what came of the last attempts."""
        reasons = [failure.reason for failure in self._failures[-2:]]
        parts = [reason] if reason else []
        if reasons:
            parts.append(f"attempt {len(self._failures)}: {reasons[-1]}")
        if len(set(reasons)) == 2:
            parts.append(f"before that: {reasons[0]}")
        return CallFailedError("; ".join(parts))


def is_of_the_model(config: ServerConfig, completion: Completion) -> bool:
    """Whether a reply is taken for the model that it names."""
    return not config.check_model or names_model(completion.model, config.model)


def _tokens_of(text: str) -> int:
    return math.ceil(len(text.encode("utf-8")) / _BYTES_PER_TOKEN)


def _cost(config: ServerConfig, read: int, written: int) -> float:
    return (read * config.prompt_price + written * config.reply_price) / _MILLION
