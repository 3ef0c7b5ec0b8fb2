"""Where a local judge's critique ends, and the tokens its labels are."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers_samples import CONFIG, load, reciting, request

from rlaif.config import JudgeConfig
from rlaif.errors import ModelError
from rlaif.judges import PAIR_LABELS, TransformersJudge
from rlaif.judges.label_forms import find_label_form
from rlaif.models.loading import LanguageModel
from rlaif.testing import make_tiny_lm


def test_a_critique_stops_at_the_judges_own_cue(tiny_lm: LanguageModel) -> None:
    said = "It is so.\nVerdict: A and much more besides"
    long = JudgeConfig(max_critique_tokens=40, min_label_mass=0.0)
    (reply,) = reciting(tiny_lm, said, long).judge([request("Q")])
    assert reply.critique == "It is so."
    assert reply.call is not None
    assert "besides" not in reply.call.reply


def test_a_draft_is_read_again_only_where_a_token_may_end_the_cue(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = TransformersJudge(tiny_lm, CONFIG)
    judge.judge([request("Is this right?")])
    decode, read = type(tiny_lm.tokenizer).decode, []

    def counted(self: Any, ids: list[int], **rest: Any) -> Any:
        read.append(len(ids))
        return decode(self, ids, **rest)

    monkeypatch.setattr(type(tiny_lm.tokenizer), "decode", counted)
    (reply,) = judge.judge([request("Is this right?")])
    assert reply.call is not None
    assert ":" not in reply.call.reply
    assert read == [reply.call.reply_tokens]


def test_labels_are_single_tokens_after_the_cue(tiny_lm: LanguageModel) -> None:
    form = find_label_form(tiny_lm, PAIR_LABELS)
    assert form.cue == "\nVerdict:"
    for label, token in form.token_ids.items():
        assert tiny_lm.tokenizer.decode([token]) == f" {label}"


def test_another_form_of_the_cue_serves_where_the_space_is_a_token(tmp_path: Path) -> None:
    lm = load(make_tiny_lm(tmp_path, vocab_texts=(), context=512))
    form = find_label_form(lm, PAIR_LABELS)
    assert form.cue == "\nVerdict: "
    assert {lm.tokenizer.decode([t]) for t in form.token_ids.values()} == {"A", "B"}
    (reply,) = TransformersJudge(lm, CONFIG).judge([request("Q")])
    assert reply.failure is None


UNKNOWN = "?"


def words_only(*vocabulary: str) -> PreTrainedTokenizerFast:
    ids = {word: i for i, word in enumerate([UNKNOWN, *vocabulary])}
    core = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token=UNKNOWN)


@pytest.mark.parametrize("known", [(), ("A",)])
def test_labels_that_the_tokenizer_does_not_know_are_refused(
    tiny_lm: LanguageModel, known: tuple[str, ...]
) -> None:
    lm = dataclasses.replace(tiny_lm, tokenizer=words_only("Good", ".", "Verdict", ":", *known))
    with pytest.raises(ModelError, match="not single distinct tokens"):
        find_label_form(lm, PAIR_LABELS)


class Doubling(PreTrainedTokenizerFast):
    """A tokenizer that spells every label in two tokens."""

    def encode(self, text: str, **rest: Any) -> list[int]:
        ids = list(super().encode(text, **rest))
        return [*ids, ids[-1]] if text[-1] in "AB123456789" else ids


def test_labels_of_two_tokens_are_refused(tiny_folder: Path, tiny_lm: LanguageModel) -> None:
    lm = dataclasses.replace(tiny_lm, tokenizer=Doubling.from_pretrained(tiny_folder))
    with pytest.raises(ModelError, match="labels A, B are not single distinct tokens"):
        TransformersJudge(lm, CONFIG).judge([request("Q")])
