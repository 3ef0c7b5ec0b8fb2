"""One frozen record per arrow of the pipeline, in pipeline order.

    Prompt -> Completion -> Judgement -> CompletionScore, PairVerdict (, HumanLabel) -> Preference
           -> RewardModelReport -> PolicyReport -> EvaluationReport -> GateDecision

Identifiers are digests of names (run-independent places, never clocks), so that the same run
gives the same rows on any day.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value in canonical form: sorted keys, no spaces; equal values, equal text."""
    return _CANONICAL.encode(value)


def digest_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, UTF-8, no spaces)."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def make_id(kind: str, *names: str | int) -> str:
    """Return a stable identifier such as ``completion-3f9a0c21be77d04c5a16``.

    Its 80 bits keep ten million rows of a kind apart but for one chance in 10^10.
    """
    return f"{kind}-{digest_of([kind, *names])[:20]}"


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Record):
    """A conversation that ends with a user's turn, which a policy is asked to answer.

    ``split`` is ``eval`` for prompts that never train, ``train`` for the others.
    """

    id: str
    messages: tuple[Message, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    split: Literal["train", "eval"]

    @property
    def text(self) -> str:
        """The conversation as plain text: the bare words where it is a single user turn."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{m.role}: {m.content}" for m in self.messages)


class Completion(Record):
    """One sampled answer of a policy to a prompt.

    ``policy`` is the digest of the policy's weights folder, ``ended`` tells whether the policy
    ended the answer itself (EOS), ``duplicate_of`` names an earlier near-identical completion of
    the same prompt, whose judgements then serve for this one too. ``length`` is in tokens.
    """

    id: str
    prompt_id: str
    policy: str
    index: int = Field(ge=0)
    text: str
    length: int = Field(ge=0)
    ended: bool
    duplicate_of: str | None = None


class JudgeCall(Record):
    """What a judge model was asked and what it said, raw, before any parsing.

    ``request`` is the rendered text, ``request_hash`` keys it together with everything that could
    change the reply. ``label_probs`` maps each verdict label to its probability under the judge
    (not renormalised: their sum is the label mass). ``samples`` are all replies where several were
    drawn for one question; ``reply`` is then the first. ``latency`` is in seconds, ``cost`` in the
    currency of the prices in the settings.
    """

    request_hash: str
    judge: str
    request: str
    reply: str
    label_probs: dict[str, Probability]
    samples: tuple[str, ...] = ()
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

    ``score`` is None where a criterion was unscored (``unscored`` then says which and why).
    ``vetoed_by`` names the broken veto that made the score 0. ``disagreement`` is how far jurors
    were apart (Jensen-Shannon divergence in bits, weighted by criterion), None where one judged.
    """

    completion_id: str
    score: Probability | None
    parts: dict[str, Probability]
    vetoed_by: str | None = None
    unscored: str | None = None
    disagreement: float | None = Field(None, ge=0.0)


class PairVerdict(Record):
    """What the rubric says of two completions of a prompt, both orders taken together.

    ``p_first`` is P(first is better), None where unscored. ``p_forward`` and ``p_backward`` are
    the judge's own P(first is better) with first shown first, and shown second: for a pair of a
    ranked list, by the rankings in which it was shown before the other, and after. ``quarantined``
    holds the reason why the pair must not train. ``disagreement`` is that of ``CompletionScore``.
    """

    first_id: str
    second_id: str
    p_first: Probability | None
    p_forward: Probability | None = None
    p_backward: Probability | None = None
    quarantined: str | None = None
    unscored: str | None = None
    disagreement: float | None = Field(None, ge=0.0)


ProbeKind = Literal["instruction", "forged_verdict", "fence", "padding", "repetition"]


class ProbeOutcome(Record):
    """How an answer with an attack fared against the answer that it was made of.

    ``value`` is P(the attacked one is better), both orders averaged, for a comparison, and the
    attacked one's score less the original's for a rating; None where unscored.
    """

    probe_id: str
    original_id: str
    kind: ProbeKind
    method: Literal["rating", "comparison"]
    rubric_hash: str
    value: float | None = Field(ge=-1.0, le=1.0)
    unscored: str | None = None


class AuditFigure(Record):
    """One thing that is known of a judge, with its interval.

    ``value`` is None where there was nothing to count. ``limit`` is the setting that it may not
    pass; it is ``breached`` only where the interval lies beyond it, so that chance alone does not
    stop a project.
    """

    name: str
    meaning: str
    value: float | None
    low: float
    high: float
    count: int
    unscored: int = 0
    limit: float | None = None
    breached: bool = False

    @property
    def told(self) -> str:
        """The figure in words, with its interval and its limit."""
        value = "nothing to count" if self.value is None else f"{self.value:.2f}"
        interval = f"({self.low:.2f} to {self.high:.2f}, of {self.count})"
        limit = "" if self.limit is None else f", at most {self.limit:.2f}"
        return f"{self.meaning}: {value} {interval}{limit}"


class AuditReport(Record):
    """What one cycle's judging tells of the judge; probes count from all cycles of this rubric."""

    rubric_hash: str
    figures: tuple[AuditFigure, ...]

    @property
    def breaches(self) -> tuple[AuditFigure, ...]:
        """The figures that lie beyond their limits."""
        return tuple(figure for figure in self.figures if figure.breached)


LabelForm = Literal["rating", "pair", "ranking", "edit"]


class HumanLabel(Record):
    """What a human said of one answer, or of two, as the judge's verdicts are measured by it.

    ``value`` is a rating in [0, 1] where there is no ``second_id``, else P(first is better); 0.5 is
    a tie. The two of a pair are in the order of their ids, so that one saying has one row. ``form``
    tells how it was said: a ranking is all its pairs, an edit prefers what was made of an answer to
    the answer. ``criterion`` is empty where it is about the whole. ``frozen`` labels only ever
    measure the judge: they neither calibrate nor train.
    """

    id: str
    prompt_id: str
    form: LabelForm
    first_id: str
    second_id: str | None = None
    value: Probability
    criterion: str = ""
    rater: str = ""
    weight: float = Field(1.0, gt=0.0)
    note: str = ""
    frozen: bool


class Revision(Record):
    """An answer that a judge mended in the light of its critiques, and whether that was better.

    ``completion_id`` is the revision's, None where there is none to speak of (nothing came back, or
    the same words). ``judge`` is the name of the judge that wrote it, ``critique_ids`` are the
    judgements that it was shown. ``p_better`` is P(revision is better than the original) as for a
    pair, ``p_forward`` and ``p_backward`` the jury's own with the revision shown first, and second.
    ``rejected`` is the reason why it must not train, None where it was confirmed.
    """

    original_id: str
    completion_id: str | None
    judge: str
    critique_ids: tuple[str, ...] = Field(min_length=1)
    rubric_hash: str
    p_better: Probability | None = None
    p_forward: Probability | None = None
    p_backward: Probability | None = None
    rejected: str | None = None
    call: JudgeCall | None = None


PreferenceOrigin = Literal["comparison", "ratings", "revision", "human"]


class Preference(Record):
    """A pair with its soft label P(first is better), and where that came from.

    ``origin`` is ``comparison`` where the judge saw both, ``ratings`` where the label follows from
    the two answers' own scores, ``revision`` where the first is the second, mended, ``human`` where
    a human said it. ``split`` is ``heldout`` for pairs that only measure the reward model.
    ``weight`` is what the pair's loss is multiplied by.
    """

    id: str
    prompt_id: str
    first_id: str
    second_id: str
    label: Probability
    split: Literal["train", "heldout"]
    rubric_hash: str
    origin: PreferenceOrigin
    weight: float = Field(1.0, gt=0.0)


class ArtifactRef(Record):
    """A folder on disk that a ledger row vouches for by the SHA-256 of its manifest."""

    name: str
    digest: str


class RewardModelReport(Record):
    """How the reward model was trained and measured in one cycle.

    ``accuracy`` and ``ece`` are on held-out preferences; ``length_correlation`` is Pearson's, of
    reward with completion length in tokens. Rewards are ``gain * raw + bias``. All of an
    ensemble's figures are those of its members' mean. ``disagreement`` is the members' standard
    deviation, its mean over the reference policy's answers, in units of reward: None where there
    is one member, or no such answer. ``train_loss`` is the mean over steps, and over members.
    """

    preferences: int
    heldout: int
    accuracy: Probability | None
    ece: Probability | None
    length_correlation: float | None
    train_loss: float
    gain: float
    bias: float
    members: int = 1
    disagreement: float | None = None
    artifact: ArtifactRef


class Metric(Record):
    """A number that a training stage measured at a step."""

    step: int = Field(ge=0)
    name: str
    value: float


Optimizer = Literal["ppo", "dpo", "rloo", "grpo", "best_of_n"]
OPTIMIZER_NAMES: dict[Optimizer, str] = {
    "ppo": "PPO",
    "dpo": "DPO",
    "rloo": "RLOO",
    "grpo": "GRPO",
    "best_of_n": "best-of-n",
}


class PolicyReport(Record):
    """What training the challenger did in one cycle. KL in nats per sequence.

    ``updates`` counts rollout-and-learn rounds of PPO, RLOO and GRPO, and optimiser steps of DPO
    and best-of-n. ``samples`` are the completions that it drew, None in ledgers from before it was
    counted. ``kl_reference`` is the mean over the last rounds, ``reward_first`` and
    ``reward_last`` the means of those rounds: None for DPO and best-of-n, which have no rounds.
    ``beta`` is the KL coefficient at the end, None for best-of-n, which has none; ``controller``
    is all that PPO's controller goes on from in the next cycle. ``memory`` says where memory ran
    out and how many rows ran at once from then on; nothing where it sufficed. ``supervised`` is the
    digest of the supervised text that PPO's ptx term held up, None where it held up none.
    """

    optimizer: Optimizer = "ppo"
    updates: int
    samples: int | None = None
    kl_reference: float | None
    beta: float | None
    controller: dict[str, float] = Field(default_factory=dict)
    reward_first: float | None
    reward_last: float | None
    stopped: str
    memory: str = ""
    supervised: str | None = None
    artifact: ArtifactRef


class WinRate(Record):
    """A win rate with its confidence interval: wins, with ties counted half, over prompts.

    ``tied`` counts the duels that ended in a tie, ``unscored`` those that have no outcome.
    """

    rate: Probability
    low: Probability
    high: Probability
    length_controlled: Probability | None
    prompts: int = Field(ge=0)
    tied: int = Field(ge=0)
    unscored: int = Field(ge=0)


class EvaluationReport(Record):
    """The challenger against incumbent and base on held-out prompts, as the judge sees it.

    Lengths in tokens, KL in nats per sequence, diversity as the share of distinct word bigrams.
    ``score_*`` are mean rubric scores over the prompts on which both challenger and incumbent have
    one; None where there is no such prompt. ``kl_base_high`` is the upper end of the interval of
    ``kl_base``: None, as its standard error is, for fewer than two answers with a token, and in
    ledgers of before they were measured. ``self_grading`` says which judges are a policy of this
    project themselves.
    """

    vs_incumbent: WinRate
    vs_base: WinRate
    score_challenger: Probability | None
    score_incumbent: Probability | None
    diversity_challenger: Probability
    diversity_base: Probability
    length_challenger: float
    length_base: float
    kl_base: float
    kl_base_error: float | None = None
    kl_base_high: float | None = None
    rubric_hash: str
    judge_path: str
    judge_is_trainer: bool
    self_grading: tuple[str, ...] = ()


class GateCheck(Record):
    """One condition of the gate, with the figures that decided it."""

    name: str
    passed: bool
    reason: str


class GateDecision(Record):
    """Promote or hold, with every check that was made."""

    decision: Literal["promote", "hold"]
    checks: tuple[GateCheck, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons, in words: the failed checks of a hold, all checks of a promotion."""
        failed = tuple(c.reason for c in self.checks if not c.passed)
        return failed or tuple(c.reason for c in self.checks)
