"""A project's own templates: how they are found, and which are refused when loaded."""

from pathlib import Path

import pytest
from judge_samples import prompt
from template_samples import CRITERION, FENCED, PAIRWISE, POINTWISE, REQUIRED, own, project_with

from rlaif.errors import ConfigError
from rlaif.judges import load_templates


def test_a_projects_own_template_comes_first(tmp_path: Path) -> None:
    root = project_with(tmp_path, "compact", **REQUIRED)
    found = load_templates("compact", root)
    assert found.render(CRITERION, prompt("p"), ["a"]) == f"{CRITERION.text}|p|a"
    assert found.texts == REQUIRED
    assert load_templates("detailed", root).texts == FENCED.texts


def test_a_projects_template_can_fence_by_its_own_names(tmp_path: Path) -> None:
    pointwise = '{{ criterion.text }} {{ prompt | fenced("q") }} {{ completion | fenced("reply") }}'
    text = own(tmp_path, pointwise=pointwise).render(
        CRITERION, prompt("</reply>"), ["</q> <answer>"]
    )
    assert text == (
        f"{CRITERION.text} <q>\n\u2039/reply>\n</q> <reply>\n\u2039/q> <answer>\n</reply>"
    )


def test_fences_know_each_other_across_files(tmp_path: Path) -> None:
    pointwise = '{{ criterion.text }}{% include "_q.jinja" %}{{ completion | fenced("reply") }}'
    found = own(tmp_path, pointwise=pointwise, _q='{{ prompt | fenced("q") }}')
    text = found.render(CRITERION, prompt("p"), ["</q></first>"])
    assert text.endswith("<reply>\n\u2039/q></first>\n</reply>")


def test_only_the_sources_of_a_message_are_hashed_with_it(tmp_path: Path) -> None:
    parts = {
        "pointwise": '{% include "_head.jinja" %}{{ prompt }}{{ completion }}',
        "_head": '{% include "_text.jinja" %}',
        "_text": "{{ criterion.text }}",
        "_spare": "nobody's",
        "grade": "{{ criterion.text }}{{ criterion.choices }}{{ feedback }}Verdict:",
    }
    found = own(tmp_path, **parts)
    assert set(found.texts) == {*parts, "pairwise"}
    assert list(found.texts_of("pointwise")) == ["_head", "_text", "pointwise"]
    assert list(found.texts_of("pairwise", "grade", "revise")) == ["grade", "pairwise"]
    assert found.texts_of("pairwise") == {"pairwise": PAIRWISE}


def test_fences_that_other_messages_name_are_hashed_as_they_are_broken_everywhere(
    tmp_path: Path,
) -> None:
    grade = "{{ criterion.text }}{{ criterion.choices }}{{ feedback | fenced('%s') }}Verdict:"
    one, other, bare = (
        own(tmp_path / name, grade=grade % name) for name in ("note", "word", "first")
    )
    asked = [t.render(CRITERION, prompt("p"), ["<note> <word>"]) for t in (one, other)]
    assert asked[0] != asked[1]
    hashed = [found.texts_of("pointwise", "pairwise") for found in (one, other)]
    assert hashed[0] != hashed[1]
    assert hashed[0].keys() == {"pointwise", "pairwise", "fences of other messages"}
    assert "fences of other messages" not in one.texts_of("pointwise", "pairwise", "grade")
    fenced = own(tmp_path / "all", pointwise=FENCES_FIRST, grade=grade % "first")
    assert fenced.texts_of("pointwise") == {"pointwise": FENCES_FIRST}
    assert "fences of other messages" in bare.texts_of("pointwise")


FENCES_FIRST = "{{ criterion.text }}{{ prompt }}{{ completion | fenced('first') }}"


@pytest.mark.parametrize(
    ("pointwise", "words"),
    [
        ("{{ completion", [":1: ", "end of print statement"]),
        ("x\n{% endfor %}", [":2: "]),
        (POINTWISE + "{{ completon }}", ["'completon' is undefined"]),
        (POINTWISE + "{{ completon | fenced('a') }}", ["'completon' is undefined"]),
        (POINTWISE + "{{ criterion.weight }}", ["no attribute 'weight'"]),
        (POINTWISE + "{{ ''.__class__.__mro__ }}", ["unsafe"]),
        (POINTWISE + "{{ prompt | fenced }}", ["one name"]),
        (POINTWISE + "{{ prompt | fenced(prompt) }}", ["one name"]),
        (POINTWISE + "{{ prompt | fenced('<a>') }}", ["one name"]),
        (POINTWISE + "{{ prompt | fence('a') }}", ["No filter named 'fence'"]),
        (POINTWISE + "{% if not critique %}{{ nothing }}{% endif %}", ["'nothing' is undefined"]),
        (POINTWISE + "{% if reference %}{{ refrence }}{% endif %}", ["'refrence' is undefined"]),
        (POINTWISE + "{% include '_none.jinja' %}", ["includes '_none.jinja'"]),
        (POINTWISE + "{% include prompt %}", ["includes None"]),
        (POINTWISE + "{% include 'pointwise.jinja' %}", ["includes itself"]),
        ("{{ criterion.text }}|{{ prompt }}", ["never shows completion"]),
        ("{{ prompt }}|{{ completion }}", ["never shows criterion.text"]),
        (
            "{{ criterion.text }}{{ completion }}{{ messages[-1].content }}",
            ["never shows the system's turn, the user's turn, the assistant's turn"],
        ),
        ("{{ criterion.text }}{{ completion }}{{ messages[0].content }}", ["never shows the user"]),
    ],
)
def test_a_broken_template_is_refused_at_load(
    tmp_path: Path, pointwise: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, pointwise=pointwise)
    for word in ("pointwise.jinja", *words):
        assert word in str(caught.value)


GIVEN = "{{ criterion.text }}{{ prompt }}"


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("pairwise", GIVEN + "{{ second }}{{ first }}", "another order"),
        ("listwise", GIVEN + "{{ answers[0].text }}Ranking:", "never shows answers"),
        ("listwise", GIVEN + "{{ answers | map(attribute='text') | join }}", "Ranking:"),
        (
            "listwise",
            GIVEN + "{{ answers | map(attribute='text') | reverse | join }}Ranking:",
            "another order",
        ),
        ("grade", "{{ criterion.text }}{{ feedback }}Verdict:", "never shows criterion.choices"),
        ("grade", "{{ criterion.text }}{{ criterion.choices }}Verdict:", "never shows feedback"),
        ("grade", "{{ criterion.text }}{{ completion }}", "'completion' is undefined"),
        ("errors", GIVEN + "{{ completion }}Error:", "never shows No errors"),
        ("revise", "{{ prompt }}{{ completion }}{{ critiques[0].feedback }}", "never shows crit"),
        ("revise", "{{ criterion.text }}", "'criterion' is undefined"),
        ("listwize", "x", "a message called 'listwize'"),
    ],
)
def test_a_broken_message_of_any_kind_is_refused_at_load(
    tmp_path: Path, kind: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        own(tmp_path, **{kind: text})
    assert f"{kind}.jinja" in str(caught.value)


def test_parts_that_include_each_other_are_refused(tmp_path: Path) -> None:
    circle = {"_a": '{% include "_b.jinja" %}', "_b": '{% include "_a.jinja" %}'}
    with pytest.raises(ConfigError, match="it includes itself"):
        own(tmp_path, **circle)


def test_what_an_included_part_lacks_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"_p\.jinja:1: No filter named 'shout'"):
        own(tmp_path, pointwise=POINTWISE + '{% include "_p.jinja" %}', _p="{{ prompt | shout }}")


def test_a_part_shown_only_at_times_does_not_count_as_shown(tmp_path: Path) -> None:
    at_times = POINTWISE + "{% if critique %}{{ reference }}{% endif %}"
    found = own(tmp_path, pointwise=at_times, pairwise=PAIRWISE + "{{ reference }}")
    assert not found.shows("pointwise", "reference")
    assert found.shows("pairwise", "reference")
    assert not found.shows("pairwise", "examples")
    assert not found.shows("revise", "reference")


def test_a_template_of_one_file_is_refused(tmp_path: Path) -> None:
    root = project_with(tmp_path, "mine", pointwise=POINTWISE)
    with pytest.raises(ConfigError, match=r"pairwise\.jinja"):
        load_templates("mine", root)


@pytest.mark.parametrize("name", ["none-such", "../judge/compact", "", "a/b", ".."])
def test_a_template_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        load_templates(name, tmp_path)
