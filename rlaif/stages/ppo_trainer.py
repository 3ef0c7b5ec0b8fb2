"""The inner working of PPO: rollouts, rewards, advantages, epochs, checkpoints."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlaif.artifacts import folder_digest, landing
from rlaif.errors import TrainingError
from rlaif.models.actor_critic import (
    ValueHead,
    check_plain_head,
    response_outputs,
    scored_by_length,
)
from rlaif.models.decoding import Decoded, DecodeSettings, NonFiniteLogitsError, decode
from rlaif.models.loading import (
    check_context,
    encode_conversation,
    load_language_model,
    model_digest,
    pick_device,
)
from rlaif.models.rates import auto_learning_rate
from rlaif.models.scoring import RewardScorer
from rlaif.models.training_state import (
    latest_checkpoint,
    load_optimizer,
    load_state,
    save_optimizer,
    save_state,
    saving,
)
from rlaif.records import Metric, digest_of
from rlaif.rl import (
    AdaptiveKL,
    Batch,
    FixedKL,
    Rollout,
    explained_variance,
    gae,
    k1,
    masked_sum,
    micro_batches,
    place_scores,
    policy_loss,
    sequence_kl,
    value_loss,
    whiten,
)
from rlaif.seeds import derive_seed, numpy_generator, torch_generator

if TYPE_CHECKING:
    from rlaif.stages.ppo import PpoJob

ADAM_EPS = 1e-5
RATE_SCALE = 0.7  # 5e-4 for the bundled policy: at 7e-4 its spelling began to suffer
VALUE_RATE_FACTOR = 3.0
EARLY_STOP_FACTOR = 1.5
CHECKPOINT = "update-"
VALUE_HEAD = "value_head.safetensors"


class NonFiniteLossError(TrainingError):
    """A loss or gradient was NaN or infinite."""


@dataclass(frozen=True)
class _Sampled:
    """One update's rollout with its scores."""

    batch: Batch
    scores: Tensor
    sequence_kl: Tensor
    ended: float


class PpoTrainer:
    """Holds the models and moves them one update at a time, from the newest checkpoint on.

    Attributes:
        done: Updates finished.
        metrics: What was measured so far, in order.
    """

    def __init__(self, job: "PpoJob") -> None:
        self._job = job
        self._device = pick_device(job.device)
        self.metrics: list[Metric] = []
        self._reference = load_language_model(job.reference, self._device)
        self._scorer = RewardScorer.load(job.reward_model, self._reference)
        self._fingerprint = _fingerprint(job, model_digest(job.policy), self._reference.digest)
        self.restore()
        self._prompts = [encode_conversation(self._policy, c) for c in job.conversations]
        longest = max(map(len, self._prompts))
        check_context(self._policy, longest, job.generation.max_tokens, "a PPO rollout")

    @property
    def beta(self) -> float:
        """The KL coefficient in force: reward per nat."""
        return self._controller.beta

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, or from the start where there is none."""
        folder = latest_checkpoint(self._job.work, CHECKPOINT)
        self.done, self.metrics = 0, []
        self._controller = _controller(self._job)
        if folder is None or load_state(folder)["job"] != self._fingerprint:
            self._load(self._job.policy)
            return
        self._load(str(folder / "policy"))
        self._value_head.load_state_dict(load_file(str(folder / VALUE_HEAD)))
        load_optimizer(self._optimizer, folder)
        state = load_state(folder)
        self.done = int(state["done"])
        self.metrics = [Metric.model_validate(m) for m in state["metrics"]]
        self._controller.load_state_dict(state["controller"])

    def save_checkpoint(self) -> None:
        """Write everything that going on needs, whole."""
        target = self._job.work / f"{CHECKPOINT}{self.done:05d}"
        with saving(target), landing(target) as folder:
            self.save_policy(folder / "policy")
            save_file(self._value_head.state_dict(), str(folder / VALUE_HEAD))
            save_optimizer(self._optimizer, folder)
            state = {
                "job": self._fingerprint,
                "done": self.done,
                "metrics": [m.model_dump() for m in self.metrics],
                "controller": self._controller.state_dict(),
            }
            save_state(state, folder)

    def save_policy(self, folder: Path) -> None:
        """Write the policy in Hugging Face format."""
        self._policy.model.save_pretrained(str(folder))
        self._policy.tokenizer.save_pretrained(str(folder))

    def update(self) -> None:
        """Sample a rollout, learn from it, move beta.

        Raises:
            NonFiniteLossError: The loss or its gradient was NaN or infinite.
        """
        self._set_rates()
        sampled = self._sample_finite()
        learned = self._learn(sampled.batch)
        self._refuse_broken_weights()
        kl = float(sampled.sequence_kl.mean())
        lengths = sampled.batch.rollout.response_lengths
        figures = {
            "reward": float(sampled.scores.mean()),
            "kl_reference": kl,
            "beta": self.beta,
            "length": float(lengths.float().mean()),
            "ended": sampled.ended,
            "explained_variance": _explained(sampled.batch),
            **learned,
        }
        self.metrics += [
            Metric(step=self.done, name=name, value=value) for name, value in figures.items()
        ]
        self._controller.update(kl, sampled.batch.size)
        self.done += 1

    def _load(self, policy: str) -> None:
        self._policy = load_language_model(policy, self._device, trainable=True)
        check_plain_head(self._policy)
        model = self._policy.model
        self._value_head = ValueHead(model.config.get_text_config().hidden_size).to(self._device)
        settings = self._job.ppo
        automatic = auto_learning_rate(sum(p.numel() for p in model.parameters()), RATE_SCALE)
        rate = automatic if settings.learning_rate == "auto" else settings.learning_rate
        value_rate = settings.value_learning_rate
        self._rates = (rate, rate * VALUE_RATE_FACTOR if value_rate == "auto" else value_rate)
        self._parameters = [*model.parameters(), *self._value_head.parameters()]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(model.parameters()), "lr": self._rates[0]},
                {"params": list(self._value_head.parameters()), "lr": self._rates[1]},
            ],
            eps=ADAM_EPS,
            weight_decay=0.0,
        )

    def _set_rates(self) -> None:
        """Linear decay over the cycle's updates."""
        left = 1.0 - self.done / self._job.ppo.updates
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * left

    def _seed(self, *names: str | int) -> int:
        return derive_seed(self._job.seed, "update", self.done, *names)

    def _draw(self) -> list[int]:
        """Indices of this update's prompts: whole passes over all, each newly shuffled."""
        size, total = self._job.ppo.rollout_batch, len(self._prompts)
        first = self.done * size
        passes = range(first // total, (first + size - 1) // total + 1)
        order: list[int] = []
        for number in passes:
            generator = numpy_generator(derive_seed(self._job.seed, "pass", number))
            order += generator.permutation(total).tolist()
        skip = first - (first // total) * total
        return order[skip : skip + size]

    def _sample_finite(self) -> _Sampled:
        try:
            return self._sample()
        except NonFiniteLogitsError as exc:
            raise NonFiniteLossError(exc.seen, exc.expected, exc.action) from exc

    @torch.no_grad()
    def _refuse_broken_weights(self) -> None:
        """Stop before weights that an optimiser step has broken reach a checkpoint."""
        probe = torch.tensor([self._prompts[0]], device=self._device)
        values = [*self._parameters, self._policy.model(input_ids=probe).logits]
        if not all(bool(torch.isfinite(value).all()) for value in values):
            raise NonFiniteLossError(
                f"weights or logits that are not finite after update {self.done}",
                "finite numbers",
                "lower ppo.learning_rate",
            )

    @torch.no_grad()
    def _sample(self) -> _Sampled:
        rows = self._draw()
        queries = [self._prompts[row] for row in rows]
        settings = self._job.generation
        answers = decode(
            self._policy,
            queries,
            DecodeSettings(settings.max_tokens, settings.temperature),
            torch_generator(self._seed("rollout"), str(self._device)),
        )
        rollout = Rollout.from_lists(
            queries, [list(a.token_ids) for a in answers], self._policy.pad_id
        ).to(self._device)
        scores = self._score(rows, answers)
        return self._advantages(rollout, scores, sum(a.ended for a in answers) / len(answers))

    def _score(self, rows: list[int], answers: list[Decoded]) -> Tensor:
        items = [
            (self._job.conversations[row], answer.text, answer.ended)
            for row, answer in zip(rows, answers, strict=True)
        ]
        scores = self._scorer.score(items).to(self._device)
        penalty = self._job.missing_eos_score
        if penalty is None:
            return scores
        ended = torch.tensor([a.ended for a in answers], device=self._device)
        return torch.where(ended, scores, torch.full_like(scores, penalty))

    def _advantages(self, rollout: Rollout, scores: Tensor, ended: float) -> _Sampled:
        temperature = self._job.generation.temperature
        size = self._job.ppo.minibatch
        own = scored_by_length(
            self._policy.model, rollout, temperature, self._value_head, rows_at_once=size
        )
        logprobs, values = own.logprobs, own.values
        reference = scored_by_length(
            self._reference.model, rollout, temperature, rows_at_once=size
        ).logprobs
        mask = rollout.response_mask
        kl = k1(logprobs, reference)
        rewards = place_scores(self.beta * kl, scores, mask)
        found = gae(rewards, values, mask, self._job.ppo.gamma, self._job.ppo.lam)
        batch = Batch(
            rollout, logprobs, reference, values, whiten(found.advantages, mask), found.returns
        )
        return _Sampled(batch, scores, sequence_kl(kl, mask), ended)

    def _learn(self, batch: Batch) -> dict[str, float]:
        """Run the inner epochs; stop them once approximate KL passes its bound."""
        settings = self._job.ppo
        totals: dict[str, float] = {}
        steps = 0
        for part in self._minibatches(batch):
            step = self._step(part)
            steps += 1
            for name, value in step.items():
                totals[name] = totals.get(name, 0.0) + value
            if step["approx_kl"] > EARLY_STOP_FACTOR * settings.kl_early_stop:
                break
        means = {name: value / steps for name, value in totals.items()}
        return {**means, "optimizer_steps": float(steps)}

    def _minibatches(self, batch: Batch) -> Iterator[Batch]:
        for epoch in range(self._job.ppo.epochs):
            generator = torch_generator(self._seed("epoch", epoch))
            order = torch.randperm(batch.size, generator=generator).to(self._device)
            for start in range(0, batch.size, self._job.ppo.minibatch):
                yield batch.select(order[start : start + self._job.ppo.minibatch]).trim()

    def _step(self, batch: Batch) -> dict[str, float]:
        """Make one optimiser step on a minibatch, in micro-batches of rows of like length.

        Every loss is a sum over tokens divided by the tokens of the whole minibatch, so how it is
        cut changes nothing but time and memory.
        """
        self._optimizer.zero_grad(set_to_none=True)
        count = int(batch.response_mask.sum())
        order = batch.rollout.response_lengths.argsort(stable=True)
        figures: dict[str, float] = {}
        for part in micro_batches(batch.select(order), self._job.ppo.micro_batch):
            for name, value in self._backward(part.trim(), count).items():
                figures[name] = figures.get(name, 0.0) + value
        return {**figures, "grad_norm": self._apply(figures)}

    def _backward(self, batch: Batch, count: int) -> dict[str, float]:
        """Add a micro-batch's gradients; return its share of the minibatch's figures."""
        settings = self._job.ppo
        mask = batch.response_mask
        out = response_outputs(
            self._policy.model,
            batch.rollout,
            self._job.generation.temperature,
            self._value_head,
            with_entropy=True,
        )
        policy = policy_loss(
            out.logprobs, batch.old_logprobs, batch.advantages, mask, count, settings.clip
        )
        value = value_loss(
            out.values, batch.old_values, batch.returns, mask, count, settings.value_clip
        )
        entropy = masked_sum(out.entropy, mask) / count
        loss = policy.loss + settings.value_coefficient * value.loss
        loss = loss - settings.entropy_coefficient * entropy
        loss.backward()
        return {
            "loss": float(loss.detach()),
            "policy_loss": float(policy.loss.detach()),
            "value_loss": float(value.loss.detach()),
            "entropy": float(entropy.detach()),
            "approx_kl": float(policy.approx_kl),
            "clip_fraction": float(policy.clip_fraction),
            "value_clip_fraction": float(value.clip_fraction),
        }

    def _apply(self, figures: dict[str, float]) -> float:
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._job.ppo.max_grad_norm))
        if not (math.isfinite(figures["loss"]) and math.isfinite(norm)):
            raise NonFiniteLossError(
                f"loss {figures['loss']}, gradient norm {norm} at update {self.done}",
                "finite numbers",
                "lower ppo.learning_rate; the ledger keeps everything before it",
            )
        self._optimizer.step()
        return norm


def _fingerprint(job: "PpoJob", policy: str, reference: str) -> str:
    """Return a digest of all that shapes a run: a checkpoint belongs to one of them."""
    settings = job.ppo.model_dump(mode="json", exclude={"checkpoint_updates"})
    turns = [[m.model_dump() for m in c] for c in job.conversations]
    reward = folder_digest(job.reward_model)
    sampling = [job.generation.temperature, job.generation.max_tokens]
    rest = [sampling, job.seed, job.missing_eos_score, job.beta]
    return digest_of([policy, reference, reward, turns, settings, rest])


def _controller(job: "PpoJob") -> AdaptiveKL | FixedKL:
    if job.ppo.kl_control == "fixed":
        return FixedKL(job.beta)
    return AdaptiveKL(job.beta, job.ppo.kl_target, float(job.ppo.kl_horizon))


def _explained(batch: Batch) -> float:
    """Explained variance of the values; 0 where the returns do not vary."""
    found = float(explained_variance(batch.old_values, batch.returns, batch.response_mask))
    return found if math.isfinite(found) else 0.0
