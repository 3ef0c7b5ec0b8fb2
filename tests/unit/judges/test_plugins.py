"""Judges of installed packages: found, made, checked, and kept to the protocol."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from judge_samples import completion, judge_criterion, prompt, rubric
from plugin_samples import Install, call, install

from rlaif.config import JudgingConfig
from rlaif.errors import LedgerError, ModelError
from rlaif.judges import (
    JudgeContext,
    JudgeReply,
    JudgeRequest,
    Juror,
    RubricJudge,
    Writer,
    WriteReply,
    WriteRequest,
    load_templates,
    make_judge,
    request_hash,
    verdict_of,
)
from rlaif.judges.entry_points import Offer
from rlaif.judges.plugins import PluginJudge, WritingPluginJudge
from rlaif.judges.protocol import write_hash
from rlaif.records import JudgeCall, Rating, Unscored

__all__ = ["install"]

GROUP = "rlaif.judges"
PLACE = JudgeContext(root=Path("project"))
MAKE = """\
from rlaif.testing import ScriptedJudge

seen = []

def own(settings, context):
    seen.append((dict(settings), context))
    return ScriptedJudge(lambda request: settings["says"], "own")
"""


def request(name: str) -> JudgeRequest:
    return JudgeRequest(text=f"Rate {name}", labels=("1", "2"), criterion="c", shown=(name,))


def good(asked: JudgeRequest) -> JudgeReply:
    return JudgeReply("Fine.", call(asked.text))


class Theirs:
    """A judge of somebody's, which answers as it is told."""

    name: Any = "theirs"
    digest: Any = "d"
    special_tokens: Any = ("<s>",)

    def __init__(self, answer: Callable[[Sequence[JudgeRequest]], Any], **fields: Any) -> None:
        self._answer = answer
        self.asked: list[list[str]] = []
        for key, value in fields.items():
            setattr(self, key, value)

    def judge(self, requests: Sequence[JudgeRequest]) -> Any:
        self.asked.append([r.shown[0] for r in requests])
        return self._answer(requests)


def kept(theirs: Any, digest: str = "o", backend: str = "own") -> PluginJudge:
    return PluginJudge(theirs, backend, Offer(None, "parcel 1.2 (m:own)", Path("m.py"), digest))


def each(requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
    return [good(r) for r in requests]


ASKED = [request("a"), request("b"), request("c")]


def test_a_packages_judge_is_made_with_its_settings(install: Install) -> None:
    module = install(GROUP, "own", MAKE)
    judge = make_judge("own", {"says": "Schön.\nVerdict: 2"}, PLACE)
    (reply,) = judge.judge([request("a")])
    assert verdict_of(request("a"), reply, 0.5) == Rating(score=1.0)
    assert judge.name == "own"
    assert __import__(module).seen == [({"says": "Schön.\nVerdict: 2"}, PLACE)]


def test_settings_are_the_factorys_to_read_only_once(install: Install) -> None:
    install(GROUP, "own", MAKE)
    judge = make_judge("own", {}, PLACE)
    (reply,) = judge.judge([request("a")])
    assert reply.failure == "the judge raised KeyError: 'says'"


def test_an_unknown_judge_is_refused_with_those_that_there_are(install: Install) -> None:
    install(GROUP, "own", MAKE)
    install(GROUP, "another", MAKE, package="bundle")
    with pytest.raises(ModelError) as caught:
        make_judge("onw", {}, PLACE)
    assert caught.value.seen == "[judge] backend = 'onw'"
    assert caught.value.expected == (
        "one of: transformers, openai, or of an installed package (another, own)"
    )


def test_where_none_is_installed_the_error_says_so() -> None:
    with pytest.raises(ModelError, match=r"installed package \(none\)"):
        make_judge("own", {}, PLACE)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0\n", "cannot be imported: ZeroDivisionError"),
        ("other = 1\n", "cannot be imported: AttributeError"),
        ("own = 3\n", "cannot be made: TypeError: 'int' object is not callable"),
        ("def own(settings): ...\n", "cannot be made: TypeError"),
        ("def own(settings, context):\n    return settings['x']\n", "cannot be made: KeyError"),
        ("def own(settings, context): ...\n", "is no judge: NoneType has no method judge"),
    ],
)
def test_what_cannot_be_made_is_refused(install: Install, code: str, words: str) -> None:
    install(GROUP, "own", code)
    with pytest.raises(ModelError) as caught:
        make_judge("own", {}, PLACE)
    assert words in caught.value.seen
    assert "parcel 1.2" in caught.value.seen
    assert caught.value.action


def test_an_error_of_the_factorys_own_goes_through(install: Install) -> None:
    code = "from rlaif.errors import UsageError\n"
    code += "def own(settings, context):\n    raise UsageError('no key', 'a key', 'set one')\n"
    install(GROUP, "own", code)
    with pytest.raises(Exception, match="no key") as caught:
        make_judge("own", {}, PLACE)
    assert type(caught.value).__name__ == "UsageError"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "name is '', not a text"),
        ({"name": None}, "name is None, not a text"),
        ({"digest": " "}, "digest is ' ', not a text"),
        ({"digest": 3}, "digest is 3, not a text"),
        ({"special_tokens": "<s>"}, "special_tokens is '<s>', not a list of texts"),
        ({"special_tokens": None}, "special_tokens is None, not a list of texts"),
        ({"special_tokens": ["<s>", 3]}, "special_tokens holds 3, not a text"),
        ({"judge": 3}, "Theirs has no method judge"),
    ],
)
def test_what_lacks_a_part_is_no_judge(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        kept(Theirs(each, **fields))
    assert f"the judge 'own' of parcel 1.2 (m:own) is no judge: {words}" in caught.value.seen


def test_replies_go_through_in_order_under_the_judges_own_digest() -> None:
    judge = kept(Theirs(each))
    replies = judge.judge(ASKED)
    for asked, reply in zip(ASKED, replies, strict=True):
        expected = call(asked.text).model_copy(
            update={"judge": judge.digest, "request_hash": request_hash(judge.digest, asked)}
        )
        assert reply == JudgeReply("Fine.", expected)
    assert judge.special_tokens == ("<s>",)


def test_the_digest_is_over_judge_and_code() -> None:
    judges = [
        kept(Theirs(each)),
        kept(Theirs(each), digest="other code"),
        kept(Theirs(each, digest="other settings")),
        kept(Theirs(each), backend="other"),
    ]
    assert len({judge.digest for judge in judges}) == 4
    assert kept(Theirs(each)).digest == judges[0].digest


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_wrong_number_of_replies_is_an_error(count: int) -> None:
    judge = kept(Theirs(lambda requests: [good(requests[0])] * count))
    with pytest.raises(ModelError, match=f"gave {count} replies to 3 requests") as caught:
        judge.judge(ASKED)
    assert "parcel 1.2 (m:own)" in caught.value.seen


def test_nothing_asked_is_nothing_said() -> None:
    assert kept(Theirs(each)).judge([]) == []


def test_one_request_that_raises_costs_the_others_nothing() -> None:
    def moody(requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        if any(r.shown == ("b",) for r in requests):
            raise ValueError("I do not like b")
        return each(requests)

    theirs = Theirs(moody)
    replies = kept(theirs).judge(ASKED)
    assert theirs.asked == [["a", "b", "c"], ["a"], ["b"], ["c"]]
    assert [reply.failure for reply in replies] == [
        None,
        "the judge raised ValueError: I do not like b",
        None,
    ]
    assert replies[1].call is None
    assert isinstance(verdict_of(ASKED[1], replies[1], 0.5), Unscored)
    assert verdict_of(ASKED[2], replies[2], 0.5) == Rating(score=1.0)


def test_replies_that_break_off_are_a_raised_exception() -> None:
    def broken(requests: Sequence[JudgeRequest]) -> Any:
        yield good(requests[0])
        raise ConnectionError("cut")

    replies = kept(Theirs(broken)).judge(ASKED[:2])
    assert [reply.failure for reply in replies] == ["the judge raised ConnectionError: cut"] * 2


@pytest.mark.parametrize("exc", [SystemExit(1), GeneratorExit(), BaseException("own")])
def test_a_judge_that_would_end_the_program_fails_its_request_alone(exc: BaseException) -> None:
    def leaving(requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        if any(r.shown == ("b",) for r in requests):
            raise exc
        return each(requests)

    replies = kept(Theirs(leaving)).judge(ASKED)
    assert [reply.failure is None for reply in replies] == [True, False, True]
    assert str(replies[1].failure).startswith(f"the judge raised {type(exc).__name__}")


def test_an_interrupt_goes_through_a_judge() -> None:
    def interrupted(_: Sequence[JudgeRequest]) -> list[JudgeReply]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(Theirs(interrupted)).judge(ASKED)


@pytest.mark.parametrize("said", [None, 3])
def test_no_list_of_replies_is_a_failure(said: object) -> None:
    (reply,) = kept(Theirs(lambda _: said)).judge(ASKED[:1])
    assert (reply.failure or "").startswith("the judge raised TypeError: ")


def test_an_error_of_rlaifs_stops_the_batch() -> None:
    def stop(_: Sequence[JudgeRequest]) -> Any:
        raise LedgerError("no room")

    theirs = Theirs(stop)
    with pytest.raises(LedgerError, match="no room"):
        kept(theirs).judge(ASKED)
    assert len(theirs.asked) == 1


def test_an_interrupt_goes_through() -> None:
    def stop(_: Sequence[JudgeRequest]) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(Theirs(stop)).judge(ASKED)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "None, not a JudgeReply"),
        ("Verdict: 2", "'Verdict: 2', not a JudgeReply"),
        (JudgeReply(None, None), "critique = None, not a text"),  # type: ignore[arg-type]
        (JudgeReply("c", {"reply": "Verdict: 2"}), "call = a dict"),  # type: ignore[arg-type]
        (JudgeReply("c\ud800", None), "lone surrogates"),
        (JudgeReply("c", None, "\ud800"), "lone surrogates"),
        (JudgeReply("c", call("a", "\ud800")), "lone surrogates"),
        (JudgeReply("c", JudgeCall.model_construct(reply="x")), "a broken JudgeCall: "),
        (
            JudgeReply("c", call("a").model_copy(update={"label_probs": {"1": float("nan")}})),
            "label_probs.1 = nan",
        ),
        (JudgeReply("c", None, ""), "failure = '', not a reason"),
        (JudgeReply("c", None, 3), "failure = 3, not a reason"),  # type: ignore[arg-type]
        (JudgeReply("c", None, sample_failures="cut"), "'cut', not a tuple"),  # type: ignore[arg-type]
        (JudgeReply("c", call("a"), sample_failures=("cut",)), "of 1 samples, the call has 0"),
        (JudgeReply("c", call("a"), sample_failures=("",)), "holds '', not a reason"),
    ],
)
def test_what_is_no_reply_is_a_failure(reply: object, words: str) -> None:
    judge = kept(Theirs(lambda requests: [good(requests[0]), reply]))
    first, second = judge.judge(ASKED[:2])
    assert first.failure is None
    assert (second.failure or "").startswith("the judge replied with ")
    assert words in (second.failure or "")
    assert second.call is None
    assert isinstance(verdict_of(ASKED[1], second, 0.5), Unscored)


def test_a_failure_of_its_own_keeps_its_reason_and_call() -> None:
    judge = kept(
        Theirs(lambda requests: [JudgeReply("", call(r.text), "too long") for r in requests])
    )
    (reply,) = judge.judge(ASKED[:1])
    assert reply.failure == "too long"
    assert reply.call is not None
    assert reply.call.judge == judge.digest


def test_a_rubric_is_judged_by_a_plug_in() -> None:
    judge = kept(Theirs(each))
    panel = RubricJudge(
        rubric(judge_criterion("right", choices=2)),
        judging=JudgingConfig(),
        jury=(Juror("theirs", judge, load_templates("detailed"), 0.5),),
    )
    (rated,) = panel.rate([(prompt(), completion("a"))])
    assert [(j.verdict, j.critique, j.judge) for j in rated] == [
        (Rating(score=1.0), "Fine.", "theirs")
    ]


class TheirWriter(Theirs):
    """A judge of somebody's that writes, too."""

    def __init__(self, compose: Callable[[WriteRequest], Any], **fields: Any) -> None:
        super().__init__(each, **fields)
        self._compose = compose

    def write(self, requests: Sequence[WriteRequest]) -> Any:
        return [self._compose(request) for request in requests]


def kept_writer(compose: Callable[[WriteRequest], Any]) -> WritingPluginJudge:
    return WritingPluginJudge(
        TheirWriter(compose), "own", Offer(None, "parcel 1.2 (m:own)", Path("m.py"), "o")
    )


TO_WRITE = [WriteRequest(text, 9) for text in "abc"]


def test_free_text_goes_through_under_the_judges_own_digest() -> None:
    judge = kept_writer(lambda r: WriteReply(f"Mended {r.text}.", call(r.text)))
    replies = judge.write(TO_WRITE)
    assert [r.text for r in replies] == ["Mended a.", "Mended b.", "Mended c."]
    calls = [r.call for r in replies if r.call is not None]
    assert [c.request_hash for c in calls] == [write_hash(judge.digest, r) for r in TO_WRITE]
    assert {c.judge for c in calls} == {judge.digest}
    assert judge.judge(ASKED) == kept(Theirs(each)).judge(ASKED)


def test_free_text_that_raises_or_is_no_reply_fails_alone() -> None:
    def compose(request: WriteRequest) -> Any:
        if request.text == "b":
            raise ValueError("not b")
        return WriteReply("\ud800", None) if request.text == "c" else WriteReply("Fine.", None)

    found = kept_writer(compose).write(TO_WRITE)
    assert [r.failure for r in found] == [
        None,
        "the judge raised ValueError: not b",
        "the judge replied with lone surrogates in its words",
    ]
    for wrong, words in (
        (JudgeReply("Fine.", None), "a JudgeReply, not a WriteReply"),
        (WriteReply(7, None), "text = 7, not a text"),  # type: ignore[arg-type]
        (WriteReply("Fine.", None, ""), "failure = '', not a reason"),
    ):
        (reply,) = kept_writer(lambda _, wrong=wrong: wrong).write(TO_WRITE[:1])
        assert reply.failure == f"the judge replied with {words}"


def test_only_a_plug_in_that_writes_is_asked_to(install: Install) -> None:
    code = """\
class Own:
    name, digest, special_tokens = "own", "d", ()
    def judge(self, requests): return []
    {more}
def own(settings, context):
    return Own()
"""
    install(GROUP, "own", code.format(more=""))
    assert not isinstance(make_judge("own", {}, PLACE), Writer)
    install(GROUP, "own", code.format(more="def write(self, requests): return []"))
    judge = make_judge("own", {}, PLACE)
    assert isinstance(judge, Writer)
    assert judge.write([]) == []
