"""What judges are asked and say, and what is made of it."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rlaif.records.base import Probability, Record

MAX_TOKENS = 2**31  # of a call, read or written; a server that counts more than this is wrong


class JudgeCall(Record):
    """What a judge model was asked and what it said, raw, before any parsing.

    ``request`` is the rendered text, ``request_hash`` keys it together with everything that could
    change the reply. ``label_probs`` maps each verdict label to its probability under the judge
    (not renormalised: their sum is the label mass). ``samples`` are all replies where several were
    drawn for one question; ``reply`` is then the first. ``cut`` counts the replies that came to
    their limit of tokens before their end or their verdict. ``latency`` is in seconds, ``cost`` in
    the currency of the prices in the settings.
    """

    request_hash: str
    judge: str
    request: str
    reply: str
    label_probs: dict[str, Probability]
    samples: tuple[str, ...] = ()
    cut: int = Field(0, ge=0)
    prompt_tokens: int = Field(ge=0)
    reply_tokens: int = Field(ge=0)
    latency: float = Field(ge=0.0)
    cost: float = Field(0.0, ge=0.0)


class StoredReply(Record):
    """A server's reply as it came, kept before it is read, so that it is never paid for twice.

    ``key`` is the digest of all that leads to the reply, ``judge`` the judge's digest, ``model``
    what the server calls the model, ``raw`` the body. Latency in seconds, cost as in ``JudgeCall``.
    """

    key: str
    judge: str
    model: str
    raw: str
    prompt_tokens: int = Field(ge=0)
    reply_tokens: int = Field(ge=0)
    latency: float = Field(ge=0.0)
    cost: float = Field(0.0, ge=0.0)


class Spent(Record):
    """What judging on servers has taken: calls, prompt and reply tokens together, and money."""

    calls: int = Field(0, ge=0)
    tokens: int = Field(0, ge=0)
    money: float = Field(0.0, ge=0.0)


class Rating(Record):
    """A verdict on one completion: a score in [0, 1], 1 being best."""

    type: Literal["rating"] = "rating"
    score: Probability


class Choice(Record):
    """A verdict on two completions: the probability that the one shown first is better."""

    type: Literal["choice"] = "choice"
    p_first: Probability


def _each_place_once(places: tuple[int, ...]) -> tuple[int, ...]:
    if sorted(places) != list(range(len(places))):
        raise ValueError("every answer's place once, counted from 0")
    return places


MAX_RANKED = 9


class Ranking(Record):
    """A verdict on two to nine completions: which is best, which comes next, and so on.

    ``places`` are places among the completions as they were shown, from 0, best first; no ties.
    """

    type: Literal["ranking"] = "ranking"
    places: Annotated[tuple[int, ...], AfterValidator(_each_place_once)] = Field(
        min_length=2, max_length=MAX_RANKED
    )


class Unscored(Record):
    """No verdict, with the reason: never a score, never a default, never a tie."""

    type: Literal["unscored"] = "unscored"
    reason: str = Field(min_length=1)


Verdict = Annotated[Rating | Choice | Ranking | Unscored, Field(discriminator="type")]


VerdictMethod = Literal["label_probs", "samples", "words", "code"]
JudgementKind = Literal["pointwise", "pairwise", "listwise"]


class Judgement(Record):
    """A critique and a verdict on one completion, two, or a list of up to nine, by a criterion.

    ``completion_ids`` are in the order in which the judge saw them. ``judge`` is the name of the
    judge that said it and ``call`` what it was asked: empty and None for criteria that ask no model
    (rules, embeddings). ``method`` is what the verdict was read from: the probabilities of its
    labels, several sampled replies, the words of one, or code; None where nothing came back.
    Where a verdict was made of the critique in a second call, ``grader`` names the judge that made
    it, ``call`` is that one, and ``writing`` the one in which the critique was written.
    """

    id: str
    criterion: str
    kind: JudgementKind
    completion_ids: tuple[str, ...] = Field(min_length=1, max_length=MAX_RANKED)
    critique: str
    verdict: Verdict
    judge: str = ""
    method: VerdictMethod | None = None
    call: JudgeCall | None = None
    writing: JudgeCall | None = None
    grader: str = ""


class MarkedError(Record):
    """One error that a judge marked in an answer.

    ``quote`` is the span as the judge quoted it, ``why`` what is wrong with it. ``start`` and
    ``end`` (exclusive) are its place in the answer, in characters; None where it was not found,
    and ``unlocated`` then says why.
    """

    quote: str
    why: str
    start: int | None = None
    end: int | None = None
    unlocated: str | None = None


class Marking(Record):
    """What a judge marked in an answer that it had rated below the best.

    ``critique_id`` is that rating's, under whose criterion the errors are. No errors and
    ``unscored`` None: the judge found none. ``unscored`` is the reason where nothing could be read.
    """

    critique_id: str
    errors: tuple[MarkedError, ...] = ()
    unscored: str | None = None
    call: JudgeCall | None = None


class CompletionScore(Record):
    """All of a rubric's ratings of one completion, combined by weight.

    ``score`` is None where a criterion with a weight or a veto was unscored (``unscored`` then says
    which and why).
    ``vetoed_by`` names the broken veto that made the score 0. ``disagreement`` is how far jurors
    were apart (earth mover's distance in shares of the scale, weighted by criterion), None where
    one judged.
    ``quarantined`` holds the reason why a score that there is must not train.
    """

    completion_id: str
    score: Probability | None
    parts: dict[str, Probability]
    vetoed_by: str | None = None
    unscored: str | None = None
    disagreement: float | None = Field(None, ge=0.0)
    quarantined: str | None = None

    @model_validator(mode="after")
    def _reasons_fit(self) -> Self:
        given = self.unscored if self.score is not None else self.quarantined
        if given is not None:
            raise ValueError(f"{self.completion_id} with score {self.score}: {given}")
        return self


class PairVerdict(Record):
    """What the rubric says of two completions of a prompt, both orders taken together.

    ``p_first`` is P(first is better), None where unscored. ``p_forward`` and ``p_backward`` are
    the judge's own P(first is better) with first shown first, and shown second: for a pair of a
    ranked list, by the rankings in which it was shown before the other, and after. ``quarantined``
    holds the reason why the pair must not train. ``disagreement`` is how far jurors were apart
    (Jensen-Shannon divergence in bits, weighted by criterion), None where one judged.
    """

    first_id: str
    second_id: str
    p_first: Probability | None
    p_forward: Probability | None = None
    p_backward: Probability | None = None
    quarantined: str | None = None
    unscored: str | None = None
    disagreement: float | None = Field(None, ge=0.0)
