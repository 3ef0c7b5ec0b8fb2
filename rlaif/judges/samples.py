"""Verdicts from replies that are objects, and from several replies to one question."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlaif.records import Choice, Rating, Unscored, Verdict
from rlaif.text import quoted

_FIELDS = ("critique", "verdict")
_VERDICT_FIELD = re.compile(r'"verdict"\s*:\s*"([^"\\]*)"')
Parse = Callable[[str, Sequence[str]], Verdict]


class NotAJudgementError(ValueError):
    """A reply is no object of a critique and a verdict."""


@dataclass(frozen=True)
class ObjectReply:
    """A reply in JSON: what it says, and where in it the verdict stands, in characters."""

    critique: str
    verdict: str
    place: tuple[int, int]


def read_object(reply: str, labels: Sequence[str]) -> ObjectReply:
    """Read a reply in JSON strictly: an object of exactly ``critique`` and ``verdict``.

    Raises:
        NotAJudgementError: It is anything else, with the reason.
    """
    try:
        found = json.loads(reply, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as exc:
        raise NotAJudgementError(f"the reply is not JSON ({exc}): {quoted(reply)}") from None
    if not isinstance(found, dict) or sorted(found) != sorted(_FIELDS):
        raise NotAJudgementError(
            f"the reply is {quoted(reply)}, expected an object of critique and verdict"
        )
    critique, verdict = found["critique"], found["verdict"]
    if not isinstance(critique, str) or not critique.strip():
        raise NotAJudgementError(f"the critique is {quoted(critique)}, expected words")
    if verdict not in labels:
        raise NotAJudgementError(f"the verdict is {quoted(verdict)}, not one of {_list(labels)}")
    match = _VERDICT_FIELD.search(reply)
    if match is None:
        raise NotAJudgementError(f"the verdict is not written plainly: {quoted(reply)}")
    return ObjectReply(critique, verdict, match.span(1))


def verdict_from_object(reply: str, labels: Sequence[str], parse: Parse) -> Verdict:
    """Read a verdict off a reply in JSON; unscored with the reason where there is none."""
    try:
        found = read_object(reply, labels)
    except NotAJudgementError as exc:
        return Unscored(reason=str(exc))
    return parse(f"Verdict: {found.verdict}", labels)


def verdict_from_reply(reply: str, labels: Sequence[str], parse: Parse) -> Verdict:
    """Read a verdict off a reply that is an object, as its opening brace says, or words."""
    if reply.lstrip().startswith("{"):
        return verdict_from_object(reply, labels, parse)
    return parse(reply, labels)


def verdict_from_samples(samples: Sequence[str], labels: Sequence[str], parse: Parse) -> Verdict:
    """Read a verdict off several replies to one question: the mean of those that have one.

    For a pair that is the share that prefers the first (self-consistency, Wang et al. 2022,
    2203.11171), for a rating the mean score.

    Args:
        samples: The replies, raw.
        labels: The labels asked for.
        parse: Reads one reply in words, as ``protocol.parse_verdict`` does.

    Returns:
        A verdict; unscored where more than half of the replies have none.
    """
    verdicts = [verdict_from_reply(sample, labels, parse) for sample in samples]
    reasons = [verdict.reason for verdict in verdicts if isinstance(verdict, Unscored)]
    if 2 * len(reasons) > len(samples) or not samples:
        first = f"; the first: {reasons[0]}" if reasons else ""
        return Unscored(reason=f"{len(reasons)} of {len(samples)} samples have no verdict{first}")
    shares = [verdict.p_first for verdict in verdicts if isinstance(verdict, Choice)]
    scores = [verdict.score for verdict in verdicts if isinstance(verdict, Rating)]
    if shares:
        return Choice(p_first=math.fsum(shares) / len(shares))
    return Rating(score=math.fsum(scores) / len(scores))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field twice")
    return found


def _list(labels: Sequence[str]) -> str:
    return ", ".join(labels)
