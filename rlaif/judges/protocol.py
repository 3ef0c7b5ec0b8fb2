"""What a judge is asked and how its answer becomes a verdict; no model is known here.

A judgement has two phases. The judge first writes a critique, decoded greedily until it ends or
comes to ``Verdict:``. Then the cue ``Verdict:`` is put after the critique, and the verdict is read
off the probabilities of the label tokens: ``1`` to ``K`` (worst to best) for a rating, ``A`` and
``B`` for a pair. Reading the soft label off the probabilities after a written rationale follows
Lee et al. 2023 (RLAIF, section 2.1 and appendix on prompting); weighting scores by their
probabilities, Liu et al. 2023 (G-Eval, equation 1).

A reply from a backend without probabilities is parsed from its words instead. A ranking of several
answers is always read from words: the line ``Ranking: B > A > C`` that ends the reply. Whatever
does not hold a clear verdict is unscored, with the reason: never a score, a default or a tie.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rlaif.intervals import clipped
from rlaif.judges.samples import verdict_from_reply, verdict_from_samples
from rlaif.judges.verdict_forms import (
    DEFAULT,
    RANKING,
    VerdictForm,
    before_ranking,
    read_label,
    read_ranking,
)
from rlaif.records import (
    Choice,
    JudgeCall,
    Ranking,
    Rating,
    Unscored,
    Verdict,
    VerdictMethod,
    digest_of,
)

VERSION = "1"
CUE = "Verdict:"
DRESSING = " \t\r\n*#_"  # white space and emphasis between a critique and its verdict
PAIR_LABELS = ("A", "B")
_LOW_MASS = "of the probability, under"


@dataclass(frozen=True)
class JudgeRequest:
    """One question to a judge.

    Attributes:
        text: The rendered message; all that a model is shown.
        labels: The verdict labels: ``PAIR_LABELS``, or ``rating_labels(k)`` from worst to best; for
            a ranking the answers' labels in the order shown.
        criterion: Name of the criterion.
        shown: The answers that the text shows, in order, raw: for logs and scripted judges.
        critique: Whether the judge is to write a critique before its verdict.
        form: How its words state the verdict, where it is read from words.
        attempt: 2 where the first reply held no verdict.
        asks: For a verdict, which is one of the labels, or for a ranking, which is all of them,
            best first, in the reply's own words.
    """

    text: str
    labels: tuple[str, ...]
    criterion: str
    shown: tuple[str, ...]
    critique: bool = True
    form: VerdictForm = DEFAULT
    attempt: int = 1
    asks: Literal["verdict", "ranking"] = "verdict"


@dataclass(frozen=True)
class JudgeReply:
    """What came back for one request.

    Attributes:
        critique: The judge's words before its verdict.
        call: The raw exchange, with label probabilities where the backend gives them; None where
            the request was never sent.
        failure: Why there can be no verdict, or None.
        unreadable: Whether that lies in the words that came, which another asking may mend, and
            not in how they came.
        sample_failures: Why each of ``call.samples`` can hold no verdict, or None, in their order;
            empty where that is not known of any.
    """

    critique: str
    call: JudgeCall | None
    failure: str | None = None
    unreadable: bool = False
    sample_failures: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class WriteRequest:
    """A question to a judge that is answered in free words: a revision, marked errors.

    Attributes:
        text: The rendered message; all that a model is shown.
        max_tokens: Limit of the reply, in the judge's tokens.
    """

    text: str
    max_tokens: int


@dataclass(frozen=True)
class WriteReply:
    """What came back for one request to write.

    Attributes:
        text: The judge's words; what there is of them where the reply failed.
        call: The raw exchange; None where the request was never sent.
        failure: Why the words are not a whole reply, or None.
    """

    text: str
    call: JudgeCall | None
    failure: str | None = None


def cut_off(max_tokens: int) -> str:
    """Return the failure of a reply that had not ended when it came to its limit."""
    return f"the reply was cut off at {max_tokens} tokens"


def write_hash(judge_digest: str, request: WriteRequest) -> str:
    """Return the key of a request to write, as :func:`request_hash` does of a question."""
    return digest_of([VERSION, "write", judge_digest, request.text, request.max_tokens])


def rating_labels(choices: int) -> tuple[str, ...]:
    """Return the labels of a rating with so many choices, worst first."""
    return tuple(str(number) for number in range(1, choices + 1))


def request_hash(judge_digest: str, request: JudgeRequest) -> str:
    """Return the key of a request: the same for everything that leads to the same reply."""
    later = [request.attempt] if request.attempt > 1 else []
    asked = [] if request.asks == "verdict" else [request.asks]
    return digest_of([VERSION, judge_digest, request.text, list(request.labels), *later, *asked])


def verdict_of(request: JudgeRequest, reply: JudgeReply, min_label_mass: float) -> Verdict:
    """Turn a reply into a verdict.

    Args:
        request: What was asked.
        reply: What came back.
        min_label_mass: Labels that together hold less probability than this give no verdict.
    """
    if reply.failure is not None:
        return Unscored(reason=reply.failure)
    if reply.call is None:
        return Unscored(reason="the judge was not asked")
    if request.critique and not reply.critique.strip():
        return Unscored(reason="the judge wrote no critique")
    if request.asks == "ranking":
        return parse_ranking(reply.call.reply, request.labels, request.form)
    if reply.call.label_probs:
        return verdict_from_labels(reply.call.label_probs, request.labels, min_label_mass)
    asked = (request.labels, parse_verdict, request.form)
    if reply.call.samples:
        return verdict_from_samples(
            reply.call.samples, *asked, critique=request.critique, failures=reply.sample_failures
        )
    return verdict_from_reply(reply.call.reply, *asked, critique=request.critique)


def method_of(request: JudgeRequest, reply: JudgeReply) -> VerdictMethod | None:
    """Return what the verdict of a reply is read from, None where nothing came back."""
    if reply.call is None:
        return None
    if request.asks == "ranking":
        return "words"
    if reply.call.label_probs:
        return "label_probs"
    return "samples" if reply.call.samples else "words"


def verdict_from_labels(
    probs: Mapping[str, float], labels: Sequence[str], min_label_mass: float
) -> Verdict:
    """Read a verdict off label probabilities.

    A pair's is ``p(A) / (p(A) + p(B))``; a rating is ``sum_i p_i (i - 1) / (K - 1)`` with the
    probabilities renormalised over the K labels.

    Args:
        probs: Probability of each label under the judge's whole vocabulary.
        labels: The labels asked for.
        min_label_mass: The least sum of ``probs`` that counts as an answer.

    Returns:
        A choice for ``PAIR_LABELS``, else a rating; unscored where a label is missing, a
        probability is not one, or the mass is below the floor.
    """
    if set(probs) != set(labels):
        return Unscored(reason=f"probabilities for {sorted(probs)}, not for {list(labels)}")
    values = [probs[label] for label in labels]
    shown = ", ".join(f"{label}: {probs[label]:.3g}" for label in labels)
    if not all(0.0 <= value <= 1.0 + 1e-6 for value in values):
        return Unscored(reason=f"label probabilities outside 0 to 1 ({shown})")
    mass = math.fsum(values)
    if mass <= 0.0 or mass < min_label_mass:
        return Unscored(
            reason=f"the labels hold {mass:.3g} {_LOW_MASS} {min_label_mass:.3g} ({shown})"
        )
    if tuple(labels) == PAIR_LABELS:
        return Choice(p_first=clipped(values[0] / mass))
    levels = [value * index for index, value in enumerate(values)]
    return Rating(score=clipped(math.fsum(levels) / (len(labels) - 1) / mass))


def lacks_mass(verdict: Verdict) -> bool:
    """Whether there is no verdict because its labels hold too little probability.

    The reason's words tell it, which stay when a second asking, or the ledger, hands them on.
    """
    return isinstance(verdict, Unscored) and _LOW_MASS in verdict.reason


def parse_verdict(reply: str, labels: Sequence[str], form: VerdictForm = DEFAULT) -> Verdict:
    """Read a verdict off a judge's words, for backends that give no probabilities.

    By default exactly one line of the reply may begin with ``Verdict:``, and it must hold one label
    and nothing else but emphasis, quotes or brackets around it.

    Args:
        reply: The judge's words.
        labels: The labels asked for.
        form: How this judge's words state a verdict.

    Returns:
        A choice of probability 0 or 1, a rating on the scale's steps, or unscored.
    """
    said = read_label(reply, labels, form)
    if isinstance(said, Unscored):
        return said
    place = list(labels).index(said)
    if tuple(labels) == PAIR_LABELS:
        return Choice(p_first=1.0 - place)
    return Rating(score=place / (len(labels) - 1))


def parse_ranking(reply: str, labels: Sequence[str], form: VerdictForm = RANKING) -> Verdict:
    """Read a ranking off a judge's words.

    Args:
        reply: The judge's words, with exactly one line such as ``Ranking: B > A > C``.
        labels: The answers' labels in the order in which they were shown.
        form: How this judge's words state a ranking.

    Returns:
        The ranking, or unscored: a label missing, twice, unknown or tied is no ranking.
    """
    said = read_ranking(reply, labels, form)
    if isinstance(said, Unscored):
        return said
    return Ranking(places=tuple(list(labels).index(label) for label in said))


def critique_of(reply: str, request: JudgeRequest | None = None) -> str:
    """Return the words of a reply before its verdict, leading white space kept.

    Args:
        reply: The judge's words.
        request: What was asked, where it may have been a ranking.
    """
    if request is not None and request.asks == "ranking":
        before = before_ranking(reply, request.form)
    else:
        before = reply.partition(CUE)[0]
    return before.rstrip(DRESSING)
