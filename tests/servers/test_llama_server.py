"""A real server that gives log-probs, objects by a schema and several samples: llama.cpp's own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from bundled_samples import bundled_requests

from rlaif.config import JudgeConfig
from rlaif.config.serving import ServerConfig
from rlaif.judges import JudgeReply, JudgeRequest, TransformersJudge, verdict_of
from rlaif.judges.protocol import method_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies
from rlaif.models.loading import load_language_model
from rlaif.records import Choice, Rating, Unscored
from tests.servers.bundled import FOLDER, MODEL
from tests.servers.serving import LLAMA_IS_THERE, llama_server

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    pytest.mark.skipif(
        not LLAMA_IS_THERE, reason="llama.cpp's server is not installed: make llama-server"
    ),
]

REQUESTS = bundled_requests()
FLOOR = JudgeConfig().min_label_mass


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_server(tmp_path_factory.mktemp("llama") / "log") as found:
        yield found


def ask(
    address: str, requests: Sequence[JudgeRequest] = REQUESTS, **changes: object
) -> tuple[list[JudgeReply], OpenAIJudge]:
    settings = {"endpoints": [address], "model": MODEL, "max_in_flight": 4, "max_tokens": 64}
    judge = OpenAIJudge(ServerConfig.model_validate({**settings, **changes}), MemoryReplies())
    return judge.judge(requests), judge


def test_critiques_and_label_probabilities_are_those_of_the_local_judge(address: str) -> None:
    local = TransformersJudge(load_language_model(str(FOLDER), torch.device("cpu")), JudgeConfig())
    replies, judge = ask(address)
    assert judge.counts.calls == judge.counts.replies == len(REQUESTS)
    assert judge.counts.without_log_probs == 0
    for request, one, other in zip(REQUESTS, replies, local.judge(REQUESTS), strict=True):
        assert one.failure is None
        assert one.critique == other.critique
        assert one.call is not None
        assert other.call is not None
        assert one.call.label_probs == pytest.approx(other.call.label_probs, abs=1e-2)
        assert one.call.prompt_tokens == other.call.prompt_tokens
        assert method_of(request, one) == "label_probs"
        assert not isinstance(verdict_of(request, one, FLOOR), Unscored)
    assert len({str(one.call and one.call.label_probs) for one in replies}) > len(replies) // 2


def test_objects_by_a_schema_are_read_with_their_log_probs(address: str) -> None:
    replies, judge = ask(address, reply_format="json_schema", max_tokens=200)
    assert judge.counts.calls == len(REQUESTS), "it refused a field"
    whole = [(r, one) for r, one in zip(REQUESTS, replies, strict=True) if one.failure is None]
    assert len(whole) > len(REQUESTS) / 2
    for request, reply in whole:
        assert reply.call is not None
        assert reply.call.reply.lstrip().startswith("{")
        assert isinstance(verdict_of(request, reply, 0.0), Choice | Rating)


def test_several_samples_come_of_one_call(address: str) -> None:
    replies, judge = ask(address, samples=3, samples_by="n", temperature=1.0)
    assert judge.counts.calls == len(REQUESTS)
    assert all(reply.call is not None and len(reply.call.samples) == 3 for reply in replies)
    assert any(len(set(reply.call.samples)) > 1 for reply in replies if reply.call is not None)
    verdicts = [verdict_of(*pair, FLOOR) for pair in zip(REQUESTS, replies, strict=True)]
    assert sum(isinstance(v, Choice | Rating) for v in verdicts) > len(REQUESTS) / 2


def test_a_call_that_takes_too_long_is_a_reason_and_the_server_goes_on(address: str) -> None:
    late, judge = ask(address, REQUESTS[:2], read_seconds=0.001, attempts=1)
    assert judge.counts.failures == 2
    assert all("timed out" in str(reply.failure) for reply in late)
    again, _ = ask(address, REQUESTS[:2])
    assert [reply.failure for reply in again] == [None, None]


def test_a_question_beyond_the_context_costs_the_others_nothing(address: str) -> None:
    long = replace(REQUESTS[0], text=f"{REQUESTS[0].text} {'the ' * 600}")
    replies, judge = ask(address, [long, REQUESTS[1]])
    assert "answered 400" in str(replies[0].failure)
    assert "context size" in str(replies[0].failure)
    assert replies[1].failure is None
    assert judge.counts.calls == 2
