"""What a reply is kept under: a judge's digest, the question, and which asking it is."""

import dataclasses
from typing import Any

import pytest
from remote_samples import KEY, echo, judge_at, request, settings, spoken

from rlaif.config.secrets import Secret
from rlaif.config.serving import ServerConfig
from rlaif.judges import rating_labels
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.remote.asking import SECOND_TEMPERATURE
from rlaif.judges.replies import MemoryReplies
from tests.servers.loopback import Loopback, completion, replying

pytestmark = pytest.mark.enable_socket

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


def test_a_second_asking_at_temperature_0_may_come_out_otherwise() -> None:
    first = request("Which?")
    with Loopback(replying(echo)) as server:
        judge_at(server).judge([first, dataclasses.replace(first, attempt=2)])
        bodies = {asked.body["temperature"]: asked.body for asked in server.asked}
    assert set(bodies) == {0.0, SECOND_TEMPERATURE}
    assert "seed" not in bodies[0.0]
    assert "seed" in bodies[SECOND_TEMPERATURE]


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
