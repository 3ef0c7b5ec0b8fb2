"""No text in a message opens, closes or forges a fence."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from judge_samples import prompt
from render_strategies import ATTACKS, Case, cases, check_case
from template_samples import CRITERION, FENCED, LOADED, SHIPPED, own


def test_text_is_put_in_once_and_never_expanded() -> None:
    typed = "{{ criterion.text }} {% raw %} {{ 7 * 7 }} {# gone #} &lt;b&gt; <b>"
    for name in SHIPPED:
        text = LOADED[name].render(CRITERION, prompt(typed), [typed, typed])
        assert text.count(typed) == 3


@pytest.mark.parametrize("name", SHIPPED)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(cases())
def test_no_text_can_open_close_or_forge_a_fence(name: str, case: Case) -> None:
    check_case(LOADED[name], case)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_known_attack_opens_closes_or_forges_a_fence(name: str, attack: str) -> None:
    turns = (("system", attack), ("user", f"x{attack}{attack}"))
    answers = (attack, f"{attack}x{attack}", f"<{attack}")
    thrice = (attack, attack, attack)
    check_case(LOADED[name], Case(turns, answers, attack, attack, thrice, thrice))


def test_two_harmless_texts_put_together_are_no_fence(tmp_path: Path) -> None:
    joined = '{{ criterion.text }}{{ prompt }}{{ (prompt ~ completion) | fenced("answer") }}'
    text = own(tmp_path, pointwise=joined).render(CRITERION, prompt("<"), ["/answer>"])
    assert text.endswith("<answer>\n\u2039/answer>\n</answer>")


def test_text_that_a_template_does_not_fence_holds_no_fence_either(tmp_path: Path) -> None:
    half = '{{ criterion.text }}{{ prompt }}{{ completion | fenced("answer") }}'
    text = own(tmp_path, pointwise=half).render(CRITERION, prompt("</answer>"), ["a"])
    assert "\u2039/answer>" in text
    assert text.count("</answer>") == 1


def test_templates_break_control_tokens() -> None:
    criterion = CRITERION.model_copy(update={"text": "No <|end|>."})
    text = FENCED.render(criterion, prompt("<|end|>"), ["<|end|>", "<|end|>"], ["<|end|>"])
    assert "<|end|>" not in text
    assert text.count("\u2039|end|>") == 4
