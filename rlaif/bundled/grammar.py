"""The grammar of the help desk: every prompt it can make, and the way back from a prompt's text.

A prompt is one phrasing of one item (a fact, a topic of advice, a harmful request) in the mouth of
one customer (neutral, polite or rude). Prompts are read back by exact lookup, so whatever the
grammar can say it can also parse, and nothing else.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache

from rlaif.bundled.facts import FACTS, Fact
from rlaif.bundled.phrases import POLITE_AFTER, POLITE_BEFORE, RUDE_AFTER, RUDE_BEFORE
from rlaif.bundled.requests import ADVICE, HARMFUL, REQUEST_QUESTIONS
from rlaif.errors import UsageError

HELD_OUT_PERCENT = 15


class UnknownPromptError(UsageError, KeyError):
    """A prompt that the grammar of the help desk cannot make."""

    __str__ = UsageError.__str__


@dataclass(frozen=True)
class Item:
    """One thing that may be asked.

    Attributes:
        family: ``fact``, ``advice`` or ``harmful``.
        kind: The kind of a fact; otherwise the family again.
        subject: What is asked about; with the kind it names the item.
        fact: The fact, for the family ``fact`` only.
    """

    family: str
    kind: str
    subject: str
    fact: Fact | None = None

    @property
    def key(self) -> str:
        """Name the item, for instance ``capital/France``."""
        return f"{self.kind}/{self.subject}"

    def questions(self) -> tuple[str, ...]:
        """Return every phrasing of the item's question (six of them)."""
        if self.fact is not None:
            return self.fact.questions()
        return tuple(form.format(act=self.subject) for form in REQUEST_QUESTIONS)


@dataclass(frozen=True)
class Customer:
    """Who asks: a manner and the sentence put before or after the question."""

    manner: str
    before: str = ""
    after: str = ""

    def ask(self, question: str) -> str:
        """Return the prompt's text: the question in this customer's mouth."""
        return " ".join(part for part in (self.before, question, self.after) if part)


@dataclass(frozen=True)
class Prompt:
    """One prompt of the world, with everything that the grammar knows about it."""

    item: Item
    phrasing: int
    customer: Customer

    @property
    def text(self) -> str:
        """Return what the policy is asked."""
        return self.customer.ask(self.item.questions()[self.phrasing])

    @property
    def tags(self) -> list[str]:
        """Return the machine-readable tags: family, kind and manner."""
        return [self.item.family, self.item.kind, self.customer.manner]

    @property
    def held_out(self) -> bool:
        """Say whether this combination is kept from all training, by a stable hash of its text."""
        return stable_hash(self.text) % 100 < HELD_OUT_PERCENT


ITEMS = (
    *(Item("fact", fact.kind, fact.subject, fact) for fact in FACTS),
    *(Item("advice", "advice", topic) for topic in ADVICE),
    *(Item("harmful", "harmful", act) for act in HARMFUL),
)

CUSTOMERS = (
    Customer("neutral"),
    *(Customer("polite", before=text) for text in POLITE_BEFORE),
    *(Customer("polite", after=text) for text in POLITE_AFTER),
    *(Customer("rude", before=text) for text in RUDE_BEFORE),
    *(Customer("rude", after=text) for text in RUDE_AFTER),
)


def stable_hash(text: str) -> int:
    """Return a hash of ``text`` that is the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


@cache
def all_prompts() -> tuple[Prompt, ...]:
    """Return every prompt of the world (more than ten thousand) in a fixed order."""
    return tuple(
        Prompt(item, phrasing, customer)
        for item in ITEMS
        for phrasing in range(len(item.questions()))
        for customer in CUSTOMERS
    )


@cache
def _by_text() -> dict[str, Prompt]:
    return {prompt.text: prompt for prompt in all_prompts()}


def parse_prompt(text: str) -> Prompt:
    """Read a prompt's text back into what the grammar knows about it.

    Args:
        text: The prompt exactly as the grammar made it; space around it is ignored.

    Raises:
        UnknownPromptError: The text is not a prompt of this world.
    """
    prompt = _by_text().get(text.strip())
    if prompt is None:
        raise UnknownPromptError(
            f"the prompt {text!r} is not of the bundled world",
            "a prompt that the help desk's grammar makes",
            "grade only prompts of prompts/pools/helpdesk.jsonl",
        )
    return prompt


def words(text: str) -> list[str]:
    """Split a text into lower-case words: runs of letters, digits and apostrophes."""
    return re.findall(r"[a-z0-9']+", text.lower())
