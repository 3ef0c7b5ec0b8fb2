"""A judge for rlaif that prefers shorter answers, whatever the criterion."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlaif.errors import ModelError
from rlaif.judges import PAIR_LABELS, JudgeContext, JudgeReply, JudgeRequest, request_hash
from rlaif.records import JudgeCall, digest_of


class BriefJudge:
    """Counts characters: an answer of ``longest`` or more is the worst that there is."""

    name = "brief"
    special_tokens: Sequence[str] = ()

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.digest = digest_of(["brief", longest])

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer each request with the probability of every label, and a line of critique."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: JudgeRequest) -> JudgeReply:
        lengths = [min(len(text), self._longest) for text in request.shown]
        critique = f"Of {' and '.join(map(str, lengths))} characters."
        call = JudgeCall(
            request_hash=request_hash(self.digest, request),
            judge=self.digest,
            request=request.text,
            reply=critique,
            label_probs=self._probabilities(request.labels, lengths),
            prompt_tokens=0,
            reply_tokens=0,
            latency=0.0,
        )
        return JudgeReply(critique, call)

    def _probabilities(self, labels: tuple[str, ...], lengths: list[int]) -> dict[str, float]:
        if labels == PAIR_LABELS:
            first = 0.5 + 0.5 * (lengths[1] - lengths[0]) / self._longest
            return {"A": first, "B": 1.0 - first}
        best = 1.0 - lengths[0] / self._longest
        return {label: 0.0 for label in labels} | {labels[0]: 1.0 - best, labels[-1]: best}


def make(settings: Mapping[str, Any], _context: JudgeContext) -> BriefJudge:
    """Make the judge; ``longest`` in the settings is a number of characters."""
    longest = settings.get("longest", 400)
    if type(longest) is not int or longest < 1:
        raise ModelError(f"longest = {longest!r}", "a whole number above 0", "correct [judge]")
    return BriefJudge(longest)
