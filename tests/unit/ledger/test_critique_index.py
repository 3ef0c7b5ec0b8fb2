"""The index of critiques stays in step with the rows that it was made from."""

import time
from pathlib import Path

import pytest
from ledger_samples import RUBRIC, begun, comparison, completion, prompt, rating

from rlaif.errors import UsageError
from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.search_words import MOST_SEARCHED, TOO_LONG, search_terms
from rlaif.ledger.writer import Ledger
from rlaif.records import PairVerdict


def ids(views: list[CritiqueView]) -> list[str]:
    return [view.id for view in views]


def test_rank_puts_what_holds_rare_words_often_first(ledger: Ledger) -> None:
    texts = {
        "once": "The tone is cold and the rest of it is long, dull and of no use to anybody.",
        "often": "Cold, cold, cold.",
        "never": "Warm.",
        "other": "The tone is fine.",
    }
    with ledger.unit(1, "generation", "a") as unit:
        unit.add_prompts([prompt("a")])
        unit.add_completions("train", [completion("a", "a")])
    with ledger.unit(1, "judging", "a") as unit:
        unit.add_judgements(RUBRIC, [rating(name, "a", text) for name, text in texts.items()])
    found = ledger.critiques(search="cold", order="rank")
    assert [v.id for v in found] == ["judgement-often", "judgement-once"]
    newest = ledger.critiques(search="cold")
    assert [v.id for v in newest] == ["judgement-often", "judgement-once"]
    assert [v.id for v in ledger.critiques(search="cold", order="rank", before=2)] == [
        "judgement-once"
    ]
    assert ids(ledger.critiques(search="e", order="rank", criterion="nothing")) == []
    assert len(ledger.critiques(order="rank")) == 4


@pytest.fixture
def pair(ledger: Ledger) -> Ledger:
    with ledger.unit(1, "generation", "a") as unit:
        unit.add_prompts([prompt("a", tags=("old",))])
        unit.add_completions("train", [completion(name, "a") for name in ("a-0", "a-1")])
    with ledger.unit(1, "judging", "ratings") as unit:
        unit.add_judgements(RUBRIC, [rating("r", "a-0"), rating("s", "a-1")])
    with ledger.unit(1, "judging", "pairs") as unit:
        both = [comparison("there", "a-0", "a-1"), comparison("back", "a-1", "a-0")]
        unit.add_judgements(RUBRIC, both)
    return ledger


def test_a_pairs_verdict_may_come_in_a_later_unit(pair: Ledger) -> None:
    assert pair.critiques(quarantined=True) == pair.critiques(flipped=True) == []
    with pair.unit(1, "judging", "verdicts") as unit:
        verdict = PairVerdict(
            first_id="completion-a-0",
            second_id="completion-a-1",
            p_first=0.5,
            p_forward=0.75,
            p_backward=0.25,
            quarantined="it flips: 礼貌",
        )
        unit.add_pair_verdicts([verdict])
    expected = ["judgement-back", "judgement-there"]
    found = pair.critiques(quarantined=True)
    assert ids(found) == ids(pair.critiques(flipped=True)) == expected
    assert {view.quarantined for view in found} == {"it flips: 礼貌"}
    assert ids(pair.critiques(search="courteous")) == expected
    assert len(pair.critiques()) == 4


def test_a_prompt_that_gets_other_tags_is_found_by_them(pair: Ledger) -> None:
    with pair.unit(1, "generation", "b") as unit:
        unit.add_prompts([prompt("a", tags=("new", "old"))])
    assert len(pair.critiques(tag="new")) == len(pair.critiques(tag="old")) == 4
    with pair.unit(1, "generation", "c") as unit:
        unit.add_prompts([prompt("a", tags=("new",))])
    assert pair.critiques(tag="old") == []
    assert len(pair.critiques(tag="new", search="right")) == 2
    assert pair.connection.execute("SELECT count(*) FROM critiques_fts").fetchone()[0] == 4


def test_a_unit_that_fails_leaves_no_word_behind(pair: Ledger) -> None:
    def write(name: str) -> None:
        with pair.unit(1, "judging", name) as unit:
            judged = [rating("new", "a-0", "Brusque", criterion="tone")]
            unit.add_judgements(RUBRIC if name == "good" else "no rubric", judged)

    with pytest.raises(Exception, match="refers to a row of rubrics"):
        write("bad")
    assert pair.critiques(search="brusque") == []
    write("good")
    assert ids(pair.critiques(search="rusqu")) == ["judgement-new"]
    assert pair.critique_values("criterion") == ["helpful", "tone"]


def test_words_of_any_length_are_found(ledger: Ledger) -> None:
    long = "a1b2c3d4" * 4_000
    with ledger.unit(1, "generation", "a") as unit:
        unit.add_prompts([prompt("a")])
        unit.add_completions("train", [completion("a", "a")])
    with ledger.unit(1, "judging", "a") as unit:
        unit.add_judgements(RUBRIC, [rating("long", "a", f"see {long} there"), rating("s", "a")])
    for words in (
        long[:2_000],
        long[3:900],
        long[-9:],
        f'"{long[-9:]} the"',
        '"see a1b2"',
        "c3d4a1",
    ):
        assert ids(ledger.critiques(search=words)) == ["judgement-long"], words[:20]
    assert ledger.critiques(search="c3d4b2") == []
    assert ledger.critiques(search=f"x{long[:200]}") == []


def test_what_a_view_says_of_its_pair(pair: Ledger) -> None:
    (view,) = pair.critiques("judgement-there")
    assert (view.seq, view.tags, view.margin, view.flipped) == (3, ("old",), 0.5, False)
    assert (view.quarantined, view.method) == (None, None)
    assert [c.policy for c in view.completions] == ["digest-base"] * 2


def test_ids_and_filters_add_up(pair: Ledger) -> None:
    assert ids(pair.critiques("completion-a-1", verdict="rating")) == ["judgement-s"]
    assert ids(pair.critiques("judgement-r", verdict="choice")) == []
    assert ids(pair.critiques("prompt-a", verdict="choice", limit=1)) == ["judgement-back"]
    assert ids(pair.critiques("What is a", verdict="rating", order="oldest")) == [
        "judgement-r",
        "judgement-s",
    ]
    about = ids(pair.critiques("completion-a-0", order="oldest"))
    assert about == ["judgement-r", "judgement-there", "judgement-back"]
    assert pair.critiques_among([1, 2, 3], "completion-a-1") == {2, 3}


def test_a_ledger_without_critiques_answers_too(path: Path) -> None:
    with begun(path, "judging") as ledger:
        assert ledger.critiques(search="any", quarantined=True) == []
        assert ledger.last_critique() == 0


def test_the_sign_of_long_words_is_found_where_it_is_written_alone(pair: Ledger) -> None:
    with pair.unit(1, "judging", "signs") as unit:
        texts = {"long": "x" * 200, "sign": f"a {TOO_LONG} sign"}
        unit.add_judgements(RUBRIC, [rating(name, "a-0", text) for name, text in texts.items()])
    for order in ("newest", "rank"):
        assert ids(pair.critiques(search=TOO_LONG, order=order)) == ["judgement-sign"]


def test_a_term_that_is_given_again_is_one() -> None:
    assert search_terms('cold COLD "cold" "too cold" cold "too cold"') == ["cold", "too cold"]


@pytest.mark.parametrize("text", ["a ", "\u00e9", "\u5317 ", "ab-", "-", "e\u0301"])
def test_the_longest_search_is_answered_soon_and_a_longer_one_refused(
    pair: Ledger, text: str
) -> None:
    longest = (text * MOST_SEARCHED)[:MOST_SEARCHED]
    began = time.process_time()
    for asked in (longest, f'"{longest[2:]}"'):
        pair.critiques(search=asked)
    assert time.process_time() - began < 5.0
    with pytest.raises(UsageError, match="2001 characters"):
        pair.critiques(search=longest + "x")
    with pytest.raises(UsageError, match="1000000 characters"):
        pair.critique_seqs(search="x" * 1_000_000)
