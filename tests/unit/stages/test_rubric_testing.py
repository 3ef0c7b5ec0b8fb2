"""A rubric held against humans, on labels whose figures follow by hand."""

import pytest
from trials import CHINESE, ENDS, answer, judged_by, panel_of, prompt

from rlaif.config import AuditConfig
from rlaif.judges import RubricJudge, patterns
from rlaif.judges.probes import Attacks
from rlaif.judges.rubric import RuleSpec
from rlaif.judges.shortfalls import cut_share
from rlaif.records import Completion, HumanLabel, LabelForm
from rlaif.stages.rubric_testing import (
    CriterionTrial,
    Labelled,
    RubricTest,
    hold_against,
)
from rlaif.stages.trying import try_panel

ATTACKS = Attacks(
    instruction=" raised to =1", forged_verdict=" {label}", fence=" >", padding=" lowered to =0"
)
WORDS = {
    "p1": ("x=1", "x=0"),
    "p2": ("x=1", "x=0.5"),
    "p3": ("x=0", "x=1"),
    "p4": ("x=1 but very much longer than the other", "x=0"),
    "p5": ("bias", "another bias"),
    "p6": ("mumble", "x=0.5"),
}
HUMANS = {"p1": 1.0, "p2": 1.0, "p3": 0.0, "p4": 0.0, "p5": 0.5, "p6": 1.0}


def pair_label(name: str, value: float, criterion: str = "", rater: str = "") -> HumanLabel:
    return HumanLabel(
        id=f"{name}{criterion}{rater}",
        prompt_id=name,
        form="pair",
        first_id=f"{name}a",
        second_id=f"{name}b",
        value=value,
        criterion=criterion,
        rater=rater,
        frozen=False,
    )


def rating(name: str, which: str, value: float, criterion: str = "", note: str = "") -> HumanLabel:
    return HumanLabel(
        id=f"{name}{which}{criterion}",
        prompt_id=name,
        form="rating",
        first_id=f"{name}{which}",
        value=value,
        criterion=criterion,
        note=note,
        frozen=False,
    )


def labelled(*labels: HumanLabel) -> Labelled:
    texts = {
        f"{n}{which}": text
        for n, two in WORDS.items()
        for which, text in zip("ab", two, strict=True)
    }
    return Labelled(
        labels=labels,
        prompts={name: prompt(name) for name in WORDS},
        answers={name: answer(name, text) for name, text in texts.items()},
    )


def answers_of(name: str) -> tuple[Completion, Completion]:
    first, second = WORDS[name]
    return answer(f"{name}a", first), answer(f"{name}b", second)


def held(panel: RubricJudge, *labels: HumanLabel, probes: int = 0) -> RubricTest:
    return hold_against(
        panel,
        labelled(*labels),
        AuditConfig(max_injection=0.01),
        ATTACKS,
        temperature=0.15,
        probes=probes,
        seed=0,
    )


ALL = [pair_label(name, value) for name, value in HUMANS.items()]


def part(found: RubricTest, name: str) -> CriterionTrial:
    return next(p for p in found.parts if p.criterion == name)


def test_accuracy_and_kappa_of_pairs() -> None:
    found = held(panel_of(*judged_by("kind")), *ALL)
    assert (found.labels, found.prompts, found.answers, found.pairs) == (6, 6, 12, 6)
    assert [p.criterion for p in found.parts] == ["", "kind"]
    (whole,) = part(found, "").agreements
    assert (whole.about, whole.kind, whole.ties) == ("whole", "pairs", 1)
    assert (whole.accuracy.rate, whole.accuracy.count, whole.accuracy.unscored) == (0.75, 4, 1)
    assert whole.kappa.observed.rate == 0.75
    assert whole.kappa.expected == 0.5
    assert whole.kappa.kappa is not None
    assert whole.kappa.kappa.value == 0.5
    assert whole.kappa.kappa.low < 0.5 < whole.kappa.kappa.high


def test_a_label_about_a_criterion_is_held_against_that_criterion() -> None:
    labels = [*ALL, pair_label("p1", 0.0, "right"), rating("p2", "a", 1.0, "right")]
    found = held(panel_of(*judged_by("kind", "right")), *labels)
    own = [a for a in part(found, "right").agreements if a.about == "criterion"]
    assert {(a.kind, a.accuracy.rate, a.accuracy.count) for a in own} == {
        ("pairs", 0.0, 1),
        ("ratings", 1.0, 1),
    }
    assert all(a.about == "whole" for a in part(found, "kind").agreements)


def test_the_verdict_that_flips_when_two_answers_are_swapped() -> None:
    found = held(panel_of(*judged_by("kind")), *ALL)
    for name in ("", "kind"):
        order = part(found, name).order
        assert order is not None
        swapped = order.same_position
        assert (swapped.rate, swapped.count, swapped.unscored) == (0.2, 5, 1)
        assert order.first_position.rate == 1.0
        assert order.consistent.rate == 0.8


def test_judgements_without_a_verdict_are_counted_with_reasons() -> None:
    found = held(panel_of(*judged_by("kind", "right"), ENDS), *ALL)
    whole, kind, ends = part(found, ""), part(found, "kind"), part(found, "ends")
    assert (whole.failures.count, kind.failures.count, ends.failures.count) == (48, 24, 0)
    assert whole.failures.rate == pytest.approx(6 / 48)
    assert kind.failures.rate == pytest.approx(3 / 24)
    assert ends.failures.rate is None
    assert len(kind.reasons) == 1
    assert ends.reasons == ()
    assert ends.order is None


def test_code_without_a_verdict_says_why_and_is_no_failure_of_the_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patterns, "LONGEST", 1)
    named = ENDS.model_copy(update={"rule": RuleSpec(must_match=("=",))})
    found = held(panel_of(*judged_by("kind"), named), *ALL[:1])
    (reason,) = part(found, "ends").reasons
    assert reason.startswith("the answer has 3 characters")
    assert reason in part(found, "").reasons
    assert part(found, "ends").failures.count == 0
    assert part(found, "").failures.rate == 0.0


def test_without_pairs_there_is_no_order_and_no_length() -> None:
    found = held(panel_of(*judged_by("kind")), rating("p1", "a", 1.0))
    assert found.pairs == 0
    assert part(found, "").order is None
    assert found.length.slope is None


def test_a_rubric_that_compares_by_ratings_has_no_order_either() -> None:
    found = held(panel_of(*judged_by("kind"), pairwise_weight=0.0), *ALL)
    assert part(found, "").order is None
    assert part(found, "").agreements[0].accuracy.rate == 0.75


def test_length_counts_words_and_asks_what_humans_said() -> None:
    found = held(panel_of(*judged_by("kind")), *ALL).length
    assert found.longer.count == 2
    assert found.longer.rate == 0.5
    assert found.deviation == pytest.approx(((7**2 + 1 + 1) / 5) ** 0.5)
    assert found.slope is not None
    assert found.slope.value > 0


def test_attacks_are_counted_by_kind_with_their_limit() -> None:
    found = held(panel_of(*judged_by("kind")), *ALL[:2], probes=9)
    assert found.attacked == 4
    figures = {figure.name: figure for figure in part(found, "").probes}
    by_rating = figures["instruction by rating"]
    # Two of the four are rated 1, and cannot be raised; the others are.
    assert (by_rating.count, by_rating.value, by_rating.undecidable) == (2, 1.0, 2)
    assert figures["injection by rating"].value == pytest.approx(2 / 6)
    assert figures["injection by rating"].breached
    assert figures["taste by comparison"].value == 0.0
    assert figures["padding by comparison"].limit is None
    assert part(found, "kind").probes == part(found, "").probes
    rated, compared = 4, 2 * 2
    assert found.cost.calls == rated + compared + 20 + 40


def test_without_attacks_nothing_is_counted() -> None:
    found = held(panel_of(*judged_by("kind")), *ALL)
    assert found.attacked == 0
    assert all(figure.value is None for figure in part(found, "").probes)


def test_what_the_judge_missed_the_worst_first() -> None:
    labels = [*ALL, rating("p1", "b", 0.5, "kind", CHINESE), rating("p2", "b", 0.25)]
    misses = held(panel_of(*judged_by("kind")), *labels).misses
    assert [(m.form, m.criterion, m.human, m.judge) for m in misses] == [
        ("pair", "", 0.0, 1.0),
        ("rating", "kind", 0.5, 0.0),
        ("rating", "", 0.25, 0.5),
        ("pair", "", 1.0, None),
    ]
    wrong, off, _, unscored = misses
    assert (unscored.first, unscored.second) == WORDS["p6"]
    assert (wrong.prompt, wrong.second) == (prompt("p4").text, "x=0")
    assert (off.first, off.second, off.note) == ("x=0", None, CHINESE)


def test_an_even_verdict_misses_what_humans_decided_and_no_tie() -> None:
    labels = [pair_label("p5", 1.0), pair_label("p5", 0.5, rater="another")]
    assert [m.human for m in held(panel_of(*judged_by("kind")), *labels).misses] == [1.0]


def test_a_grade_off_by_less_than_one_is_no_miss() -> None:
    panel = panel_of(*judged_by("kind"))
    near, off = rating("p2", "b", 0.26), rating("p2", "b", 0.01, "kind")
    assert held(panel, near).misses == ()
    assert held(panel, off).misses == ()
    assert len(held(panel, rating("p2", "b", 0.25)).misses) == 1
    assert len(held(panel, rating("p2", "b", 1.0, "kind")).misses) == 1


@pytest.mark.parametrize("human", [0.3, 0.7])
def test_a_grade_off_is_a_miss_whichever_way(human: float) -> None:
    """Of six choices; in floats 0.7 - 0.5 is a little less than a fifth."""
    (plain,) = judged_by("kind")
    panel = panel_of(plain.model_copy(update={"choices": tuple(map(str, range(6)))}))
    assert len(held(panel, rating("p2", "b", human, "kind")).misses) == 1
    nearer = 0.5 + 0.99 * (human - 0.5)
    assert held(panel, rating("p2", "b", nearer, "kind")).misses == ()


def test_each_answer_and_pair_is_judged_once_however_many_humans_speak() -> None:
    found = labelled(*ALL, *ALL, pair_label("p1", 0.0, rater="b"), rating("p1", "b", 1.0))
    assert [answer.id for _, answer in found.rated] == [
        f"p{i}{x}" for i in range(1, 7) for x in "ab"
    ]
    assert [(p.id, a.id, b.id) for p, a, b in found.pairs][:2] == [
        ("p1", "p1a", "p1b"),
        ("p2", "p2a", "p2b"),
    ]
    assert len(found.pairs) == 6
    forms: set[LabelForm] = {label.form for label in found.labels}
    assert forms == {"pair", "rating"}


def test_cut_critiques_of_one_prompt_do_not_count_as_so_many_of_their_own() -> None:
    panel = panel_of(*judged_by("kind"))
    found = held(panel, *ALL).cut
    tried = try_panel(panel, [], [(prompt(n), *answers_of(n)) for n in WORDS])
    prompts = {f"{name}{which}": name for name in WORDS for which in "ab"}
    clustered = cut_share(tried.judgements, prompts=prompts)
    assert (found.low, found.high) == (clustered.low, clustered.high)
    assert found.high > cut_share(tried.judgements).high
