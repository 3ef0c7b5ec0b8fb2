"""The critique log: any filters and words together, against a reading of every critique."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from ledger_samples import RUBRIC, begin, comparison, completion, prompt, rating

from rlaif.ledger import critique_reads
from rlaif.ledger.critique_view import CritiqueView
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import Choice, PairVerdict, Rating, Unscored
from rlaif.seeds import numpy_generator

T = TypeVar("T")

WORDS = [
    "cold",
    "Curt",
    "it",
    "is",
    "polite",
    "naïve",
    "礼貌",
    "没有",
    "re-do",
    "😀",
    "שלום",
    "e\u0301te\u0301",
]
TAGS = [(), ("billing",), ("billing", "urgent"), ("旅行",)]
CRITERIA = ["helpful", "courteous", "有用"]
JUDGES = ["large-judge", "small-judge", ""]
PROMPTS, CYCLES, SEED = 6, 3, 20261129


class Draw:
    """Chance, seeded."""

    def __init__(self, seed: int) -> None:
        self._random = numpy_generator(seed)

    def number(self) -> float:
        return float(self._random.random())

    def choice(self, options: list[T]) -> T:
        return options[int(self._random.integers(len(options)))]

    def several(self, options: list[T], count: int) -> list[T]:
        return [options[i] for i in self._random.permutation(len(options))[:count]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerReader]:
    path = tmp_path_factory.mktemp("log") / "ledger.db"
    draw = Draw(SEED)
    with Ledger.open(path) as ledger:
        for cycle in range(1, CYCLES + 1):
            fill_cycle(ledger, draw, cycle)
    with LedgerReader.open(path) as reader:
        yield reader


def fill_cycle(ledger: Ledger, draw: Draw, cycle: int, *, finish: bool = True) -> None:
    begin(ledger, cycle)
    for stage in ("generation", "judging", "evaluation"):
        ledger.begin_stage(cycle, stage)
    prompts = [
        prompt(f"{i}", f"Question {i}: {said(draw, 3)}", tags=TAGS[i % len(TAGS)])
        for i in range(PROMPTS)
    ]
    known = {p.id: p for p in ledger.prompts()}
    prompts = [known.get(p.id, p) for p in prompts]
    answers = [
        [completion(f"{cycle}-{i}-{k}", f"{i}", policy=f"{cycle + k:064x}") for k in range(2)]
        for i in range(PROMPTS)
    ]
    with ledger.unit(cycle, "generation", "answers") as unit:
        unit.add_prompts(prompts)
        unit.add_completions("train", [a for pair in answers for a in pair])
        if cycle == 1:
            unit.add_policy("v0007", f"{3:064x}", "policies/v0007", None, {})
    for i, stage in itertools.product(range(PROMPTS), ("judging", "evaluation")):
        with ledger.unit(cycle, stage, f"u{i}") as unit:
            judged, pair = judge(draw, f"{cycle}-{stage}-{i}", *(a.id for a in answers[i]))
            unit.add_judgements(RUBRIC, judged)
            unit.add_pair_verdicts([pair])
    if finish:
        finish_cycle(ledger, cycle)


def finish_cycle(ledger: Ledger, cycle: int) -> None:
    for stage in ("generation", "judging", "evaluation"):
        ledger.finish_stage(cycle, stage)
    ledger.finish_cycle(cycle)


def judge(draw: Draw, name: str, first: str, second: str) -> tuple[list[Any], PairVerdict]:
    ids = [answer.removeprefix("completion-") for answer in (first, second)]
    judged = []
    for k, criterion in enumerate(CRITERIA):
        fields: dict[str, Any] = {
            "criterion": criterion,
            "judge": draw.choice(JUDGES),
            "call": None,
        }
        score = draw.choice(
            [
                Rating(score=draw.number()),
                Rating(score=0.5),
                Rating(score=1.0),
                Unscored(reason="?"),
            ]
        )
        choice = draw.choice([Choice(p_first=draw.number()), Choice(p_first=0.5)])
        judged.append(rating(f"{name}-{k}", ids[k % 2], said(draw, 6), verdict=score, **fields))
        for order, shown in enumerate((ids, ids[::-1])):
            fields["critique"] = said(draw, 6)
            judged.append(comparison(f"{name}-{k}-{order}", *shown, verdict=choice, **fields))
    forward, backward = draw.choice([(0.75, 0.875), (0.75, 0.25), (None, None)])
    quarantined = draw.choice([None, None, "it flips"])
    fields = {"p_forward": forward, "p_backward": backward, "quarantined": quarantined}
    return judged, PairVerdict(first_id=first, second_id=second, p_first=forward, **fields)


def said(draw: Draw, count: int) -> str:
    return draw.choice([" ", "", ", "]).join(draw.choice(WORDS) for _ in range(count))


def kept_by(asked: dict[str, Any]) -> Callable[[CritiqueView], bool]:
    """The same filters, read off a view one by one: the independent side of the comparison."""

    def keeps(view: CritiqueView) -> bool:
        value = getattr(view.verdict, "score", getattr(view.verdict, "p_first", None))
        margin = None if value is None else abs(value - 0.5) * 2
        policies = [c.policy for c in view.completions]
        facts = {
            "cycle": lambda wanted: view.cycle == wanted,
            "stage": lambda wanted: view.stage == wanted,
            "criterion": lambda wanted: view.criterion == wanted,
            "judge": lambda wanted: view.judge == wanted,
            "tag": lambda wanted: wanted in view.tags,
            "policy": lambda wanted: (f"{3:064x}" if wanted == "v0007" else wanted) in policies,
            "verdict": lambda wanted: wanted in names_of(view.verdict.type, value),
            "unscored": lambda wanted: not wanted or value is None,
            "flipped": lambda wanted: not wanted or view.flipped,
            "quarantined": lambda wanted: not wanted or view.quarantined == "it flips",
            "margin_min": lambda wanted: margin is not None and margin >= wanted,
            "margin_max": lambda wanted: margin is not None and margin <= wanted,
            "before": lambda wanted: view.seq < wanted,
            "after": lambda wanted: view.seq > wanted,
            "search": lambda wanted: all(
                word.casefold() in text_of(view) for word in wanted.split()
            ),
        }
        return all(facts[name](wanted) for name, wanted in asked.items())

    return keeps


def text_of(view: CritiqueView) -> str:
    return f"{view.critique}\n{view.prompt}".casefold()


def names_of(kind: str, value: float | None) -> set[str]:
    if value is None:
        return {"unscored"}
    if kind == "rating":
        return {kind, "low" if value < 1 / 3 else "high" if value > 2 / 3 else "middle"}
    return {kind, "first" if value > 0.5 else "second" if value < 0.5 else "tie"}


CHOICES: dict[str, list[Any]] = {
    "cycle": [1, 2, 3, 4],
    "stage": ["judging", "evaluation", "nowhere"],
    "criterion": [*CRITERIA, "nothing"],
    "judge": ["large-judge", "small-judge"],
    "tag": ["billing", "urgent", "旅行", "none"],
    "policy": ["v0007", f"{2:064x}", f"{5:064x}"],
    "verdict": [
        *("rating", "choice", "unscored", "first", "second", "tie", "low", "middle", "high")
    ],
    "unscored": [True],
    "flipped": [True],
    "quarantined": [True],
    "margin_min": [0.0, 0.25, 0.999, 1.0],
    "margin_max": [0.0, 0.1234, 0.5, 1.0],
    "before": [1, 100, 250],
    "after": [0, 100, 323],
    "search": [
        "cold",
        "CURT",
        "it",
        "i",
        "olit",
        "礼貌",
        "礼",
        "没有礼",
        "-",
        "e-d",
        "😀",
        "של",
        "nowhere",
        "it is",
        "Question",
    ],
}
SINGLE = [{name: value} for name, values in CHOICES.items() for value in values]


def ids(views: list[CritiqueView]) -> list[str]:
    return [view.id for view in views]


def whole(reader: LedgerReader) -> list[CritiqueView]:
    return reader.critiques(limit=10_000)


def test_the_sample_holds_all_that_is_asked_of_it(filled: LedgerReader) -> None:
    everything = whole(filled)
    assert len(everything) == CYCLES * PROMPTS * 2 * len(CRITERIA) * 3
    assert [view.seq for view in everything] == list(range(len(everything), 0, -1))
    barren = [{"cycle": 4}, {"stage": "nowhere"}, {"criterion": "nothing"}, {"tag": "none"}]
    barren += [{"search": "nowhere"}, {"before": 1}, {"policy": f"{5:064x}"}, {"after": 324}]
    for asked in SINGLE:
        assert any(map(kept_by(asked), everything)) == (asked not in barren), asked


@pytest.mark.parametrize("asked", SINGLE, ids=str)
def test_each_filter_finds_what_a_reader_of_everything_finds(
    filled: LedgerReader, asked: dict[str, Any]
) -> None:
    expected = ids(list(filter(kept_by(asked), whole(filled))))
    assert ids(filled.critiques(limit=10_000, **asked)) == expected
    assert ids(filled.critiques(limit=3, **asked)) == expected[:3]
    assert ids(filled.critiques(limit=3, skip=2, **asked)) == expected[2:5]
    assert ids(filled.critiques(limit=10_000, order="oldest", **asked)) == expected[::-1]


@pytest.mark.parametrize("probed", [2, critique_reads.PROBED])
def test_any_filters_add_up(
    filled: LedgerReader, monkeypatch: pytest.MonkeyPatch, probed: int
) -> None:
    monkeypatch.setattr(critique_reads, "PROBED", probed)
    monkeypatch.setattr("rlaif.ledger.critique_search.FEW_WORDS", 1 if probed == 2 else 64)
    everything = whole(filled)
    draw = Draw(SEED)
    sizes = set()
    for _ in range(300):
        names = draw.several(sorted(CHOICES), draw.choice([2, 2, 3, 4]))
        asked = {name: draw.choice(CHOICES[name]) for name in names}
        expected = ids(list(filter(kept_by(asked), everything)))
        assert ids(filled.critiques(limit=10_000, **asked)) == expected, asked
        assert list(filled.critique_seqs(**asked)) == [
            view.seq for view in everything if view.id in expected
        ]
        some = [view.seq for view in everything[::3]]
        assert filled.critiques_among(some, **asked) == {
            view.seq for view in everything[::3] if view.id in expected
        }
        sizes.add(len(expected))
    assert len(sizes) > 20


def test_a_judge_is_named_by_a_part_where_none_has_that_very_name(filled: LedgerReader) -> None:
    assert filled.critique_values("judge") == ["large-judge", "small-judge"]
    both = ids(filled.critiques(limit=10_000, judge="JUDGE"))
    single = [len(filled.critiques(limit=10_000, judge=j)) for j in ("large-judge", "small-judge")]
    assert len(both) == sum(single)
    assert ids(filled.critiques(judge="Large")) == ids(filled.critiques(judge="large-judge"))
    assert filled.critiques(judge="nobody") == []


def test_a_policy_is_named_by_version_or_by_its_digests_beginning(filled: LedgerReader) -> None:
    by_version = ids(filled.critiques(limit=10_000, policy="v0007"))
    assert by_version == ids(filled.critiques(limit=10_000, policy=f"{3:064x}"))
    assert 0 < len(by_version) < len(whole(filled))
    every = ids(filled.critiques(limit=10_000, policy="0000"))
    assert len(every) == len(whole(filled))
    assert filled.critiques(policy="000") == []


def test_values_are_listed_for_people_to_choose_from(filled: LedgerReader) -> None:
    assert filled.critique_values("criterion") == sorted(CRITERIA)
    assert filled.critique_values("stage") == ["evaluation", "judging"]
    assert filled.critique_values("tag") == ["billing", "urgent", "旅行"]


def test_accents_are_found_composed_or_apart(filled: LedgerReader) -> None:
    for composed, apart in (("\u00e9t\u00e9", "e\u0301te\u0301"), ("na\u00efve", "nai\u0308ve")):
        ways = [ids(filled.critiques(limit=10_000, search=way)) for way in (composed, apart)]
        assert ways[0] == ways[1]
        assert len(ways[0]) > 10


def test_pages_by_number_and_by_bound_meet(filled: LedgerReader) -> None:
    asked: dict[str, Any] = {"search": "it", "criterion": "helpful"}
    everything = ids(filled.critiques(limit=10_000, **asked))
    paged: list[str] = []
    before = None
    while page := filled.critiques(limit=7, before=before, **asked):
        paged += ids(page)
        before = page[-1].seq
    assert paged == everything
