"""Replies of every shape, real, forged and broken, read by the parser and by a slow oracle."""

from collections import Counter

import pytest
from reply_samples import FORMS, check_reply, reply, slow_label, slow_ranking

from rlaif.judges.protocol import PAIR_LABELS
from rlaif.judges.verdict_forms import DEFAULT
from rlaif.seeds import derive_seed, numpy_generator


@pytest.mark.parametrize("seed", range(4))
def test_the_parser_reads_what_the_oracle_reads(seed: int) -> None:
    generator = numpy_generator(derive_seed(seed, "reply fuzz"))
    for _ in range(1000):
        said = reply(generator)
        try:
            check_reply(said)
        except AssertionError as exc:
            raise AssertionError(repr(said)) from exc


def test_replies_are_of_many_kinds() -> None:
    generator = numpy_generator(derive_seed(0, "reply fuzz"))
    read = Counter(
        (reader, value)
        for _ in range(3000)
        for reader, value in check_reply(reply(generator)).items()
    )
    for number, (_, labels) in enumerate(FORMS):
        assert sum(read[f"form {number}", label] for label in labels) > 10
        assert read[f"form {number}", labels[1]] > 0
        assert read[f"form {number}", "unscored"] > 1500
    assert sum(n for (who, what), n in read.items() if who == "ranking" and what != "unscored") > 5
    assert sum(n for (who, what), n in read.items() if who == "errors" and what != "unscored") > 20


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("Verdict: A", "A"),
        ("Fine.\n# **verdict** : [B].\r", "B"),
        ("Fine.\n> **verdict** : [B].\r", None),
        ("Verdict: A\nVerdict: A", None),
        ("Verdict: C", None),
        ("A", None),
        ("", None),
    ],
)
def test_the_oracle_reads_plain_cases(said: str, label: str | None) -> None:
    assert slow_label(said, PAIR_LABELS, DEFAULT) == label


@pytest.mark.parametrize(
    ("number", "said", "label"),
    [
        (2, "I say Output (a) is better.", "A"),
        (2, "Output (a) is better, no, Output (b) is better", None),
        (2, " Output (b)\n", "B"),
        (3, "(7).", "7"),
        (3, "7.5", None),
        (4, "Score: 10.", "10"),
        (4, "Score: 1/10", None),
        (5, "So 3 points", "3"),
        (5, "13 points", None),
        (6, "我看答案B更好。", "B"),
    ],
)
def test_the_oracle_reads_forms(number: int, said: str, label: str | None) -> None:
    form, labels = FORMS[number]
    assert slow_label(said, labels, form) == label


def test_the_oracle_reads_rankings() -> None:
    assert slow_ranking("Ranking: B > *A* > C.", ("A", "B", "C")) == ("B", "A", "C")
    assert slow_ranking("Ranking: B > A", ("A", "B", "C")) is None
    assert slow_ranking("Ranking: A = B > C", ("A", "B", "C")) is None
