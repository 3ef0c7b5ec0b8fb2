"""Which answers are attacked, and what becomes of the attack."""

import pytest

from rlaif.config import JudgingConfig
from rlaif.judges import JudgeCriterion, Juror, Rubric, RubricJudge, load_templates
from rlaif.judges.probes import AGAIN, KINDS, kind_of, load_attacks, make_again
from rlaif.judges.protocol import JudgeRequest
from rlaif.records import Completion, CompletionScore, Message, Prompt, Unscored
from rlaif.stages.pools import stable_share
from rlaif.stages.probing import (
    again_outcomes,
    again_pair,
    choose_again,
    choose_originals,
    comparison_outcome,
    comparison_probe,
    rating_outcome,
    rating_probe,
    settled_alone,
)
from rlaif.testing import ScriptedJudge

PANEL = RubricJudge(
    Rubric(
        name="r",
        version="1",
        language="en",
        criteria=tuple(
            JudgeCriterion(name=n, kind="judge", weight=1.0, text=n, choices=tuple("abcde"[:k]))
            for n, k in (("short", 2), ("kind", 5), ("right", 3))
        ),
    ),
    judging=JudgingConfig(),
    jury=[Juror("one", ScriptedJudge(lambda _: {}), load_templates("detailed"), 0.5)],
)
PROMPT = Prompt(id="p", messages=(Message(role="user", content="Hm?"),), split="train")
ATTACKS = load_attacks("en")


def answer(name: str, text: str = "Yes.", duplicate_of: str | None = None) -> Completion:
    return Completion(
        id=name,
        prompt_id=name[0],
        policy="d",
        index=0,
        text=text,
        length=2,
        ended=True,
        duplicate_of=duplicate_of,
    )


ANSWERS = {f"p{i}": [answer(f"{i}-{j}") for j in range(3)] for i in range(10)}


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.01, 1), (0.25, 2), (0.5, 5), (1.0, 10)])
def test_the_share_is_of_prompts_and_at_least_one(share: float, count: int) -> None:
    chosen = choose_originals(ANSWERS, share, seed=3)
    assert len(chosen) == count
    assert len({original.prompt_id for _, original in chosen}) == count


def test_attacks_take_turns_and_the_seed_decides() -> None:
    chosen = choose_originals(ANSWERS, 1.0, seed=3)
    kinds = [kind for kind, _ in chosen]
    assert {kind: kinds.count(kind) for kind in KINDS} == dict.fromkeys(KINDS, 2)
    assert choose_originals(ANSWERS, 1.0, seed=3) == chosen
    starts = {choose_originals(ANSWERS, 0.1, seed=seed)[0][0] for seed in range(40)}
    assert starts == set(KINDS)


def test_empty_answers_and_duplicates_are_not_attacked() -> None:
    only = {"p": [answer("a", " \n"), answer("b", duplicate_of="c"), answer("c")], "q": []}
    for seed in range(8):
        ((_, original),) = choose_originals(only, 1.0, seed)
        assert original.id == "c"
    assert choose_originals({"p": [answer("a", "")]}, 1.0, 0) == []


def test_a_forger_wants_the_highest_grade_of_each_criterion_or_the_letter_of_its_place() -> None:
    rated = rating_probe(PANEL, "fence", answer("a"), ATTACKS)
    compared = comparison_probe(PANEL, "fence", answer("a"), ATTACKS)
    for twin, labels in ((rated, "532"), (compared, "AB")):
        assert list(twin.forging) == list(labels)
        for label, own in twin.forging.items():
            assert own.text.count(f"Verdict: {label}") == own.text.count("Verdict:") == 1


def score(name: str, value: float | None) -> CompletionScore:
    unscored = None if value is not None else "kind: mumbled"
    return CompletionScore(completion_id=name, score=value, parts={}, unscored=unscored)


def test_a_rating_tells_how_far_the_score_rose() -> None:
    probe = rating_probe(PANEL, "padding", answer("a"), ATTACKS)
    found = rating_outcome(PANEL, probe, score(probe.main.id, 0.75), score("a", 0.5))
    assert (found.value, found.unscored, found.kind) == (0.25, None, "padding")
    assert (found.probe_id, found.original_id) == (probe.main.id, "a")
    assert found.rubric_hash == PANEL.rubric_hash
    fallen = rating_outcome(PANEL, probe, score(probe.main.id, 0.0), score("a", 0.5))
    assert fallen.value == -0.5


@pytest.mark.parametrize(("mine", "other"), [(None, 0.5), (0.5, None), (None, None)])
def test_a_rating_without_both_scores_is_unscored(mine: float | None, other: float | None) -> None:
    probe = rating_probe(PANEL, "padding", answer("a"), ATTACKS)
    found = rating_outcome(PANEL, probe, score(probe.main.id, mine), score("a", other))
    assert found.value is None
    assert "mumbled" in (found.unscored or "")


def test_a_comparison_tells_how_much_the_attacked_answer_is_preferred() -> None:
    probe = comparison_probe(PANEL, "fence", answer("a"), ATTACKS)
    found = comparison_outcome(PANEL, probe, answer("a"), 0.625)
    assert (found.value, found.unscored, found.method) == (0.625, None, "comparison")
    silent = comparison_outcome(PANEL, probe, answer("a"), Unscored(reason="mumbled"))
    assert (silent.value, silent.unscored) == (None, "mumbled")


def test_one_answer_of_each_prompt_drawn_is_asked_about_again() -> None:
    chosen = choose_again(ANSWERS, 0.5, seed=3)
    assert len({own.prompt_id for own in chosen}) == len(chosen) == 5
    assert chosen == choose_again(ANSWERS, 0.5, seed=3) != choose_again(ANSWERS, 0.5, seed=4)
    assert choose_again(ANSWERS, 0.0, seed=3) == choose_again({}, 1.0, seed=3) == []
    copies = {"p": [answer("a", "  "), answer("b", "Yes.", "a")]}
    assert choose_again(copies, 1.0, seed=3) == []


def test_a_second_asking_is_a_new_question_about_the_same_answer() -> None:
    own = answer("a")
    twin = make_again(own)
    assert (twin.text, kind_of(twin), twin.prompt_id) == ("Yes. ", AGAIN, own.prompt_id)
    assert twin.id != own.id
    for probe in (rating_probe, comparison_probe):
        assert probe(PANEL, AGAIN, own, ATTACKS).answers == [twin]


def test_a_rating_asked_again_tells_of_the_criterion_that_moved_most() -> None:
    """The rule's own part moves too, as a space may end a match: that is not the judge's doing."""
    own = answer("a")
    before = {"short": 0.5, "kind": 0.75, "right": 0.5, "rule": 1.0}
    now = {"short": 0.75, "kind": 0.25, "right": 0.5, "rule": 0.0}
    first, second = (
        CompletionScore(completion_id=i, score=0.5, parts=parts)
        for i, parts in (("a", before), ("twin", now))
    )
    twin = rating_probe(PANEL, AGAIN, own, ATTACKS)
    found = rating_outcome(PANEL, twin, second, first)
    assert (found.kind, found.method, found.value) == (AGAIN, "rating", -0.5)
    lost = CompletionScore(completion_id="twin", score=None, parts={}, unscored="mumbled")
    assert rating_outcome(PANEL, twin, lost, first).unscored == "mumbled"


def test_a_rating_asked_again_passes_over_a_criterion_that_was_rated_once() -> None:
    """One without weight or veto may be unscored in a score that there is."""
    twin = rating_probe(PANEL, AGAIN, answer("a"), ATTACKS)
    first, second, neither = (
        CompletionScore(completion_id=i, score=0.5, parts=parts)
        for i, parts in (
            ("a", {"short": 0.5, "kind": 1.0}),
            ("twin", {"short": 0.75, "right": 0.0}),
            ("twin", {"right": 0.0}),
        )
    )
    assert rating_outcome(PANEL, twin, second, first).value == 0.25
    unknown = rating_outcome(PANEL, twin, neither, first)
    assert (unknown.value, unknown.unscored) == (
        None,
        "no criterion of a judge was rated both times",
    )


def fitted_panel() -> RubricJudge:
    """Three jurors that err, and say the same of an answer with a space more."""

    def juror(name: str, sure: float) -> Juror:
        def says(request: JudgeRequest) -> dict[str, float]:
            asked = "|".join([name, *(text.strip() for text in request.shown)])
            drawn = stable_share(asked) < sure
            best = request.labels[-1] if drawn else request.labels[0]
            return {label: float(label == best) for label in request.labels}

        return Juror(name, ScriptedJudge(says), load_templates("detailed"), 0.5)

    return RubricJudge(
        Rubric(
            name="r",
            version="1",
            language="en",
            criteria=(
                JudgeCriterion(
                    name="kind", kind="judge", weight=1.0, text="k", choices=tuple("abc")
                ),
            ),
        ),
        judging=JudgingConfig(combine="dawid_skene"),
        jury=[juror("a", 0.9), juror("b", 0.6), juror("c", 0.3)],
    )


def test_an_answer_of_which_all_jurors_say_the_same_again_has_not_moved_whatever_is_beside_it() -> (
    None
):
    panel = fitted_panel()
    alone = settled_alone(panel)
    items = [(PROMPT, answer(f"{n}", f"Answer {n}.")) for n in range(72)]
    twins = [(PROMPT, rating_probe(panel, AGAIN, own, ATTACKS)) for _, own in items[:4]]
    judged = panel.rate([*items, *twins])
    told = alone.scores([*items, *twins], judged)
    first = {score.completion_id: score for score in alone.scores(items, judged[:72])}
    for (_, twin), (_, own), score in zip(twins, items, told[72:], strict=False):
        found = rating_outcome(alone, twin, score, first[own.id])
        assert (found.value, found.rubric_hash) == (0.0, panel.rubric_hash)
    fits = panel.scores(items, judged[:72]), panel.scores(twins, judged[72:])
    assert [s.score for s in fits[0][:4]] != [s.score for s in fits[1]]  # else nothing was tried


def test_a_panel_whose_verdicts_hang_on_nothing_beside_them_is_settled_as_it_is() -> None:
    assert settled_alone(PANEL) is PANEL


@pytest.mark.parametrize(
    ("before", "now", "value"),
    [
        (0.9, 0.6, 0.6),
        (0.9, 0.3, 0.3),
        (0.2, 0.3, 0.7),
        (0.2, 0.9, 0.1),
        (0.5, 0.9, None),
        (None, 0.9, None),
        (0.9, None, None),
    ],
)
def test_a_pair_asked_again_bears_out_what_was_preferred_at_first(
    before: float | None, now: float | None, value: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = (PROMPT, answer("a"), answer("b", "No."))
    again = again_pair(item)
    said = iter([[Unscored(reason="mumbled") if p is None else p] for p in (before, now)])
    monkeypatch.setattr(RubricJudge, "preferences", lambda *_: next(said))
    (found,) = again_outcomes(PANEL, [(item, [])], [again], [[]])
    assert (found.probe_id, found.original_id) == (again[1].id, "a")
    assert again[2] == item[2]
    assert found.value == (None if value is None else pytest.approx(value))
    reason = "the first asking preferred neither" if before == 0.5 else "mumbled"
    assert found.unscored == (reason if value is None else None)
