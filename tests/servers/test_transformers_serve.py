"""A real server that ignores log-probs, ``n`` and ``response_format``: the bare path."""

from collections.abc import Iterator

import pytest
import torch
from bundled_samples import bundled_requests

from rlaif.config import JudgeConfig
from rlaif.config.serving import ServerConfig
from rlaif.errors import ModelError
from rlaif.judges import JudgeReply, TransformersJudge, parse_verdict, verdict_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies
from rlaif.judges.samples import verdict_from_samples
from rlaif.models.loading import load_language_model
from rlaif.records import Choice, Rating, Unscored
from tests.servers.bundled import FOLDER
from tests.servers.serving import transformers_serve

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

REQUESTS = bundled_requests()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with transformers_serve(tmp_path_factory.mktemp("serve") / "log") as found:
        yield found


def ask(address: str, **changes: object) -> tuple[list[JudgeReply], OpenAIJudge]:
    settings = {"endpoints": [address], "model": str(FOLDER), "max_in_flight": 2, "max_tokens": 64}
    judge = OpenAIJudge(ServerConfig.model_validate({**settings, **changes}), MemoryReplies())
    return judge.judge(REQUESTS), judge


def test_its_words_are_those_of_the_local_judge(address: str) -> None:
    local = TransformersJudge(load_language_model(str(FOLDER), torch.device("cpu")), JudgeConfig())
    replies, judge = ask(address)
    assert judge.counts.calls == len(REQUESTS)
    assert judge.counts.without_log_probs == len(REQUESTS)
    for request, one, other in zip(REQUESTS, replies, local.judge(REQUESTS), strict=True):
        assert one.failure is None
        assert one.critique == other.critique
        assert one.call is not None
        assert other.call is not None
        assert one.call.label_probs == {}
        assert one.call.prompt_tokens == other.call.prompt_tokens
        likeliest = max(other.call.label_probs, key=lambda x: other.call.label_probs[x])
        assert one.call.reply.rstrip().endswith(f"Verdict: {likeliest}")
        assert not isinstance(verdict_of(request, one, 0.5), Unscored)


def test_samples_come_one_by_one_whatever_was_asked_for(address: str) -> None:
    replies, judge = ask(address, samples=3, samples_by="n", temperature=1.0)
    assert judge.counts.calls == 3 * len(REQUESTS)
    verdicts = []
    for request, reply in zip(REQUESTS, replies, strict=True):
        assert reply.call is not None
        assert len(reply.call.samples) == 3
        verdicts.append(verdict_from_samples(reply.call.samples, request.labels, parse_verdict))
    scored = [v for v in verdicts if isinstance(v, Choice | Rating)]
    assert len(scored) > len(REQUESTS) / 2


def test_objects_that_it_does_not_write_are_unscored(address: str) -> None:
    replies, _ = ask(address, reply_format="json_schema")
    assert all("not JSON" in str(reply.failure) for reply in replies)


def test_another_model_ends_the_run(address: str) -> None:
    with pytest.raises(ModelError, match="pinned to"):
        ask(address, model="another")
