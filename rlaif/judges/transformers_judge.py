"""A judge that is a causal language model in this process."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rlaif.config import JudgeConfig
from rlaif.errors import ModelError, StageError
from rlaif.judges.protocol import (
    CUE,
    PAIR_LABELS,
    JudgeReply,
    JudgeRequest,
    critique_of,
    rating_labels,
    request_hash,
)
from rlaif.judges.rubric import MAX_CHOICES
from rlaif.models.decoding import Decoded, DecodeSettings, decode, next_token_probs
from rlaif.models.loading import LanguageModel, encode_answer, encode_conversation
from rlaif.records import JudgeCall, Message, digest_of

_FORMS = ((f"\n{CUE}", " "), (f"\n{CUE} ", ""), (f"\n{CUE} (", ""))
_BEFORE = "Good."
_NEUTRAL = "word"


@dataclass(frozen=True)
class LabelForm:
    """How a tokenizer spells verdicts: the cue after the critique, and one token per label."""

    cue: str
    token_ids: dict[str, int]


@dataclass(frozen=True)
class _Row:
    """A request that fits, with its place in the batch and its tokens."""

    place: int
    request: JudgeRequest
    ids: list[int]


class TransformersJudge:
    """Critiques by greedy decoding, then reads the verdict off the next token's probabilities.

    Args:
        lm: The model.
        config: Limits and batch size.

    Attributes:
        name: Where the model was loaded from.
        digest: Digest of the weights and of what else decides a reply.
        special_tokens: Control tokens of its tokenizer, as strings.

    Raises:
        ModelError: The tokenizer has no single distinct tokens for the verdict labels, or the
            context has no room for a critique.
    """

    def __init__(self, lm: LanguageModel, config: JudgeConfig) -> None:
        self._lm = lm
        self._config = config
        self._pair = find_label_form(lm, PAIR_LABELS)
        self._rating = find_label_form(lm, rating_labels(MAX_CHOICES))
        self._settings = DecodeSettings(max_tokens=config.max_critique_tokens, stop_texts=(CUE,))
        self._room = lm.context - config.max_critique_tokens
        special = {i: str(t) for i, t in lm.tokenizer.added_tokens_decoder.items() if t.special}
        special.pop(lm.tokenizer.unk_token_id, None)
        self._special_ids = frozenset(special)
        self._expected_special = self._count_special(self._tokens(_NEUTRAL))
        self.name = lm.name
        self.digest = digest_of(
            [
                "transformers",
                lm.digest,
                config.max_critique_tokens,
                self._pair.cue,
                self._rating.cue,
            ]
        )
        self.special_tokens = tuple(special.values())
        if self._room <= len(self._tokens(_NEUTRAL)):
            raise ModelError(
                f"judge {lm.name}: a context of {lm.context} tokens, and critiques of up to "
                f"{config.max_critique_tokens}",
                "room for the question beside the critique",
                "lower [judge] max_critique_tokens, or take a judge with more context",
            )

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests in their order; batches are made of requests of like length."""
        replies: dict[int, JudgeReply] = {}
        rows: list[_Row] = []
        for place, request in enumerate(requests):
            ids = self._tokens(request.text)
            failure = self._refusal(ids)
            if failure is None:
                rows.append(_Row(place, request, ids))
            else:
                replies[place] = JudgeReply("", None, failure)
        rows.sort(key=lambda row: (len(row.ids), row.place))
        for start in range(0, len(rows), self._config.batch_size):
            replies.update(self._ask(rows[start : start + self._config.batch_size]))
        return [replies[place] for place in range(len(requests))]

    def _ask(self, rows: Sequence[_Row]) -> list[tuple[int, JudgeReply]]:
        """Answer a batch; where the model fails on it, answer its halves, down to the culprit."""
        try:
            return self._ask_together(rows)
        except StageError as exc:
            if len(rows) == 1:
                failure = f"the judge failed: {exc.seen}"
                return [(rows[0].place, JudgeReply("", None, failure))]
            middle = len(rows) // 2
            return self._ask(rows[:middle]) + self._ask(rows[middle:])

    def _ask_together(self, rows: Sequence[_Row]) -> list[tuple[int, JudgeReply]]:
        start = time.perf_counter()
        decoded = decode(self._lm, [row.ids for row in rows], self._settings)
        probs = self._label_probs(rows, decoded)
        latency = (time.perf_counter() - start) / len(rows)
        return [
            (row.place, self._reply(row, words, labels, latency))
            for row, words, labels in zip(rows, decoded, probs, strict=True)
        ]

    def _label_probs(
        self, rows: Sequence[_Row], decoded: Sequence[Decoded]
    ) -> list[dict[str, float] | str]:
        """Return each row's label probabilities, or why it has none."""
        found: list[dict[str, float] | str] = ["the judge wrote no critique"] * len(rows)
        asked: list[int] = []
        sequences: list[list[int]] = []
        for index, (row, words) in enumerate(zip(rows, decoded, strict=True)):
            critique = critique_of(words.text)
            if not critique.strip():
                continue
            cue = self._form(row.request).cue
            sequence = [*row.ids, *encode_answer(self._lm, critique + cue, ended=False)]
            if len(sequence) >= self._lm.context:
                found[index] = self._too_long(len(sequence), 1)
                continue
            asked.append(index)
            sequences.append(sequence)
        tokens = sorted({*self._pair.token_ids.values(), *self._rating.token_ids.values()})
        table = next_token_probs(self._lm, sequences, tokens).tolist()
        for index, values in zip(asked, table, strict=True):
            request = rows[index].request
            by_token = dict(zip(tokens, values, strict=True))
            form = self._form(request)
            found[index] = {
                label: float(by_token[form.token_ids[label]]) for label in request.labels
            }
        return found

    def _reply(
        self, row: _Row, words: Decoded, probs: dict[str, float] | str, latency: float
    ) -> JudgeReply:
        failure = probs if isinstance(probs, str) else None
        if isinstance(probs, dict) and not all(map(math.isfinite, probs.values())):
            failure = f"the label probabilities are not finite: {probs}"
        kept = {} if failure or isinstance(probs, str) else probs
        call = JudgeCall(
            request_hash=request_hash(self.digest, row.request),
            judge=self.digest,
            request=row.request.text,
            reply=words.text,
            label_probs={label: min(max(p, 0.0), 1.0) for label, p in kept.items()},
            prompt_tokens=len(row.ids),
            reply_tokens=len(words.token_ids),
            latency=latency,
        )
        return JudgeReply(critique_of(words.text).strip(), call, failure)

    def _form(self, request: JudgeRequest) -> LabelForm:
        return self._pair if request.labels == PAIR_LABELS else self._rating

    def _tokens(self, text: str) -> list[int]:
        """Encode a message; a model without a chat template reads it and a line break."""
        ending = "" if self._lm.tokenizer.chat_template else "\n"
        return encode_conversation(self._lm, [Message(role="user", content=text + ending)])

    def _refusal(self, ids: Sequence[int]) -> str | None:
        """Say why a request cannot be sent as it is, if so; nothing is ever cut short."""
        if len(ids) >= self._room:
            return self._too_long(len(ids), self._config.max_critique_tokens)
        if self._count_special(ids) != self._expected_special:
            return "the text smuggles control tokens of the judge's tokenizer into the request"
        return None

    def _too_long(self, tokens: int, more: int) -> str:
        return (
            f"the request takes {tokens} tokens and the reply up to {more} more: over the "
            f"judge's context of {self._lm.context}"
        )

    def _count_special(self, ids: Sequence[int]) -> int:
        return sum(token in self._special_ids for token in ids)


def find_label_form(lm: LanguageModel, labels: Sequence[str]) -> LabelForm:
    """Find a cue after which each label is exactly one token of its own.

    A label of two tokens, or two labels that begin with the same token, would silently make all
    verdicts alike.

    Raises:
        ModelError: No form of the cue does it in this tokenizer.
    """
    for cue, space in _FORMS:
        before = encode_answer(lm, _BEFORE + cue, ended=False)
        after = [encode_answer(lm, f"{_BEFORE}{cue}{space}{x}", ended=False) for x in labels]
        single = all(ids[:-1] == before for ids in after)
        different = {ids[-1] for ids in after if ids} - {lm.tokenizer.unk_token_id}
        if single and len(different) == len(labels):
            return LabelForm(cue, {x: ids[-1] for x, ids in zip(labels, after, strict=True)})
    raise ModelError(
        f"judge {lm.name}: the verdict labels {', '.join(labels)} are not single distinct tokens "
        f"after {CUE!r}",
        "a tokenizer in which each label is one token of its own",
        "take another judge, or add the labels to its tokenizer and train it",
    )
