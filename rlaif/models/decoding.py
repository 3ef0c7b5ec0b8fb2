"""Decoding for generation, judging and rollouts alike: batched, cached, finished rows leave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlaif.errors import StageError
from rlaif.models.drawing import Drawn, draw, greedy, uniforms
from rlaif.models.encoding import check_context
from rlaif.models.loading import LanguageModel
from rlaif.models.padding import left_pad
from rlaif.models.stepping import Step, stepper
from rlaif.models.tap import Tap
from rlaif.seeds import drawing_device

ROWS_STEP = 8  # rows leave in groups, so that few shapes occur: new ones cost a compilation
LOOK_EVERY = {"cpu": 1}
LOOK_ELSEWHERE = 16

Probe = Callable[[Tensor], Tensor]


class NonFiniteLogitsError(StageError):
    """A model's logits were NaN or infinite: its weights are broken."""


@dataclass(frozen=True)
class DecodeSettings:
    """How to decode.

    Attributes:
        max_tokens: Limit of new tokens, the end token counted.
        temperature: Logits are divided by it before sampling; 0 decodes greedily.
    """

    max_tokens: int
    temperature: float = 0.0


@dataclass(frozen=True)
class Decoded:
    """One decoded answer.

    Attributes:
        token_ids: Its tokens, the end token included.
        text: Its text, special tokens left out.
        ended: Whether it ended by itself.
        logprobs: Log-prob of each token under the distribution it was drawn from, nats; 0 where
            decoding was greedy.
        probed: What the probe said of the state in which each token was chosen; 0 without one.
        stream: What a tap heard of the prompt's tokens and of its own but the last, on the device
            [prompt + tokens - 1, width]; None without one.
    """

    token_ids: tuple[int, ...]
    text: str
    ended: bool
    logprobs: tuple[float, ...] = ()
    probed: tuple[float, ...] = ()
    stream: Tensor | None = field(default=None, compare=False, repr=False)


@torch.no_grad()
def decode(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    settings: DecodeSettings,
    generator: torch.Generator | None = None,
    probe: Probe | None = None,
    *,
    uniform: Tensor | None = None,
    tap: Tap | None = None,
) -> list[Decoded]:
    """Decode one answer per prompt, all as one batch.

    The same prompts in the same order with a generator in the same state give the same tokens.
    Given their own rows of the numbers that it would draw, parts of the prompts give them too.

    Args:
        lm: The model.
        prompts: Token ids, none empty.
        settings: Limits and temperature.
        generator: Source of randomness; needed when sampling.
        probe: Final hidden states [rows, width] -> numbers [rows], kept for each token (values).
        uniform: What `drawing.uniforms` gives [prompts, tokens], instead of a generator.
        tap: Hears the residual stream, which is kept for each answer.

    Raises:
        ModelError: A prompt leaves no room in the context.
        NonFiniteLogitsError: The model gave logits that are not finite.
    """
    if not prompts:
        return []
    check_context(lm, max(map(len, prompts)), settings.max_tokens, "decoding")
    lm.weights_may_have_moved()
    if settings.temperature and uniform is None:
        uniform = uniforms(len(prompts), settings.max_tokens, generator)
    batch = _Batch(lm, prompts, settings, probe, uniform, tap)
    for _ in range(settings.max_tokens):
        batch.step()
        if not batch.alive:
            break
    return batch.results()


class _Batch:
    """The rows still being decoded; finished ones leave once enough of them have gathered.

    What was decoded lies in rectangles [prompts, tokens], written where each row is now.
    """

    def __init__(
        self,
        lm: LanguageModel,
        prompts: Sequence[Sequence[int]],
        settings: DecodeSettings,
        probe: Probe | None,
        uniform: Tensor | None,
        tap: Tap | None,
    ) -> None:
        self._lm = lm
        self._tap = tap
        self._heard: list[tuple[Tensor, Tensor]] = []
        self._prompts = [len(prompt) for prompt in prompts]
        self._probe = probe
        self._temperature = settings.temperature
        drawing = drawing_device(str(lm.device))
        self._uniform = None if uniform is None else uniform.to(drawing)
        self._stepper = stepper(lm, len(prompts), with_states=probe is not None, tap=tap)
        self._next, self._mask = left_pad(prompts, lm.pad_id, lm.device)
        self._positions = (self._mask.long().cumsum(-1) - 1).clamp(min=0)
        self._rows = torch.arange(len(prompts), device=lm.device)
        self._live = torch.ones(len(prompts), dtype=torch.bool, device=lm.device)
        self._ends = torch.tensor(sorted(lm.eos_ids), device=lm.device)
        shape = (len(prompts), settings.max_tokens)
        self._tokens = torch.full(shape, lm.pad_id, device=lm.device)
        self._logprobs = torch.zeros(shape, device=lm.device)
        self._probed = torch.zeros(shape, device=lm.device)
        self._done = 0
        self._look_every = LOOK_EVERY.get(lm.device.type, LOOK_ELSEWHERE)
        self.alive = True

    def step(self) -> None:
        """Append one token to every row, and see at times which rows have finished."""
        drawn = self._choose(self._read())
        self._tokens[self._rows, self._done] = drawn.tokens
        self._logprobs[self._rows, self._done] = drawn.logprobs
        self._live &= ~torch.isin(drawn.tokens, self._ends)
        self._next = drawn.tokens.unsqueeze(1)
        self._positions = self._positions[:, -1:] + 1
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=1)
        self._done += 1
        if self._done % self._look_every == 0 or self._done == self._tokens.shape[1]:
            seen = [torch.isfinite(self._logprobs).all(), self._live.sum()]
            finite, left = torch.stack(seen).tolist()  # nowhere else is the device waited for
            self._refuse_broken(bool(finite))
            self._compact(left)

    def results(self) -> list[Decoded]:
        tokenizer = self._lm.tokenizer
        is_end = torch.isin(self._tokens, self._ends)[:, : self._done]
        is_end[:, -1:] |= ~is_end.any(dim=1, keepdim=True)
        lengths = (is_end.int().argmax(dim=1) + 1).tolist()
        rectangles = [x.cpu() for x in (self._tokens, self._logprobs, self._probed)]
        streams = self._streams(lengths)
        found = []
        for row, length in enumerate(lengths):
            ids, logprobs, probed = (x[row, :length].tolist() for x in rectangles)
            found.append(
                Decoded(
                    tuple(ids),
                    str(tokenizer.decode(ids, skip_special_tokens=True)),
                    ids[-1] in self._lm.eos_ids,
                    tuple(logprobs),
                    tuple(probed),
                    streams[row],
                )
            )
        return found

    def _streams(self, lengths: Sequence[int]) -> Sequence[Tensor | None]:
        """What the tap heard of each row's real tokens."""
        if self._tap is None:
            return [None] * len(lengths)
        (_, prompts), *steps = self._heard
        width = prompts.shape[1]
        whole = prompts.new_zeros(len(lengths), width + len(steps), prompts.shape[2])
        whole[:, :width] = prompts
        for column, (rows, heard) in enumerate(steps, width):
            whole[rows, column] = heard[:, 0]
        spans = zip(whole, self._prompts, lengths, strict=True)
        return [row[width - prompt : width + length - 1] for row, prompt, length in spans]

    def _read(self) -> Tensor:
        """Read the tokens appended last and return the logits of what follows."""
        step: Step = self._stepper.read(self._next, self._mask, self._positions)
        if self._probe is not None and step.states is not None:
            self._probed[self._rows, self._done] = self._probe(step.states).float()
        if self._tap is not None:
            rows, new = self._next.shape
            self._heard.append((self._rows, self._tap.heard.reshape(rows, new, -1)))
        return step.logits

    def _choose(self, logits: Tensor) -> Drawn:
        if self._uniform is None:
            return greedy(logits)
        rows = self._rows.to(self._uniform.device)
        return draw(logits, self._temperature, self._uniform[rows, self._done])

    def _refuse_broken(self, finite: bool) -> None:
        if not finite:
            raise NonFiniteLogitsError(
                f"{self._lm.name} gave logits that are not finite",
                "finite logits",
                "check its weights; a policy that diverged should be rolled back",
            )

    def _compact(self, left: int) -> None:
        """Let finished rows go once enough of them have gathered; `left` are going on."""
        self.alive = bool(left)
        room = -(-left // ROWS_STEP) * ROWS_STEP
        if not self.alive or room >= len(self._live):
            return
        kept = (~self._live).int().argsort(stable=True)[:room].sort().values
        self._stepper.select(kept)
        self._mask, self._positions, self._next, self._rows, self._live = (
            x[kept] for x in (self._mask, self._positions, self._next, self._rows, self._live)
        )
