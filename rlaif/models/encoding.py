"""Conversations as tokens, and whether they fit."""

from collections.abc import Sequence

from jinja2 import TemplateError

from rlaif.errors import ModelError
from rlaif.models.loading import LanguageModel
from rlaif.records import Message


def encode_conversation(lm: LanguageModel, messages: Sequence[Message]) -> list[int]:
    """Encode a conversation up to the point where the model is to answer.

    The tokenizer's chat template is used where there is one, else the bare words.

    Returns:
        Token ids, at least one.

    Raises:
        ModelError: The chat template is broken, or does not take this conversation.
    """
    tokenizer = lm.tokenizer
    if tokenizer.chat_template:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except TemplateError as exc:
            raise ModelError(
                f"the chat template of {lm.name} fails on turns of "
                f"{', '.join(m.role for m in messages)}: {exc}",
                "a template that takes every conversation of the pool",
                "mend the template or the prompts: some take no system turn",
            ) from exc
        return list(tokenizer.encode(str(text), add_special_tokens=False))
    text = "\n".join(message.content for message in messages)
    return list(tokenizer.encode(text))


def encode_answer(lm: LanguageModel, text: str, ended: bool) -> list[int]:
    """Encode an answer from its text, with the end-of-sequence token where it ended itself."""
    ids = list(lm.tokenizer.encode(text, add_special_tokens=False))
    return [*ids, lm.end_id] if ended else ids


def special_tokens(lm: LanguageModel) -> dict[int, str]:
    """Return the control tokens of a model's tokenizer by id, but for the unknown token."""
    found = {i: str(t) for i, t in lm.tokenizer.added_tokens_decoder.items() if t.special}
    found.pop(lm.tokenizer.unk_token_id, None)
    return found


def encode_exchange(
    lm: LanguageModel, messages: Sequence[Message], text: str, ended: bool
) -> list[int]:
    """Encode a conversation with its answer, the last tokens kept where they are too many."""
    return [*encode_conversation(lm, messages), *encode_answer(lm, text, ended)][-lm.context :]


def encode_apart(
    lm: LanguageModel, messages: Sequence[Message], text: str, ended: bool
) -> tuple[list[int], list[int]]:
    """Encode a conversation and its answer, the answer cut where the context ends.

    From its text an answer may have more tokens than were sampled: of a character that the limit
    cut in two, say, a replacement character is left.

    Raises:
        ModelError: The conversation leaves no room for an answer.
    """
    asked = encode_conversation(lm, messages)
    check_context(lm, len(asked), 1, "an answer in its conversation")
    return asked, encode_answer(lm, text, ended)[: lm.context - len(asked)]


def check_context(lm: LanguageModel, prompt_tokens: int, new_tokens: int, what: str) -> None:
    """Refuse work that does not fit into a model's context.

    Raises:
        ModelError: ``prompt_tokens + new_tokens`` is more than the model's context.
    """
    if prompt_tokens + new_tokens > lm.context:
        raise ModelError(
            f"{what}: {prompt_tokens} prompt tokens and up to {new_tokens} new ones",
            f"at most {lm.context} tokens, the context of {lm.name}",
            "shorten the prompt, lower the limit of new tokens, or take a model with more context",
        )
