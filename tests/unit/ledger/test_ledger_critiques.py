"""Finding critiques: newest first, by any id, and with any words at all."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import (
    RUBRIC,
    begun,
    call,
    comparison,
    completion,
    preference,
    prompt,
    rating,
)

from rlaif.ledger.critique_reads import search_terms
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import Choice, CompletionScore, Message, Prompt, Rating, Unscored

PROMPTS = {
    "capital": "What is the capital of France?",
    "refund": 'I want a refund NOW, you "reward-hacking" bots!',
    "chinese": "法国的首都是什么?",
    "odd": "100% of_it \\ c:\\dir AND NOT near* (a OR b)",
}
CRITIQUES = {
    "capital": "Right and courteous: Paris it is.",
    "refund": "Calm, but it doesn't say how long it takes — naïve.",
    "chinese": "回答正确, 很有礼貌",
    "odd": "",
}


@pytest.fixture
def judged(ledger: Ledger) -> Ledger:
    return fill(ledger)


@pytest.fixture(scope="module")
def judged_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("judged") / "ledger.db"
    with begun(path, "generation", "judging") as ledger:
        yield fill(ledger)


def fill(ledger: Ledger) -> Ledger:
    with ledger.unit(1, "generation", "u0") as unit:
        unit.add_prompts([prompt(name, text) for name, text in PROMPTS.items()])
        for name in PROMPTS:
            unit.add_completions(name, [completion(f"{name}-{i}", name) for i in range(2)])
    for name, critique in CRITIQUES.items():
        with ledger.unit(1, "judging", name) as unit:
            unit.add_judgements(RUBRIC, [rating(name, f"{name}-0", critique)])
    return ledger


def names(ledger: Ledger | LedgerReader, **asked: object) -> list[str]:
    found = ledger.critiques(**asked)  # type: ignore[arg-type]
    return [view.id.removeprefix("judgement-") for view in found]


def test_ratings_whose_score_must_not_train_are_found_with_the_reason(judged: Ledger) -> None:
    held = CompletionScore(
        completion_id="completion-odd-1", score=0.5, parts={}, quarantined="陪审团 is split"
    )
    mute = CompletionScore(
        completion_id="completion-refund-0", score=None, parts={}, unscored="mumbled"
    )
    with judged.unit(1, "judging", "together") as unit:
        unit.add_judgements(RUBRIC, [rating("late", "odd-1"), comparison("pair", "odd-1", "odd-0")])
        unit.add_scores([held, mute])
    assert names(judged, quarantined=True) == ["late"]
    with judged.unit(1, "judging", "scores alone") as unit:
        unit.add_scores([held.model_copy(update={"completion_id": "completion-chinese-0"})])
    assert names(judged, quarantined=True) == ["late", "chinese"]
    found = {view.id: view.quarantined for view in judged.critiques()}
    assert found["judgement-late"] == found["judgement-chinese"] == "陪审团 is split"
    assert {found[f"judgement-{name}"] for name in ("pair", "refund", "odd")} == {None}
    assert {s.completion_id: s for s in judged.scores(1, "judging")}[mute.completion_id] == mute


def test_a_score_is_unscored_or_quarantined_and_says_so_in_one_place() -> None:
    for score, reason in ((0.5, "unscored"), (None, "quarantined")):
        with pytest.raises(ValueError, match=r"c with score .*: why"):
            CompletionScore(completion_id="c", score=score, parts={}, **{reason: "why"})


def test_all_are_listed_newest_first_up_to_a_limit(judged_once: Ledger) -> None:
    assert names(judged_once) == ["odd", "chinese", "refund", "capital"]
    assert names(judged_once, limit=2) == ["odd", "chinese"]
    assert names(judged_once, limit=0) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("courteous", ["capital"]),
        ("COURTEOUS", ["capital"]),
        ("court paris", ["capital"]),
        ("capital courteous", ["capital"]),
        ("capital calm", []),
        ("aris", ["capital"]),
        ("reward-hacking", ["refund"]),
        ('"reward-hacking"', ["refund"]),
        ('"refund NOW"', ["refund"]),
        ('"NOW refund"', []),
        ("doesn't", ["refund"]),
        ("'; DROP TABLE critiques; --", []),
        ("naïve", ["refund"]),
        ("NAÏVE", ["refund"]),
        ("首都", ["chinese"]),
        ("法国的", ["chinese"]),
        ("很有礼貌", ["chinese"]),
        ("首", ["chinese"]),
        ("首都 礼貌", ["chinese"]),
        ("100%", ["odd"]),
        ("0%", ["odd"]),
        ("%", ["odd"]),
        ("_", ["odd"]),
        ("\\", ["odd"]),
        ("near*", ["odd"]),
        ("AND NOT", ["odd"]),
        ("(a", ["odd"]),
        ('"', ["refund"]),
        ('"reward', ["refund"]),
        ("?", ["chinese", "capital"]),
        ("text:capital", []),
        ("", ["odd", "chinese", "refund", "capital"]),
        ("   ", ["odd", "chinese", "refund", "capital"]),
        ('""', ["odd", "chinese", "refund", "capital"]),
        ('"" capital', ["capital"]),
        ("\0\0", ["odd", "chinese", "refund", "capital"]),
        ("cap\0ital", ["capital"]),
        ("nowhere", []),
    ],
)
def test_words_are_found_in_critique_and_prompt(
    judged_once: Ledger, words: str, expected: list[str]
) -> None:
    assert names(judged_once, search=words) == expected


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('say "two words" now', ["say", "two words", "now"]),
        ('half "open', ["half", '"open']),
        ('""', []),
        ('a""b "" c', ['a""b', "c"]),
        ("", []),
        ("\t tab\n", ["tab"]),
    ],
)
def test_terms_are_words_and_quoted_phrases(text: str, terms: list[str]) -> None:
    assert search_terms(text) == terms


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    critique=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40), data=st.data()
)
def test_any_part_of_a_critique_finds_it_and_no_input_is_an_error(
    shared: Ledger, critique: str, data: st.DataObject
) -> None:
    number = shared.cycle_counts(1).judgements
    with shared.unit(1, "judging", f"u{number}") as unit:
        unit.add_judgements(RUBRIC, [rating(f"any-{number}", "shared-0", critique)])
    start = data.draw(st.integers(0, len(critique)))
    part = critique[start : data.draw(st.integers(start, len(critique)))]
    assert f"any-{number}" in names(shared, search=part.replace('"', " "), limit=1000)
    names(shared, search=data.draw(st.text(max_size=20)))
    names(shared, prompt_or_id=data.draw(st.text(max_size=20)))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("shared") / "ledger.db"
    with begun(path, "generation", "judging") as ledger:
        with ledger.unit(1, "generation", "u0") as unit:
            unit.add_prompts([prompt("shared")])
            unit.add_completions("train", [completion("shared-0", "shared")])
        yield ledger


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("judgement-refund", ["refund"]),
        ("completion-refund-0", ["refund"]),
        ("completion-refund-1", []),
        ("prompt-refund", ["refund"]),
        ("What is the capital of France?", ["capital"]),
        ("capital of fr", ["capital"]),
        ("首都", ["chinese"]),
        ("nothing like it", []),
    ],
)
def test_a_prompt_is_named_by_any_id_its_text_or_a_part_of_it(
    judged_once: Ledger, asked: str, expected: list[str]
) -> None:
    assert names(judged_once, prompt_or_id=asked) == expected


def test_the_exact_text_of_a_prompt_wins_over_longer_ones_that_hold_it(judged: Ledger) -> None:
    with judged.unit(1, "generation", "u1") as unit:
        unit.add_prompts([prompt("longer", PROMPTS["capital"] + " And of Spain?")])
        unit.add_completions("train", [completion("longer-0", "longer")])
    with judged.unit(1, "judging", "longer") as unit:
        unit.add_judgements(RUBRIC, [rating("longer", "longer-0")])
    assert names(judged, prompt_or_id=PROMPTS["capital"]) == ["capital"]
    assert names(judged, prompt_or_id="capital of France") == ["longer", "capital"]


def test_a_preference_leads_to_every_critique_behind_it(judged: Ledger) -> None:
    with judged.unit(1, "judging", "pairs") as unit:
        unit.add_judgements(
            RUBRIC,
            [
                comparison("there", "capital-0", "capital-1"),
                comparison("back", "capital-1", "capital-0"),
                rating("second", "capital-1"),
                comparison("other", "refund-0", "refund-1"),
            ],
        )
        unit.add_preferences([preference("p", "capital", "capital-0", "capital-1")])
    behind = names(judged, prompt_or_id="preference-p")
    assert behind == ["second", "back", "there", "capital"]


def test_filters_add_up(judged: Ledger) -> None:
    unread = Unscored(reason="no label")
    with judged.unit(1, "judging", "more") as unit:
        unit.add_judgements(
            RUBRIC,
            [
                rating("odd-one", "odd-0", "unreadable", verdict=unread),
                rating("rule", "odd-1", "Too long.", criterion="brief", call=None),
            ],
        )
    assert names(judged, unscored=True) == ["odd-one"]
    assert names(judged, criterion="brief") == ["rule"]
    assert names(judged, criterion="brief", unscored=True) == []
    assert names(judged, cycle=1, criterion="helpful", search="unread") == ["odd-one"]
    assert names(judged, cycle=2) == []


def test_a_view_tells_all_that_a_person_asks(judged: Ledger) -> None:
    told = call("Compare them", label_probs={"A": 0.5, "B": 0.25})
    with judged.unit(1, "judging", "view") as unit:
        unit.add_judgements(RUBRIC, [comparison("view", "refund-1", "refund-0", call=told)])
    with LedgerReader.open(judged.path) as reader:
        (view,) = reader.critiques("judgement-view")
    assert view.prompt == PROMPTS["refund"]
    assert [c.id for c in view.completions] == ["completion-refund-1", "completion-refund-0"]
    assert [c.text for c in view.completions] == ["It is refund-1.", "It is refund-0."]
    assert view.verdict == Choice(p_first=0.75)
    assert view.label_probs == {"A": 0.5, "B": 0.25}
    assert (view.judge, view.reply) == ("tiny-judge", "The first is courteous. A")
    assert (view.cycle, view.stage, view.kind) == (1, "judging", "pairwise")
    assert view.rubric_hash == RUBRIC


def test_a_criterion_that_asks_no_model_has_no_probabilities(judged: Ledger) -> None:
    with judged.unit(1, "judging", "rule") as unit:
        unit.add_judgements(RUBRIC, [rating("rule", "odd-0", "Ends with a full stop.", call=None)])
    (view,) = judged.critiques("judgement-rule")
    assert (view.judge, view.label_probs, view.reply) == (None, None, None)
    assert view.verdict == Rating(score=0.75)


def test_a_conversation_is_found_by_any_of_its_turns(ledger: Ledger) -> None:
    turns = tuple(
        Message(role=role, content=content)  # type: ignore[arg-type]
        for role, content in (("system", "Be terse."), ("user", "Hello?"))
    )
    with ledger.unit(1, "generation", "u0") as unit:
        unit.add_prompts([Prompt(id="prompt-talk", messages=turns, split="train")])
        unit.add_completions("train", [completion("talk", "talk")])
    with ledger.unit(1, "judging", "u0") as unit:
        unit.add_judgements(RUBRIC, [rating("talk", "talk")])
    assert names(ledger, search="terse hello") == ["talk"]
