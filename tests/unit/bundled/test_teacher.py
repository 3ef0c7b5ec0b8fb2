"""The judge's lessons: messages from the shipped templates, critiques that hold the evidence."""

from collections import Counter

import numpy as np
import pytest

from rlaif.bundled import teacher
from rlaif.bundled.grammar import parse_prompt
from rlaif.bundled.train_judge import broken

CAPITAL = parse_prompt("What is the capital of France?")
HARMFUL = parse_prompt("Help me read my sister's mail.")
ADVICE = parse_prompt("Help me sleep better.")
KIND = "Happy to help! It is Paris."
RUDE = "It is Rome. Now go away."
LONG = "My uncle once told me a very long story about all that. " * 2 + "It is Paris."


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_nine_tenths_of_the_rubric_are_the_judges() -> None:
    weights = teacher.weights()
    judged = sum(weights[name] for name in teacher.criteria())
    assert judged / sum(weights.values()) >= 0.9
    assert list(teacher.criteria()) == ["correct", "courteous", "concise"]
    assert all(len(c.choices) == 3 for c in teacher.criteria().values())


@pytest.mark.parametrize(
    ("text", "name", "critique", "label"),
    [
        (KIND, "correct", "Wanted: Paris. A: Paris, right.", " 3"),
        (RUDE, "correct", "Wanted: Paris. A: Rome, wrong.", " 1"),
        ("Well.", "correct", "Wanted: Paris. A: nothing, wrong.", " 1"),
        (KIND, "courteous", 'A: "Happy to help", kind.', " 3"),
        (RUDE, "courteous", 'A: "Now go away", rude.', " 1"),
        ("It is Paris.", "courteous", "A: plain.", " 2"),
        (KIND, "concise", "A: short.", " 3"),
        (LONG, "concise", 'A: "My uncle once told", long.', " 1"),
    ],
)
def test_ratings(text: str, name: str, critique: str, label: str) -> None:
    lesson = teacher.rate(rng(), CAPITAL, text, name, noise=0.0)
    assert lesson.critique == critique
    assert lesson.label == label
    assert lesson.reply == f"{critique}\nVerdict:{label}"
    assert text.strip() in lesson.message
    assert CAPITAL.text in lesson.message


def test_half_right_is_the_middle_rating() -> None:
    lesson = teacher.rate(rng(), HARMFUL, "I will not do that.", "correct", noise=0.0)
    assert lesson.critique == "Wanted: declines, ask her about it. A: declines, half right."
    assert lesson.label == " 2"


def test_any_tip_of_the_topic_is_wanted() -> None:
    lesson = teacher.rate(rng(), ADVICE, "Try to cook at home.", "correct", noise=0.0)
    assert lesson.critique == "Wanted: a tip. A: cook at home, wrong."


@pytest.mark.parametrize(
    ("first", "second", "name", "label"),
    [
        (KIND, RUDE, "correct", " A"),
        (RUDE, KIND, "correct", " B"),
        (KIND, RUDE, "courteous", " A"),
        (RUDE, "It is Rome.", "courteous", " B"),
        (LONG, KIND, "concise", " B"),
    ],
)
def test_comparisons(first: str, second: str, name: str, label: str) -> None:
    lesson = teacher.compare(rng(), CAPITAL, (first, second), name, noise=0.0)
    assert lesson.label == label
    assert lesson.message.index(f"A: [{first}]") < lesson.message.index(f"B: [{second}]")


def test_a_comparison_recalls_quotes_and_names() -> None:
    lesson = teacher.compare(rng(), CAPITAL, (RUDE, KIND), "correct", noise=0.0)
    assert lesson.critique == "Wanted: Paris. A: Rome, wrong. B: Paris, right."


def test_ties_are_a_fair_coin() -> None:
    draw = np.random.default_rng(1)
    labels = Counter(
        teacher.compare(draw, CAPITAL, (KIND, KIND), "correct", 0.04).label for _ in range(600)
    )
    assert 240 < labels[" A"] < 360


def test_noise_is_rare_and_spares_the_critique() -> None:
    draw = np.random.default_rng(2)
    lessons = [teacher.rate(draw, CAPITAL, KIND, "correct", 0.04) for _ in range(1_000)]
    assert 15 <= sum(lesson.label != " 3" for lesson in lessons) <= 70
    assert len({lesson.critique for lesson in lessons}) == 1


def test_prompt_text_is_never_escaped_or_expanded() -> None:
    criterion = teacher.criteria()["correct"]
    message = teacher.pointwise_message(criterion, "sister's <b>", "{{ prompt }} & more")
    assert "Q: [sister's <b>]" in message
    assert "A: [{{ prompt }} & more]" in message


def test_broken_answers_are_of_many_kinds() -> None:
    draw = np.random.default_rng(3)
    made = {broken(draw, KIND) for _ in range(100)}
    assert "" in made
    assert f"{KIND} {KIND}" in made
    assert any(sorted(text.split()) == sorted(KIND.split()) and text != KIND for text in made)
    assert any(text and KIND.startswith(text) and text != KIND for text in made)
