"""A judge in this process says of each reply whether it came to its limit before its end."""

import dataclasses

import pytest
import torch

from rlaif.config import JudgeConfig
from rlaif.judges import PAIR_LABELS, JudgeRequest, TransformersJudge, WriteRequest
from rlaif.models.loading import LanguageModel
from rlaif.records import JudgeCall
from rlaif.testing import ScriptedWriter

LIMIT = 6
TEXT = "Is this right?"
REQUEST = JudgeRequest(text=TEXT, labels=PAIR_LABELS, criterion="c", shown=())


@torch.no_grad()
def written(lm: LanguageModel) -> list[int]:
    """The tokens that it would write, without end."""
    ids = list(lm.tokenizer.encode(f"<|user|>{TEXT}<|end|><|assistant|>"))
    start = len(ids)
    for _ in range(LIMIT):
        ids.append(int(lm.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[start:]


def judged(lm: LanguageModel, limit: int = LIMIT, *, critique: bool = True) -> JudgeCall:
    config = JudgeConfig(max_critique_tokens=limit, critique=critique, min_label_mass=0.0)
    (reply,) = TransformersJudge(lm, config).judge(
        [dataclasses.replace(REQUEST, critique=critique)]
    )
    assert reply.call is not None
    return reply.call


def ending(lm: LanguageModel) -> tuple[LanguageModel, int]:
    """Let what it writes end with a token that it comes to late, and say with the how many."""
    tokens = written(lm)
    place = max(tokens.index(token) for token in tokens)
    return dataclasses.replace(lm, eos_ids=frozenset({tokens[place]})), place + 1


def test_a_critique_that_comes_to_its_limit_is_cut(tiny_lm: LanguageModel) -> None:
    call = judged(tiny_lm)
    assert (call.reply_tokens, call.cut) == (LIMIT, 1)
    assert call.label_probs


@pytest.mark.parametrize("room", [0, 1])
def test_one_that_ends_with_its_last_token_is_whole(tiny_lm: LanguageModel, room: int) -> None:
    lm, length = ending(tiny_lm)
    call = judged(lm, length + room)
    assert (call.reply_tokens, call.cut) == (length, 0)
    assert judged(lm, length - 1).cut == 1


def test_where_no_critique_is_wanted_none_is_cut(tiny_lm: LanguageModel) -> None:
    assert judged(tiny_lm, critique=False).cut == 0


def test_free_text_is_cut_where_it_fails_so(tiny_lm: LanguageModel) -> None:
    lm, length = ending(tiny_lm)
    judge = TransformersJudge(lm, JudgeConfig(max_critique_tokens=LIMIT))
    cut, whole = (judge.write([WriteRequest(TEXT, most)])[0] for most in (length - 1, length))
    assert cut.failure is not None
    assert whole.failure is None
    assert [reply.call and reply.call.cut for reply in (cut, whole)] == [1, 0]


def test_the_fake_that_ships_says_so_too() -> None:
    writer = ScriptedWriter(lambda _: "", lambda _: "three short words")
    replies = writer.write([WriteRequest("Q", 2)]) + writer.write([WriteRequest("Q", 3)])
    assert [reply.call and reply.call.cut for reply in replies] == [1, 0]
