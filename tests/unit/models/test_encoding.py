"""Conversations as tokens: the template's words, one end, the last tokens where all do not fit."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from rlaif.errors import ModelError
from rlaif.models.encoding import (
    check_context,
    encode_answer,
    encode_apart,
    encode_conversation,
    encode_exchange,
)
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.records import Message
from rlaif.testing import make_tiny_lm

TURNS = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="Why?"),
    Message(role="assistant", content="你好"),
    Message(role="user", content="And?"),
)


def load(folder: Path, **changes: object) -> LanguageModel:
    return load_language_model(str(make_tiny_lm(folder, **changes)), torch.device("cpu"))


@pytest.fixture
def lm(tmp_path: Path) -> LanguageModel:
    return load(tmp_path / "lm", context=32)


def test_a_conversation_is_told_whole_and_in_order_up_to_the_answer(lm: LanguageModel) -> None:
    text = lm.tokenizer.decode(encode_conversation(lm, TURNS))
    assert text == (
        "<|system|>Be brief.<|end|><|user|>Why?<|end|>"
        "<|assistant|>你好<|end|><|user|>And?<|end|><|assistant|>"
    )


def test_without_a_template_the_words_are_all_there_is(tmp_path: Path) -> None:
    bare = load(tmp_path / "bare", chat=False)
    text = bare.tokenizer.decode(encode_conversation(bare, TURNS))
    assert text == "Be brief.\nWhy?\n你好\nAnd?"


@pytest.mark.parametrize("chat", [True, False])
def test_a_tokenizer_begins_bare_words_alone_with_a_token_of_its_own(
    tmp_path: Path, chat: bool
) -> None:
    """A chat template writes that token itself, where it wants one; an answer goes on."""
    lm = load(tmp_path / "lm", chat=chat)
    plain = encode_conversation(lm, TURNS)
    assert lm.tokenizer.backend_tokenizer is not None
    lm.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|end|> $A", special_tokens=[("<|end|>", lm.end_id)]
    )
    assert lm.tokenizer.encode("It") == [lm.end_id, *encode_answer(lm, "It", False)]
    assert encode_conversation(lm, TURNS) == [lm.end_id] * (not chat) + plain
    assert lm.end_id not in encode_answer(lm, "It is", False)


@pytest.mark.parametrize("ended", [True, False])
def test_an_answer_has_its_end_where_it_ended_itself(lm: LanguageModel, ended: bool) -> None:
    ids = encode_answer(lm, "It is", ended)
    assert lm.tokenizer.decode(ids) == "It is" + "<|end|>" * ended
    assert ids.count(lm.end_id) == ended


def test_an_answer_ends_as_its_tokenizer_does_where_several_tokens_may_end_it(
    lm: LanguageModel,
) -> None:
    for other in (lm.end_id - 1, lm.end_id + 1):
        several = dataclasses.replace(lm, eos_ids=lm.eos_ids | {other})
        assert encode_answer(several, "It is", True)[-1] == lm.end_id


def test_of_an_exchange_too_long_the_last_tokens_are_kept(lm: LanguageModel) -> None:
    asked, said = TURNS[1:2], "It is what it is, and so it was. " * 3
    whole = [*encode_conversation(lm, asked), *encode_answer(lm, said, True)]
    assert len(whole) > lm.context == 32
    assert encode_exchange(lm, asked, said, True) == whole[-32:]
    short = [*encode_conversation(lm, asked), *encode_answer(lm, "No", False)]
    assert encode_exchange(lm, asked, "No", False) == short


def test_apart_an_answer_is_cut_where_the_context_ends(lm: LanguageModel) -> None:
    asked = TURNS[1:2]
    for text in ("No", "It is what it is, and so it was. " * 3):
        query, answer = encode_apart(lm, asked, text, True)
        assert query == encode_conversation(lm, asked)
        assert answer == encode_answer(lm, text, True)[: 32 - len(query)]
    with pytest.raises(ModelError, match="context"):
        encode_apart(lm, [Message(role="user", content="Why? " * 20)], "No", True)


def test_what_fills_the_context_exactly_fits(lm: LanguageModel) -> None:
    check_context(lm, 20, 12, "an answer")
    with pytest.raises(ModelError, match="20 prompt tokens and up to 13 new ones"):
        check_context(lm, 20, 13, "an answer")
