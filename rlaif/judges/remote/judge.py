"""A judge behind any server that speaks OpenAI's chat completions."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from rlaif.config.secrets import Secret
from rlaif.config.serving import ServerConfig
from rlaif.judges.budget import Budget
from rlaif.judges.protocol import JudgeReply, JudgeRequest, WriteReply, WriteRequest
from rlaif.judges.remote.answers import Part, part_of, reply_of
from rlaif.judges.remote.asking import Asking, Question
from rlaif.judges.remote.breaker import Breaker
from rlaif.judges.remote.calling import Call, CallFailedError, Received, Tools, is_of_the_model
from rlaif.judges.remote.completion import read_completion
from rlaif.judges.remote.endpoints import IN_WORDS, Endpoint, Pool
from rlaif.judges.remote.keeping import GroupCommit
from rlaif.judges.remote.limiter import Limiter
from rlaif.judges.remote.run import Account, Counts, Stop
from rlaif.judges.remote.sending import Sender
from rlaif.judges.remote.waits import Backoff
from rlaif.judges.remote.writing import put, written
from rlaif.judges.replies import ReplyStore
from rlaif.progress import Answered, nobody
from rlaif.seeds import derive_seed, numpy_generator

Answers = dict[str, list[Part] | str]


class OpenAIJudge:
    """Asks servers: a call is one chat completion, or several where samples are drawn.

    Windows, breakers and what each server refuses are kept from one ``judge()`` to the next.

    Args:
        config: The judge's settings, checked (``ServerConfig.check``).
        store: Where replies are kept; what is there is not asked for again.
        key: The servers' key, or None.
        budget: What it may cost; None: anything.
        seed: Seed of the waits between attempts; no reply depends on it.
        name: Tells it from a judge whose model has the same name on other servers.
        tell: Told once of each endpoint that takes no more calls while others do, and of log-probs
            that were asked for and did not come.
        answered: Told of replies as they come, in vain or not; those that are kept come first.

    Attributes:
        name: The model's name.
        digest: Digest of what decides its replies; the same wherever the servers are.
        special_tokens: What the settings name.
        counts: Calls, retries, replies and failures so far.
    """

    def __init__(
        self,
        config: ServerConfig,
        store: ReplyStore,
        *,
        key: Secret | None = None,
        budget: Budget | None = None,
        seed: int = 0,
        name: str = "",
        tell: Callable[[str], None] | None = None,
        answered: Answered = nobody,
    ) -> None:
        self._answered = answered
        self._config = config
        self._store = store
        self._key = key
        self._budget = budget
        self._tell = tell
        self._asking = Asking(config, name)
        self._backoff = Backoff(
            config.backoff_seconds,
            config.max_backoff_seconds,
            numpy_generator(derive_seed(seed, "judge-backoff")),
        )
        self._endpoints = [
            Endpoint(
                address,
                Limiter(config.max_in_flight),
                Breaker(config.breaker_failures, config.breaker_seconds),
            )
            for address in config.endpoints
        ]
        self.name = config.model
        self.digest = self._asking.digest
        self.special_tokens = config.special_tokens
        self.counts = Counts()
        self._said_bare = False

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests in their order.

        It runs an event loop of its own, so it is not called from a coroutine.

        Raises:
            BudgetSpentError: The budget has no room for another call. Calls that were under way
                were waited for, and their replies are kept.
            ModelError: Every endpoint refuses the key, the model or the account, so no call can
                succeed. One that does is left out while others go on.
        """
        answers: Answers = {}
        missing: dict[str, Question] = {}
        asked = [self._questions(request) for request in requests]
        for name, question in (one for questions in asked for one in questions):
            if name not in answers and name not in missing:
                known = self._known(question)
                if known is None:
                    missing[name] = question
                else:
                    answers[name] = known
        self._answered(len(answers), len(answers) + len(missing))
        if missing:
            asyncio.run(self._ask(missing, answers))
        replies = [
            self._reply(request, [answers[name] for name, _ in questions])
            for request, questions in zip(requests, asked, strict=True)
        ]
        self._count_log_probs(requests, replies)
        return replies

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        """Write free text to requests; raises what :meth:`judge` does."""
        replies = self.judge(put(requests))
        return [
            written(self.digest, request, reply)
            for request, reply in zip(requests, replies, strict=True)
        ]

    def _questions(self, request: JudgeRequest) -> list[tuple[str, Question]]:
        """List a request's questions with their names; those of one name get the same reply."""
        samples = self._asking.samples(request)
        if self._config.samples_by == "n":
            questions = [Question(request, draws=samples)]
        else:
            questions = [Question(request, index) for index in range(samples)]
        return [(self._asking.form(question, ()).key, question) for question in questions]

    def _known(self, question: Question) -> list[Part] | None:
        """Return what the store holds for a question, if that is all of it."""
        parts: list[Part] = []
        for rest in _draws(question, parts):
            found = self._kept(rest)
            if found is None:
                return None
            parts.append(part_of(question.request, found))
        self.counts.reused += len(parts)
        return parts

    def _kept(self, question: Question) -> Received | None:
        """Return a reply that is kept, and that would be taken if it came now."""
        for asked in self._asking.forms(question):
            stored = self._store.get(asked.key)
            if stored is not None:
                completion = read_completion(stored.raw)
                if is_of_the_model(self._config, completion):
                    return Received(asked, stored, completion)
        return None

    async def _ask(self, questions: Mapping[str, Question], answers: Answers) -> None:
        """Ask what is missing.

        There is a worker for each call that may be in flight, and it holds a reply until that is
        kept: so a kill costs no more calls than may be in flight.
        """
        stop, keeping = Stop(), GroupCommit(self._store)
        total = len(answers) + len(questions)
        async with Sender(self._config, self._key) as sender:
            tools = Tools(
                config=self._config,
                asking=self._asking,
                pool=Pool(self._endpoints, tell=self._tell),
                sender=sender,
                account=Account(self._budget),
                keeping=keeping,
                backoff=self._backoff,
                counts=self.counts,
                stop=stop,
            )
            most = self._config.max_in_flight * len(self._endpoints)
            left = iter(questions.items())
            workers = [
                asyncio.create_task(self._work(tools, left, answers, total))
                for _ in range(min(most, len(questions)))
            ]
            try:
                await asyncio.wait(workers)
            finally:
                stop.end()
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                keeping.flush()
        if stop.error is not None:
            raise stop.error

    async def _work(
        self,
        tools: Tools,
        questions: Iterator[tuple[str, Question]],
        answers: Answers,
        total: int,
    ) -> None:
        """Ask questions, until none is left or the run is stopped; answers will be ``total``."""
        for name, question in questions:
            if tools.stop.over:
                return
            try:
                answers[name] = await self._answer(tools, question)
            except CallFailedError as failed:
                self.counts.failures += 1
                answers[name] = str(failed)
            except Exception as exc:  # noqa: BLE001 - it ends the run, which raises it
                tools.stop.because(exc)
            self._answered(len(answers), total)

    async def _answer(self, tools: Tools, question: Question) -> list[Part]:
        """Ask a question; what a server drew too few of is asked for one by one."""
        parts: list[Part] = []
        for rest in _draws(question, parts):
            found = self._kept(rest)
            if found is None:
                found = await Call(tools, rest).run()
            else:
                self.counts.reused += 1
            parts.append(part_of(question.request, found))
        return parts

    def _reply(self, request: JudgeRequest, answers: Sequence[list[Part] | str]) -> JudgeReply:
        failures = [answer for answer in answers if isinstance(answer, str)]
        if failures:
            missing = f"{len(failures)} of {len(answers)} samples did not come; the first: "
            return JudgeReply("", None, (missing if len(answers) > 1 else "") + failures[0])
        parts = [part for answer in answers if not isinstance(answer, str) for part in answer]
        return reply_of(request, self.digest, parts, self._asking.samples(request))

    def _count_log_probs(
        self, requests: Sequence[JudgeRequest], replies: Sequence[JudgeReply]
    ) -> None:
        """Count the replies whose log-probs were wanted and could not be read; say once if most.

        What a server refuses is told by itself; this is for those that leave them out.
        """
        wanted = [
            reply.call
            for request, reply in zip(requests, replies, strict=True)
            if self._asking.wants_log_probs(request) and reply.call and reply.failure is None
        ]
        lacking = sum(not call.label_probs for call in wanted)
        self.counts.without_log_probs += lacking
        refused = any("logprobs" in endpoint.refused for endpoint in self._endpoints)
        if 2 * lacking <= len(wanted) or refused or self._said_bare:
            return
        self._said_bare = True
        if self._tell is not None:
            self._tell(
                f"most replies of the judge {self.name} came without log-probs of their verdict "
                f"that can be read: {IN_WORDS}"
            )


def _draws(question: Question, parts: Sequence[Part]) -> Iterator[Question]:
    """List the calls for a question: one, then others for the samples that did not come with it.

    Args:
        question: The question.
        parts: What came; the caller adds to it as it goes.
    """
    yield question
    while (drawn := sum(len(part.samples) for part in parts)) < question.draws:
        yield Question(question.request, question.index + drawn)
