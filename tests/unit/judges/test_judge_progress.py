"""A judge tells of its replies as they come: a batch at a time, or a call at a time."""

import pytest
import torch

from rlaif.config import JudgeConfig
from rlaif.config.serving import ServerConfig
from rlaif.judges import PAIR_LABELS, JudgeRequest, TransformersJudge
from rlaif.judges.remote import OpenAIJudge
from rlaif.judges.replies import MemoryReplies
from rlaif.models.loading import LanguageModel
from rlaif.models.parallel import on_all_cores
from tests.servers.loopback import Loopback, completion, replying

CPU = torch.device("cpu")


def request(text: str) -> JudgeRequest:
    return JudgeRequest(text=text, labels=PAIR_LABELS, criterion="c", shown=())


def test_a_local_judge_tells_of_each_batch(tiny_lm: LanguageModel) -> None:
    config = JudgeConfig(max_critique_tokens=2, batch_size=4, min_label_mass=0.0)
    told: list[tuple[int, int]] = []
    judge = TransformersJudge(tiny_lm, config, lambda *both: told.append(both))
    long = "far too long " * 100
    judge.judge([request(text) for text in ("a", "b", "c", "d", "e", "f", long)])
    assert told == [(1, 7), (5, 7), (7, 7)]


@pytest.mark.enable_socket
def test_a_judge_on_a_server_tells_of_each_reply_those_that_are_kept_first() -> None:
    told: list[tuple[int, int]] = []
    with Loopback(replying(lambda _: completion("Good.\nVerdict: A"))) as server:
        config = ServerConfig(model="m", endpoints=(server.address,), max_in_flight=1)
        judge = OpenAIJudge(config, MemoryReplies(), answered=lambda *both: told.append(both))
        judge.judge([request("one"), request("one"), request("two")])
        assert told == [(0, 2), (1, 2), (2, 2)]
        told.clear()
        judge.judge([request("two"), request("three"), request("four")])
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("cores", [1, 2])
def test_results_of_batches_are_told_in_order(cores: int) -> None:
    before, told = torch.get_num_threads(), list[int]()
    torch.set_num_threads(cores)
    try:
        on_all_cores(lambda n: n * n, [1, 2, 3], CPU, told.append)
    finally:
        torch.set_num_threads(before)
    assert told == [1, 4, 9]
