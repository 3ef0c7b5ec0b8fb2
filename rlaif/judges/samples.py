"""Verdicts from replies that are objects, and from several replies to one question."""

import json
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rlaif.judges.quorum import is_quorum
from rlaif.judges.verdict_forms import DEFAULT, VerdictForm, spoken_labels
from rlaif.records import Choice, Rating, Unscored, Verdict
from rlaif.text import quoted, writable

_VERDICT_FIELD = re.compile(r'"verdict"\s*:\s*"([^"\\]*)"')


class Parse(Protocol):
    """Reads one reply in words, as ``protocol.parse_verdict`` does."""

    def __call__(  # noqa: D102 - described above
        self, reply: str, labels: Sequence[str], form: VerdictForm = DEFAULT, /
    ) -> Verdict: ...


class NotAJudgementError(ValueError):
    """A reply is no object of a critique and a verdict."""


@dataclass(frozen=True)
class ObjectReply:
    """A reply in JSON.

    Attributes:
        critique: What it says; empty where no critique was asked for.
        verdict: The label as the judge writes it.
        place: Where that begins and ends in the reply, in characters.
    """

    critique: str
    verdict: str
    place: tuple[int, int]


def read_object(reply: str, words: Collection[str], *, critique: bool = True) -> ObjectReply:
    """Read a reply in JSON strictly: an object of exactly ``critique`` and ``verdict``.

    Args:
        reply: The reply.
        words: What the verdict may be.
        critique: Whether there is to be a critique; else the verdict stands alone.

    Raises:
        NotAJudgementError: It is anything else, with the reason.
    """
    fields = ["critique", "verdict"] if critique else ["verdict"]
    try:
        found = json.loads(reply, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as exc:
        raise NotAJudgementError(f"the reply is not JSON ({exc}): {quoted(reply)}") from None
    if not isinstance(found, dict) or sorted(found) != fields:
        expected = " and ".join(fields)
        raise NotAJudgementError(f"the reply is {quoted(reply)}, expected an object of {expected}")
    said, verdict = found.get("critique", ""), found["verdict"]
    if not isinstance(said, str) or (critique and not said.strip()):
        raise NotAJudgementError(f"the critique is {quoted(said)}, expected words")
    if writable(said) != said:
        raise NotAJudgementError(f"the critique has lone surrogates: {quoted(said)}")
    if not isinstance(verdict, str) or verdict not in words:
        wanted = ", ".join(words)
        raise NotAJudgementError(f"the verdict is {quoted(verdict)}, not one of {wanted}")
    match = _VERDICT_FIELD.search(reply)
    if match is None:
        raise NotAJudgementError(f"the verdict is not written plainly: {quoted(reply)}")
    return ObjectReply(said, verdict, match.span(1))


def verdict_from_reply(
    reply: str,
    labels: Sequence[str],
    parse: Parse,
    form: VerdictForm = DEFAULT,
    *,
    critique: bool = True,
) -> Verdict:
    """Read a verdict off a reply that is an object, as its opening brace says, or words.

    Args:
        reply: The reply, raw.
        labels: The labels asked for.
        parse: Reads a reply in words.
        form: How the judge states its verdict.
        critique: Whether an object is to hold a critique.
    """
    if not reply.lstrip().startswith("{"):
        return parse(reply, labels, form)
    spoken = spoken_labels(form, labels)
    if isinstance(spoken, Unscored):
        return spoken
    try:
        found = read_object(reply, spoken, critique=critique)
    except NotAJudgementError as exc:
        return Unscored(reason=str(exc))
    return parse(f"Verdict: {spoken[found.verdict]}", labels)


def verdict_from_samples(
    samples: Sequence[str],
    labels: Sequence[str],
    parse: Parse,
    form: VerdictForm = DEFAULT,
    *,
    critique: bool = True,
    failures: Sequence[str | None] = (),
) -> Verdict:
    """Read a verdict off several replies to one question: the mean of those that have one.

    For a pair that is the share that prefers the first (self-consistency, Wang et al. 2022,
    2203.11171), for a rating the mean score.

    Args:
        samples: The replies, raw.
        labels: As for ``verdict_from_reply``, like the next three.
        parse: See there.
        form: See there.
        critique: See there.
        failures: Why each reply can hold no verdict whatever its words, or None; empty for none.

    Returns:
        A verdict; unscored where no more than half of the replies have one.
    """
    verdicts: list[Verdict] = [
        verdict_from_reply(sample, labels, parse, form, critique=critique)
        if failure is None
        else Unscored(reason=failure)
        for sample, failure in zip(samples, failures or [None] * len(samples), strict=True)
    ]
    reasons = [verdict.reason for verdict in verdicts if isinstance(verdict, Unscored)]
    if not is_quorum(len(samples) - len(reasons), len(samples)):
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
