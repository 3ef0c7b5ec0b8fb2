"""Labels are checked as far as a rubric asks for them, once, and before anything is written."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from judge_samples import judge_criterion, rubric, rule_criterion
from transformers import PreTrainedTokenizerFast

from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.errors import ModelError
from rlaif.judges import (
    PAIR_LABELS,
    JudgeRequest,
    Juror,
    RubricJudge,
    TransformersJudge,
    load_templates,
    rating_labels,
)
from rlaif.models.loading import LanguageModel
from rlaif.testing import ScriptedJudge

CONFIG = JudgeConfig(max_critique_tokens=6, batch_size=4, min_label_mass=0.0)


class Splitting(PreTrainedTokenizerFast):
    """A tokenizer that has some labels in two pieces, and counts how often each is looked at."""

    split = "8"

    def encode(self, text: str, **rest: Any) -> list[int]:
        ids = list(super().encode(text, **rest))
        return [*ids, ids[-1]] if text[-1] in self.split else ids


def splitting(folder: Path, lm: LanguageModel, split: str) -> LanguageModel:
    tokenizer = Splitting.from_pretrained(folder)
    tokenizer.split = split
    return dataclasses.replace(lm, tokenizer=tokenizer)


@pytest.fixture
def without_8(tiny_folder: Path, tiny_lm: LanguageModel) -> LanguageModel:
    return splitting(tiny_folder, tiny_lm, "8")


def request(labels: tuple[str, ...]) -> JudgeRequest:
    return JudgeRequest(text="Is this right?", labels=labels, criterion="c", shown=())


def panel(judge: Any, *choices: int, compares: bool = True) -> RubricJudge:
    criteria = [judge_criterion(f"c{number}", choices=number) for number in choices]
    juror = Juror("it", judge, load_templates("detailed"), 0.0)
    weight = 0.5 if compares else 0.0
    return RubricJudge(
        rubric(*criteria, rule_criterion("ends")),
        judging=JudgingConfig(pairwise_weight=weight),
        jury=[juror],
    )


def test_a_digit_that_no_scale_needs_may_be_two_tokens(without_8: LanguageModel) -> None:
    judge = TransformersJudge(without_8, CONFIG)
    replies = judge.judge([request(rating_labels(3)), request(rating_labels(7))])
    replies += judge.judge([request(PAIR_LABELS)])
    for reply in replies:
        assert reply.failure is None
        assert reply.call is not None
        assert all(0.0 < p < 1.0 for p in reply.call.label_probs.values())
    panel(judge, 3, 7)


def test_a_shorter_scale_reads_the_same_numbers_as_with_every_digit(
    without_8: LanguageModel, tiny_lm: LanguageModel
) -> None:
    asked = [request(rating_labels(3)), request(PAIR_LABELS)]
    whole, split = (TransformersJudge(lm, CONFIG).judge(asked) for lm in (tiny_lm, without_8))
    for one, other in zip(whole, split, strict=True):
        assert one.call is not None
        assert other.call is not None
        assert one.call.label_probs == other.call.label_probs


TOLD = re.compile(
    r"labels 1, 2, 3, 4, 5, 6, 7, 8 are not single distinct tokens after 'Verdict:': "
    r"'8' becomes 'Ġ8' \+ 'Ġ8'"
)


def test_a_scale_that_needs_the_digit_is_refused_with_its_tokens_and_what_to_do(
    without_8: LanguageModel,
) -> None:
    with pytest.raises(ModelError, match=TOLD) as refused:
        panel(TransformersJudge(without_8, CONFIG), 3, 8)
    assert "give the rubric's criteria 7 choices at most" in str(refused.value)
    assert "take another judge" in str(refused.value)


def test_nothing_is_written_before_labels_are_refused(
    without_8: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = TransformersJudge(without_8, CONFIG)

    def write(*_: Any) -> None:
        raise AssertionError("it wrote")

    monkeypatch.setattr(TransformersJudge, "_write", write)
    with pytest.raises(ModelError, match=TOLD):
        judge.judge([request(rating_labels(3)), request(rating_labels(8))])


def test_pairs_count_where_pairs_are_compared(tiny_folder: Path, tiny_lm: LanguageModel) -> None:
    judge = TransformersJudge(splitting(tiny_folder, tiny_lm, "B"), CONFIG)
    panel(judge, 3, compares=False)
    with pytest.raises(ModelError, match=r"labels A, B .*'B' becomes 'ĠB' \+ 'ĠB'") as refused:
        panel(judge, 3)
    assert "choices at most" not in str(refused.value)


def test_each_set_of_labels_is_looked_at_once(
    without_8: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlaif.judges import label_forms

    looked: list[tuple[str, ...]] = []
    spellings = label_forms._spellings

    def counted(lm: LanguageModel, labels: tuple[str, ...], before: str) -> Any:
        looked.append(labels)
        return spellings(lm, labels, before)

    monkeypatch.setattr(label_forms, "_spellings", counted)
    judge = TransformersJudge(without_8, CONFIG)
    for _ in range(3):
        judge.judge([request(rating_labels(3)), request(PAIR_LABELS)])
    assert looked.count(rating_labels(3)) == 1
    assert len(looked) == len(set(looked))


def test_a_judge_that_reads_no_tokens_is_asked_for_any_scale() -> None:
    panel(ScriptedJudge(lambda _: {}), 9)
