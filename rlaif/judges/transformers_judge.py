"""A judge that is a causal language model in this process.

It writes its critique by greedy decoding, or none where none is wanted, and the verdict is read off
the next token's probabilities. Free text is written in the same way, up to its end, and a ranking
of several answers up to the end of its line.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Generic, TypeVar

from torch import Tensor

from rlaif.config import JudgeConfig
from rlaif.errors import ModelError
from rlaif.judges.cached_batch import (
    CachedBatch,
    group_by_beginning,
    read_together,
    shared_length,
)
from rlaif.judges.label_forms import LabelForm, LabelForms
from rlaif.judges.protocol import (
    CUE,
    JudgeReply,
    JudgeRequest,
    WriteReply,
    WriteRequest,
    critique_of,
    cut_off,
    request_hash,
    write_hash,
)
from rlaif.judges.verdict_forms import before_ranking
from rlaif.models.encoding import encode_answer, encode_conversation, special_tokens
from rlaif.models.loading import LanguageModel
from rlaif.models.parallel import on_all_cores
from rlaif.progress import Answered, nobody
from rlaif.records import JudgeCall, Message, digest_of

_NEUTRAL = "word"
_STOP_WINDOW = 8
_RANKING_SLACK = 2
_SPELLINGS = 4096


Request = TypeVar("Request", JudgeRequest, WriteRequest)
Reply = TypeVar("Reply", JudgeReply, WriteReply)


@dataclass(frozen=True)
class _Row(Generic[Request]):
    """A request that fits, with its place in the batch, its tokens, and how many it may write."""

    place: int
    request: Request
    ids: list[int]
    most: int


@dataclass
class _Draft(Generic[Request]):
    """What the judge has written so far for one request, and what came of it."""

    row: _Row[Request]
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    live: bool = True
    cut: bool = False
    failure: str | None = None
    probs: dict[str, float] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        self.live = False
        self.failure = reason


class TransformersJudge:
    """Critiques by greedy decoding, then reads the verdict off the next token's probabilities.

    Args:
        lm: The model.
        config: Limits and batch size.
        answered: Told of replies as batches are done.

    Attributes:
        name: Where the model was loaded from.
        model_digest: Digest of its weights.
        digest: Digest of the weights and of what else decides a reply.
        special_tokens: Control tokens of its tokenizer, as strings.

    Raises:
        ModelError: The context has no room for a critique.
    """

    def __init__(self, lm: LanguageModel, config: JudgeConfig, answered: Answered = nobody) -> None:
        self._lm, self._config, self._answered = lm, config, answered
        self._forms = LabelForms(lm, critique=config.critique)
        self._steps_back = not getattr(lm.model, "_is_stateful", False)
        self._most_written = config.max_critique_tokens if config.critique else 0
        room = lm.context - self._most_written
        special = special_tokens(lm)
        self._special_ids = frozenset(special)
        self._expected_special = self._count_special(self._tokens(_NEUTRAL))
        self.name = lm.name
        self.model_digest = lm.digest
        self.digest = digest_of(["transformers", lm.digest, self._most_written, *self._forms.cues])
        self.special_tokens = tuple(special.values())
        self._may_end_cue = cache(lambda token: CUE[-1] in lm.tokenizer.decode([token]))
        self._spelled = lru_cache(_SPELLINGS)(lambda text: encode_answer(lm, text, ended=False))
        if room <= len(self._tokens(_NEUTRAL)):
            raise ModelError(
                f"judge {lm.name}: a context of {lm.context} tokens, and critiques of up to "
                f"{self._most_written}",
                "room for the question beside the critique",
                "lower [judge] max_critique_tokens, or take a judge with more context",
            )

    def require_labels(self, labels: Sequence[str]) -> None:
        """Refuse labels that are not single distinct tokens of its tokenizer.

        Raises:
            ModelError: They are not, with the tokens that they become.
        """
        self._forms.of(tuple(labels))

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests in their order; those that begin alike share a batch.

        Raises:
            ModelError: As for :meth:`require_labels`, before anything is written.
        """
        for labels in dict.fromkeys(one.labels for one in requests if one.asks == "verdict"):
            self.require_labels(labels)
        rows = [self._row(i, one, self._most_tokens(one)) for i, one in enumerate(requests)]
        replies: dict[int, JudgeReply] = {}
        for asks, answer in (("verdict", self._ask), ("ranking", self._rank)):
            own = [row for row in rows if row.request.asks == asks]
            said = self._in_batches(own, answer, lambda reason: JudgeReply("", None, reason))
            replies.update(zip([row.place for row in own], said, strict=True))
        return [replies[place] for place in range(len(rows))]

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        """Write free text to requests by greedy decoding, batched as questions are."""
        rows = [self._row(i, request, request.max_tokens) for i, request in enumerate(requests)]
        return self._in_batches(rows, self._compose, lambda reason: WriteReply("", None, reason))

    def _most_tokens(self, request: JudgeRequest) -> int:
        """Return how many tokens may be written: a ranking takes its line beside the critique."""
        if request.asks == "verdict":
            return self._most_written
        line = f"\n{request.form.cue}: {' > '.join(request.labels)}\n"
        room = _RANKING_SLACK * len(encode_answer(self._lm, line, ended=False))
        return self._most_written + room

    def _row(self, place: int, request: Request, most: int) -> _Row[Request]:
        return _Row(place, request, self._tokens(request.text), most)

    def _in_batches(
        self,
        rows: Sequence[_Row[Request]],
        answer: Callable[[Sequence[_Row[Request]]], list[tuple[int, Reply]]],
        refused: Callable[[str], Reply],
    ) -> list[Reply]:
        """Answer the rows that can be sent, and refuse the others with the reason."""
        whys = [(row.place, self._refusal(row)) for row in rows]
        replies = {place: refused(why) for place, why in whys if why is not None}
        fitting = _in_reading_order([row for row in rows if row.place not in replies])
        size = self._config.batch_size
        batches = [fitting[start : start + size] for start in range(0, len(fitting), size)]

        def keep(said: list[tuple[int, Reply]]) -> None:
            replies.update(said)
            self._answered(len(replies), len(rows))

        if rows:
            keep([])
        on_all_cores(answer, batches, self._lm.device, keep)
        return [replies[row.place] for row in rows]

    def _ask(self, rows: Sequence[_Row[JudgeRequest]]) -> list[tuple[int, JudgeReply]]:
        """Answer a batch; a row that breaks the model fails alone."""
        start = time.perf_counter()
        drafts = [_Draft(row) for row in rows]
        batch, logits = self._read(rows)
        self._write(batch, logits, drafts, self._ends)
        self._decide(batch, drafts)
        latency = (time.perf_counter() - start) / len(rows)
        return [(draft.row.place, self._reply(draft, latency)) for draft in drafts]

    def _rank(self, rows: Sequence[_Row[JudgeRequest]]) -> list[tuple[int, JudgeReply]]:
        """Let the judge write out its rankings; a row that breaks the model fails alone."""
        start = time.perf_counter()
        drafts = [_Draft(row) for row in rows]
        self._write(*self._read(rows), drafts, self._has_ranked)
        for draft in drafts:
            draft.text = self._decoded(draft.tokens)
        latency = (time.perf_counter() - start) / len(rows)
        return [(draft.row.place, self._reply(draft, latency)) for draft in drafts]

    def _compose(self, rows: Sequence[_Row[WriteRequest]]) -> list[tuple[int, WriteReply]]:
        """Write to a batch; a row that breaks the model fails alone."""
        start = time.perf_counter()
        drafts = [_Draft(row) for row in rows]
        self._write(*self._read(rows), drafts, lambda draft: self._is_over(draft.tokens))
        latency = (time.perf_counter() - start) / len(rows)
        return [(draft.row.place, self._written(draft, latency)) for draft in drafts]

    def _read(self, rows: Sequence[_Row[Request]]) -> tuple[CachedBatch, Tensor]:
        ids = [row.ids for row in rows]
        if not self._steps_back:
            batch = CachedBatch(self._lm, len(rows))
            return batch, batch.extend(ids)
        return read_together(self._lm, ids)

    def _write(
        self,
        batch: CachedBatch,
        logits: Tensor,
        drafts: Sequence[_Draft[Request]],
        ends: Callable[[_Draft[Request]], bool],
    ) -> None:
        """Write greedily; a draft's last token is not in the cache when this returns."""
        for draft in drafts:
            draft.live = draft.row.most > 0
        while any(draft.live for draft in drafts):
            finite = logits.isfinite().all(-1).tolist()
            for draft, token, fine in zip(drafts, logits.argmax(-1).tolist(), finite, strict=True):
                if draft.live and not fine:
                    draft.fail("the judge failed: its logits are not finite")
                elif draft.live:
                    draft.tokens.append(token)
                    ended = ends(draft)
                    draft.cut = not ended and len(draft.tokens) == draft.row.most
                    draft.live = not (ended or draft.cut)
            if any(draft.live for draft in drafts):
                logits = batch.extend([draft.tokens[-1:] if draft.live else [] for draft in drafts])

    def _ends(self, draft: _Draft[JudgeRequest]) -> bool:
        tail = draft.tokens[-_STOP_WINDOW:]
        if self._is_over(tail) or not self._may_end_cue(tail[-1]):
            return self._is_over(tail)
        return CUE in self._lm.tokenizer.decode(tail)

    def _has_ranked(self, draft: _Draft[JudgeRequest]) -> bool:
        """Whether a draft is at its end, or has a ranking's line and a line break after it."""
        tail = draft.tokens[-_STOP_WINDOW:]
        if self._is_over(tail) or "\n" not in self._lm.tokenizer.decode(tail):
            return self._is_over(tail)
        written = self._decoded(draft.tokens)
        before = before_ranking(written, draft.row.request.form)
        return "\n" in written[len(before) :].removeprefix("\n")

    def _decoded(self, tokens: list[int]) -> str:
        return str(self._lm.tokenizer.decode(tokens, skip_special_tokens=True))

    def _is_over(self, tokens: Sequence[int]) -> bool:
        return bool(tokens) and tokens[-1] in self._lm.eos_ids

    def _decide(self, batch: CachedBatch, drafts: Sequence[_Draft[JudgeRequest]]) -> None:
        """Put the cue after each critique and read the label probabilities off the next token."""
        pieces: list[list[int]] = []
        known: list[int] = []
        for draft in drafts:
            ending = self._ending(draft)
            same = shared_length([draft.tokens, ending]) if ending and self._steps_back else 0
            pieces.append(ending[same:] if self._steps_back else [*draft.row.ids, *ending])
            known.append(len(draft.row.ids) + same)
        if not any(draft.failure is None for draft in drafts):
            return
        if self._steps_back:
            batch.forget(known)
        else:
            batch = CachedBatch(self._lm, len(drafts))
        forms = [self._form(draft.row.request) for draft in drafts]
        label_ids = sorted({token for form in forms for token in form.token_ids.values()})
        probs = batch.extend(pieces).float().softmax(-1)[:, label_ids].tolist()
        for draft, values in zip(drafts, probs, strict=True):
            if draft.failure is None:
                self._keep(draft, dict(zip(label_ids, values, strict=True)))

    def _ending(self, draft: _Draft[JudgeRequest]) -> list[int]:
        """Return the tokens of critique and cue; none where there can be no verdict."""
        draft.text = self._decoded(draft.tokens)
        critique = critique_of(draft.text)
        if draft.failure is not None:
            return []
        if self._config.critique and not critique.strip():
            draft.fail("the judge wrote no critique")
            return []
        cue = self._form(draft.row.request).cue
        ending = self._spelled(critique + cue)
        if len(draft.row.ids) + len(ending) >= self._lm.context:
            draft.fail(self._too_long(len(draft.row.ids), len(ending) + 1))
            return []
        return ending

    def _keep(self, draft: _Draft[JudgeRequest], by_token: dict[int, float]) -> None:
        request = draft.row.request
        tokens = self._form(request).token_ids
        probs = {label: by_token[tokens[label]] for label in request.labels}
        if all(map(math.isfinite, probs.values())):
            draft.probs = {label: min(max(p, 0.0), 1.0) for label, p in probs.items()}
        else:
            draft.fail(f"the label probabilities are not finite: {probs}")

    def _reply(self, draft: _Draft[JudgeRequest], latency: float) -> JudgeReply:
        call = self._call(draft, request_hash(self.digest, draft.row.request), latency)
        critique = critique_of(draft.text, draft.row.request).strip()
        return JudgeReply(critique, call, draft.failure)

    def _written(self, draft: _Draft[WriteRequest], latency: float) -> WriteReply:
        draft.text = self._decoded(draft.tokens)
        call = self._call(draft, write_hash(self.digest, draft.row.request), latency)
        over = draft.failure is not None or self._is_over(draft.tokens)
        return WriteReply(draft.text, call, draft.failure if over else cut_off(draft.row.most))

    def _call(self, draft: _Draft[Request], key: str, latency: float) -> JudgeCall:
        return JudgeCall(
            request_hash=key,
            judge=self.digest,
            request=draft.row.request.text,
            reply=draft.text,
            label_probs=draft.probs,
            cut=int(draft.cut),
            prompt_tokens=len(draft.row.ids),
            reply_tokens=len(draft.tokens),
            latency=latency,
        )

    def _form(self, request: JudgeRequest) -> LabelForm:
        return self._forms.of(request.labels)

    def _tokens(self, text: str) -> list[int]:
        """Encode a message; a model without a chat template reads it and a line break."""
        ending = "" if self._lm.tokenizer.chat_template else "\n"
        return encode_conversation(self._lm, [Message(role="user", content=text + ending)])

    def _refusal(self, row: _Row[Request]) -> str | None:
        """Say why a request cannot be sent as it is, if so; nothing is ever cut short."""
        if len(row.ids) + row.most >= self._lm.context:
            return self._too_long(len(row.ids), row.most)
        if self._count_special(row.ids) != self._expected_special:
            return "the text smuggles control tokens of the judge's tokenizer into the request"
        return None

    def _too_long(self, tokens: int, more: int) -> str:
        return (
            f"the request takes {tokens} tokens and the reply up to {more} more: over the "
            f"judge's context of {self._lm.context}"
        )

    def _count_special(self, ids: Sequence[int]) -> int:
        return sum(token in self._special_ids for token in ids)


def _in_reading_order(rows: Sequence[_Row[Request]]) -> list[_Row[Request]]:
    """Order rows so that those that begin alike are neighbours, and neighbours alike in length."""
    sorted_rows = sorted(rows, key=lambda row: (row.ids, row.place))
    groups = group_by_beginning([row.ids for row in sorted_rows])
    groups.sort(key=lambda group: (max(len(sorted_rows[i].ids) for i in group), group[0]))
    return [sorted_rows[i] for group in groups for i in group]
