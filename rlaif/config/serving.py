"""Settings of a judge behind a server, and of what judging may cost."""

import re
from itertools import chain
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from rlaif.config.control_tokens import COMMON
from rlaif.config.section import Section
from rlaif.toml_source import ContradictionError, Unshown

Price = Annotated[float, Field(ge=0.0)]
Strings = Annotated[tuple[str, ...], Field(strict=False)]
Limit = Literal["off"] | PositiveInt
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")


TRANSPORT = frozenset(
    {
        *("endpoints", "key_variable", "key_file", "max_in_flight", "attempts"),
        *("connect_seconds", "read_seconds", "total_seconds", "max_reply_bytes"),
        *("backoff_seconds", "max_backoff_seconds", "breaker_failures", "breaker_seconds"),
        *("prompt_price", "reply_price"),
    }
)
"""What decides how replies come, and nothing that is said in them."""


class ServerConfig(Section):
    """A judge behind one server or several that speak OpenAI's chat completions."""

    endpoints: Annotated[Strings, Unshown()] = Field(
        (),
        description="addresses that serve the judge, up to and with /v1; one that fails hands over "
        "to the others",
    )
    model: str = Field("", description="the model's name on the servers")
    key_variable: Annotated[str, Unshown()] = Field(
        "", description="variable of the environment that holds the key, in capitals"
    )
    key_file: Annotated[str, Unshown()] = Field(
        "", description="or a file that holds it, mode 0600"
    )
    reply_format: Literal["text", "json_schema"] = Field(
        "text",
        description="text: critique, then a line 'Verdict: LABEL'; json_schema: an object of "
        "critique and verdict, where the server has response_format",
    )
    log_probs: bool = Field(
        True,
        description="read soft verdicts off the label's log-probs where the server gives them; a "
        "reply that came without them is read from words, and is not paid for again for their sake",
    )
    max_tokens: PositiveInt = Field(512, description="tokens of a reply, the verdict's included")
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.0, description="sampling temperature; samples > 1 need one above 0"
    )
    samples: PositiveInt = Field(
        1, description="replies drawn per question; the verdict is their share"
    )
    samples_by: Literal["requests", "n"] = Field(
        "requests",
        description="requests: a call per sample, each with a seed of its own; n: one call for "
        "all, where the server has n",
    )
    max_in_flight: PositiveInt = Field(
        64, description="calls at once per endpoint; fewer while the server says 429 or 503"
    )
    attempts: PositiveInt = Field(
        6, description="times that a call is tried, on all endpoints; 429 and 503 do not count"
    )
    connect_seconds: PositiveFloat = Field(10.0, description="time to connect")
    read_seconds: PositiveFloat = Field(60.0, description="time without a byte of the reply")
    total_seconds: PositiveFloat = Field(
        180.0, description="time of a call over all its attempts and the waits between them"
    )
    backoff_seconds: PositiveFloat = Field(
        0.5, description="longest wait after a first failed attempt; doubles with each"
    )
    max_backoff_seconds: PositiveFloat = Field(30.0, description="bound of that doubling")
    breaker_failures: PositiveInt = Field(
        5, description="failures on end after which an endpoint is left alone"
    )
    breaker_seconds: PositiveFloat = Field(
        5.0, description="for how long, until one call tries it again; doubles while that fails"
    )
    max_reply_bytes: PositiveInt = Field(
        10_000_000, description="a reply that is larger is refused and not read to its end"
    )
    check_model: bool = Field(
        True,
        description="refuse replies, kept ones too, that name another model than the one asked for",
    )
    special_tokens: Strings = Field(
        ("common",),
        validate_default=True,
        description="control tokens of the judge's tokenizer, broken in what it is shown; 'common' "
        "stands for those of common families of chat models; []: none",
    )
    prompt_price: Price = Field(0.0, description="money per million prompt tokens")
    reply_price: Price = Field(0.0, description="money per million reply tokens")

    @field_validator("special_tokens")
    @classmethod
    def _token_by_token(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        tokens = (COMMON if name == "common" else (name,) for name in names)
        return tuple(dict.fromkeys(chain.from_iterable(tokens)))

    @field_validator("endpoints")
    @classmethod
    def _addresses(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        for number, address in enumerate(endpoints, start=1):
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(
                    f"addresses such as http://127.0.0.1:8000/v1, which number {number} is not"
                )
            if parts.username is not None or parts.query or parts.fragment:
                raise ValueError(
                    "an address has no user, password, query or fragment; a key goes into "
                    "key_variable or key_file"
                )
        if len(set(endpoints)) != len(endpoints):
            raise ValueError("the same address twice")
        return endpoints

    @field_validator("key_variable")
    @classmethod
    def _variable(cls, name: str) -> str:
        if name and not _VARIABLE.fullmatch(name):
            raise ValueError(
                "the name of an environment's variable: capitals, digits and underscores; the key "
                "itself goes into that variable, or into a file that key_file names"
            )
        return name

    def check(self, *section: str | int) -> None:
        """Check what must stand together once a server is to be used.

        Args:
            *section: Where these settings stand, for instance ``"judge", "server"``.

        Raises:
            ContradictionError: No endpoint, no model, two keys, or samples that would all be alike.
        """
        if not self.endpoints:
            raise ContradictionError(
                (*section, "endpoints"), "= []: no address to ask", "name at least one"
            )
        if not self.model.strip():
            raise ContradictionError(
                (*section, "model"), '= "": no model to ask for', "name it as the server does"
            )
        if self.key_variable and self.key_file:
            raise ContradictionError(
                (*section, "key_file"), "and key_variable both name a key", "keep one of them"
            )
        if self.samples > 1 and self.temperature == 0.0:
            raise ContradictionError(
                (*section, "samples"),
                f"= {self.samples} at temperature 0 would all be alike",
                "raise temperature, for instance to 0.7, or draw one sample",
            )


class BudgetConfig(Section):
    """What judging on servers may cost before a cycle is parked."""

    cycle_calls: Limit = Field("off", description="calls per cycle")
    cycle_tokens: Limit = Field(
        "off",
        description="tokens per cycle, of prompts and replies; a call that times out or brings "
        "garbage counts, here and in money, as its prompt and all that max_tokens allows",
    )
    cycle_money: Literal["off"] | PositiveFloat = Field(
        "off", description="money per cycle, in the currency of the prices"
    )
    day_calls: Limit = Field("off", description="calls per day (UTC)")
    day_tokens: Limit = Field("off", description="tokens per day (UTC)")
    day_money: Literal["off"] | PositiveFloat = Field("off", description="money per day (UTC)")
