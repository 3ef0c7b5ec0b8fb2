"""What a model says of a rollout: hidden states, log-probs, and values by a head on its trunk."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import PreTrainedModel

from rlaif.errors import ModelError
from rlaif.models.checkpointing import checkpointed
from rlaif.models.lean.layout import Layout
from rlaif.models.loading import LanguageModel
from rlaif.models.portions import Portion
from rlaif.models.tap import Tap
from rlaif.rl.batch import Rollout, sent
from rlaif.rl.kl import chunked_exact_kl
from rlaif.rl.logprobs import chunked_logprobs

PROBE_TOKENS = 4
PROBE_TOLERANCE = 1e-3
ROWS_AT_ONCE = 64


class ResponseScores(NamedTuple):
    """What a policy says of each column of a rollout's response part; filler cells are 0.

    Attributes:
        logprobs: Log-probability of each response token, nats.
        values: Value of the state in which each token was chosen; 0 without a value head.
    """

    logprobs: Float[Tensor, "batch response"]
    values: Float[Tensor, "batch response"]


class ValueHead(nn.Linear):
    """A scalar head on the trunk's hidden states, zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return values [...] of hidden states [..., width]."""
        return super().forward(hidden).squeeze(-1)


def check_plain_head(lm: LanguageModel) -> None:
    """Refuse a model whose logits are not one matrix times the trunk's output.

    Raises:
        ModelError: The head has a bias, soft-capping or a scale, which log-probs taken from the
            hidden states would miss.
    """
    ids = torch.arange(1, PROBE_TOKENS + 1, device=lm.device).unsqueeze(0)
    with torch.no_grad():
        logits = lm.model(input_ids=ids).logits
        plain = trunk_states(lm.model, ids) @ head_weight(lm.model).T
    if not torch.allclose(logits.float(), plain.float(), atol=PROBE_TOLERANCE, rtol=1e-2):
        raise ModelError(
            f"{lm.name}: logits are not head times hidden state",
            "a causal language model with a plain linear head (Llama, Qwen, Mistral, ...)",
            "take a policy of another architecture",
        )


def trunk_states(
    model: PreTrainedModel, ids: Tensor, tap: Tap | None = None, begin: Tap | None = None
) -> Tensor:
    """Return the final hidden states [batch, tokens, width] of rows that begin in column 0."""
    base: Any = model.base_model
    fed = {"input_ids": ids} if begin is None else {"inputs_embeds": begin.heard}
    with nullcontext() if tap is None else tap.on(model):
        states: Tensor = base(**fed, use_cache=False).last_hidden_state
    return states


def head_weight(model: PreTrainedModel) -> Tensor:
    """Return the language-model head's matrix [vocab, width]."""
    weight: Tensor = model.get_output_embeddings().weight
    return weight


def working_head(lm: LanguageModel) -> Tensor:
    """Return the head's matrix in the type in which products run."""
    return lm.lean.head if lm.lean is not None else head_weight(lm.model).to(lm.dtype)


def response_states(
    lm: LanguageModel, rollout: Rollout, *, tap: Tap | None = None, begin: Tap | None = None
) -> Float[Tensor, "tokens width"]:
    """Return the hidden states that predict the response tokens, row by row, with gradient.

    The lean trunk sees real tokens only, in rectangles of rows of like length; the library's own
    sees rows that begin in column 0, so that it needs no mask and may take its fastest attention.

    Args:
        lm: The policy.
        rollout: Queries and responses.
        tap: Takes the residual stream on its way.
        begin: Where a branch begins: a tap that has heard the same rollout.

    Returns:
        States in the order of ``rollout.response_ids[rollout.response_mask]``, float32.
    """
    if lm.lean is None:
        ids, at = rollout.flush()
        with checkpointed(lm), lm.computing():
            states = trunk_states(lm.model, ids, tap, begin)
        return states.flatten(0, 1)[at].float()
    mask = rollout.response_mask
    layout = Layout.of(rollout.rows(drop_last=True), lm.pad_id)
    places = layout.starts.unsqueeze(1) + rollout.position_ids[:, rollout.predicting]
    return lm.lean.states(layout, wanted=places[mask], tap=tap, begin=begin)


def heard_before(lm: LanguageModel, rollout: Rollout, streams: Sequence[Tensor], above: int) -> Tap:
    """Return a tap that has heard a rollout while it was sampled.

    Args:
        lm: The branch that is to begin there.
        rollout: Queries and responses.
        streams: What was heard of each row's tokens but the last [tokens - 1, width].
        above: How many blocks lay above.
    """
    tap = Tap(above)
    if lm.lean is None:
        tokens = rollout.flush().ids.shape[1]
        tap.hear(torch.stack([pad(x, (0, 0, 0, tokens - len(x))) for x in streams]))
        return tap
    layout = Layout.of(rollout.rows(drop_last=True), lm.pad_id)
    whole = streams[0].new_zeros(len(layout.ids), streams[0].shape[1])
    for start, stream in zip(layout.starts.tolist(), streams, strict=True):
        whole[start : start + len(stream)] = stream
    tap.hear(whole)
    return tap


@torch.no_grad()
def score_responses(
    lm: LanguageModel,
    rollout: Rollout,
    temperature: float,
    value_head: ValueHead | None = None,
    *,
    portion: Portion | None = None,
) -> ResponseScores:
    """Run a policy over a rollout without gradient; the heads see real response tokens only.

    Args:
        lm: The policy.
        rollout: Queries and responses.
        temperature: The sampling temperature, by which logits are divided.
        value_head: Gives the values, where there is one.
        portion: Rows at once, which are of like length; None: ``ROWS_AT_ONCE`` at first.

    Raises:
        OutOfMemoryError: Memory does not hold a single row.
    """
    blank = torch.zeros(rollout.response_mask.shape, device=rollout.input_ids.device)
    logprobs, values = blank, blank.clone()
    lm.weights_may_have_moved()
    head = working_head(lm)
    order = rollout.host_lengths.argsort(stable=True)

    def score(places: slice) -> None:
        part = rollout.select(order[places]).trim()
        rows = sent(order[places], blank.device)
        states = response_states(lm, part)
        cells = part.response_places
        tokens = part.response_ids.flatten()[cells]
        shape = part.response_mask.shape
        found = chunked_logprobs(states.to(head.dtype), head, tokens, temperature).logprobs
        logprobs[rows, : shape[1]] = laid(found, cells, shape)
        if value_head is not None:
            values[rows, : shape[1]] = laid(value_head(states), cells, shape)

    (portion or Portion("scoring", ROWS_AT_ONCE)).each(rollout.size, score)
    return ResponseScores(logprobs, values)


@torch.no_grad()
def exact_response_kl(
    lm: LanguageModel,
    other: LanguageModel,
    rollout: Rollout,
    temperature: float,
    portion: Portion | None = None,
) -> Float[Tensor, "batch response"]:
    """Return KL(policy || other) of the whole distribution at each response token, nats.

    Args:
        lm: The policy.
        other: The other one, of the same vocabulary.
        rollout: Queries and responses; filler cells are 0.
        temperature: The sampling temperature, by which logits are divided.
        portion: Rows at once; None: ``ROWS_AT_ONCE`` at first.

    Raises:
        OutOfMemoryError: Memory does not hold a single row.
    """
    found = torch.zeros(rollout.response_mask.shape, device=rollout.input_ids.device)
    for model in (lm, other):
        model.weights_may_have_moved()

    def measure(places: slice) -> None:
        part = rollout.select(torch.arange(rollout.size)[places]).trim()
        own = response_states(lm, part), working_head(lm)
        theirs = response_states(other, part), working_head(other)
        kl = chunked_exact_kl(*own, *theirs, temperature).to(found.dtype)
        shape = part.response_mask.shape
        found[places, : shape[1]] = laid(kl, part.response_places, shape)

    (portion or Portion("measuring KL", ROWS_AT_ONCE)).each(rollout.size, measure)
    return found


def laid(flat: Tensor, cells: Tensor, shape: torch.Size) -> Tensor:
    """Lay numbers [tokens] over cells [tokens] of a rectangle, counted row by row; 0 elsewhere."""
    return flat.new_zeros(shape.numel()).index_copy(0, cells, flat).reshape(shape)
