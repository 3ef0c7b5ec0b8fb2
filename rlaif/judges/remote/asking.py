"""What a server is sent for one question, and the key of its reply."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from rlaif.config.serving import ServerConfig
from rlaif.judges.protocol import VERSION, JudgeRequest
from rlaif.judges.remote.writing import Writing
from rlaif.judges.verdict_forms import spoken_labels
from rlaif.records import Unscored, digest_of
from rlaif.seeds import derive_seed

ReplyFormat = Literal["text", "json_schema"]
SECOND_TEMPERATURE = 0.7
_SEED_RANGE = 2**31


@dataclass(frozen=True)
class Question:
    """One call to make: a request, and which of its samples.

    Attributes:
        request: What is asked.
        index: The sample, from 0; the first of them where one call draws several.
        draws: How many samples the call draws.
    """

    request: JudgeRequest
    index: int = 0
    draws: int = 1


@dataclass(frozen=True)
class Asked:
    """A question as it is put to a server, after what that server does not take.

    Attributes:
        key: Digest of all that leads to the reply.
        format: The form of the reply that was asked for.
        draws: Replies asked for.
    """

    key: str
    format: ReplyFormat
    draws: int


class Asking:
    """Puts questions into the words of OpenAI's chat completions.

    Args:
        config: The judge's settings.
        name: Tells judges apart whose model has the same name on different servers; empty where
            there is none such.

    Attributes:
        digest: Digest of all settings that decide what a judge says; no address, no key.
    """

    def __init__(self, config: ServerConfig, name: str = "") -> None:
        self._config = config
        own = [f"called {name}"] if name else []
        hidden = [list(config.special_tokens)] if config.special_tokens else []
        self.digest = digest_of(
            [
                "openai",
                config.model,
                config.temperature,
                config.samples,
                config.samples_by,
                config.max_tokens,
                config.reply_format,
                config.log_probs,
                *own,
                *hidden,
            ]
        )

    def forms(self, question: Question) -> list[Asked]:
        """List the ways to ask a question, the one that the settings name first.

        Each is there twice: with the reply's model checked, then with any model taken.
        """
        formats: list[ReplyFormat] = ["text"]
        if self._format(question.request) == "json_schema":
            formats.insert(0, "json_schema")
        draws = [question.draws, 1] if question.draws > 1 else [1]
        return [
            self._asked(question, form, drawn, checked=checked)
            for checked in (True, False)
            for drawn in draws
            for form in formats
        ]

    def form(self, question: Question, refused: Collection[str]) -> Asked:
        """Return how to ask a server that refuses some fields."""
        format_ = self._format(question.request)
        if "response_format" in refused:
            format_ = "text"
        draws = 1 if "n" in refused else question.draws
        return self._asked(question, format_, draws, checked=self._config.check_model)

    def body(
        self, question: Question, asked: Asked, refused: Collection[str], top_logprobs: int
    ) -> dict[str, Any]:
        """Return a request's fields."""
        config = self._config
        limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        body: dict[str, Any] = {
            "model": config.model,
            "messages": _messages(question.request),
            "temperature": self._temperature(question.request),
            limit: self.most_tokens(question.request),
        }
        if self.wants_log_probs(question.request) and "logprobs" not in refused:
            body |= {"logprobs": True, "top_logprobs": top_logprobs}
        if asked.draws > 1:
            body["n"] = asked.draws
        if body["temperature"] > 0.0 and "seed" not in refused:
            body["seed"] = self._seed(question)
        if asked.format == "json_schema":
            body["response_format"] = _schema(question.request)
        return body

    def most_tokens(self, request: JudgeRequest) -> int:
        """Return how many tokens a reply may take."""
        return _limit(request) or self._config.max_tokens

    def _temperature(self, request: JudgeRequest) -> float:
        """Return a temperature: a second asking must be able to come out otherwise."""
        again = request.attempt > 1 and self._config.temperature == 0.0
        return SECOND_TEMPERATURE if again else self._config.temperature

    def samples(self, request: JudgeRequest) -> int:
        """Return how many replies a request takes: a ranking, or free text, is one."""
        return self._config.samples if _takes_a_verdict(request) else 1

    def wants_log_probs(self, request: JudgeRequest) -> bool:
        """Whether a verdict is read from log-probs where a server gives them."""
        config = self._config
        return config.log_probs and config.samples == 1 and _takes_a_verdict(request)

    def _format(self, request: JudgeRequest) -> ReplyFormat:
        return self._config.reply_format if _takes_a_verdict(request) else "text"

    def _asked(
        self, question: Question, format_: ReplyFormat, draws: int, *, checked: bool
    ) -> Asked:
        parts = [
            *(VERSION, self.digest, _messages(question.request), list(question.request.labels)),
            *(format_, question.index, draws),
        ]
        if format_ == "json_schema":
            parts.append(_schema(question.request))
        if question.request.attempt > 1:
            parts.append(f"attempt {question.request.attempt}")
        if limit := _limit(question.request):
            parts.append(f"at most {limit} tokens")
        if not checked:
            parts.append("of any model")
        return Asked(digest_of(parts), format_, draws)

    def _seed(self, question: Question) -> int:
        """Return a seed that follows from the question alone, another for each sample."""
        request = question.request
        names = () if request.attempt == 1 else (request.attempt,)
        first = derive_seed(0, "judge-sample", self.digest, request.text, *names)
        return (first + question.index) % _SEED_RANGE


def _takes_a_verdict(request: JudgeRequest) -> bool:
    return request.asks == "verdict" and not isinstance(request, Writing)


def _limit(request: JudgeRequest) -> int:
    """Return a request's own limit of its reply, in tokens; 0 where the settings' holds."""
    return request.max_tokens if isinstance(request, Writing) else 0


def _messages(request: JudgeRequest) -> list[dict[str, str]]:
    return [{"role": "user", "content": request.text}]


def _schema(request: JudgeRequest) -> dict[str, Any]:
    spoken = spoken_labels(request.form, request.labels)
    words = list(request.labels) if isinstance(spoken, Unscored) else list(spoken)
    verdict = {"type": "string", "enum": words, "description": "the verdict's label, nothing else"}
    critique = {"type": "string", "description": "the critique, in words"}
    fields = (
        {"critique": critique, "verdict": verdict} if request.critique else {"verdict": verdict}
    )
    schema = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "judgement", "strict": True, "schema": schema},
    }
