"""Our formulas under the conventions of TRL 1.12.0, which differ from ours in three places.

- The score stands on the cell after the end token, where there is room, and the critic's opinion
  of that cell counts in advantages, returns and the critic's own loss.
- Advantages are whitened with the variance of a sample (n - 1), ours with the population's (n).
- The critic is a network of its own; ours is a head on the policy's trunk.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from rlaif.models.actor_critic import (
    ValueHead,
    head_weight,
    response_states,
    score_responses,
    working_head,
)
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.rl import (
    Batch,
    PolicyLoss,
    Rollout,
    ValueLoss,
    gae,
    k1,
    place_scores,
    policy_loss,
    value_loss,
    whiten,
)
from rlaif.rl.head_loss import head_loss

CPU = torch.device("cpu")


@dataclass(frozen=True)
class AsTrl:
    """A rollout under TRL's conventions.

    Attributes:
        batch: The answers' tokens; advantages are whitened as TRL does it.
        longer: The rollout with the cell after each end token, where there is room.
        values: Of the longer rollout [batch, response], as all that follows.
        rewards: Likewise.
        returns: Likewise.
    """

    batch: Batch
    longer: Rollout
    values: Tensor
    rewards: Tensor
    returns: Tensor


def bessel(tokens: int) -> float:
    """Return what whitened numbers are multiplied by where their variance is a sample's."""
    return math.sqrt((tokens - 1) / tokens)


def as_trl(
    batch: Batch,
    scores: Tensor,
    policy: LanguageModel,
    head: ValueHead,
    beta: float,
    temperature: float,
) -> AsTrl:
    """Return a rollout under TRL's conventions.

    Args:
        batch: As our engine made it.
        scores: Of each answer.
        policy: Whose trunk the critic is, before the first step.
        head: Its head.
        beta: KL coefficient, reward per nat.
        temperature: Of sampling.
    """
    mask = batch.response_mask
    longer = _longer(batch.rollout, policy.pad_id)
    wide = longer.response_mask
    values = score_responses(policy, longer, temperature, head).values
    costs = (beta * k1(batch.old_logprobs, batch.ref_logprobs)).masked_fill(~mask, 0.0)
    rewards = place_scores(costs, scores, wide)
    found = gae(rewards, values, wide)
    white = whiten(found.advantages, mask) * bessel(int(mask.sum()))
    return AsTrl(replace(batch, advantages=white), longer, values, rewards, found.returns)


def lists_of(rollout: Rollout) -> tuple[list[list[int]], list[list[int]]]:
    """Return the tokens of each row's prompt and answer."""
    pairs = zip(rollout.rows(), rollout.response_lengths.tolist(), strict=True)
    cut = [(row[:-length], row[-length:]) for row, length in pairs]
    return [prompt for prompt, _ in cut], [answer for _, answer in cut]


def _longer(rollout: Rollout, pad_id: int) -> Rollout:
    prompts, answers = lists_of(rollout)
    width = rollout.response_mask.shape[1]
    return Rollout.from_lists(
        prompts, [a + [pad_id] * int(len(a) < width) for a in answers], pad_id
    )


@dataclass(frozen=True)
class Step:
    """Our losses and gradients at the weights that TRL had before a step.

    Attributes:
        logprobs: Of the answers' tokens, row by row.
        values: Of the longer rollout's cells, row by row.
        policy: The clipped surrogate.
        value: The critic's loss, without a coefficient.
        policy_slopes: Gradients of the policy's loss, by the parameter's name.
        critic_slopes: Gradients of the critic's loss: its trunk's, and ``head``.
    """

    logprobs: Tensor
    values: Tensor
    policy: PolicyLoss
    value: ValueLoss
    policy_slopes: dict[str, Tensor]
    critic_slopes: dict[str, Tensor]


def step_at(world: Path, number: int, same: AsTrl, temperature: float) -> Step:
    """Compute a step's losses and gradients by our engine's trunk and formulas.

    Args:
        world: The folder, with the weights that TRL had before the step.
        number: The step's.
        same: The rollout under TRL's conventions.
        temperature: Of sampling.
    """
    policy = _with_weights(world, number, "policy.")
    logprobs, of_policy = _policy_loss(policy, same.batch, temperature)
    critic, head = _with_weights(world, number, "value_model."), _head(world, number)
    wide = same.longer.response_mask
    values = head(response_states(critic, same.longer))
    ones = torch.ones(1, len(values), dtype=torch.bool)
    old, returns = same.values[wide], same.returns[wide]
    of_values = value_loss(values[None], old[None], returns[None], ones, len(values))
    of_values.loss.backward()
    slopes = {**_slopes(critic.model), "head": _slopes(head)["weight"]}
    return Step(logprobs, values.detach(), of_policy, of_values, _slopes(policy.model), slopes)


def _policy_loss(
    policy: LanguageModel, batch: Batch, temperature: float
) -> tuple[Tensor, PolicyLoss]:
    """Return log-probs and loss; the gradients stay with the policy."""
    mask = batch.response_mask
    old, white = batch.old_logprobs[mask], batch.advantages[mask]

    def surrogate(logprobs: Tensor, places: slice) -> PolicyLoss:
        ones = torch.ones(1, len(logprobs), dtype=torch.bool)
        return policy_loss(logprobs[None], old[None, places], white[None, places], ones, len(old))

    found = head_loss(
        response_states(policy, batch.rollout),
        head_weight(policy.model),
        batch.rollout.response_ids[mask],
        lambda said, places: surrogate(said.logprobs, places).loss,
        temperature,
        working_head=working_head(policy),
    )
    found.loss.backward()
    return found.said.logprobs, surrogate(found.said.logprobs, slice(None))


def _with_weights(world: Path, number: int, prefix: str) -> LanguageModel:
    """Return the world's policy with the weights that TRL's policy, or critic, had."""
    policy = load_language_model(str(world / "policy"), CPU, trainable=True)
    kept = load_file(world / f"trl_weights_{number}.safetensors")
    own = {n.removeprefix(prefix): w for n, w in kept.items() if n.startswith(prefix)}
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            parameter.copy_(own[name])
    policy.weights_may_have_moved()
    return policy


def _head(world: Path, number: int) -> ValueHead:
    weight = load_file(world / f"trl_weights_{number}.safetensors")["value_model.score.weight"]
    head = ValueHead(weight.shape[1])
    with torch.no_grad():
        head.weight.copy_(weight)
    return head


def _slopes(module: torch.nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
