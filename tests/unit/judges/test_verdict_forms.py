"""How words state a verdict, and how a template declares it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlaif.errors import ConfigError
from rlaif.judges.protocol import PAIR_LABELS, parse_verdict, rating_labels
from rlaif.judges.verdict_forms import (
    DEFAULT,
    RANKING,
    VerdictForm,
    VerdictForms,
    load_forms,
    read_label,
    read_ranking,
)
from rlaif.records import Choice, Rating, Unscored

LLMBAR = VerdictForm(
    phrase="Output ({label}) is better", whole="Output ({label})", labels={"a": "A", "b": "B"}
)
BARE = VerdictForm(whole="{label}")
SCORE = VerdictForm(phrase="Score: {label}")
CHINESE = VerdictForm(phrase="答案{label}更好", cue="裁决")


def said(found: str | tuple[str, ...] | Unscored) -> str:
    assert isinstance(found, Unscored), found
    return found.reason


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("Output (a)", "A"),
        (" Output (b)\n", "B"),
        ("**Output (b)**.", "B"),
        ('"Output (a)".\r\n', "A"),
        ("Output (a) is short. Therefore, Output (b) is better.", "B"),
        ("Output (a) is better. It is right. So Output (a) is better.", "A"),
        ("Output (a) is better.Really", "A"),
        ("**Output (a) is better**", "A"),
        ("_Output (a) is better_", "A"),
        ("\u6240\u4ee5Output (b) is better\u3002", "B"),
    ],
)
def test_a_phrase_or_a_short_reply_names_its_label(reply: str, label: str) -> None:
    assert read_label(reply, PAIR_LABELS, LLMBAR) == label
    verdict = parse_verdict(reply, PAIR_LABELS, LLMBAR)
    assert verdict == Choice(p_first=1.0 if label == "A" else 0.0)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "no verdict in the reply"),
        ("Output (a) or Output (b)", "no verdict in the reply"),
        ("Output (c) is better", "no verdict in the reply"),
        ("Output (A) is better", "no verdict in the reply"),
        ("output (a) is better", "no verdict in the reply"),
        ("Output (a) is  better", "no verdict in the reply"),
        ("Output (a) is betterment", "no verdict in the reply"),
        ("MyOutput (a) is better", "no verdict in the reply"),
        ("Verdict: A", "no verdict in the reply"),
        ("Output (a) is better. No: Output (b) is better.", "several labels: A, B"),
    ],
)
def test_other_words_name_none(reply: str, words: str) -> None:
    assert words in said(read_label(reply, PAIR_LABELS, LLMBAR))
    assert isinstance(parse_verdict(reply, PAIR_LABELS, LLMBAR), Unscored)


@pytest.mark.parametrize(
    ("reply", "score"), [("1", 0.0), ("10", 1.0), (" 4 ", 3 / 9), ("**7**", 6 / 9), ("(4).", 3 / 9)]
)
def test_a_bare_number_is_a_rating(reply: str, score: float) -> None:
    verdict = parse_verdict(reply, rating_labels(10), BARE)
    assert isinstance(verdict, Rating)
    assert verdict.score == pytest.approx(score)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "11",
        "0",
        "-1",
        "+1",
        "1.5",
        "1/10",
        "1 0",
        "7 out of 10",
        "\uff17",
        "\u0667",
        "07",
        "1e0",
    ],
)
def test_a_number_that_is_not_on_the_scale_is_none(reply: str) -> None:
    assert "no verdict in the reply" in said(read_label(reply, rating_labels(10), BARE))


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("Score: 1", "1"),
        ("Score: 10", "10"),
        ("Score: 1, as it should", "1"),
        ("Score: 1. Fine", "1"),
        ("Score: 1.", "1"),
        ("Score: 10.5", None),
        ("Score: 1.5", None),
        ("Score: 1/10", None),
        ("Score: 1,5", None),
        ("Score: 1:0", None),
        ("Score: 1-ish", None),
        ("Score: 1's", None),
        ("Score: 12", None),
        ("Score: 1st", None),
        ("Score: -1", None),
        ("My Score: 2", "2"),
        ("HighScore: 2", None),
    ],
)
def test_a_label_at_the_end_of_a_phrase_ends_there(reply: str, label: str | None) -> None:
    found = read_label(reply, rating_labels(10), SCORE)
    assert (None if isinstance(found, Unscored) else found) == label


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("2 points", "2"),
        ("So 2 points.", "2"),
        ("12 points", None),
        ("1.2 points", None),
        ("-2 points", None),
        ("x2 points", None),
        ("\u5f972 points", "2"),
    ],
)
def test_a_label_at_the_start_of_a_phrase_starts_there(reply: str, label: str | None) -> None:
    found = read_label(reply, rating_labels(5), VerdictForm(phrase="{label} points"))
    assert (None if isinstance(found, Unscored) else found) == label


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("我认为答案A更好。", "A"),
        ("答案B更好", "B"),
        ("裁决\uff1aB", "B"),
        ("**裁决**: A", "A"),
        ("答案A更好\n裁决\uff1aA", "A"),
    ],
)
def test_chinese_forms_are_read(reply: str, label: str) -> None:
    assert read_label(reply, PAIR_LABELS, CHINESE) == label


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("答案A更好\n裁决\uff1aB", "several labels: A, B"),
        ("裁决\uff1aA\n裁决\uff1aA", "2 裁决 lines"),
        ("答案A更好\n裁决\uff1a没有", "the verdict is '没有', not one of A, B"),
        ("都好", "expected '裁决: LABEL' or '答案{label}更好'"),
    ],
)
def test_all_declared_ways_have_to_agree(reply: str, words: str) -> None:
    assert words in said(read_label(reply, PAIR_LABELS, CHINESE))


def test_statements_that_overlap_are_all_heard() -> None:
    form = VerdictForm(phrase="better {label} better", labels={"a": "A", "b": "B"})
    assert read_label("better a better", PAIR_LABELS, form) == "A"
    assert "several labels" in said(read_label("better a better b better", PAIR_LABELS, form))


def test_a_form_that_cannot_say_a_label_says_none() -> None:
    form = VerdictForm(whole="{label}", labels={"poor": "1", "good": "2"})
    assert read_label("good", ("1", "2"), form) == "2"
    assert "has no words for 3" in said(read_label("good", ("1", "2", "3"), form))
    longer = VerdictForm(whole="{label}", labels={"poor": "1", "fair": "2", "good": "3"})
    assert "no verdict" in said(read_label("good", ("1", "2"), longer))


def test_several_words_may_mean_one_label() -> None:
    form = VerdictForm(cue="Verdict", labels={"a": "A", "A": "A", "b": "B", "B": "B"})
    assert read_label("Verdict: a", PAIR_LABELS, form) == "A"
    assert read_label("Verdict: A", PAIR_LABELS, form) == "A"
    assert isinstance(read_label("Verdict: a", PAIR_LABELS), Unscored)


@given(st.text(max_size=60), st.sampled_from([LLMBAR, BARE, SCORE, CHINESE, DEFAULT, RANKING]))
def test_a_label_that_is_read_is_written_in_the_reply(reply: str, form: VerdictForm) -> None:
    found = read_label(reply, rating_labels(3) if form in (BARE, SCORE) else PAIR_LABELS, form)
    if isinstance(found, Unscored):
        assert found.reason
    else:
        assert any(
            w in reply for w in ([found] + [w for w, x in form.labels.items() if x == found])
        )


@pytest.mark.parametrize(
    ("reply", "ranking"),
    [
        ("Ranking: B > A > C", ("B", "A", "C")),
        ("C is odd.\n**Ranking:** [C] > A > *B*.", ("C", "A", "B")),
        ("ranking\uff1aA\uff1eB\uff1eC", ("A", "B", "C")),
        ("# Ranking: A>C>B\r", ("A", "C", "B")),
    ],
)
def test_a_ranking_is_read_best_first(reply: str, ranking: tuple[str, ...]) -> None:
    assert read_ranking(reply, ("A", "B", "C")) == ranking


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "no ranking line"),
        ("B > A > C", "no ranking line"),
        ("Ranking: A > B > C\nRanking: A > B > C", "2 ranking lines"),
        ("Ranking: A > B", "the ranking is A > B, expected each of A, B, C once"),
        ("Ranking: A > B > B", "the ranking is A > B > B"),
        ("Ranking: A > B > C > A", "once"),
        ("Ranking: A = B > C", "has a tie"),
        ("Ranking: A > B \uff1d C", "has a tie"),
        ("Ranking: A > B > D", "holds 'D', not one of A, B, C"),
        ("Ranking: A, B, C", "holds 'A, B, C'"),
        ("Ranking: C < B < A", "holds 'C < B < A'"),
        ("Ranking: A > > B > C", "holds ''"),
        ("Ranking: a > b > c", "holds 'a'"),
        ("Ranking: C > )A( > B", "holds ')A('"),
        ("Ranking:", "holds ''"),
    ],
)
def test_what_is_no_ranking_is_unscored(reply: str, words: str) -> None:
    assert words in said(read_ranking(reply, ("A", "B", "C")))


@given(st.permutations(["A", "B", "C", "D", "E"]), st.text(alphabet="xyz \n>", max_size=20))
def test_any_order_is_read_back(order: list[str], before: str) -> None:
    assert read_ranking(f"{before}\nRanking: {' > '.join(order)}", sorted(order)) == tuple(order)


def test_a_ranking_in_other_words() -> None:
    form = VerdictForm(cue="排名", labels={"甲": "A", "乙": "B"})
    assert read_ranking("排名\uff1a乙 > 甲", PAIR_LABELS, form) == ("B", "A")
    assert "holds 'A'" in said(read_ranking("排名\uff1aA > B", PAIR_LABELS, form))
    assert "no words for C" in said(read_ranking("排名\uff1a乙 > 甲", ("A", "B", "C"), form))


def test_a_folder_without_a_form_has_the_default(tmp_path: Path) -> None:
    assert load_forms(tmp_path) == VerdictForms()
    assert VerdictForms().pairwise == VerdictForms().pointwise == VerdictForm(cue="Verdict")
    assert VerdictForms().listwise == VerdictForm(cue="Ranking")


def test_a_declared_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "form.toml").write_text(
        '[pairwise]\nphrase = "答案{label}更好"\nlabels = { "甲" = "A", "乙" = "B" }\n', "utf-8"
    )
    forms = load_forms(tmp_path)
    assert read_label("我看答案甲更好", PAIR_LABELS, forms.pairwise) == "A"
    assert forms.pointwise == DEFAULT


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[pairwise]\n", 1, "one or more of: cue, phrase, whole"),
        ('[pairwise]\ncue = "Verdict:"\n', 2, "without the colon"),
        ('[pairwise]\ncue = " "\n', 2, "a word or a few"),
        ('[pairwise]\nphrase = "is better"\n', 2, "one line with {label} in it once"),
        ('[pairwise]\nphrase = "{label} {label} x"\n', 2, "one line with {label} in it once"),
        ('[pairwise]\nphrase = "({label})"\n', 2, "words beside {label}"),
        ('[pointwise]\nwhole = "a\\n{label}"\n', 2, "one line with {label} in it once"),
        ('[pairwise]\ncue = "V"\nlabels = { a = "A" }\n', 1, "labels for A and for B"),
        ('[pairwise]\ncue = "V"\nlabels = { a = "A", b = "B", c = "C" }\n', 1, "nothing else"),
        ('[pointwise]\ncue = "V"\nlabels = { "(a)" = "1" }\n', 3, "labels without spaces"),
        ('[listwise]\nphrase = "x {label}"\n', 1, "a cue alone"),
        ("[pairwise]\ncue = 3\n", 2, "pairwise.cue = 3"),
        ('[pairwise]\ncues = "V"\n', 2, "unknown key 'pairwise.cues'"),
        ('[pairwize]\ncue = "V"\n', 1, "unknown key 'pairwize'"),
        ("[pairwise\n", 1, "not valid TOML"),
    ],
)
def test_a_broken_form_names_file_line_and_remedy(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    (tmp_path / "form.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_forms(tmp_path)
    assert words in str(caught.value)
    assert caught.value.path == tmp_path / "form.toml"
    assert caught.value.line == line


def test_a_form_is_frozen_and_part_of_a_hash() -> None:
    with pytest.raises(ValidationError):
        LLMBAR.cue = "x"  # type: ignore[misc]
    assert VerdictForm.model_validate_json(LLMBAR.model_dump_json()) == LLMBAR


def test_a_long_reply_is_read_quickly() -> None:
    reply = "Output (a) is better. " * 200_000 + "\n" + "*" * 1_000_000
    assert read_label(reply, PAIR_LABELS, LLMBAR) == "A"
    assert isinstance(read_label("[" * 1_000_000 + "x", PAIR_LABELS, LLMBAR), Unscored)
    assert isinstance(read_label(" " * 1_000_000 + "verdict", PAIR_LABELS), Unscored)
