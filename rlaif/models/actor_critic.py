"""A policy with a value head on its own trunk, run once for log-probs, entropy and values."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlaif.errors import ModelError
from rlaif.models.loading import LanguageModel
from rlaif.rl.batch import Rollout
from rlaif.rl.logprobs import chunked_logprobs

PROBE_TOKENS = 4
PROBE_TOLERANCE = 1e-3


class ResponseOutputs(NamedTuple):
    """What a policy says of each column of a rollout's response part; filler cells are 0.

    Attributes:
        logprobs: Log-probability of each response token, nats.
        entropy: Entropy of the distribution that each token was drawn from, nats; 0 if not asked.
        values: Value of the state in which each token was chosen; 0 without a value head.
    """

    logprobs: Float[Tensor, "batch response"]
    entropy: Float[Tensor, "batch response"]
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


def response_outputs(
    model: PreTrainedModel,
    rollout: Rollout,
    temperature: float,
    value_head: ValueHead | None = None,
    *,
    with_entropy: bool = False,
) -> ResponseOutputs:
    """Run a policy over a rollout; the heads see real response tokens only.

    Args:
        model: A causal language model.
        rollout: Queries and responses.
        temperature: The sampling temperature, by which logits are divided.
        value_head: Gives the values, where there is one.
        with_entropy: Whether entropies are wanted.
    """
    states = trunk_states(model, rollout.input_ids, rollout.token_mask, rollout.position_ids)
    mask = rollout.response_mask
    hidden = states[:, rollout.predicting][mask]
    found = chunked_logprobs(
        hidden,
        head_weight(model),
        rollout.response_ids[mask],
        temperature,
        with_entropy=with_entropy,
    )
    blank = torch.zeros(mask.shape, device=mask.device)
    values = None if value_head is None else value_head(hidden)
    return ResponseOutputs(
        _lay(found.logprobs, mask, blank),
        _lay(found.entropy, mask, blank),
        _lay(values, mask, blank),
    )


@torch.no_grad()
def scored_by_length(
    model: PreTrainedModel,
    rollout: Rollout,
    temperature: float,
    value_head: ValueHead | None = None,
    *,
    rows_at_once: int,
) -> ResponseOutputs:
    """Run a policy over a rollout without gradient, rows of like length together.

    The same numbers as :func:`response_outputs`, without the entropies, and with little padding
    paid for.

    Args:
        model: A causal language model.
        rollout: Queries and responses.
        temperature: The sampling temperature.
        value_head: Gives the values, where there is one.
        rows_at_once: Rows of a batch.
    """
    shape = rollout.response_mask.shape
    logprobs = torch.zeros(shape, device=rollout.input_ids.device)
    values = torch.zeros_like(logprobs)
    for rows in rollout.response_lengths.argsort(stable=True).split(rows_at_once):
        part = rollout.select(rows).trim()
        found = response_outputs(model, part, temperature, value_head)
        width = found.logprobs.shape[1]
        logprobs[rows, :width] = found.logprobs
        values[rows, :width] = found.values.float()
    return ResponseOutputs(logprobs, torch.zeros_like(logprobs), values)


def _lay(flat: Tensor | None, mask: Tensor, blank: Tensor) -> Tensor:
    return blank if flat is None else blank.to(flat.dtype).masked_scatter(mask, flat)
