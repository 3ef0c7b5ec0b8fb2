"""Asking for rankings: from answers in several orders to what a judge's words say of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from judge_samples import completion, judge_criterion, prompt, rubric, rule_criterion

from rlaif.config import JudgingConfig
from rlaif.errors import ConfigError
from rlaif.judges import (
    PAIR_LABELS,
    Judge,
    JudgeReply,
    JudgeRequest,
    Juror,
    RubricJudge,
    Templates,
    load_templates,
    request_hash,
)
from rlaif.judges.lists import RankedItem
from rlaif.judges.protocol import critique_of, method_of, parse_ranking, verdict_of
from rlaif.judges.verdict_forms import RANKING, VerdictForm
from rlaif.project import share
from rlaif.records import Completion, CompletionScore, JudgeCall, Ranking, Unscored
from rlaif.testing import ScriptedJudge

LISTS = JudgingConfig(compare="lists", pairwise_weight=1.0)
DETAILED = load_templates("detailed")
PROMPT = prompt("Name a colour 🎨")
TEXTS = {"a": "Blue", "b": "蓝色是个好颜色。", "c": "\u05db\u05d7\u05d5\u05dc", "d": "Azul e\u0301"}
ANSWERS = {name: completion(name, text) for name, text in TEXTS.items()}
QUALITY = {"Blue": 0.5, TEXTS["b"]: 1.0, TEXTS["c"]: 0.0, TEXTS["d"]: 0.25}
WIDE = rubric(rule_criterion("ends"), judge_criterion("kind", 1.0), judge_criterion("right", 2.0))
ONE = rubric(judge_criterion("right"))


def item(*orders: str) -> RankedItem:
    return RankedItem(PROMPT, tuple(tuple(ANSWERS[name] for name in order) for order in orders))


def panel(
    judge: Judge, criteria: object = ONE, judging: JudgingConfig = LISTS, **fields: bool
) -> RubricJudge:
    return RubricJudge(
        criteria,  # type: ignore[arg-type]
        judging=judging,
        jury=(Juror("one", judge, DETAILED, 0.5, **fields),),
    )


def taste() -> ScriptedJudge:
    return ScriptedJudge.preferring(QUALITY.__getitem__)


def level(names: str = "abcd") -> dict[str, CompletionScore]:
    return {n: CompletionScore(completion_id=n, score=0.5, parts={}) for n in names}


def test_a_list_is_put_in_every_order_under_every_criterion_that_counts() -> None:
    judge = taste()
    weightless = rubric(*WIDE.criteria, judge_criterion("none", 0.0))
    (found,) = panel(judge, weightless).rank([item("abc", "cba")])
    assert [(j.criterion, "".join(j.completion_ids)) for j in found] == [
        *(("kind", "abc"), ("kind", "cba"), ("right", "abc"), ("right", "cba"))
    ]
    assert {j.kind for j in found} == {"listwise"}
    assert {j.method for j in found} == {"words"}
    assert {j.judge for j in found} == {"one"}
    assert [j.verdict for j in found[:2]] == [Ranking(places=(1, 0, 2)), Ranking(places=(1, 2, 0))]
    assert found[0].critique == "Under kind."
    assert len({j.id for j in found}) == 4


def test_the_request_shows_the_answers_in_their_order_and_asks_for_a_ranking() -> None:
    judge = taste()
    panel(judge).rank([item("dbca")])
    (request,) = judge.requests
    assert (request.asks, request.labels) == ("ranking", ("A", "B", "C", "D"))
    assert request.shown == tuple(TEXTS[name] for name in "dbca")
    places = [request.text.index(TEXTS[name]) for name in "dbca"]
    assert places == sorted(places)
    assert "First write one sentence" in request.text
    assert '"Ranking:"' in request.text
    assert PROMPT.text in request.text


def test_a_juror_that_writes_no_critique_is_asked_for_the_line_alone() -> None:
    judge = ScriptedJudge(lambda _: "Ranking: B > A > C")
    (found,) = panel(judge, critique=False).rank([item("abc")])
    assert "Reply with a single line" in judge.requests[0].text
    assert found[0].verdict == Ranking(places=(1, 0, 2))
    (strict,) = panel(judge).rank([item("abc")])
    assert strict[0].verdict == Unscored(reason="the judge wrote no critique")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Fine.", "no ranking line in the reply, expected one 'Ranking: A > B > C'"),
        ("Fine.\nRanking: A > B", "the ranking is A > B, expected each of A, B, C once"),
        ("Fine.\nRanking: A > B > B", "the ranking is A > B > B, expected each of A, B, C once"),
        ("Fine.\nRanking: A > B = C", "has a tie"),
        ("Fine.\nRanking: A > B > C > D", "not one of A, B, C"),
        ("Fine.\nRanking: A > B > C\nRanking: C > B > A", "2 ranking lines"),
        ("Fine.\nVerdict: A", "no ranking line"),
    ],
)
def test_what_is_no_ranking_is_unscored_with_the_reason(said: str, reason: str) -> None:
    whole = panel(ScriptedJudge(lambda _: said))
    judged = whole.rank([item("abc", "cba")])
    for judgement in judged[0]:
        assert isinstance(judgement.verdict, Unscored)
        assert reason in judgement.verdict.reason
    verdicts = whole.list_verdicts([item("abc", "cba")], level(), judged)
    assert [v.p_first for v in verdicts] == [None] * 3
    assert all(reason in (v.unscored or "") for v in verdicts)


def test_a_failed_request_and_label_probabilities_are_no_ranking() -> None:
    whole = panel(ScriptedJudge(lambda r: dict.fromkeys(r.labels, 0.3)))
    ((first,),) = whole.rank([item("abc")])
    assert isinstance(first.verdict, Unscored)
    assert first.method == "words"

    class Silent(ScriptedJudge):
        def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
            return [JudgeReply("", None, "timed out") for _ in requests]

    ((other,),) = panel(Silent(lambda _: "")).rank([item("abc")])
    assert (other.verdict, other.method) == (Unscored(reason="timed out"), None)


def test_from_rankings_to_soft_labels() -> None:
    whole = panel(taste(), WIDE)
    lists = [item("abc", "cba"), item("ad", "da")]
    verdicts = whole.list_verdicts(lists, level(), whole.rank(lists))
    assert [(v.first_id, v.second_id) for v in verdicts] == [
        *(("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"))
    ]
    wins = [v.p_first is not None and v.p_first > 0.5 for v in verdicts]
    assert wins == [False, True, True, True]
    assert all(v.quarantined is None for v in verdicts)


def test_a_judge_that_ranks_as_shown_is_quarantined() -> None:
    whole = panel(ScriptedJudge(lambda r: f"Well.\nRanking: {' > '.join(r.labels)}"))
    lists = [item("abc", "cba")]
    verdicts = whole.list_verdicts(lists, level(), whole.rank(lists))
    assert all("change with the order" in (v.quarantined or "") for v in verdicts)
    assert all(v.p_forward is not None and v.p_forward > 0.5 for v in verdicts)
    assert all(v.p_backward is not None and v.p_backward < 0.5 for v in verdicts)


def test_every_juror_ranks_under_its_own_name() -> None:
    jurors = [
        Juror(name, ScriptedJudge(lambda r: f"{r.asks}\nRanking: B > A > C", name), DETAILED, 0.5)
        for name in ("one", "two")
    ]
    whole = RubricJudge(ONE, judging=LISTS, jury=jurors)
    (found,) = whole.rank([item("abc", "cab")])
    assert [(j.judge, "".join(j.completion_ids)) for j in found] == [
        *(("one", "abc"), ("two", "abc"), ("one", "cab"), ("two", "cab"))
    ]
    assert len({j.id for j in found}) == 4


def test_a_list_of_two_is_another_question_than_the_pair() -> None:
    judge = taste()
    whole = panel(judge)
    (listed,) = whole.rank([item("ab")])
    (paired,) = whole.compare([(PROMPT, ANSWERS["a"], ANSWERS["b"])])
    assert listed[0].completion_ids == paired[0].completion_ids
    assert listed[0].id != paired[0].id
    assert [r.asks for r in judge.requests] == ["ranking", "verdict", "verdict"]
    keys = {request_hash("judge", r) for r in judge.requests}
    assert len(keys) == 3


def test_asking_for_a_ranking_is_in_the_key_of_a_request() -> None:
    plain = JudgeRequest(text="?", labels=PAIR_LABELS, criterion="c", shown=())
    ranking = JudgeRequest(text="?", labels=PAIR_LABELS, criterion="c", shown=(), asks="ranking")
    assert request_hash("judge", plain) != request_hash("judge", ranking)


def test_the_words_before_the_ranking_are_the_critique() -> None:
    own = VerdictForm(cue="排名", labels={"甲": "A", "乙": "B"})
    asked = JudgeRequest("?", ("A", "B"), "c", (), asks="ranking", form=own)
    reply = "甲说得好。Verdict: A\n\n**排名\uff1a 乙 \uff1e 甲**\n"
    assert critique_of(reply, asked) == "甲说得好。Verdict: A"
    assert parse_ranking(reply, asked.labels, own) == Ranking(places=(1, 0))
    assert critique_of("排名: 甲 > 乙", asked) == ""
    assert critique_of("Nothing of the kind", asked) == "Nothing of the kind"


def test_a_ranking_is_read_from_the_call_and_says_so() -> None:
    asked = JudgeRequest("?", ("A", "B"), "c", (), asks="ranking", form=DETAILED.forms.listwise)
    call = JudgeCall(
        request_hash="h",
        judge="j",
        request="?",
        reply="Both fine.\nRanking: B > A",
        label_probs={"A": 0.9, "B": 0.1},
        prompt_tokens=1,
        reply_tokens=1,
        latency=0.0,
    )
    reply = JudgeReply("Both fine.", call)
    assert verdict_of(asked, reply, 0.5) == Ranking(places=(1, 0))
    assert method_of(asked, reply) == "words"


def test_a_template_without_the_message_is_refused_with_what_to_do() -> None:
    def make(template: str, criteria: object = ONE, **settings: object) -> RubricJudge:
        judging = JudgingConfig.model_validate({"compare": "lists", **settings})
        jury = [Juror("tiny-judge", taste(), load_templates(template), 0.5)]
        return RubricJudge(criteria, judging=judging, jury=jury)  # type: ignore[arg-type]

    with pytest.raises(ConfigError) as caught:
        make("compact")
    told = str(caught.value)
    for words in ("'compact' of tiny-judge has no listwise.jinja", 'compare = "pairs"', "detailed"):
        assert words in told
    assert make("compact", compare="pairs").ranks is False
    assert make("compact", pairwise_weight=0.0).ranks is False
    assert make("compact", rubric(rule_criterion("ends"))).ranks is False
    for name in ("detailed", "detailed-zh", "brief"):
        assert make(name).ranks


def test_the_labels_hash_knows_of_lists_only_where_they_are_ranked(tmp_path: Path) -> None:
    def hash_of(template: Templates = DETAILED, **settings: object) -> str:
        judging = JudgingConfig.model_validate(settings)
        jury = [Juror("one", taste(), template, 0.5)]
        return RubricJudge(ONE, judging=judging, jury=jury).rubric_hash

    other = changed(tmp_path, lambda text: f"{text}\nBe fair.")
    assert hash_of() == hash_of(list_size=9) == hash_of(list_orders=4) == hash_of(other)
    listed: Mapping[str, object] = {"compare": "lists"}
    hashes = [
        hash_of(),
        hash_of(**listed),
        hash_of(other, **listed),
        *(
            hash_of(**listed, **{name: value})
            for name, value in (("list_size", 9), ("list_orders", 4), ("list_min_tau", 0.5))
        ),
    ]
    assert len(set(hashes)) == len(hashes)


def changed(folder: Path, change: Callable[[str], str]) -> Templates:
    """Copy the detailed template with another message for lists."""
    for file in share("prompts", "judge", "detailed").glob("*.jinja"):
        text = file.read_text(encoding="utf-8")
        (folder / file.name).write_text(
            change(text) if file.stem == "listwise" else text, encoding="utf-8"
        )
    return Templates("detailed", folder)


def test_a_form_of_its_own_for_rankings_is_in_the_hash_and_the_request(tmp_path: Path) -> None:
    spoken = changed(tmp_path, lambda text: text)
    (tmp_path / "form.toml").write_text('[listwise]\ncue = "Order"\n', encoding="utf-8")
    ordered = Templates("detailed", tmp_path)
    hashes = []
    for template in (spoken, ordered):
        judge = ScriptedJudge(lambda _: "Well.\nOrder: B > A")
        whole = RubricJudge(ONE, judging=LISTS, jury=[Juror("one", judge, template, 0.5)])
        ((found,),) = whole.rank([item("ab")])
        hashes.append(whole.rubric_hash)
    assert found.verdict == Ranking(places=(1, 0))
    assert found.critique == "Well."
    assert len(set(hashes)) == 2


def test_no_list_no_question() -> None:
    judge = taste()
    assert panel(judge).rank([]) == []
    assert panel(judge).list_verdicts([], {}, []) == []
    assert judge.requests == []


def test_the_scripted_taste_ranks_by_quality_and_keeps_the_order_of_equals() -> None:
    level_headed = ScriptedJudge.preferring(lambda text: float(text == "good"))
    shown = ("x", "good", "y")
    asked = JudgeRequest("?", ("A", "B", "C"), "c", shown, asks="ranking", form=RANKING)
    (reply,) = level_headed.judge([asked])
    assert reply.call is not None
    assert reply.call.reply == "Under c.\nRanking: B > A > C"
    assert reply.critique == "Under c."


def answers_of(found: Sequence[Completion]) -> str:
    return "".join(answer.id for answer in found)


def test_the_first_order_names_the_answers() -> None:
    assert answers_of(item("bca", "acb").answers) == "bca"
