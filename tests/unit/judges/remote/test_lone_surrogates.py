"""Half of a surrogate pair is no character: what servers send of it stops no run, and is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from remote_samples import judge_at, request

from rlaif.judges.protocol import verdict_of
from rlaif.judges.remote.completion import MalformedReplyError, read_completion
from rlaif.judges.replies import MemoryReplies
from rlaif.records import Unscored
from tests.servers.hostile import refusing, saying
from tests.servers.loopback import Behaviour, Loopback, completion

pytestmark = pytest.mark.enable_socket

HALF = "\ud800"


def raw_completion(content: str, **more: Any) -> str:
    return json.dumps(completion(content) | more)


def test_words_with_half_a_pair_are_no_reply() -> None:
    with pytest.raises(MalformedReplyError, match=r"lone surrogates: .*ud800"):
        read_completion(raw_completion(f"Good {HALF}.\nVerdict: A"))


def test_a_models_name_with_half_a_pair_can_be_kept() -> None:
    found = read_completion(raw_completion("Good.\nVerdict: A", model=f"tiny{HALF}"))
    assert found.model == r"tiny\ud800"


@pytest.mark.parametrize(
    "behaviour",
    [
        saying(raw_completion(f"Good {HALF}.\nVerdict: A").encode()),
        saying(raw_completion("Good.\nVerdict: A", model=f"x{HALF}").encode()),
        saying(json.dumps({"error": {"message": f"x {HALF} y"}}).encode()),
        refusing(500, {"message": f"x {HALF} y"}),
        refusing(400, {"message": f"x {HALF} y"}),
    ],
)
def test_it_is_unscored_for_a_reason_that_can_be_written(
    behaviour: Behaviour, tmp_path: Path
) -> None:
    store = MemoryReplies()
    with Loopback(behaviour) as server:
        (reply,) = judge_at(server, store=store, attempts=1).judge([request()])
    verdict = verdict_of(request(), reply, 0.0)
    assert isinstance(verdict, Unscored)
    path = tmp_path / "kept"
    path.write_text(verdict.model_dump_json(), encoding="utf-8")
    for kept in [*store.all(), *store.refused]:
        path.write_text(kept.raw + kept.model, encoding="utf-8")
    assert Unscored.model_validate_json(verdict.model_dump_json()) == verdict
