"""Settings and requests that the tests of judges behind servers share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlaif.config.secrets import Secret
from rlaif.config.serving import ServerConfig
from rlaif.judges import PAIR_LABELS, JudgeReply, JudgeRequest
from rlaif.judges.budget import Budget
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies, ReplyStore
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Behaviour, Loopback, completion, replying

KEY = "sk-0123456789abcdef"
SPOKEN = "It is polite.\nVerdict: A"
QUICK: Mapping[str, Any] = {
    "model": "m",
    "backoff_seconds": 0.001,
    "breaker_failures": 100,
    "breaker_seconds": 0.05,
    "connect_seconds": 1.0,
    "read_seconds": 2.0,
    "total_seconds": 5.0,
    "attempts": 4,
}


def request(text: str = "Which is better?", labels: tuple[str, ...] = PAIR_LABELS) -> JudgeRequest:
    return JudgeRequest(text=text, labels=labels, criterion="c", shown=())


def requests(count: int) -> list[JudgeRequest]:
    return [request(f"问题 {number} 🙂 e\u0301 \u05d0?") for number in range(count)]


def settings(*servers: Loopback, **changes: Any) -> ServerConfig:
    addresses = [server.address for server in servers]
    return ServerConfig.model_validate({**QUICK, "endpoints": addresses, **changes})


def judge_at(
    *servers: Loopback,
    store: ReplyStore | None = None,
    key: Secret | None = None,
    budget: Budget | None = None,
    tell: Callable[[str], None] | None = None,
    **changes: Any,
) -> OpenAIJudge:
    config = settings(*servers, **changes)
    kept = MemoryReplies() if store is None else store
    return OpenAIJudge(config, kept, key=key, budget=budget, tell=tell)


def spoken(_asked: Asked) -> dict[str, Any]:
    return completion(SPOKEN)


GOOD = replying(spoken)
BUSY = {"message": "slow down", "code": "rate_limit_exceeded"}


def echo(asked: Asked) -> dict[str, Any]:
    return completion(f"You said {asked.text}\nVerdict: A", usage=(asked.number, 3))


def with_log_probs(_asked: Asked) -> dict[str, Any]:
    pieces = [
        piece("It is polite.\n"),
        piece("Verdict:"),
        piece(" A", 0.7, **{" B": 0.2, "B": 0.1}),
    ]
    return completion(SPOKEN, pieces=pieces)


def refuses(name: str, status: int = 400, **error: Any) -> Behaviour:
    """Refuse requests with a field, and answer the others."""
    message = error.pop("message", f"Unsupported parameter: '{name}'")

    async def behaviour(asked: Asked, writer: Any) -> None:
        bad = refusing(status, {"message": message, **error})
        await (bad if name in asked.body else GOOD)(asked, writer)

    return behaviour


def only(replies: Sequence[JudgeReply]) -> JudgeReply:
    (reply,) = replies
    return reply


def failures(replies: Sequence[JudgeReply]) -> list[str | None]:
    return [reply.failure for reply in replies]


def piece(text: str, probability: float = 1.0, **alternatives: float) -> dict[str, Any]:
    """Return a token with its log-prob and alternatives, itself among them."""
    import math

    def entry(token: str, p: float) -> dict[str, Any]:
        return {"token": token, "logprob": math.log(p), "bytes": list(token.encode("utf-8"))}

    listed = {text: probability, **alternatives}
    return {**entry(text, probability), "top_logprobs": [entry(t, p) for t, p in listed.items()]}
