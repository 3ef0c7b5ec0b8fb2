"""Learning from a rollout: epochs of minibatches of micro-batches."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rlaif.config.ppo import EARLY_STOP_FACTOR
from rlaif.models.actor_critic import (
    head_weight,
    response_states,
    score_responses,
    working_head,
)
from rlaif.models.loading import LanguageModel
from rlaif.models.portions import Portion
from rlaif.models.processes import Processes
from rlaif.rl import (
    Batch,
    PolicyLoss,
    Rollout,
    k3,
    kl_loss,
    masked_mean,
    micro_batches,
    policy_loss,
    value_loss,
)
from rlaif.rl.head_loss import Anchor, Said, head_loss
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.ppo.actors import Learner
from rlaif.stages.ppo.examples import Drawn, Examples
from rlaif.stages.ppo.faults import NonFiniteLossError, SpikeError
from rlaif.stages.ppo.job import PpoJob

PROBED_TOKENS = 128
FIGURES = ("loss", "policy_loss", "value_loss", "kl_loss", "approx_kl", "clip_fraction",
           "value_clip_fraction")  # fmt: skip


class _Flat(NamedTuple):
    """A micro-batch's real response tokens in a row: [tokens] each."""

    tokens: Tensor
    old_logprobs: Tensor
    ref_logprobs: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor


class Epochs:
    """Runs the inner epochs of an update.

    Args:
        job: The job.
        learner: What learns.
        reference: What a KL in the loss is measured from.
        examples: For the ptx term.
        portion: Rows of a micro-batch.
        processes: Who else learns from the same rollout.
    """

    def __init__(
        self,
        job: PpoJob,
        learner: Learner,
        reference: LanguageModel,
        examples: Examples,
        portion: Portion,
        processes: Processes,
    ) -> None:
        self._job = job
        self._processes = processes
        self._settings = job.ppo
        self._learner = learner
        self._reference = reference
        self._examples = examples
        self._portion = portion

    def run(self, batch: Batch, update: int, beta: float) -> dict[str, float]:
        """Learn from a rollout; stop once approximate KL passes its bound.

        Args:
            batch: The rollout.
            update: Its number, for the seeds.
            beta: Weight of a KL term in the loss, in units of whitened advantage per nat.

        Returns:
            Means over the optimiser steps, and their number.

        Raises:
            NonFiniteLossError: A loss or gradient was NaN or infinite; weights are as before it.
            SpikeError: A step has thrown the policy far off.
            OutOfMemoryError: Memory does not hold a micro-batch of one row.
        """
        totals: dict[str, float] = {}
        steps = 0
        for part in self._minibatches(batch, update):
            step = self._step(part, update, beta)
            steps += 1
            for name, value in step.items():
                totals[name] = totals.get(name, 0.0) + value
            if _passes(step["approx_kl"], self._settings.kl_early_stop, EARLY_STOP_FACTOR):
                break
        means = {name: value / steps for name, value in totals.items()}
        return {**means, "optimizer_steps": float(steps)}

    @torch.no_grad()
    def moved(self, batch: Batch) -> float:
        """Return how far the policy has moved from the one that sampled, when all steps are made.

        An estimate, nats per token, from the longest rows; where those are far off, from all.

        Args:
            batch: The rollout.

        Raises:
            NonFiniteLossError: The policy gives logits that are not finite.
            SpikeError: That is beyond ``ppo.spike_kl``.
        """
        lengths, order = batch.rollout.host_lengths.sort(stable=True, descending=True)
        rows = 1 + int((lengths.cumsum(0) < PROBED_TOKENS).sum())
        found = self._moved(batch.select(order[:rows]).trim())
        if _passes(found, self._settings.spike_kl) and rows < batch.size:
            found = self._moved(batch)
        self._refuse_spike(found)
        return found

    def _moved(self, batch: Batch) -> float:
        temperature = self._job.generation.temperature
        said = score_responses(self._learner.policy, batch.rollout, temperature).logprobs
        own = float(masked_mean(k3(batch.old_logprobs, said), batch.response_mask))
        found = self._processes.gather(own)
        if not all(map(math.isfinite, found)):
            raise NonFiniteLossError(
                "logits that are not finite after an update",
                "finite numbers",
                "lower ppo.learning_rate",
            )
        return max(found)

    def _minibatches(self, batch: Batch, update: int) -> Iterator[Batch]:
        size = self._settings.minibatch
        for epoch in range(self._settings.epochs):
            generator = torch_generator(
                derive_seed(self._job.seed, "update", update, "epoch", epoch)
            )
            order = torch.randperm(batch.size, generator=generator)
            for start in range(0, batch.size, size):
                yield batch.select(order[start : start + size]).trim()

    def _step(self, batch: Batch, update: int, beta: float) -> dict[str, float]:
        """Make one optimiser step on a minibatch, in micro-batches of rows of like length.

        Every loss is a sum over tokens divided by the tokens of the whole minibatch, so how it is
        cut, and over how many processes, changes nothing but time and memory. Where memory runs
        out, this process redoes its share in smaller ones.
        """
        order = batch.rollout.host_lengths.argsort(stable=True)
        own = batch.select(order[self._processes.share])
        drawn = self._examples.draw(update, batch.size)
        count = batch.rollout.response_tokens
        seen = self._portion.run(
            lambda rows: self._gradients(own, drawn, rows, count, beta),
            max(own.size, len(drawn.rows), 1),
        )
        self._join(seen)
        self._learner.rest()
        norm = torch.nn.utils.clip_grad_norm_(
            self._learner.parameters, self._settings.max_grad_norm, foreach=True
        )
        told = torch.cat([seen, norm.reshape(1)]).tolist()
        named = dict(zip((*FIGURES, "ptx_loss", "grad_norm"), told, strict=True))
        self._apply(named, update)
        return named

    def _gradients(self, own: Batch, drawn: Drawn, rows: int, count: int, beta: float) -> Tensor:
        """Make this process's gradients, whatever they were; return its figures and ptx loss.

        Args:
            own: Its rows.
            drawn: Its examples.
            rows: How many run at once.
            count: Response tokens of the whole minibatch.
            beta: Weight of a KL term in the loss.
        """
        self._learner.optimizer.zero_grad(set_to_none=True)
        parts = micro_batches(own, rows)
        figures = [self._backward(part.trim(), count, beta) for part in parts]
        figures += [torch.zeros(len(FIGURES), device=own.old_logprobs.device)]
        ptx = self._examples.backward(drawn, rows)
        return torch.cat([torch.stack(figures).sum(0), ptx.reshape(1)])

    def _join(self, figures: Tensor) -> None:
        """Add up what all processes found: figures and gradients are shares of sums over tokens."""
        if self._processes.size == 1:
            return
        parameters = self._learner.parameters
        for parameter in parameters:
            if parameter.grad is None:  # this process had no row, and the others wait for it
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        self._processes.add_up([figures, *gradients])

    def _apply(self, figures: dict[str, float], update: int) -> None:
        """Take the step, unless it is broken, or the ones before it led far off."""
        loss, norm = figures["loss"], figures["grad_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NonFiniteLossError(
                f"loss {loss}, gradient norm {norm} at update {update}",
                "finite numbers",
                "lower ppo.learning_rate; the ledger keeps everything before it",
            )
        self._refuse_spike(figures["approx_kl"])
        self._learner.optimizer.step()

    def _refuse_spike(self, kl: float) -> None:
        limit = self._settings.spike_kl
        if _passes(kl, limit):
            raise SpikeError(
                f"an approximate KL of {kl:.3g} nats per token to the policy that sampled, beyond "
                f"ppo.spike_kl = {limit:g}",
                "a policy that stays near it",
                "lower ppo.learning_rate or ppo.kl_early_stop",
            )

    def _backward(self, batch: Batch, count: int, beta: float) -> Tensor:
        """Add a micro-batch's gradients; return its share of the minibatch's figures."""
        policy, settings = self._learner.policy, self._settings
        flat = _flat(batch)
        states, values = self._learner.critic.read(batch.rollout)
        found = head_loss(
            states,
            head_weight(policy.model),
            flat.tokens,
            lambda said, places: self._token_loss(said, _cut(flat, places), count, beta),
            self._job.generation.temperature,
            working_head=working_head(policy),
            with_entropy=settings.entropy_coefficient > 0,
            anchor=self._anchor(batch.rollout),
        )
        value = value_loss(
            _row(values),
            _row(flat.old_values),
            _row(flat.returns),
            _ones(flat.tokens),
            count,
            settings.value_clip,
        )
        loss = found.loss + settings.value_coefficient * value.loss
        loss.backward()
        surrogate = self._surrogate(found.said.logprobs, flat, count)
        kl = torch.zeros_like(loss)
        if self._settings.kl_in_loss:
            kl = self._kl_loss(found.said, flat, count)
        return torch.stack(
            [
                loss.detach(),
                surrogate.loss,
                value.loss.detach(),
                kl.detach(),
                surrogate.approx_kl.detach(),
                surrogate.clip_fraction,
                value.clip_fraction,
            ]
        )

    @torch.no_grad()
    def _anchor(self, rollout: Rollout) -> Anchor | None:
        """What the exact KL is measured from, where it is asked for."""
        settings, reference = self._settings, self._reference
        if settings.kl_estimator != "exact":
            return None
        return Anchor(response_states(reference, rollout), working_head(reference))

    def _token_loss(self, said: Said, flat: _Flat, count: int, beta: float) -> Tensor:
        """The loss of some tokens, but for their values."""
        loss = self._surrogate(said.logprobs, flat, count).loss
        if self._settings.kl_in_loss:
            loss = loss + beta * self._kl_loss(said, flat, count)
        if said.entropy is not None:
            loss = loss - self._settings.entropy_coefficient * said.entropy.sum() / count
        return loss

    def _surrogate(self, logprobs: Tensor, flat: _Flat, count: int) -> PolicyLoss:
        dual = self._settings.dual_clip
        return policy_loss(
            _row(logprobs),
            _row(flat.old_logprobs),
            _row(flat.advantages),
            _ones(flat.tokens),
            count,
            self._settings.clip,
            None if dual == "off" else dual,
        )

    def _kl_loss(self, said: Said, flat: _Flat, count: int) -> Tensor:
        if said.kl is not None:
            return said.kl.sum() / count
        estimator = self._settings.kl_estimator
        if estimator == "exact":
            raise ValueError("the exact KL was not taken from the whole distributions")
        return kl_loss(
            _row(said.logprobs),
            _row(flat.ref_logprobs),
            _ones(flat.tokens),
            count,
            estimator,
        )


def _passes(kl: float, limit: float | Literal["off"], times: float = 1.0) -> bool:
    return limit != "off" and kl > times * limit


def _flat(batch: Batch) -> _Flat:
    places = batch.rollout.response_places
    cells = (getattr(batch, name) for name in _Flat._fields[1:])
    return _Flat(*(x.flatten()[places] for x in (batch.rollout.response_ids, *cells)))


def _cut(flat: _Flat, places: slice) -> _Flat:
    return _Flat(*(x[places] for x in flat))


def _row(x: Tensor) -> Tensor:
    """[tokens] -> [1, tokens]: the losses take rectangles."""
    return x.unsqueeze(0)


def _ones(tokens: Tensor) -> Tensor:
    return torch.ones(1, len(tokens), dtype=torch.bool, device=tokens.device)
