"""Fakes that ship, so that a test of anything built on rlaif runs in milliseconds and offline."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from rlaif.judges.protocol import (
    PAIR_LABELS,
    JudgeReply,
    JudgeRequest,
    WriteReply,
    WriteRequest,
    critique_of,
    cut_off,
    request_hash,
    write_hash,
)
from rlaif.records import JudgeCall, digest_of
from rlaif.seeds import numpy_generator, torch_generator

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

TINY_CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TINY_VOCAB_TEXTS = (
    "\nVerdict: A",
    "\nVerdict: B",
    *(f"\nVerdict: {digit}" for digit in range(1, 10)),
    "What is the capital of this country? The answer is short, polite and right.",
)
_END, _PAD = "<|end|>", "<|pad|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
_VOCABULARY = 512
_SPREAD = 0.2


def make_tiny_lm(
    folder: Path,
    *,
    vocab_texts: Sequence[str] = TINY_VOCAB_TEXTS,
    chat: bool = True,
    pad_is_eos: bool = False,
    dtype: Literal["float32", "float16", "bfloat16"] = "float32",
    context: int = 256,
    seed: int = 0,
    layers: int = 2,
) -> Path:
    """Write a small random Llama with a byte-level tokenizer as a Hugging Face folder.

    The same arguments give the same weights. With the default texts every verdict label (`` A``,
    `` B``, `` 1`` to `` 9``) is one token; with ``vocab_texts=()`` each byte is a token of its own.

    Args:
        folder: Where to write; made if missing.
        vocab_texts: Texts whose words become tokens, as far as 512 tokens go.
        chat: Whether the tokenizer has a chat template (special role tokens, ``<|end|>``).
        pad_is_eos: Whether padding is the end token, as in many models from the wild.
        dtype: How the weights are stored.
        context: The longest sequence, in tokens.
        seed: Seed of the weights.
        layers: Transformer blocks.

    Returns:
        ``folder``, loadable by ``AutoModelForCausalLM`` and ``AutoTokenizer``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tiny_tokenizer(vocab_texts, pad_is_eos, context)
    if chat:
        tokenizer.chat_template = TINY_CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    _tiny_llama(tokenizer, dtype, context, seed, layers).save_pretrained(folder)
    return folder


class ScriptedJudge:
    """A judge that follows a script instead of a model.

    Args:
        script: Given a request, returns the label probabilities, or a whole reply in words that
            is then parsed, as from a backend without probabilities. A ranking takes words.
        name: Its name; judges with other names have other digests.

    Attributes:
        requests: Everything that it was asked, in order.
    """

    special_tokens: Sequence[str] = ()

    def __init__(
        self, script: Callable[[JudgeRequest], Mapping[str, float] | str], name: str = "scripted"
    ) -> None:
        self._script = script
        self.name = name
        self.digest = digest_of(["scripted-judge", name])
        self.requests: list[JudgeRequest] = []

    @classmethod
    def preferring(cls, quality: Callable[[str], float], sharpness: float = 8.0) -> "ScriptedJudge":
        """Return a judge with a taste.

        Its ratings are ``quality(answer)`` in [0, 1]; its P(first better) is the logistic of
        ``sharpness`` times the difference in quality, whatever the order; its rankings go by
        quality, and of equals the one shown first comes first.
        """

        def script(request: JudgeRequest) -> Mapping[str, float] | str:
            levels = [quality(text) for text in request.shown]
            if request.asks == "ranking":
                best_first = sorted(range(len(levels)), key=lambda place: -levels[place])
                ranked = " > ".join(request.labels[place] for place in best_first)
                return f"Under {request.criterion}.\nRanking: {ranked}"
            if request.labels == PAIR_LABELS:
                p_first = 0.5 * (1.0 + math.tanh(sharpness * (levels[0] - levels[1]) / 2.0))
                return {"A": p_first, "B": 1.0 - p_first}
            place = levels[0] * (len(request.labels) - 1)
            return {x: max(0.0, 1.0 - abs(i - place)) for i, x in enumerate(request.labels)}

        return cls(script, "scripted-taste")

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer each request by the script."""
        self.requests += requests
        return [self._answer(request) for request in requests]

    def _answer(self, request: JudgeRequest) -> JudgeReply:
        said = self._script(request)
        words = said if isinstance(said, str) else f"Under {request.criterion}."
        call = JudgeCall(
            request_hash=request_hash(self.digest, request),
            judge=self.digest,
            request=request.text,
            reply=words,
            label_probs={} if isinstance(said, str) else dict(said),
            prompt_tokens=len(request.text.split()),
            reply_tokens=len(words.split()),
            latency=0.0,
        )
        return JudgeReply(critique_of(words, request).strip(), call)


class ScriptedWriter(ScriptedJudge):
    """A scripted judge that writes free text, too.

    Its tokens are words: a text of more than a request's ``max_tokens`` of them is cut off there.

    Args:
        script: As for :class:`ScriptedJudge`.
        writer: Given a request to write, returns the words.
        name: As for :class:`ScriptedJudge`.

    Attributes:
        written: Every request to write, in order.
    """

    def __init__(
        self,
        script: Callable[[JudgeRequest], Mapping[str, float] | str],
        writer: Callable[[WriteRequest], str],
        name: str = "scripted",
    ) -> None:
        super().__init__(script, name)
        self._writer = writer
        self.written: list[WriteRequest] = []

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        """Write to each request by the script."""
        self.written += requests
        return [self._compose(request) for request in requests]

    def _compose(self, request: WriteRequest) -> WriteReply:
        text = self._writer(request)
        ends = [match.end() for match in re.finditer(r"\S+", text)]
        over = len(ends) > request.max_tokens
        said = text[: ends[request.max_tokens - 1]] if over else text
        call = JudgeCall(
            request_hash=write_hash(self.digest, request),
            judge=self.digest,
            request=request.text,
            reply=said,
            label_probs={},
            cut=int(over),
            prompt_tokens=len(request.text.split()),
            reply_tokens=len(said.split()),
            latency=0.0,
        )
        return WriteReply(said, call, cut_off(request.max_tokens) if over else None)


class HashEmbedder:
    """An embedder without a model: each word adds one fixed direction, so shared words are near.

    Args:
        dimensions: Length of a row.
    """

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.digest = digest_of(["hash-embedder", dimensions])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit rows, float32 [texts, dimensions]; texts without a word share one row."""
        rows = np.array([self._row(t) for t in texts]).reshape(len(texts), self.dimensions)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(norms == 0.0, 1.0, norms), dtype=np.float32)

    def _row(self, text: str) -> np.ndarray:
        words = re.findall(r"\w+", text.lower()) or [""]
        return np.asarray(np.stack([self._direction(word) for word in words]).sum(axis=0))

    def _direction(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8")).digest()[:8], "big")
        return numpy_generator(seed).standard_normal(self.dimensions)


def _tiny_tokenizer(
    texts: Sequence[str], pad_is_eos: bool, context: int
) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE on ``texts``; every byte is in its alphabet."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[_END, _PAD, *_ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_END,
        pad_token=_END if pad_is_eos else _PAD,
        additional_special_tokens=list(_ROLES),
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _tiny_llama(
    tokenizer: "PreTrainedTokenizerFast", dtype: str, context: int, seed: int, layers: int
) -> "LlamaForCausalLM":
    """Make a Llama whose matrices come from one seeded generator; global state is left alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        model: LlamaForCausalLM = LlamaForCausalLM(config)
    generator = torch_generator(seed)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(std=_SPREAD, generator=generator)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    stored: LlamaForCausalLM = model.to(getattr(torch, dtype))
    return stored
