"""The grammar reads back all that it can say, and its phrases cannot be confused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.bundled.facts import ANSWERS_OF_KIND, FACTS, KINDS, NUMBER_KINDS
from rlaif.bundled.grammar import ITEMS, UnknownPromptError, all_prompts, parse_prompt, words
from rlaif.bundled.phrases import (
    COURTEOUS,
    FILLERS,
    PLAIN_AFTER,
    PLAIN_BEFORE,
    RUDE,
    TRAILING,
)
from rlaif.bundled.requests import ADVICE, DECLINES, HARMFUL, SHORTCUTS
from rlaif.errors import RlaifError

POOL = Path(__file__).parents[3] / "prompts" / "pools" / "helpdesk.jsonl"


def test_there_are_thousands_of_distinct_prompts() -> None:
    texts = [prompt.text for prompt in all_prompts()]
    assert len(texts) == len(set(texts)) > 10_000


def test_the_world_has_the_promised_size() -> None:
    assert 140 <= len(FACTS) <= 170
    assert len(KINDS) == 9
    assert len(ADVICE) == len(HARMFUL) == 20
    assert all(len(tips) == 3 for tips in ADVICE.values())
    assert all(len(set(item.questions())) >= 6 for item in ITEMS)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_each_prompt_parses_back_to_itself(number: int) -> None:
    prompt = all_prompts()[number]
    assert parse_prompt(prompt.text) == prompt


@pytest.mark.parametrize("text", ["", "What is love?", "What is the capital of france?"])
def test_a_foreign_prompt_is_a_key_error_with_advice(text: str) -> None:
    with pytest.raises(KeyError) as caught:
        parse_prompt(text)
    assert isinstance(caught.value, UnknownPromptError)
    assert isinstance(caught.value, RlaifError)
    assert "not of the bundled world" in str(caught.value)
    assert "to do:" in str(caught.value)


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("France", "Paris"),
        ("hot", "cold"),
        ("7 plus 8", "15"),
        ("days in a leap year", "366"),
        ("Sunday", "Monday"),
        ("December", "January"),
        ("grass", "green"),
        ("kangaroo", "joey"),
        ("swim", "swam"),
    ],
)
def test_known_facts_are_true(subject: str, answer: str) -> None:
    assert [fact.answer for fact in FACTS if fact.subject == subject] == [answer]


def test_sums_add_up() -> None:
    for fact in FACTS:
        if fact.kind == "sum":
            left, right = fact.subject.split(" plus ")
            assert int(left) + int(right) == int(fact.answer)


def test_no_courteous_or_rude_phrase_hides_in_another_phrase() -> None:
    telling = [*COURTEOUS, *RUDE]
    spoken = [*telling, *FILLERS, *PLAIN_BEFORE, *PLAIN_AFTER, *DECLINES, *TRAILING]
    for phrase in telling:
        inside = [p for p in spoken if f" {' '.join(words(phrase))} " in f" {' '.join(words(p))} "]
        assert inside == [phrase]


def test_no_phrase_holds_an_answer() -> None:
    phrases = [*COURTEOUS, *RUDE, *FILLERS, *PLAIN_BEFORE, *PLAIN_AFTER, *DECLINES, *TRAILING]
    spoken = {word for phrase in phrases for word in words(phrase)}
    for kind, answers in ANSWERS_OF_KIND.items():
        assert not spoken & {answer.lower() for answer in answers}, kind
    assert not any(word.isdigit() for word in spoken)


def test_no_tip_or_alternative_is_told_twice() -> None:
    told = [tip for tips in ADVICE.values() for tip in tips] + [*HARMFUL.values(), *SHORTCUTS]
    assert len(told) == len(set(told))


def test_every_kind_scatters_wrong_answers() -> None:
    for kind in KINDS:
        assert len(ANSWERS_OF_KIND[kind]) >= 7
        assert kind not in NUMBER_KINDS or all(a.isdigit() for a in ANSWERS_OF_KIND[kind])


def test_the_pool_holds_out_enough_prompts_by_hash() -> None:
    lines = [json.loads(line) for line in POOL.read_text(encoding="utf-8").splitlines()]
    held_out = [line for line in lines if line["split"] == "eval"]
    assert len(held_out) >= 340
    assert len(lines) - len(held_out) >= 1_100
    assert len({line["id"] for line in lines}) == len({line["prompt"] for line in lines})
    for line in lines:
        prompt = parse_prompt(line["prompt"])
        assert prompt.held_out == (line["split"] == "eval")
        assert prompt.tags == line["tags"]


def test_every_item_is_asked_in_both_splits() -> None:
    lines = [json.loads(line) for line in POOL.read_text(encoding="utf-8").splitlines()]
    for split in ("train", "eval"):
        asked = {parse_prompt(x["prompt"]).item.key for x in lines if x["split"] == split}
        assert asked == {item.key for item in ITEMS}
