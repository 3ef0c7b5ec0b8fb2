"""PPO a second time, in plain float64: a row at a time, without buckets, caches, chunks or kernels.

It is told what was sampled and rewarded, which rows made each minibatch, and which examples were
drawn. All else it finds itself, with the library's own models, and shares no line with the package:
log-probs, values, rewards, advantages, losses, gradients, steps, rates, beta and every figure.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rlaif.config import PpoConfig

EPSILON = 1e-8
Tokens = list[int]


class Row(NamedTuple):
    """A prompt, what the policy said to it, whether that ended by itself, and its reward."""

    query: Tokens
    response: Tokens
    ended: bool
    reward: float


class Told(NamedTuple):
    """An update's rollout, and the rows and the examples of each of its minibatches."""

    rows: Sequence[Row]
    minibatches: Sequence[Sequence[int]]
    examples: Sequence[Sequence[tuple[Tokens, Tokens]]]


class Known(NamedTuple):
    """What is held fixed of a row while PPO learns from it: [tokens] each."""

    row: Row
    old: Tensor
    reference: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class Said(NamedTuple):
    """A model's log-probs [tokens, vocab] of a response's places, its last states, its streams."""

    everything: Tensor
    states: Tensor
    streams: Sequence[Tensor]

    def of(self, tokens: Tokens) -> Tensor:
        return self.everything[range(len(tokens)), tokens]


class PlainPpo:
    """A policy in training.

    Args:
        policy: The policy, in float64; the reference and the critic begin as copies of it.
        settings: The same as the engine's; both rates and the reference are set, not automatic.
        temperature: Of sampling.
        beta: The first.
        missing_eos: Reward of what was cut off, if it is fixed.
    """

    def __init__(
        self,
        policy: nn.Module,
        settings: PpoConfig,
        temperature: float,
        beta: float,
        missing_eos: float | None,
    ) -> None:
        self.policy, self.reference, self._beside = policy, copy.deepcopy(policy), None
        self.settings, self.temperature, self.beta = settings, temperature, beta
        self.missing_eos = missing_eos
        self.head = nn.Linear(trunk_of(policy).config.hidden_size, 1).double()
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        trained = [p for p in policy.parameters() if p.requires_grad]
        values = list(self.head.parameters())
        if settings.critic != "shared":
            self._beside = copy.deepcopy(trunk_of(policy))
            if settings.critic == "branch":
                self._beside.layers = self._beside.layers[-settings.critic_blocks :]
            values += [p for p in self._beside.parameters() if p.requires_grad]
        self._groups = trained, values
        self._adam = torch.optim.AdamW(
            [{"params": trained}, {"params": values}], eps=1e-5, weight_decay=0.0
        )
        self._rewards: list[float] = []
        self._done = 0

    def say(self, model: nn.Module, query: Tokens, response: Tokens) -> Said:
        places = slice(len(query) - 1, -1)
        out: Any = model(torch.tensor([query + response]), output_hidden_states=True)
        everything = (out.logits[0, places] / self.temperature).log_softmax(-1)
        return Said(everything, out.hidden_states[-1][0, places], out.hidden_states)

    def value(self, row: Row, said: Said) -> Tensor:
        """The values [tokens] of a row that the policy has just read."""
        states = said.states
        if self._beside is not None:
            fed = {"input_ids": torch.tensor([row.query + row.response])}
            if self.settings.critic == "branch":
                fed = {"inputs_embeds": said.streams[-1 - len(self._beside.layers)].detach()}
            found = self._beside(**fed, use_cache=False).last_hidden_state
            states = found[0, len(row.query) - 1 : -1]
        return self.head(states).squeeze(-1)

    def update(self, told: Told) -> dict[str, float]:
        """Learn from a rollout; return the figures of the update."""
        settings = self.settings
        resting = self._done < settings.critic_warmup
        left = 1 - self._done / settings.updates
        rates = settings.learning_rate, settings.value_learning_rate
        for group, rate in zip(self._adam.param_groups, rates, strict=True):
            group["lr"] = rate * left
        known, spread, figures = self._look(told.rows)
        steps = []
        for rows, examples in zip(told.minibatches, told.examples, strict=False):
            part = [known[row] for row in rows]
            steps.append(self._step(part, examples, self.beta / spread, resting=resting))
            if steps[-1]["approx_kl"] > 1.5 * settings.kl_early_stop:
                break
        figures |= {name: mean([step[name] for step in steps]) for name in steps[0]}
        figures |= {
            "beta": self.beta,
            "optimizer_steps": len(steps),
            "kl_moved": self._moved(known),
        }
        self._follow()
        if settings.kl_control == "adaptive" and not resting:
            error = min(max(figures["kl_reference"] / settings.kl_target - 1, -0.2), 0.2)
            self.beta *= 1 + error * len(known) / settings.kl_horizon
        self._done += 1
        return figures

    @torch.no_grad()
    def _look(self, rows: Sequence[Row]) -> tuple[list[Known], float, dict[str, float]]:
        rewards = [
            row.reward if row.ended or self.missing_eos is None else self.missing_eos
            for row in rows
        ]
        scores = self._shaped(rewards, rows)
        found = []
        for row, score in zip(rows, scores, strict=True):
            said, far = (self.say(m, *row[:2]) for m in (self.policy, self.reference))
            old, reference = said.of(row.response), far.of(row.response)
            paid = -self.beta * self._charged(said, far, old - reference)
            paid[-1] += score
            values = self.value(row, said)
            advantages = self._advantages(paid, values)
            found.append(Known(row, old, reference, values, advantages, advantages + values))
        raw = torch.cat([one.advantages for one in found])
        spread = math.sqrt(float(raw.var(correction=0)) + EPSILON)
        white = [one._replace(advantages=(one.advantages - raw.mean()) / spread) for one in found]
        gaps = torch.cat([one.returns - one.values for one in found])
        returns = torch.cat([one.returns for one in found])
        figures = {
            "reward": mean(rewards),
            "score": mean(scores),
            "kl_reference": mean([float((one.old - one.reference).sum()) for one in found]),
            "entropy": float(-torch.cat([one.old for one in found]).mean()),
            "length": mean([len(row.response) for row in rows]),
            "ended": mean([float(row.ended) for row in rows]),
            "beta": self.beta,
            "explained_variance": 1 - float(gaps.var() / returns.var()),
        }
        return white, spread, figures

    def _shaped(self, rewards: Sequence[float], rows: Sequence[Row]) -> list[float]:
        settings, scale = self.settings, 1.0
        if settings.reward_scaling == "running":
            self._rewards += rewards
            scale = float(torch.tensor(self._rewards).double().std(correction=0))
        limit = math.inf if settings.reward_clip == "off" else settings.reward_clip
        return [
            min(max(reward / scale, -limit), limit)
            - settings.length_penalty * max(len(row.response) - settings.length_free, 0)
            for reward, row in zip(rewards, rows, strict=True)
        ]

    def _charged(self, said: Said, far: Said, gap: Tensor) -> Tensor:
        if self.settings.kl_place == "loss":
            return torch.zeros_like(gap)
        return self._kl(said, far, gap)

    def _kl(self, said: Said, far: Said, gap: Tensor) -> Tensor:
        """Nats of each token [tokens]; `gap` is the log-ratio of what was sampled."""
        name = self.settings.kl_estimator
        if name == "exact":
            return (said.everything.exp() * (said.everything - far.everything)).sum(-1)
        return {"k1": gap, "k2": gap**2 / 2, "k3": k3(-gap)}[name]

    def _advantages(self, paid: Tensor, values: Tensor) -> Tensor:
        """The sum, for each token, of the discounted errors of the values from there on."""
        gamma, lam = self.settings.gamma, self.settings.lam
        following = torch.cat([values[1:], values.new_zeros(1)])
        errors = paid + gamma * following - values
        found = torch.zeros_like(errors)
        for t in range(len(errors)):
            for later in range(t, len(errors)):
                found[t] += (gamma * lam) ** (later - t) * errors[later]
        return found

    def _step(
        self,
        part: Sequence[Known],
        examples: Sequence[tuple[Tokens, Tokens]],
        beta: float,
        *,
        resting: bool,
    ) -> dict[str, float]:
        settings = self.settings
        terms = [self._terms(one) for one in part]
        loss, value, kl, entropy, moved, clipped, near = (
            torch.cat(x) for x in zip(*terms, strict=True)
        )
        ptx = torch.zeros(1).double()
        if examples:
            ptx = torch.cat([-self.say(self.policy, q, a).of(a) for q, a in examples])
        total = loss.mean() + settings.value_coefficient * value.mean()
        total = total + beta * kl.mean() - settings.entropy_coefficient * entropy.mean()
        self._adam.zero_grad()
        (total + settings.ptx_coefficient * ptx.mean()).backward()
        if resting:
            for parameter in self._groups[0]:
                parameter.grad = None
        slopes = [p.grad for group in self._groups for p in group if p.grad is not None]
        norm = math.sqrt(sum(float(slope.square().sum()) for slope in slopes))
        for slope in slopes:
            slope.mul_(min(1.0, settings.max_grad_norm / (norm + 1e-6)))
        self._adam.step()
        figures = {
            "loss": total,
            "policy_loss": loss.mean(),
            "value_loss": value.mean(),
            "kl_loss": kl.mean(),
            "approx_kl": moved.mean(),
            "clip_fraction": clipped.double().mean(),
            "value_clip_fraction": near.double().mean(),
            "ptx_loss": ptx.mean(),
        }
        return {name: float(x.detach()) for name, x in figures.items()} | {"grad_norm": norm}

    def _terms(self, known: Known) -> tuple[Tensor, ...]:
        """Of each token: losses of policy and value, KL, entropy, k3, and where clipping bites."""
        settings, response = self.settings, known.row.response
        said = self.say(self.policy, known.row.query, response)
        logprobs = said.of(response)
        gap = logprobs - known.old
        gain = gap.exp() * known.advantages
        held = gap.exp().clamp(1 - settings.clip, 1 + settings.clip) * known.advantages
        least = torch.minimum(gain, held)
        if settings.dual_clip != "off":
            floor = settings.dual_clip * known.advantages
            least = torch.where(known.advantages < 0, torch.maximum(least, floor), least)
        value = self.value(known.row, said)
        limit = settings.value_clip
        near = known.values + (value - known.values).clamp(-limit, limit)
        far, close = (value - known.returns) ** 2, (near - known.returns) ** 2
        kl = torch.zeros_like(gap)
        if settings.kl_place == "loss" or settings.kl_estimator == "exact":
            with torch.no_grad():
                reference = self.say(self.reference, known.row.query, response)
            kl = self._kl(said, reference, logprobs - known.reference)
        entropy = -(said.everything.exp() * said.everything).sum(-1)
        errors = torch.maximum(far, close) / 2
        return -least, errors, kl, entropy, k3(gap), held < gain, close > far

    @torch.no_grad()
    def _moved(self, known: Sequence[Known]) -> float:
        """How far the policy is from the one that sampled, nats per token."""
        gaps = [self.say(self.policy, *k.row[:2]).of(k.row.response) - k.old for k in known]
        return float(k3(torch.cat(gaps)).mean())

    @torch.no_grad()
    def _follow(self) -> None:
        if self.settings.reference != "ema":
            return
        kept = self.settings.ema_decay
        pairs = zip(self.reference.parameters(), self.policy.parameters(), strict=True)
        for average, parameter in pairs:
            average.copy_(kept * average + (1 - kept) * parameter)


def trunk_of(policy: Any) -> Any:
    """The blocks with their embedding and norm, below any adapter's wrapping."""
    model = policy.get_base_model() if hasattr(policy, "get_base_model") else policy
    return model.model


def k3(log_ratio: Tensor) -> Tensor:
    """Schulman's estimator; of a token at most 10, or a single one would drown the rest."""
    return (log_ratio.exp() - 1 - log_ratio).clamp(max=10.0)


def mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
