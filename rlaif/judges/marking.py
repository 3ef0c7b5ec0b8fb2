"""Errors that a judge marks in an answer: how it is asked, what it said, and a score made of it.

    score = 1 - marked words / words        1 where the judge finds no error

Words count once, however often they are marked; a mark that touches no word (an emoji, a comma)
counts as one. An error that is not in the answer leaves it without a score: which words it costs
cannot be known.
"""

from collections.abc import Sequence

from rlaif.judges.juror import Juror
from rlaif.judges.marked_errors import parse_marked_errors
from rlaif.judges.protocol import WriteReply
from rlaif.judges.rubric import JudgeCriterion
from rlaif.records import MarkedError, Prompt, Rating, Unscored
from rlaif.text import word_spans


def errors_text(
    juror: Juror, criterion: JudgeCriterion, prompt: Prompt, answer: str, reference: str | None
) -> str:
    """Render the message that asks a juror to mark what breaks a criterion."""
    tokens = juror.judge.special_tokens
    return juror.templates.render_errors(criterion, prompt, answer, tokens, reference=reference)


def errors_in(juror: Juror, reply: WriteReply, answer: str) -> tuple[MarkedError, ...] | Unscored:
    """Read what a juror marked; nothing of a reply that failed or was cut off counts.

    It quotes what it was shown: a span is found in the answer also where that was shown otherwise.
    """
    if reply.failure is not None:
        return Unscored(reason=reply.failure)
    shown = juror.templates.shown(answer, juror.judge.special_tokens)
    return parse_marked_errors(reply.text, answer, shown)


def score_of_errors(errors: Sequence[MarkedError] | Unscored, answer: str) -> Rating | Unscored:
    """Return the share of an answer's words that are not marked.

    Args:
        errors: What :func:`errors_in` found.
        answer: The answer in which they are.
    """
    if isinstance(errors, Unscored):
        return errors
    lost = [error.unlocated for error in errors if error.unlocated is not None]
    if lost:
        return Unscored(reason=f"{len(lost)} of {len(errors)} errors not found: {lost[0]}")
    words = word_spans(answer)
    marked: set[int] = set()
    bare = 0
    for start, end in {(error.start or 0, error.end or 0) for error in errors}:
        touched = {i for i, (low, high) in enumerate(words) if low < end and start < high}
        bare += not touched
        marked |= touched
    if not errors:
        return Rating(score=1.0)
    return Rating(score=max(0.0, 1.0 - (len(marked) + bare) / max(len(words), 1)))
