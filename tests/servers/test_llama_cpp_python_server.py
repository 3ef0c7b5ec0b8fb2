"""Another real server that gives log-probs, llama-cpp-python's, with manners of its own.

It refuses a JSON schema by an answer of 500, draws one sample however many are asked for, and
penalises repetition unless a request says otherwise, which OpenAI's schema cannot.
"""

from collections.abc import Iterator

import pytest
import torch
from bundled_samples import bundled_requests

from rlaif.config import JudgeConfig
from rlaif.config.serving import ServerConfig
from rlaif.judges import JudgeReply, TransformersJudge, verdict_of
from rlaif.judges.protocol import method_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies
from rlaif.models.loading import load_language_model
from rlaif.records import Unscored
from tests.servers.bundled import FOLDER, MODEL
from tests.servers.serving import LLAMA_CPP_PYTHON_IS_THERE, llama_cpp_python_server

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    pytest.mark.skipif(
        not LLAMA_CPP_PYTHON_IS_THERE,
        reason="llama-cpp-python's server is not installed: make llama-cpp-python",
    ),
]

REQUESTS = bundled_requests()
FLOOR = JudgeConfig().min_label_mass


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_cpp_python_server(tmp_path_factory.mktemp("llama") / "log") as found:
        yield found


def ask(address: str, **changes: object) -> tuple[list[JudgeReply], OpenAIJudge]:
    settings = {"endpoints": [address], "model": MODEL, "max_in_flight": 4, "max_tokens": 64}
    judge = OpenAIJudge(ServerConfig.model_validate({**settings, **changes}), MemoryReplies())
    return judge.judge(REQUESTS), judge


def local() -> list[JudgeReply]:
    model = load_language_model(str(FOLDER), torch.device("cpu"))
    return TransformersJudge(model, JudgeConfig()).judge(REQUESTS)


def assert_like_the_local_judge(replies: list[JudgeReply]) -> None:
    alike = 0
    for request, one, other in zip(REQUESTS, replies, local(), strict=True):
        assert one.failure is None
        assert one.call is not None
        assert other.call is not None
        assert method_of(request, one) == "label_probs"
        assert not isinstance(verdict_of(request, one, FLOOR), Unscored)
        assert one.call.prompt_tokens == other.call.prompt_tokens
        if one.critique == other.critique:
            alike += 1
            assert one.call.label_probs == pytest.approx(other.call.label_probs, abs=1e-2)
    assert alike >= 0.9 * len(REQUESTS), "more differs than its penalty of repetition explains"


def test_label_probabilities_are_those_of_the_local_judge(address: str) -> None:
    replies, judge = ask(address)
    assert judge.counts.calls == judge.counts.replies == len(REQUESTS)
    assert judge.counts.without_log_probs == 0
    assert_like_the_local_judge(replies)


def test_a_schema_that_it_refuses_by_a_500_is_left_out(address: str) -> None:
    replies, judge = ask(address, reply_format="json_schema", max_in_flight=1)
    assert judge.counts.calls == len(REQUESTS) + 1, "one call finds it out"
    assert judge.counts.failures == 0
    assert_like_the_local_judge(replies)


def test_samples_that_it_does_not_draw_at_once_are_asked_for_one_by_one(address: str) -> None:
    replies, judge = ask(address, samples=3, samples_by="n", temperature=1.0)
    assert judge.counts.calls == 3 * len(REQUESTS)
    assert all(reply.call is not None and len(reply.call.samples) == 3 for reply in replies)
    assert any(len(set(reply.call.samples)) > 1 for reply in replies if reply.call is not None)
