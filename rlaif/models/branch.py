"""The upper blocks of a model as a model of their own, which goes on from another's stream.

(Havrilla et al. 2023, "trlX", call a policy with such a branch for its values a hydra.)
"""

import copy
from dataclasses import replace
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from rlaif.errors import ModelError
from rlaif.models.lean.trunk import LeanTrunk
from rlaif.models.loading import LanguageModel
from rlaif.models.tap import blocks_of


def branch_of(lm: LanguageModel, blocks: int) -> LanguageModel:
    """Return a model's upper blocks and its final norm, copied, to be trained.

    It has neither embedding nor head: `actor_critic.response_states` runs it from a tap on, in the
    model's precision, and checkpointed if that is.

    Args:
        lm: The model.
        blocks: How many of its blocks.

    Raises:
        ModelError: The model has not more blocks than that, or they are not found.
    """
    check_branch(lm, blocks)
    model = _upper(lm.model, blocks, copied=True)
    lean = None
    if lm.lean is not None:
        lean = LeanTrunk(model, lm.dtype, checkpointing=lm.checkpointing)
    return replace(lm, model=model, lean=lean, worn=None)


def branch_under(adapter: LanguageModel, blocks: int) -> LanguageModel:
    """Return the upper blocks of a shared base under one of its adapters, nothing copied.

    Args:
        adapter: The base as this adapter lets it compute.
        blocks: How many of its blocks.

    Raises:
        ModelError: The base has not more blocks than that, or they are not found.
    """
    check_branch(adapter, blocks)
    return replace(adapter, model=_upper(adapter.model, blocks, copied=False))


def check_branch(lm: LanguageModel, blocks: int) -> None:
    """Refuse a branch that would leave no block below it, or has no known place to begin.

    Args:
        lm: The model.
        blocks: How many of its blocks the branch would have.

    Raises:
        ModelError: As said.
    """
    found = len(blocks_of(lm.model))
    if blocks >= found:
        raise ModelError(
            f"ppo.critic_blocks = {blocks}, and {lm.name} has {found} blocks",
            "fewer than the policy's",
            'lower it, or take no branch: ppo.critic = "separate" or "shared"',
        )
    config = lm.model.config.get_text_config()
    if getattr(config, "embedding_multiplier", 1.0) != 1.0:
        raise ModelError(
            f"{lm.name} multiplies what its blocks begin with by {config.embedding_multiplier}",
            "a trunk that may begin at any block",
            'take no branch: ppo.critic = "separate" or "shared"',
        )


def _upper(model: PreTrainedModel, blocks: int, *, copied: bool) -> PreTrainedModel:
    """Return a trunk that has the last blocks and the norm of another, and an empty embedding."""
    base: Any = model.base_model
    upper = copy.copy(base)
    upper.config = copy.deepcopy(base.config)
    upper.config.num_hidden_layers = blocks
    kinds = getattr(base.config, "layer_types", None)
    if kinds is not None:
        upper.config.layer_types = kinds[-blocks:]
    layers, norm = nn.ModuleList(base.layers[-blocks:]), base.norm
    if copied:
        layers, norm = copy.deepcopy(layers), copy.deepcopy(norm)
    nothing = nn.Embedding(0, base.config.hidden_size).requires_grad_(requires_grad=False)
    upper._modules = {**base._modules, "embed_tokens": nothing, "layers": layers, "norm": norm}
    found: PreTrainedModel = upper
    return found
