"""The judge against a server in OpenAI's schema that behaves."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from remote_samples import (
    SPOKEN,
    failures,
    judge_at,
    piece,
    request,
    requests,
    settings,
    spoken,
)

from rlaif.config.secrets import Secret
from rlaif.config.serving import ServerConfig
from rlaif.cycle.paying import LedgerReplies
from rlaif.judges import Judge, JudgeReply, rating_labels, request_hash, verdict_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.remote.asking import SECOND_TEMPERATURE
from rlaif.judges.replies import MemoryReplies
from rlaif.judges.verdict_forms import VerdictForm
from rlaif.ledger.writer import Ledger
from rlaif.records import Choice, Rating, Spent, StoredReply, Unscored
from tests.servers.hostile import refusing
from tests.servers.loopback import Asked, Loopback, completion, in_turn, replying

pytestmark = pytest.mark.enable_socket

KEY = "sk-0123456789abcdef"


def echo(asked: Asked) -> dict[str, Any]:
    return completion(f"You said {asked.text}\nVerdict: A", usage=(asked.number, 3))


def with_log_probs(_asked: Asked) -> dict[str, Any]:
    pieces = [
        piece("It is polite.\n"),
        piece("Verdict:"),
        piece(" A", 0.7, **{" B": 0.2, "B": 0.1}),
    ]
    return completion(SPOKEN, pieces=pieces)


def only(replies: Sequence[JudgeReply]) -> JudgeReply:
    (reply,) = replies
    return reply


def test_replies_are_in_the_order_of_their_requests() -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        return echo(asked)

    with Loopback(replying(answer, 0.01)) as server:
        judge: Judge = judge_at(server, max_in_flight=8)
        asked = requests(60)
        replies = judge.judge(asked)
    for one, reply in zip(asked, replies, strict=True):
        assert reply.failure is None
        assert reply.critique == f"You said {one.text}"
        assert reply.call is not None
        assert reply.call.request == one.text
        assert reply.call.request_hash == request_hash(judge.digest, one)
        assert reply.call.judge == judge.digest
    assert server.most_at_once <= 8
    assert judge.name == "m"
    assert judge.special_tokens == ()


def test_what_is_sent() -> None:
    with Loopback(replying(spoken)) as server:
        judge_at(server, key=Secret(KEY), max_tokens=99).judge([request("Qui ? 谁\uff1f")])
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Qui ? 谁\uff1f"}],
        "temperature": 0.0,
        "max_tokens": 99,
        "logprobs": True,
        "top_logprobs": 20,
    }


def test_nothing_is_sent_that_the_settings_do_not_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-someone-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-of-someone-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-of-someone-else")
    with Loopback(replying(spoken)) as server:
        judge_at(server).judge([request()])
        judge_at(server, key=Secret(KEY)).judge([request()])
    for asked in server.asked:
        assert not {"openai-organization", "openai-project"} & set(asked.headers)
        assert "sk-of-someone-else" not in str(asked.headers)
    assert "authorization" not in server.asked[0].headers
    assert server.asked[1].headers["authorization"] == f"Bearer {KEY}"


def test_label_probabilities_come_from_log_probs() -> None:
    with Loopback(replying(with_log_probs)) as server:
        judge = judge_at(server)
        reply = only(judge.judge([request()]))
    assert reply.call is not None
    assert reply.call.label_probs == pytest.approx({"A": 0.7, "B": 0.3})
    verdict = verdict_of(request(), reply, 0.5)
    assert isinstance(verdict, Choice)
    assert verdict.p_first == pytest.approx(0.7)
    assert judge.counts.without_log_probs == 0


def test_log_probs_can_be_left_off() -> None:
    with Loopback(replying(spoken)) as server:
        judge = judge_at(server, log_probs=False)
        reply = only(judge.judge([request()]))
    assert "logprobs" not in server.asked[0].body
    assert verdict_of(request(), reply, 0.5) == Choice(p_first=1.0)
    assert judge.counts.without_log_probs == 0


@pytest.mark.parametrize(
    ("content", "labels", "verdict"),
    [
        ("Sauber.\nVerdict: 3", rating_labels(3), Rating(score=1.0)),
        ("两者都好。\nVerdict\uff1a B", ("A", "B"), Choice(p_first=0.0)),
        ("**Verdict:** A", ("A", "B"), Unscored(reason="the judge wrote no critique")),
        (
            "A is good.",
            ("A", "B"),
            Unscored(reason="no verdict line in the reply, expected one 'Verdict: LABEL'"),
        ),
        (
            "x\nVerdict: A\nVerdict: A",
            ("A", "B"),
            Unscored(reason="2 verdict lines in the reply, expected one 'Verdict: LABEL'"),
        ),
    ],
)
def test_verdicts_in_words(content: str, labels: tuple[str, ...], verdict: Any) -> None:
    asked = request(labels=labels)
    with Loopback(replying(lambda _: completion(content))) as server:
        reply = only(judge_at(server).judge([asked]))
    assert verdict_of(asked, reply, 0.5) == verdict


def test_a_stored_reply_is_never_asked_for_again() -> None:
    store = MemoryReplies()
    with Loopback(replying(echo)) as server:
        first = judge_at(server, store=store).judge(requests(10))
        again = judge_at(server, store=store)
        assert again.judge(requests(12))[:10] == first
    assert len(server.asked) == 12
    assert (again.counts.reused, again.counts.calls) == (10, 2)


def test_stored_replies_serve_without_a_server() -> None:
    store = MemoryReplies()
    with Loopback(replying(with_log_probs)) as server:
        first = judge_at(server, store=store).judge(requests(3))
    assert judge_at(server, store=store).judge(requests(3)) == first


def test_the_same_question_is_asked_once() -> None:
    with Loopback(replying(echo)) as server:
        replies = judge_at(server).judge([request("a"), request("b"), request("a")])
    assert len(server.asked) == 2
    assert replies[0] == replies[2]
    assert replies[0] != replies[1]


def test_what_is_kept() -> None:
    store = MemoryReplies()
    with Loopback(replying(echo, 0.05)) as server:
        judge = judge_at(server, store=store, prompt_price=2.0, reply_price=10.0)
        judge.judge([request("warm")])
        reply = judge.judge([request("what?")])[0]
    kept = store.all()[1]
    assert kept.judge == judge.digest
    assert kept.model == "m"
    assert json.loads(kept.raw)["choices"][0]["message"]["content"].startswith("You said what?")
    assert (kept.prompt_tokens, kept.reply_tokens) == (1, 3)
    assert kept.cost == pytest.approx((1 * 2.0 + 3 * 10.0) / 1e6)
    assert 0.05 <= kept.latency < 2.0
    assert reply.call is not None
    assert (reply.call.prompt_tokens, reply.call.reply_tokens) == (1, 3)
    assert (reply.call.cost, reply.call.latency) == (kept.cost, kept.latency)


def test_tokens_that_a_server_does_not_count_are_estimated() -> None:
    store = MemoryReplies()
    with Loopback(replying(lambda _: completion(SPOKEN, usage=None))) as server:
        judge_at(server, store=store).judge([request("x" * 30)])
    assert (store.all()[0].prompt_tokens, store.all()[0].reply_tokens) == (10, 8)


@pytest.mark.parametrize("count", [-1, True, 2**62, 2**63, 10**30])
def test_counts_that_no_reply_can_have_are_estimated_and_the_ledger_keeps_the_reply(
    count: int, tmp_path: Path
) -> None:
    server = Loopback(replying(lambda _: completion(SPOKEN, usage=(count, count))))
    with server, Ledger.open(tmp_path / "ledger.db") as ledger:
        judge = judge_at(server, store=LedgerReplies(ledger, cycle=None))
        reply = only(judge.judge([request("x" * 30)]))
        assert reply.call is not None
        assert (reply.call.prompt_tokens, reply.call.reply_tokens) == (10, 8)
        assert ledger.spent() == Spent(calls=1, tokens=18)


CHANGES: list[dict[str, Any]] = [
    {"model": "m2"},
    {"temperature": 0.5},
    {"temperature": 0.5, "samples": 2},
    {"max_tokens": 7},
    {"reply_format": "json_schema"},
    {"log_probs": False},
]


def test_the_digest_is_of_what_decides_a_reply_and_of_nothing_else() -> None:
    with Loopback(replying(spoken)) as server:
        here = judge_at(server).digest
        for same in ({"max_in_flight": 3}, {"endpoints": ("http://x/v1",)}, {"prompt_price": 1.0}):
            assert judge_at(**{"endpoints": [server.address], **same}).digest == here
        assert judge_at(server, key=Secret(KEY)).digest == here
        others = {judge_at(server, **change).digest for change in CHANGES}
    assert len(others | {here}) == len(CHANGES) + 1


def test_another_judge_labels_or_text_is_another_key() -> None:
    store = MemoryReplies()
    with Loopback(replying(lambda _: completion("Good.\nVerdict: 1"))) as server:
        for change in ({}, *CHANGES):
            judge_at(server, store=store, check_model=False, **change).judge(
                [request("a"), request("b"), request("a", rating_labels(3))]
            )
    samples = 3 * (len(CHANGES) + 2)
    assert len(store) == samples == len(server.asked)


# What servers refuse


def refuses(name: str, status: int = 400, **error: Any) -> Any:
    """Refuse requests with a field, and answer the others."""
    good = replying(spoken)
    message = error.pop("message", f"Unsupported parameter: '{name}'")

    async def behaviour(asked: Asked, writer: Any) -> None:
        bad = refusing(status, {"message": message, **error})
        await (bad if name in asked.body else good)(asked, writer)

    return behaviour


@pytest.mark.parametrize(
    ("name", "error", "changes"),
    [
        ("logprobs", {}, {}),
        ("logprobs", {"status": 422, "message": "no", "param": "logprobs"}, {}),
        ("seed", {}, {"temperature": 0.5}),
        ("response_format", {"status": 422}, {"reply_format": "json_schema"}),
        ("n", {}, {"temperature": 0.5, "samples": 2, "samples_by": "n"}),
        ("max_tokens", {"message": "'max_tokens' no; use 'max_completion_tokens' instead."}, {}),
    ],
)
def test_a_field_that_is_refused_is_left_out_from_then_on(
    name: str, error: dict[str, Any], changes: dict[str, Any]
) -> None:
    with Loopback(refuses(name, **error)) as server:
        judge = judge_at(server, max_in_flight=1, **changes)
        replies = judge.judge(requests(3)) + judge.judge(requests(5))
    assert failures(replies) == [None] * 8
    assert [name in asked.body for asked in server.asked].count(True) == 1
    assert name in server.asked[0].body
    assert judge.counts.retries == 0


def test_what_one_endpoint_refuses_another_is_still_asked() -> None:
    with Loopback(refuses("logprobs")) as bare, Loopback(replying(with_log_probs)) as rich:
        judge = judge_at(bare, rich, max_in_flight=1)
        replies = judge.judge(requests(9))
    assert [len(reply.call.label_probs) for reply in replies if reply.call].count(2) == len(
        rich.asked
    )
    assert all(asked.body["top_logprobs"] == 20 for asked in rich.asked)
    assert ["logprobs" in asked.body for asked in bare.asked].count(True) == 1


def test_fewer_alternatives_are_asked_for_before_none() -> None:
    good = replying(with_log_probs)

    async def at_most_five(asked: Asked, writer: Any) -> None:
        bad = refusing(400, {"message": "top_logprobs must be at most 5"})
        await (bad if asked.body.get("top_logprobs", 0) > 5 else good)(asked, writer)

    with Loopback(at_most_five) as server:
        replies = judge_at(server, max_in_flight=4).judge(requests(8))
    assert all(reply.call and reply.call.label_probs for reply in replies)
    assert {asked.body.get("top_logprobs") for asked in server.asked} == {20, 5}


def test_fastapi_names_fields_by_their_place_and_quotes_the_request() -> None:
    detail = [
        {
            "loc": ["body", "logprobs"],
            "msg": "Extra inputs are not permitted",
            "input": {"seed": 1, "response_format": "text", "n": 2},
        }
    ]

    async def behaviour(asked: Asked, writer: Any) -> None:
        bad = refusing(422, json.dumps({"detail": detail}))
        await (bad if "logprobs" in asked.body else replying(spoken))(asked, writer)

    with Loopback(behaviour) as server:
        reply = only(judge_at(server, temperature=0.5).judge([request()]))
    assert reply.failure is None
    assert "seed" in server.asked[1].body


def test_a_refusal_that_names_no_field_is_a_reason() -> None:
    with Loopback(refusing(422, "what?")) as server:
        reply = only(judge_at(server).judge([request()]))
    assert "answered 422: what?" in str(reply.failure)
    assert len(server.asked) == 1


# Objects


def as_object(critique: str, verdict: str) -> dict[str, Any]:
    content = json.dumps({"critique": critique, "verdict": verdict}, ensure_ascii=False)
    return completion(content)


def test_objects_are_asked_for_and_read() -> None:
    with Loopback(replying(lambda _: as_object("不错。\nVerdict: A", "2"))) as server:
        judge = judge_at(server, reply_format="json_schema")
        reply = only(judge.judge([request(labels=rating_labels(3))]))
    schema = server.asked[0].body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["verdict"]["enum"] == ["1", "2", "3"]
    assert reply.critique == "不错。\nVerdict: A"
    assert reply.failure is None
    assert reply.call is not None
    assert json.loads(reply.call.reply) == {"critique": "不错。\nVerdict: A", "verdict": "2"}


def test_an_objects_verdict_has_log_probs_too() -> None:
    content = '{"critique":"Good \\"verdict\\": \\"A\\".","verdict":"B"}'
    pieces = [piece(content[:-3]), piece("B", 0.75, A=0.2), piece('"}')]
    with Loopback(replying(lambda _: completion(content, pieces=pieces))) as server:
        reply = only(judge_at(server, reply_format="json_schema").judge([request()]))
    assert reply.call is not None
    assert reply.call.label_probs == pytest.approx({"A": 0.2, "B": 0.75})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SPOKEN, "not JSON"),
        ('{"critique": "x", "verdict": "C"}', "'C', not one of A, B"),
        ('{"critique": "x", "verdict": "A", "more": 1}', "an object of critique and verdict"),
        ('{"critique": " ", "verdict": "A"}', "expected words"),
        ('{"critique": "x", "verdict": "A", "verdict": "B"}', "a field twice"),
        ('{"critique": "x", "verdict": "A"', "not JSON"),
    ],
)
def test_other_objects_are_reasons(content: str, reason: str) -> None:
    with Loopback(replying(lambda _: completion(content))) as server:
        reply = only(judge_at(server, reply_format="json_schema").judge([request()]))
    assert reason in str(reply.failure)
    assert len(server.asked) == 1


def test_a_server_that_refuses_objects_is_read_in_words_and_found_again() -> None:
    store = MemoryReplies()
    with Loopback(refuses("response_format")) as server:
        for _ in range(2):
            judge = judge_at(server, store=store, reply_format="json_schema")
            reply = only(judge.judge([request()]))
            assert verdict_of(request(), reply, 0.5) == Choice(p_first=1.0)
    assert len(server.asked) == 2


def test_a_judge_that_writes_its_labels_in_another_way_is_read_and_asked_so() -> None:
    form = VerdictForm(phrase="Output ({label}) is better", labels={"a": "A", "b": "B"})
    asked = dataclasses.replace(request(), form=form)
    words = [piece("So Output ("), piece("b", 0.8, a=0.2), piece(") is better.")]
    said = completion("So Output (b) is better.", pieces=words)
    with Loopback(in_turn(replying(lambda _: said), replying(lambda _: as_object("x", "a")))) as it:
        reply = only(judge_at(it).judge([asked]))
        other = only(judge_at(it, reply_format="json_schema").judge([asked]))
    assert reply.call is not None
    assert reply.call.label_probs == pytest.approx({"A": 0.2, "B": 0.8})
    assert reply.critique == "So Output (b) is better."
    assert other.failure is None
    schema = it.asked[1].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["verdict"]["enum"] == ["a", "b"]


def test_a_verdict_without_a_critique_where_none_is_asked_for() -> None:
    asked = dataclasses.replace(request(), critique=False)
    alone = replying(lambda _: completion('{"verdict": "B"}'))
    with Loopback(in_turn(replying(lambda _: completion("Verdict: A")), alone)) as server:
        reply = only(judge_at(server).judge([asked]))
        other = only(judge_at(server, reply_format="json_schema").judge([asked]))
    assert verdict_of(asked, reply, 0.5) == Choice(p_first=1.0)
    assert (other.failure, other.critique) == (None, "")
    schema = server.asked[1].body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["verdict"]


# Samples


SAMPLES: dict[str, Any] = {"temperature": 0.7, "samples": 3}


def test_samples_are_drawn_by_requests_with_seeds_of_their_own() -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        return completion(f"Seed {asked.body['seed']}.\nVerdict: A", usage=(7, 2))

    with Loopback(replying(answer)) as server:
        judge = judge_at(server, **SAMPLES)
        one, other = judge.judge([request("a"), request("b")])
        again = judge_at(server, **SAMPLES).judge([request("a")])
    seeds = [asked.body["seed"] for asked in server.asked]
    assert len(set(seeds[:6])) == 6
    assert sorted(seeds[6:]) == sorted({s for s in seeds[:6] if f"Seed {s}." in str(one.call)})
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert all("n" not in asked.body and "logprobs" not in asked.body for asked in server.asked)
    assert one.call is not None
    assert other.call is not None
    assert len(set(one.call.samples)) == 3
    assert one.call.reply == one.call.samples[0]
    assert one.call.label_probs == {}
    assert (one.call.prompt_tokens, one.call.reply_tokens) == (21, 6)
    assert again[0].call is not None
    assert again[0].call.samples == one.call.samples


def test_samples_are_drawn_by_n() -> None:
    words = ["a\nVerdict: A", "b\nVerdict: B", "c\nVerdict: A", "d\nVerdict: A"]
    store = MemoryReplies()
    with Loopback(replying(lambda _: completion(*words))) as server:
        judge = judge_at(server, store=store, samples_by="n", **SAMPLES)
        first = judge.judge([request()])
        again = judge_at(server, store=store, samples_by="n", **SAMPLES).judge([request()])
    assert [asked.body["n"] for asked in server.asked] == [3]
    assert first[0].call is not None
    assert first[0].call.samples == tuple(words[:3])
    assert again == first


def test_the_first_critique_that_there_is_stands_for_all_samples() -> None:
    words = ["Verdict: A", "Because.\nVerdict: B", "So.\nVerdict: A"]
    with Loopback(replying(lambda _: completion(*words))) as server:
        reply = only(judge_at(server, samples_by="n", **SAMPLES).judge([request()]))
    assert reply.critique == "Because."
    assert reply.call is not None
    assert reply.call.reply == "Verdict: A"


def test_samples_that_a_server_left_out_are_asked_for_one_by_one() -> None:
    store = MemoryReplies()

    def answer(asked: Asked) -> dict[str, Any]:
        return completion(f"{asked.number}\nVerdict: A")

    with Loopback(replying(answer)) as server:
        judge = judge_at(server, store=store, samples_by="n", **SAMPLES)
        first = judge.judge([request()])
        again = judge_at(server, store=store, samples_by="n", **SAMPLES).judge([request()])
    assert [asked.body.get("n") for asked in server.asked] == [3, None, None]
    assert len({asked.body["seed"] for asked in server.asked}) == 3
    assert first[0].call is not None
    assert [sample[0] for sample in first[0].call.samples] == ["0", "1", "2"]
    assert again == first


def test_a_sample_that_does_not_come_is_a_reason_and_the_others_are_kept() -> None:
    store = MemoryReplies()
    good = replying(spoken)
    with Loopback(in_turn(good, refusing(400, "no"), good)) as server:
        judge = judge_at(server, store=store, max_in_flight=1, **SAMPLES)
        failed = only(judge.judge([request()]))
        whole = only(judge.judge([request()]))
    assert "1 of 3 samples did not come" in str(failed.failure)
    assert failed.call is None
    assert whole.failure is None
    assert len(server.asked) == 4


# Keeping


class Durable(MemoryReplies):
    """Notes how many requests had come when replies were put; can be slow, and can fail."""

    def __init__(self, server: Loopback, fail_at: int | None = None, seconds: float = 0.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._server = server
        self._fail_at = fail_at
        self.seen: list[int] = []

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        if self._fail_at is not None and len(self) >= self._fail_at:
            raise OSError("no space left on the device")
        time.sleep(self._seconds)
        stored = super().put(replies)
        self.seen.append(len(self._server.asked))
        return stored


def test_replies_that_come_together_are_put_together() -> None:
    """A store that takes 20 ms is asked again after 10 at the soonest."""
    with Loopback(replying(echo, 0.1)) as server:
        store = Durable(server, seconds=0.02)
        start = time.monotonic()
        judge_at(server, store=store, max_in_flight=32).judge(requests(128))
        took = time.monotonic() - start
    assert sum(store.groups) == 128
    assert len(store.groups) <= 2 + took / 0.03


class Overtaken(MemoryReplies):
    """Another process puts a reply to the same question just before."""

    def put(self, replies: Sequence[StoredReply]) -> list[StoredReply]:
        theirs = json.dumps(completion("Theirs.\nVerdict: B"))
        super().put([reply.model_copy(update={"raw": theirs}) for reply in replies])
        return super().put(replies)


def test_a_judge_goes_on_with_the_reply_that_a_later_run_finds() -> None:
    store = Overtaken()
    with Loopback(replying(spoken)) as server:
        (reply,) = judge_at(server, store=store).judge([request()])
        (later,) = judge_at(server, store=store).judge([request()])
        assert len(server.asked) == 1
    assert reply == later
    assert reply.critique == "Theirs."
    assert len(store.refused) == 1


def test_no_more_than_the_calls_in_flight_are_not_kept() -> None:
    with Loopback(replying(echo, 0.01)) as server:
        store = Durable(server)
        judge_at(server, store=store, max_in_flight=8).judge(requests(80))
    kept = 0
    for group, asked in zip(store.groups, store.seen, strict=True):
        assert asked - kept <= 8
        kept += group


def test_a_store_that_fails_ends_the_run_and_what_it_has_stays() -> None:
    with Loopback(replying(echo)) as server:
        store = Durable(server, fail_at=5)
        judge = judge_at(server, store=store, max_in_flight=2)
        with pytest.raises(OSError, match="no space left"):
            judge.judge(requests(100))
    assert 5 <= len(store) < 10
    assert len(server.asked) < 20


def test_a_killed_run_repeats_only_what_was_in_flight() -> None:
    with Loopback(replying(echo, 0.005)) as server:
        store = MemoryReplies()
        judge = judge_at(server, store=store, max_in_flight=4)

        def stop(replies: Sequence[StoredReply]) -> list[StoredReply]:
            stored = MemoryReplies.put(store, replies)
            if len(store) >= 20:
                raise KeyboardInterrupt
            return stored

        store.put = stop  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            judge.judge(requests(60))
        before, kept = len(server.asked), len(store)
        del store.put
        replies = judge_at(server, store=store, max_in_flight=4).judge(requests(60))
    assert failures(replies) == [None] * 60
    assert before - kept <= 4
    assert len(server.asked) - before == 60 - kept


def test_units_in_turn_and_from_other_threads() -> None:
    with Loopback(replying(echo)) as server:
        judge = judge_at(server)
        for start in range(5):
            asked = requests(10)[2 * start : 2 * start + 2]
            assert failures(judge.judge(asked)) == [None, None]
        found = asyncio.run(asyncio.to_thread(judge.judge, [request("other")]))
    assert failures(found) == [None]
    assert judge.judge([]) == []


def test_the_sdk_is_imported_late() -> None:
    import subprocess
    import sys

    code = "import sys, rlaif.judges, rlaif.judges.remote; assert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        __import__("rlaif.judges.remote").judges.remote.Other  # noqa: B018
    assert OpenAIJudge(settings(endpoints=["http://x/v1"]), MemoryReplies()).name == "m"


def test_a_second_asking_is_a_new_call_with_a_seed_of_its_own() -> None:
    first = request("Which?")
    second = dataclasses.replace(first, attempt=2)
    with Loopback(replying(echo)) as server:
        judge = judge_at(server, temperature=0.7)
        judge.judge([first])
        judge.judge([first, second])
        bodies = [asked.body for asked in server.asked]
    assert len(bodies) == 2
    assert bodies[0]["messages"] == bodies[1]["messages"]
    assert bodies[0]["seed"] != bodies[1]["seed"]


def test_two_judges_whose_models_have_one_name_each_speak_for_themselves() -> None:
    store = MemoryReplies()
    says = {"left": "A", "right": "B"}
    heard = {}
    for name, label in says.items():
        with Loopback(
            replying(lambda _, said=label: completion(f"Well.\nVerdict: {said}"))
        ) as server:
            judge = OpenAIJudge(settings(server), store, name=name)
            (reply,) = judge.judge([request("Which?")])
            heard[name] = reply.call.reply[-1] if reply.call else None
    assert heard == says
    config = ServerConfig(endpoints=("http://127.0.0.1:9/v1",), model="m")
    digests = [OpenAIJudge(config, store, name=n).digest for n in ("", "left", "right")]
    assert len(set(digests)) == 3


def test_what_a_judge_is_not_shown_is_in_its_digest() -> None:
    config = ServerConfig(endpoints=("http://127.0.0.1:9/v1",), model="m")
    hiding = config.model_copy(update={"special_tokens": ("<|im_end|>",)})
    digests = [OpenAIJudge(c, MemoryReplies()).digest for c in (config, hiding)]
    assert digests[0] != digests[1]


def test_a_second_asking_at_temperature_0_may_come_out_otherwise() -> None:
    first = request("Which?")
    with Loopback(replying(echo)) as server:
        judge_at(server).judge([first, dataclasses.replace(first, attempt=2)])
        bodies = {asked.body["temperature"]: asked.body for asked in server.asked}
    assert set(bodies) == {0.0, SECOND_TEMPERATURE}
    assert "seed" not in bodies[0.0]
    assert "seed" in bodies[SECOND_TEMPERATURE]
