"""What a scripted judge says of answers whose worth is known."""

from collections.abc import Mapping, Sequence

from rlaif.judges import PAIR_LABELS, JudgeRequest, WriteReply, WriteRequest
from rlaif.testing import ScriptedWriter


def by_level(request: JudgeRequest, levels: Sequence[float]) -> Mapping[str, float]:
    """Rate an answer by its level in [0, 1], and prefer one of two by its share of both levels."""
    if request.labels == PAIR_LABELS:
        p_first = levels[0] / (levels[0] + levels[1])
        return {"A": p_first, "B": 1.0 - p_first}
    place = levels[0] * (len(request.labels) - 1)
    return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}


class Down(ScriptedWriter):
    """A judge whose server answers no request to write, until it is ``up``."""

    up = False

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        if self.up:
            return super().write(requests)
        return [WriteReply("", None, "connection refused") for _ in requests]
