"""A rubric's criteria are put to a judge, and its verdicts become scores and labels."""

import pytest
from judge_samples import completion, rubric, rule_criterion
from panel_samples import BAD, FULL, GOOD, NEAR, PROMPT, panel, scores_of, taste

from rlaif.config import JudgingConfig
from rlaif.errors import ModelError
from rlaif.judges import PAIR_LABELS, JudgeRequest, Rubric, RubricJudge
from rlaif.judges.agreement import OrderedPair
from rlaif.records import Choice, Message, Prompt, Rating
from rlaif.testing import HashEmbedder, ScriptedJudge


def test_an_answer_is_rated_under_every_criterion_in_order() -> None:
    judge = ScriptedJudge.preferring(taste)
    (found,) = panel(judge=judge).rate([(PROMPT, BAD)])
    assert [j.criterion for j in found] == ["ends", "kind", "right"]
    assert all(j.kind == "pointwise" and j.completion_ids == ("bad",) for j in found)
    assert found[0].verdict == Rating(score=0.0)
    assert found[0].critique == 'should end with a full stop, not with "o"'
    assert found[0].call is None
    assert found[1].verdict == Rating(score=0.25)
    assert found[1].critique == "Under kind."
    assert found[2].call is not None
    assert found[2].call.request == judge.requests[1].text


def test_requests_hold_the_question_the_answer_and_the_labels() -> None:
    judge = ScriptedJudge.preferring(taste)
    panel(judge=judge).rate([(PROMPT, GOOD), (PROMPT, BAD)])
    assert [(r.criterion, r.labels, r.shown) for r in judge.requests] == [
        ("kind", ("1", "2", "3"), (GOOD.text,)),
        ("right", ("1", "2", "3", "4", "5"), (GOOD.text,)),
        ("kind", ("1", "2", "3"), (BAD.text,)),
        ("right", ("1", "2", "3", "4", "5"), (BAD.text,)),
    ]
    for request in judge.requests:
        assert PROMPT.text in request.text
        assert request.shown[0] in request.text


def test_a_conversation_is_shown_whole() -> None:
    turns = Prompt(
        id="p",
        messages=(
            Message(role="system", content="Be brief."),
            Message(role="user", content="Hello"),
            Message(role="assistant", content="Hi."),
            Message(role="user", content="Bye"),
        ),
        split="train",
    )
    judge = ScriptedJudge.preferring(taste)
    panel(judge=judge).rate([(turns, GOOD)])
    text = judge.requests[0].text
    shown = ["<system_prompt>\nBe brief.\n</system_prompt>", "<user_turn>\nHello\n</user_turn>"]
    shown += ["<assistant_turn>\nHi.\n</assistant_turn>", "<user_turn>\nBye\n</user_turn>"]
    places = [text.index(turn) for turn in shown]
    assert places == sorted(places)


def test_a_pair_is_compared_in_both_orders() -> None:
    judge = ScriptedJudge.preferring(taste)
    (found,) = panel(judge=judge).compare([(PROMPT, GOOD, BAD)])
    assert [(j.criterion, j.completion_ids) for j in found] == [
        ("kind", ("good", "bad")),
        ("kind", ("bad", "good")),
        ("right", ("good", "bad")),
        ("right", ("bad", "good")),
    ]
    assert all(r.labels == PAIR_LABELS for r in judge.requests)
    assert [r.shown for r in judge.requests[:2]] == [(GOOD.text, BAD.text), (BAD.text, GOOD.text)]
    first, second = found[0].verdict, found[1].verdict
    assert isinstance(first, Choice)
    assert isinstance(second, Choice)
    assert first.p_first > 0.9
    assert first.p_first + second.p_first == pytest.approx(1.0)


def test_from_answers_to_a_soft_label() -> None:
    whole = panel(judge=ScriptedJudge.preferring(taste))
    rated = whole.rate([(PROMPT, GOOD), (PROMPT, BAD)])
    scores = scores_of(whole, [GOOD, BAD], rated)
    assert [score.score for score in scores.values()] == [1.0, pytest.approx(0.1875)]
    compared = whole.compare([(PROMPT, GOOD, BAD)])
    (verdict,) = whole.pair_verdicts([(PROMPT, GOOD, BAD)], scores, compared)
    assert verdict.p_first is not None
    assert verdict.p_first > 0.99
    assert verdict.quarantined is None


def test_the_same_words_and_weightless_pairs_are_not_asked_about() -> None:
    judge = ScriptedJudge.preferring(taste)
    twin = completion("twin", GOOD.text)
    found = panel(judge=judge).compare([(PROMPT, GOOD, twin), (PROMPT, GOOD, BAD)])
    assert [len(judgements) for judgements in found] == [0, 4]
    weightless = panel(judge=judge, judging=JudgingConfig(pairwise_weight=0.0))
    assert weightless.compare([(PROMPT, GOOD, BAD)]) == [[]]
    assert len(judge.requests) == 4


def test_rules_and_embeddings_need_no_judge() -> None:
    mixed = Rubric(
        name="r", version="1", language="en", criteria=(rule_criterion("ends", 0.5), NEAR)
    )
    whole = panel(mixed, encoder=HashEmbedder())
    near, far = completion("near", "Name a colour."), completion("far", "Sky high, no rain")
    rated = whole.rate([(PROMPT, near), (PROMPT, far)])
    assert [j.call for js in rated for j in js] == [None] * 4
    assert "to the prompt" in rated[0][1].critique
    scores = scores_of(whole, [near, far], rated)
    assert scores["near"].score == pytest.approx(1.0)
    assert scores["far"].score is not None
    assert scores["far"].score < 0.3
    assert whole.compare([(PROMPT, near, far)]) == [[]]
    (verdict,) = whole.pair_verdicts([(PROMPT, near, far)], scores, [[]])
    assert verdict.p_first is not None
    assert verdict.p_first > 0.99


def test_what_the_rubric_needs_must_be_there() -> None:
    with pytest.raises(ModelError, match="no judge for the criteria kind, right"):
        panel()
    with pytest.raises(ModelError, match="no embedder for the criteria on-topic"):
        panel(Rubric(name="r", version="1", language="en", criteria=(NEAR,)))


def test_nothing_asked_is_nothing_answered() -> None:
    judge = ScriptedJudge.preferring(taste)
    assert panel(judge=judge).rate([]) == []
    assert panel(judge=judge).compare([]) == []
    assert judge.requests == []


def test_identifiers_name_rubric_criterion_and_order() -> None:
    whole = panel(judge=ScriptedJudge.preferring(taste))
    again = panel(judge=ScriptedJudge.preferring(taste))
    other = panel(judge=ScriptedJudge(lambda _: "x", name="other"))

    def ids(which: RubricJudge) -> list[str]:
        judged = which.rate([(PROMPT, GOOD)]) + which.compare([(PROMPT, GOOD, BAD)])
        return [j.id for js in judged for j in js]

    assert ids(whole) == ids(again)
    assert len(set(ids(whole))) == 7
    assert not set(ids(whole)) & set(ids(other))


def test_the_rubric_hash_follows_whatever_changes_a_label() -> None:
    judge = ScriptedJudge.preferring(taste)
    mixed = Rubric(name="r", version="1", language="en", criteria=(*FULL.criteria, NEAR))
    hashes = [
        panel(judge=judge).rubric_hash,
        panel(judge=judge, encoder=HashEmbedder()).rubric_hash,
        panel(judge=ScriptedJudge(lambda _: "", name="other")).rubric_hash,
        panel(judge=judge, floor=0.4).rubric_hash,
        panel(judge=judge, judging=JudgingConfig(score_temperature=0.3)).rubric_hash,
        panel(judge=judge, judging=JudgingConfig(flip_threshold=0.3)).rubric_hash,
        panel(judge=judge, judging=JudgingConfig(pairwise_weight=0.3)).rubric_hash,
        panel(mixed, judge=judge, encoder=HashEmbedder()).rubric_hash,
        panel(mixed, judge=judge, encoder=HashEmbedder(32)).rubric_hash,
    ]
    assert hashes[0] == hashes[1], "an embedder that no criterion asks changes nothing"
    assert len(set(hashes)) == len(hashes) - 1
    pairs = panel(judge=judge, judging=JudgingConfig(pairs_per_prompt=1)).rubric_hash
    assert pairs == hashes[0]


@pytest.mark.parametrize(
    ("changed", "only_ratings"),
    [
        ({"flip_threshold": 0.3}, {"pairwise_weight": 0.0}),
        ({"clamp": 0.4}, {"pairwise_weight": 0.0}),
        ({"compare": "lists"}, {"pairwise_weight": 0.0}),
        ({"pairwise_weight": 0.3}, None),
        ({"flip_threshold": 0.3}, None),
    ],
)
def test_settings_of_comparing_do_not_matter_where_nothing_is_compared(
    changed: dict[str, float | str], only_ratings: dict[str, float] | None
) -> None:
    """Neither where comparisons weigh nothing, nor where the rubric asks no judge."""
    of, judge = rubric(rule_criterion("ends")), None
    if only_ratings:
        of, judge = FULL, ScriptedJudge.preferring(taste)
    hashes = {
        panel(
            of, judge=judge, judging=JudgingConfig(**{**(only_ratings or {}), **more})
        ).rubric_hash
        for more in ({}, changed)
    }
    assert len(hashes) == 1


def test_comparisons_come_apart_by_criterion_and_order() -> None:
    """Kind depends on the order, right on the answers; a rule and a light one compare nothing."""

    def script(request: JudgeRequest) -> dict[str, float]:
        if request.labels != PAIR_LABELS:
            return {request.labels[0]: 1.0}
        p = 0.75 if request.criterion == "kind" else 0.875 - 0.75 * ("No" in request.shown[0])
        return {"A": p, "B": 1.0 - p}

    whole = panel(judge=ScriptedJudge(script))
    items = [(PROMPT, GOOD, BAD), (PROMPT, GOOD, GOOD.model_copy(update={"id": "twin"}))]
    orders = whole.orders(items, whole.compare(items))
    assert orders == [
        {"kind": OrderedPair(0.75, 0.25), "right": OrderedPair(0.875, 0.875)},
        {},
    ]
