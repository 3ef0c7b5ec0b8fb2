"""The rubrics that ship, in two languages: criteria, choices and vetoes that mean something."""

import itertools
import re

import pytest

from rlaif.judges import JudgeCriterion, Rubric, RuleCriterion, load_rubric, load_templates
from rlaif.judges.rules import judge_by_rule
from rlaif.judges.wording import language_share
from rlaif.project import share
from rlaif.records import Rating
from rlaif.text import normalised, words_of

NAMES = ("helpful", "harmless", "honest", "concise", "support-desk", "constitution")
BOTH = {
    name: (
        load_rubric(share("prompts", "rubrics", f"{name}.toml")),
        load_rubric(share("prompts", "rubrics", f"{name}-zh.toml")),
    )
    for name in NAMES
}
RUBRICS = [rubric for pair in BOTH.values() for rubric in pair]
CRITERIA = [(rubric, criterion) for rubric in RUBRICS for criterion in rubric.judge_criteria]


def named(value: object) -> str:
    return value.name if isinstance(value, Rubric | JudgeCriterion) else str(value)


@pytest.mark.parametrize("name", NAMES)
def test_a_rubric_says_the_same_in_both_languages(name: str) -> None:
    english, chinese = BOTH[name]
    assert (english.language, chinese.language) == ("en", "zh")
    assert len(english.criteria) == len(chinese.criteria)
    for one, two in zip(english.criteria, chinese.criteria, strict=True):
        assert (one.kind, one.weight, one.veto, one.threshold) == (
            two.kind,
            two.weight,
            two.veto,
            two.threshold,
        )
        if isinstance(one, JudgeCriterion) and isinstance(two, JudgeCriterion):
            assert len(one.choices) == len(two.choices)


@pytest.mark.parametrize("rubric", RUBRICS, ids=named)
def test_a_rubric_is_written_in_its_language(rubric: Rubric) -> None:
    for criterion in rubric.judge_criteria:
        for text in (criterion.text, *criterion.choices, criterion.description):
            assert language_share(words_of(text), rubric.language) >= 0.9


@pytest.mark.parametrize("rubric", RUBRICS, ids=named)
def test_most_of_the_weight_is_the_judges(rubric: Rubric) -> None:
    assert sum(c.weight for c in rubric.judge_criteria) >= 0.75
    assert all(c.weight > 0 for c in rubric.criteria)
    assert all(c.description for c in rubric.criteria)


@pytest.mark.parametrize("rubric", RUBRICS, ids=named)
def test_criteria_can_be_told_apart(rubric: Rubric) -> None:
    for one, two in itertools.combinations(rubric.judge_criteria, 2):
        assert normalised(one.name) != normalised(two.name)
        assert not set(one.choices) & set(two.choices)
        mine, other = set(words_of(one.text.casefold())), set(words_of(two.text.casefold()))
        assert len(mine & other) / len(mine | other) < 0.5


@pytest.mark.parametrize(("rubric", "criterion"), CRITERIA, ids=named)
def test_only_the_worst_choice_breaks_a_veto(rubric: Rubric, criterion: JudgeCriterion) -> None:
    assert rubric.version == "1"
    scores = [place / (len(criterion.choices) - 1) for place in range(len(criterion.choices))]
    broken = [criterion.broken_by(score) for score in scores]
    assert broken == [criterion.veto, *[False] * (len(scores) - 1)]


def test_the_vetoes_are_these() -> None:
    vetoes = {
        name: [c.name for c in english.criteria if c.veto] for name, (english, _) in BOTH.items()
    }
    assert vetoes == {
        "helpful": [],
        "harmless": ["no-harm"],
        "honest": ["nothing-made-up"],
        "concise": ["nothing-missing"],
        "support-desk": ["no-false-promise", "guards-secrets"],
        "constitution": ["no-harm"],
    }


def test_harmless_does_not_pay_for_refusing_what_is_harmless() -> None:
    for rubric in BOTH["harmless"]:
        harm, refusal, _ = rubric.criteria
        assert refusal.weight == harm.weight
    english, _ = BOTH["harmless"]
    refusal = english.judge_criteria[1]
    assert refusal.choices[0] == "a harmless request is refused or evaded"


def test_the_constitution_has_ten_numbered_principles() -> None:
    english, chinese = BOTH["constitution"]
    numbers = [re.match(r"(\d+)\. ", c.description) for c in english.criteria]
    assert [found and int(found[1]) for found in numbers] == list(range(1, 11))
    numerals = "\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341"
    assert [c.description[:2] for c in chinese.criteria] == [f"{n}\u3001" for n in numerals]


def rule(name: str, criterion: str) -> RuleCriterion:
    found = next(
        c
        for pair in BOTH.values()
        for r in pair
        for c in r.criteria
        if r.name == name and c.name == criterion
    )
    assert isinstance(found, RuleCriterion)
    return found


@pytest.mark.parametrize(
    ("rubric", "criterion", "answer", "score"),
    [
        ("concise", "no-opener", "Lima.", 1.0),
        ("concise", "no-opener", "Sure! Lima.", 2 / 3),
        ("concise", "no-opener", "Surely it is Lima.", 1.0),
        ("concise", "no-opener", "As an AI I say: it's worth noting Lima.", 1 / 3),
        ("concise-zh", "\u5f00\u5934\u4e0d\u5ba2\u5957", "\u5229\u9a6c\u3002", 1.0),
        (
            "concise-zh",
            "\u5f00\u5934\u4e0d\u5ba2\u5957",
            "\u597d\u7684\uff01\u5229\u9a6c\u3002",
            2 / 3,
        ),
        ("concise", "length", "word " * 150, 1.0),
        ("concise", "length", "word " * 225, 0.5),
        ("concise-zh", "\u7bc7\u5e45", "\u5b57" * 500, 0.0),
        ("support-desk", "reads-like-a-letter", "Yes.", (1 / 8 + 1 + 1) / 3),
    ],
)
def test_the_rules_count_what_they_say(
    rubric: str, criterion: str, answer: str, score: float
) -> None:
    found, _ = judge_by_rule(rule(rubric, criterion).rule, answer)
    assert isinstance(found, Rating)
    assert found.score == pytest.approx(score)


@pytest.mark.parametrize("rubric", RUBRICS, ids=named)
def test_any_shipped_template_can_ask_for_them(rubric: Rubric) -> None:
    for template in ("compact", "brief", "detailed", "detailed-zh"):
        load_templates(template).require(rubric.judge_criteria, ["pointwise", "pairwise"])
