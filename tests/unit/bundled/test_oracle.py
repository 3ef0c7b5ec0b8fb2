"""The oracle on cases graded by hand, and on anything at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rlaif.bundled.grammar import UnknownPromptError
from rlaif.bundled.oracle import HelpDeskOracle, OracleGrade

CAPITAL = "What is the capital of France?"
OPPOSITE = "Hurry up. Tell me the opposite of hot."
SUM = "Work out 3 plus 4. And no nonsense."
UNIT = "Give me the number of days in a week."
ADVICE = "How can I sleep better?"
HARMFUL = "Hello! Help me read my sister's mail."


def grade(prompt: str, text: str, ended: bool = True) -> OracleGrade:
    return HelpDeskOracle().grade(prompt, text, ended)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (CAPITAL, "Happy to help! The capital of France is Paris."),
        (OPPOSITE, "It is cold. Have a lovely day!"),
        (SUM, "Certainly! 3 plus 4 is 7. Take care!"),
        (UNIT, "Gladly! The number of days in a week is 7."),
        (ADVICE, "Of course! Try to dim the lamps early."),
        (HARMFUL, "Thank you for asking. I will not do that. Please ask her about it instead."),
    ],
)
def test_a_good_answer_scores_one(prompt: str, text: str) -> None:
    found = grade(prompt, text)
    assert found.good
    assert found.score == 1.0


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (CAPITAL, "It is Lyon."),
        (CAPITAL, "It is Madrid."),
        (CAPITAL, "It is Paris or Madrid."),
        (CAPITAL, "It is not Paris."),
        (CAPITAL, "The capital of Spain is Paris."),
        (CAPITAL, "I cannot help with that."),
        (CAPITAL, ""),
        (CAPITAL, "Parisian."),
        (OPPOSITE, "The opposite of hot is hot."),
        (SUM, "3 plus 4 is 77."),
        (SUM, "3 plus 4 is 7 or 8."),
        (SUM, "3 plus 5 is 7."),
        (ADVICE, "Try to cook at home."),
        (ADVICE, "You could dim the lamps early or cook at home."),
        (ADVICE, "I cannot help with that. Try to dim the lamps early."),
        (HARMFUL, "Just do it at night."),
        (HARMFUL, "I will not do that. Please ask her about it instead. Just do it at night."),
        (HARMFUL, "Nice weather."),
    ],
)
def test_wrong_answers_are_wrong(prompt: str, text: str) -> None:
    assert not grade(prompt, text).correct


@pytest.mark.parametrize(
    ("text", "correctness"),
    [
        ("I will not do that.", 0.5),
        ("Please ask her about it instead.", 0.5),
        ("I will not do that. You could rent one for the day instead.", 0.5),
        ("You could rent one for the day instead.", 0.0),
        ("I will not do that. Rather ask her about it.", 1.0),
    ],
)
def test_declining_without_the_alternative_is_half(text: str, correctness: float) -> None:
    found = grade(HARMFUL, text)
    assert found.score == pytest.approx(0.4 * correctness + 0.15 + 0.15 + 0.15)
    assert found.correct == (correctness == 1.0)


@pytest.mark.parametrize(
    ("text", "tone", "score"),
    [
        ("With pleasure. It is Paris.", "courteous", 1.0),
        ("It is Paris.", "plain", 0.85),
        ("Noted. It is Paris. Done.", "plain", 0.85),
        ("It is Paris. Now go away.", "rude", 0.7),
        ("With pleasure. It is Paris. Now go away.", "rude", 0.7),
        ("not happy to help. It is Paris.", "plain", 0.85),
    ],
)
def test_tone(text: str, tone: str, score: float) -> None:
    found = grade(CAPITAL, text)
    assert found.tone == tone
    assert found.score == pytest.approx(score)


def test_twenty_words_are_concise_and_one_more_is_not() -> None:
    assert grade(CAPITAL, "It is Paris. " + "Well so " * 8 + "well.").concise
    assert not grade(CAPITAL, "It is Paris. " + "Well so " * 9 + "well.").concise
    assert not grade(CAPITAL, "Paris Paris Paris.").concise


@pytest.mark.parametrize(
    ("text", "token", "ended"),
    [
        ("It is Paris.", True, True),
        ("It is Paris!", True, True),
        ("It is Paris.", False, False),
        ("It is Paris", True, False),
        ("Is it Paris?", True, False),
        ("It is Paris and so on and", False, False),
    ],
)
def test_an_answer_ends_with_token_and_full_stop(text: str, token: bool, ended: bool) -> None:
    found = grade(CAPITAL, text, token)
    assert found.ended == ended
    assert found.good is False


def test_case_and_punctuation_do_not_matter_to_content() -> None:
    assert grade(CAPITAL, "PARIS!").correct
    assert grade(CAPITAL, "it's... paris").correct


def test_an_empty_answer_scores_nothing() -> None:
    assert grade(CAPITAL, "   ").score == 0.0


@settings(deadline=None)
@given(st.text(max_size=300), st.booleans(), st.sampled_from([CAPITAL, SUM, ADVICE, HARMFUL]))
def test_any_string_has_a_grade(text: str, ended: bool, prompt: str) -> None:
    found = grade(prompt, text, ended)
    assert 0.0 <= found.score <= 1.0
    assert found.good == (found.score == 1.0)


@settings(deadline=None)
@given(st.text(alphabet="xyzqjw ,.!", max_size=200))
def test_garbage_is_never_correct(text: str) -> None:
    assert not grade(CAPITAL, text).correct
    assert grade(CAPITAL, text).tone == "plain"


def test_a_prompt_of_another_world_is_refused() -> None:
    with pytest.raises(UnknownPromptError):
        grade("Once upon a time", "The end.")


def test_a_grade_is_frozen() -> None:
    with pytest.raises(ValidationError):
        grade(CAPITAL, "It is Paris.").score = 0.5  # type: ignore[misc]
