"""The bundled judge behind a server that gives log-probs says what it says in this process."""

import pytest
import torch
from bundled_samples import bundled_requests

from rlaif.config import JudgeConfig
from rlaif.config.serving import ServerConfig
from rlaif.judges import TransformersJudge, verdict_of
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies
from rlaif.models.loading import load_language_model
from rlaif.records import Unscored
from tests.servers.bundled import FOLDER, MODEL, BundledAnswers
from tests.servers.loopback import Loopback, replying

pytestmark = pytest.mark.enable_socket


def test_critiques_and_label_probabilities_are_those_of_the_local_judge() -> None:
    requests = bundled_requests()
    config = JudgeConfig()
    local = TransformersJudge(load_language_model(str(FOLDER), torch.device("cpu")), config)
    expected = local.judge(requests)
    with Loopback(replying(BundledAnswers())) as server:
        settings = ServerConfig(endpoints=(server.address,), model=MODEL, max_in_flight=4)
        judge = OpenAIJudge(settings, MemoryReplies())
        found = judge.judge(requests)
    assert judge.counts.without_log_probs == 0
    for request, one, other in zip(requests, found, expected, strict=True):
        assert one.failure is None
        assert one.critique == other.critique
        assert one.call is not None
        assert other.call is not None
        assert one.call.label_probs == pytest.approx(other.call.label_probs, abs=2e-3)
        assert one.call.prompt_tokens == other.call.prompt_tokens
        verdict = verdict_of(request, one, config.min_label_mass)
        assert not isinstance(verdict, Unscored)
    assert len({str(one.call and one.call.label_probs) for one in found}) > len(found) // 2
