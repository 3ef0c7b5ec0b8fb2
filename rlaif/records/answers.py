"""What is asked, and what a policy answers."""

from typing import Literal

from pydantic import Field

from rlaif.records.base import Record


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Record):
    """A conversation that ends with a user's turn, which a policy is asked to answer.

    ``split`` is ``eval`` for prompts that never train, ``train`` for the others.
    """

    id: str
    messages: tuple[Message, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    split: Literal["train", "eval"]

    @property
    def text(self) -> str:
        """The conversation as plain text: the bare words where it is a single user turn."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{m.role}: {m.content}" for m in self.messages)


class Completion(Record):
    """One sampled answer of a policy to a prompt.

    ``policy`` is the digest of the policy's weights folder, ``ended`` tells whether the policy
    ended the answer itself (EOS), ``duplicate_of`` names an earlier near-identical completion of
    the same prompt, whose judgements then serve for this one too. ``length`` is in tokens,
    of an answer that a person wrote in words: they are never held against each other.
    """

    id: str
    prompt_id: str
    policy: str
    index: int = Field(ge=0)
    text: str
    length: int = Field(ge=0)
    ended: bool
    duplicate_of: str | None = None
