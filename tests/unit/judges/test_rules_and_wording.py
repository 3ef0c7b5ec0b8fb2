from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlaif.judges import RuleSpec, judge_by_rule, patterns
from rlaif.judges.wording import LANGUAGES, language_share, repetition
from rlaif.records import Rating, Unscored
from rlaif.text import words_of


def rule(**keys: Any) -> RuleSpec:
    return RuleSpec.model_validate(keys)


def scored(spec: RuleSpec, text: str) -> tuple[float, str]:
    verdict, why = judge_by_rule(spec, text)
    assert isinstance(verdict, Rating)
    return verdict.score, why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  ...  ", []),
        ("Don't stop, well-known Zoë!", ["Don't", "stop", "well-known", "Zoë"]),
        ("我用Python写代码。", ["我", "用", "Python", "写", "代", "码"]),
        ("日本語とカタカナ", list("日本語とカタカナ")),
        ("한국어 말", ["한국어", "말"]),
        ("3 apples", ["3", "apples"]),
        ("a-", ["a"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("one two", 0.0),
        ("one two three", 0.0),
        ("a b c a b c", 1 / 4),
        ("go Go gO GO go", 2 / 3),
        ("一二三一二三", 1 / 4),
    ],
)
def test_repetition_counts_word_trigrams(text: str, share: float) -> None:
    assert repetition(words_of(text)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("plain English words", "en", 1.0),
        ("plain English words", "zh", 0.0),
        ("我用Python写代码", "zh", 5 / 6),
        ("12 34", "en", 0.0),
        ("12 men", "en", 1.0),
        ("Привет world", "ru", 0.5),
        ("日本語です", "ja", 1.0),
        ("日本語です", "zh", 3 / 5),
        ("한국어", "ko", 1.0),
        ("مرحبا", "ar", 1.0),
        ("नमस्ते", "hi", 1.0),
        ("", "en", 0.0),
    ],
)
def test_language_is_told_by_script(text: str, language: str, share: float) -> None:
    assert language_share(words_of(text), language) == pytest.approx(share)


@pytest.mark.parametrize(
    ("keys", "text", "score", "why"),
    [
        ({"min_words": 4}, "one two three four", 1.0, "has 4 words, at least 4"),
        ({"min_words": 4}, "one", 0.25, "has 1 word, fewer than 4"),
        ({"min_words": 4}, "", 0.0, "has 0 words, fewer than 4"),
        ({"max_words": 4}, "one two three four", 1.0, "has 4 words, at most 4"),
        ({"max_words": 4}, "one two three four five", 0.75, "has 5 words, more than 4"),
        ({"max_words": 2}, "one two three four", 0.0, "more than 2"),
        ({"max_words": 2}, "one two three four five", 0.0, "more than 2"),
        ({"must_match": r"\d+"}, "room 12", 1.0, "has what it must have"),
        ({"must_match": r"\d+"}, "room", 0.0, r'lacks "\d+"'),
        ({"must_match": ["a", "q"]}, "cat", 0.5, 'lacks "q"'),
        ({"must_not_match": "(?i)sorry"}, "Sorry, no.", 0.0, 'must not have "Sorry"'),
        ({"must_not_match": ["x", "n.", "z"]}, "no", 2 / 3, 'must not have "no"'),
        ({"must_not_match": "x"}, "no", 1.0, "nothing that it must not have"),
        ({"starts_with": "Dear"}, "  Dear Ann", 1.0, 'starts with "Dear"'),
        ({"starts_with": ["Dear", "Hi"]}, "Yo", 0.0, 'start with "Dear" or "Hi", not with "Y"'),
        ({"ends_with": "."}, "Done. \n", 1.0, "ends with a full stop"),
        ({"ends_with": "."}, "Done?", 0.0, 'should end with a full stop, not with "?"'),
        (
            {"ends_with": [".", "!", "。"]},
            "Done",
            0.0,
            'a full stop, an exclamation mark or a Chinese full stop, not with "e"',
        ),
        ({"ends_with": "."}, "  ", 0.0, "should end with a full stop, but is empty"),
        ({"max_repetition": 0.5}, "a b c a b c", 1.0, "repeats 25% of its phrases, at most 50%"),
        ({"max_repetition": 0.0}, "a b c a b c", 0.75, "over 0%"),
        ({"max_repetition": 0.5}, "a a a a a a", 0.5, "repeats 75% of its phrases, over 50%"),
        ({"max_repetition": 1.0}, "a a a a a a", 1.0, "at most 100%"),
        ({"language": "zh"}, "我用Python写代码", 5 / 6, "83% of its words"),
    ],
)
def test_each_part_scores_and_says_why(
    keys: dict[str, Any], text: str, score: float, why: str
) -> None:
    found, said = scored(rule(**keys), text)
    assert found == pytest.approx(score)
    assert why in said


def test_several_parts_are_averaged_and_all_explained() -> None:
    spec = rule(min_words=4, ends_with=["."], must_not_match="two")
    score, why = scored(spec, "one two")
    assert score == pytest.approx((0.5 + 0.0 + 0.0) / 3)
    assert why.split("; ") == [
        "has 2 words, fewer than 4",
        'must not have "two"',
        'should end with a full stop, not with "o"',
    ]


def test_long_matches_are_shown_short() -> None:
    _, why = scored(rule(must_not_match="x+"), "x" * 500)
    assert len(why) < 60


SPECS = st.builds(
    lambda keys: rule(**keys),
    st.dictionaries(
        st.sampled_from(
            ["min_words", "max_words", "must_match", "ends_with", "max_repetition", "language"]
        ),
        st.none(),
        min_size=1,
    ).map(
        lambda keys: {
            key: {
                "min_words": 3,
                "max_words": 5,
                "must_match": ["a", "[0-9]"],
                "ends_with": [".", "!"],
                "max_repetition": 0.3,
                "language": "en",
            }[key]
            for key in keys
        }
    ),
)


@given(SPECS, st.text())
def test_any_text_gets_a_score_from_0_to_1_and_words(spec: RuleSpec, text: str) -> None:
    score, why = scored(spec, text)
    assert 0.0 <= score <= 1.0
    assert why


@given(st.text(), st.sampled_from(sorted(LANGUAGES)))
def test_measures_are_shares(text: str, language: str) -> None:
    words = words_of(text)
    assert 0.0 <= repetition(words) <= 1.0
    assert 0.0 <= language_share(words, language) <= 1.0
    assert all(word in text for word in words)


@given(st.lists(st.sampled_from(["tea", "cup", "sun"]), min_size=1), st.integers(1, 12))
def test_more_words_never_lower_min_words_nor_raise_max_words(words: list[str], n: int) -> None:
    shorter, longer = " ".join(words), " ".join([*words, "more"])
    low, high = rule(min_words=n), rule(max_words=n)
    assert scored(low, shorter)[0] <= scored(low, longer)[0]
    assert scored(high, shorter)[0] >= scored(high, longer)[0]


def unchecked(**keys: Any) -> RuleSpec:
    """A rule as it may still be met, with a pattern that loading would refuse."""
    return RuleSpec.model_construct(set(keys), **keys)


@pytest.mark.parametrize("key", ["must_match", "must_not_match"])
def test_a_pattern_that_is_not_searched_to_the_end_is_no_score(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "LIMIT", 0.05)
    spec = unchecked(min_words=1, **{key: ("word", "(a|aa)+$")})
    assert judge_by_rule(spec, "a" * 90 + " word !") == (
        Unscored(reason="looking for the pattern '(a|aa)+$' took more than 0.05 s"),
        "",
    )


def test_patterns_have_seconds_of_computing_not_of_the_clock() -> None:
    assert patterns.LIMIT == 5.0
    assert scored(rule(must_match=r"(\w+ )+end$"), "word " * 19_000 + "end")[0] == 1.0


def test_patterns_are_looked_for_in_as_much_as_is_always_quick() -> None:
    spec = rule(must_not_match="z")
    longest = "a" * patterns.LONGEST
    assert scored(spec, longest)[0] == 1.0
    assert judge_by_rule(spec, f"{longest}a") == (
        Unscored(
            reason="the answer has 100,001 characters; a pattern is looked for in 100,000 at most"
        ),
        "",
    )
    assert scored(rule(min_words=1), f"{longest}a")[0] == 1.0


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a|a)*$", "'a'"),
        ("^(a|aa)+$", "'a'"),
        ("(的|的的)+$", "'的'"),
        ("(é|é)+$", "'é'"),
        (r"^(\w+\s?){1,40}$", "'a'"),
        ("(?:.*?,){20}x", "'a,'"),
    ],
)
def test_patterns_that_can_run_for_ever_are_refused(
    pattern: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert patterns.QUICK == 1.0
    monkeypatch.setattr(patterns, "QUICK", 0.1)
    with pytest.raises(ValidationError) as caught:
        rule(must_match=pattern)
    assert f"takes more than 0.1 s on {text} repeated 48 times" in str(caught.value)
    assert "read in one way only" in str(caught.value)


def test_a_pattern_that_is_slow_on_many_texts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = "(?:.*?,){5}x"
    assert patterns.TOGETHER == 3.0
    assert rule(must_match=pattern).must_match == (pattern,)
    patterns._slow_on.cache_clear()
    monkeypatch.setattr(patterns, "TOGETHER", 0.1)
    with pytest.raises(ValidationError) as caught:
        rule(must_match=pattern)
    patterns._slow_on.cache_clear()
    assert "takes more than 0.1 s on short repetitive texts together" in str(caught.value)
    assert "read in one way only" in str(caught.value)


FUZZY = {
    "(?be)(?:hello world){e}": "{e}",
    "a{e<=1}": "{e<=1}",
    "a{1<=e<=3}": "{1<=e<=3}",
    "a{i}": "{i}",
    "a{d}": "{d}",
    "{s}": "{s}",
    "a+{s<2,i<2}": "{s<2,i<2}",
    "a{2i+2d+1s<=4}": "{2i+2d+1s<=4}",
    "a{e<5:[a-z]}": "{e<5:[a-z]}",
    "(?x)a{ e <= 1 , d}": "{ e <= 1 , d}",
    "(?ix)a{ # one\ne}": "{ # one\ne}",
    "Dear {sir}": "{sir}",
    "S = {d,e}": "{d,e}",
    "(?=a{e}:b)": "{e}",
    r"\\{e}": "{e}",
    "[a]{e}": "{e}",
    "[]{e}]{s}": "{s}",
    "a{e": "{e",
}


@pytest.mark.parametrize("pattern", FUZZY)
def test_fuzzy_matching_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(must_match=pattern)
    assert f"without fuzzy matching, as which {FUZZY[pattern]!r} is read" in str(caught.value)
    assert r"write \{ for a brace" in str(caught.value)


@pytest.mark.parametrize("pattern", ["[" + r"\a" * 60, "[[:a" * 1_250, "[" * 5_000])
def test_sets_without_an_end_are_refused_at_once(pattern: str) -> None:
    with pytest.raises(ValidationError, match="this one has an error"):
        rule(must_match=pattern)


def test_a_pattern_is_no_longer_than_can_be_read_at_once() -> None:
    names = "|".join(f"name{n:03d}" for n in range(625)).ljust(patterns.LONGEST_PATTERN, ".")
    assert scored(rule(must_match=names), "This is name600.")[0] == 1.0
    with pytest.raises(ValidationError, match=r"at most 5,000 characters; this one has 5,001"):
        rule(must_match=f"{names}.")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[\]a]{2}", "a]"),
        (r"[]\\a]{3}", "a]\\"),
        (r"a\{e}", "a{e}"),
        ("a{n}", "a{n}"),
        ("{name}", "{name}"),
        ("{e,}", "{e,}"),
        ("{10e}", "{10e}"),
        ("a{E}", "a{E}"),
        ("{i, j}", "{i, j}"),
        ("{ else }", "{ else }"),
        ("[{e}]+", "{e}"),
        ("[[:alpha:]{e}]+", "a{e}"),
        ("a(?#{e})b", "ab"),
        (r"\p{digit}{2}", "12"),
        (r"\P{digit}\N{degree sign}", "a°"),
        ("(?i:a){2,3}", "aA"),
    ],
)
def test_other_braces_stay_what_they_are(pattern: str, text: str) -> None:
    assert scored(rule(must_match=f"^{pattern}$"), text)[0] == 1.0


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        r"\b(\w+)\b(?=.*\b\1\b)",
        r"^(?:\s*\d+\.\s.+\n?)+$",
        r"(\S+\s+){50,}",
        r"[\w.+-]+@[\w-]+\.[\w.]+",
        r"\p{Han}{2,}",
    ],
)
def test_patterns_that_are_quick_are_taken(pattern: str) -> None:
    assert rule(must_match=pattern).must_match == (pattern,)


def test_a_pattern_that_the_package_stumbles_over_is_no_pattern() -> None:
    with pytest.raises(ValidationError, match="this one has an error"):
        rule(must_match="t>k{55s<}:")


def test_an_empty_find_is_a_find() -> None:
    assert scored(rule(must_match="x*"), "no")[0] == 1.0
    assert scored(rule(must_not_match="x*"), "no")[0] == 0.0
