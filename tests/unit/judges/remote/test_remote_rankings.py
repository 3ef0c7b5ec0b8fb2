"""Rankings from a server: words alone, one reply, whatever the settings ask of verdicts."""

from typing import Any

import pytest
from remote_samples import judge_at, piece, request

from rlaif.judges import JudgeReply, JudgeRequest, verdict_of
from rlaif.judges.protocol import method_of
from rlaif.judges.replies import MemoryReplies
from rlaif.judges.verdict_forms import RANKING
from rlaif.records import Ranking, Unscored
from tests.servers.loopback import Asked, Loopback, completion, replying

pytestmark = pytest.mark.enable_socket

SAID = "A 不错, B is better.\n**Ranking: B > A > C**"
LIST = JudgeRequest("排名?", ("A", "B", "C"), "c", (), form=RANKING, asks="ranking")


def ranked(asked: Asked) -> dict[str, Any]:
    """Answer a list by a ranking, and anything else by a verdict in the form asked for."""
    if asked.text != LIST.text:
        schema = "response_format" in asked.body
        said = '{"critique": "Polite.", "verdict": "A"}' if schema else "Polite.\nVerdict: A"
        return completion(said)
    return completion(SAID, pieces=[piece(SAID)])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"log_probs": False, "samples": 5, "temperature": 0.7},
        {"log_probs": False, "samples": 3, "samples_by": "n", "temperature": 0.7},
        {"reply_format": "json_schema"},
    ],
)
def test_a_ranking_is_one_reply_in_words(settings: dict[str, Any]) -> None:
    with Loopback(replying(ranked)) as server:
        listed, _paired = judge_at(server, **settings).judge([LIST, request("Which?")])
        asked = [one.body for one in server.asked if one.text == LIST.text]
    assert len(asked) == 1
    assert not {"logprobs", "top_logprobs", "n", "response_format"} & asked[0].keys()
    assert listed.failure is None
    assert listed.critique == "A 不错, B is better."
    assert listed.call is not None
    assert (listed.call.label_probs, listed.call.samples) == ({}, ())
    assert verdict_of(LIST, listed, 0.5) == Ranking(places=(1, 0, 2))
    assert method_of(LIST, listed) == "words"


def test_a_reply_that_was_cut_off_before_its_ranking_says_so() -> None:
    def cut(_asked: Asked) -> dict[str, Any]:
        body = completion("A is fine and B")
        body["choices"][0]["finish_reason"] = "length"
        return body

    with Loopback(replying(cut)) as server:
        (reply,) = judge_at(server).judge([LIST])
    verdict = verdict_of(LIST, reply, 0.5)
    assert isinstance(verdict, Unscored)
    assert verdict.reason == "the reply was cut off before its verdict: 'A is fine and B'"


def test_a_ranking_is_never_paid_for_twice() -> None:
    store = MemoryReplies()
    replies: list[JudgeReply] = []
    with Loopback(replying(ranked)) as server:
        for _ in range(2):
            replies += judge_at(server, store=store).judge([LIST])
        assert len(server.asked) == 1
    assert replies[0] == replies[1]
