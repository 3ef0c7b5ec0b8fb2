"""A project's template that fails while it is filled in is named as broken, whatever failed."""

from pathlib import Path

import pytest
from judge_samples import prompt
from template_samples import CRITERION, POINTWISE, own

from rlaif.errors import ConfigError

ENDLESS = "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}"


@pytest.mark.parametrize(
    ("failing", "happened"),
    [
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ('{{ "a" + 1 }}', "TypeError: can only concatenate str"),
        ("{% for i in range(100000000) %}x{% endfor %}", "OverflowError: Range too big"),
        (ENDLESS, "RecursionError: maximum recursion depth"),
    ],
)
def test_a_template_that_fails_is_refused_at_load(
    tmp_path: Path, failing: str, happened: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, pointwise=POINTWISE + failing)
    assert caught.value.exit_code == 78
    for word in ("pointwise.jinja", happened, "mend the template"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "failing", ["{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{ " + "not " * 3000 + "1 }}"]
)
def test_expressions_nested_too_deeply_are_refused(tmp_path: Path, failing: str) -> None:
    with pytest.raises(ConfigError, match=r"pointwise\.jinja: .* nested too deeply"):
        own(tmp_path, pointwise=POINTWISE + failing)


def test_a_template_that_fails_on_some_answers_is_refused_when_it_does(tmp_path: Path) -> None:
    found = own(tmp_path, pointwise=POINTWISE + "{{ 1 / (completion | length - 1) }}")
    assert found.render(CRITERION, prompt("p"), ["ab"]).endswith("1.0")
    with pytest.raises(ConfigError, match=r"pointwise.jinja: ZeroDivisionError"):
        found.render(CRITERION, prompt("p"), ["a"])


def test_an_interrupt_is_no_fault_of_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = own(tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jinja2.Template.render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found.render(CRITERION, prompt("p"), ["a"])
