"""A policy with a value head on its own trunk: one pass gives log-probs and values."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlaif.errors import ModelError
from rlaif.models.lean.layout import Layout
from rlaif.models.loading import LanguageModel
from rlaif.models.portions import Portion
from rlaif.rl.batch import Rollout
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
        plain = trunk_states(lm.model, ids, None, None) @ head_weight(lm.model).T
    if not torch.allclose(logits.float(), plain.float(), atol=PROBE_TOLERANCE, rtol=1e-2):
        raise ModelError(
            f"{lm.name}: logits are not head times hidden state",
            "a causal language model with a plain linear head (Llama, Qwen, Mistral, ...)",
            "take a policy of another architecture",
        )


def trunk_states(
    model: PreTrainedModel, ids: Tensor, mask: Tensor | None, positions: Tensor | None
) -> Tensor:
    """Return the final hidden states [batch, tokens, width] of a causal model's trunk."""
    output = model.base_model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
    )
    states: Tensor = output.last_hidden_state
    return states


def head_weight(model: PreTrainedModel) -> Tensor:
    """Return the language-model head's matrix [vocab, width]."""
    weight: Tensor = model.get_output_embeddings().weight
    return weight


def working_head(lm: LanguageModel) -> Tensor:
    """Return the head's matrix in the type in which products run."""
    return lm.lean.head if lm.lean is not None else head_weight(lm.model).to(lm.dtype)


def response_states(lm: LanguageModel, rollout: Rollout) -> Float[Tensor, "tokens width"]:
    """Return the hidden states that predict the response tokens, row by row, with gradient.

    The lean trunk sees real tokens only, in rectangles of rows of like length; the library's own
    sees the rollout as it is.

    Args:
        lm: The policy.
        rollout: Queries and responses.

    Returns:
        States in the order of ``rollout.response_ids[rollout.response_mask]``, float32.
    """
    mask = rollout.response_mask
    if lm.lean is None:
        with lm.computing():
            given = (rollout.input_ids, rollout.token_mask, rollout.position_ids)
            states = trunk_states(lm.model, *given)
        return states[:, rollout.predicting][mask].float()
    layout = Layout.of(rollout.rows(drop_last=True), lm.pad_id)
    places = layout.starts.unsqueeze(1) + rollout.position_ids[:, rollout.predicting]
    return lm.lean.states(layout, wanted=places[mask])


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
    order = rollout.response_lengths.argsort(stable=True)

    def score(places: slice) -> None:
        rows = order[places]
        part = rollout.select(rows).trim()
        mask = part.response_mask
        states = response_states(lm, part)
        tokens = part.response_ids[mask]
        width = mask.shape[1]
        found = chunked_logprobs(states.to(head.dtype), head, tokens, temperature).logprobs
        logprobs[rows, :width] = laid(found, mask)
        if value_head is not None:
            values[rows, :width] = laid(value_head(states), mask)

    (portion or Portion("scoring", ROWS_AT_ONCE)).each(rollout.size, score)
    return ResponseScores(logprobs, values)


def laid(flat: Tensor, mask: Tensor) -> Tensor:
    """Lay numbers [tokens] out over the True cells of a mask, row by row; 0 elsewhere."""
    return flat.new_zeros(mask.shape).masked_scatter(mask, flat)
