"""Rollouts: what the policy says to some prompts, how good that was, how far it has moved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rlaif.models.actor_critic import exact_response_kl, score_responses
from rlaif.models.decoding import Decoded, DecodeSettings, NonFiniteLogitsError, decode
from rlaif.models.drawing import uniforms
from rlaif.models.encoding import check_context, encode_conversation
from rlaif.models.loading import LanguageModel
from rlaif.models.precision import casting_once
from rlaif.models.processes import Processes
from rlaif.models.scoring import Answer
from rlaif.rl import (
    Batch,
    Rollout,
    gae,
    k1,
    masked_var,
    place_scores,
    sequence_kl,
    token_kl,
    whiten,
)
from rlaif.seeds import derive_seed, numpy_generator, torch_generator
from rlaif.stages.ppo.actors import Learner
from rlaif.stages.ppo.faults import BrokenPolicyError, NonFiniteLossError
from rlaif.stages.ppo.job import PpoJob
from rlaif.stages.ppo.portions import Portions
from rlaif.stages.ppo.shaping import RewardShaper
from rlaif.text import quoted


@dataclass(frozen=True)
class Rolled:
    """One update's rollout with its scores.

    Attributes:
        batch: All that learning needs.
        scores: What the reward model, or the constant for cut-off completions, said of each.
        shaped: The scores as PPO takes them.
        spread: Standard deviation of the advantages before they were whitened: a KL term in the
            loss is divided by it too, or beta would not be reward per nat.
        kl: KL to the reference of each completion, nats per sequence (k1).
        entropy: Mean of minus the log-probs of what was sampled: an unbiased estimate of the
            policy's entropy, nats per token.
        ended: Share of completions that ended by themselves.
    """

    batch: Batch
    scores: Tensor
    shaped: Tensor
    spread: float
    kl: Tensor
    entropy: float
    ended: float


class _Answered(NamedTuple):
    """A completion, and of its tokens values, the reference's log-probs and what KL costs.

    The last is there where the exact KL is charged, in nats; then comes the completion's reward.
    """

    answer: Decoded
    values: tuple[float, ...]
    reference: tuple[float, ...]
    exact: tuple[float, ...]
    score: float


class Scorer(Protocol):
    """Gives rewards: a reward model, or a rule."""

    def score(self, answers: Sequence[Answer]) -> Tensor:
        """Return a reward [answers] for each conversation, answer, and whether it ended itself."""
        ...


class Roller:
    """Samples and scores rollouts.

    Args:
        job: The job.
        learner: Who samples.
        scorer: Gives the rewards.
        shaper: Turns rewards into scores.
        portions: How many completions are sampled and scored at once.
        processes: Who else samples and scores.
    """

    def __init__(
        self,
        job: PpoJob,
        learner: Learner,
        scorer: Scorer,
        shaper: RewardShaper,
        portions: Portions,
        processes: Processes,
    ) -> None:
        self._job = job
        self._processes = processes
        self._learner = learner
        self._scorer = scorer
        self._shaper = shaper
        self._portions = portions
        self._prompts = [encode_conversation(learner.policy, c) for c in job.conversations]
        longest = max(map(len, self._prompts))
        check_context(learner.policy, longest, job.generation.max_tokens, "a PPO rollout")

    @torch.no_grad()
    def roll(self, update: int, beta: float, reference: LanguageModel) -> Rolled:
        """Sample and score the rollout of an update.

        Args:
            update: Its number, from 0.
            beta: The KL coefficient in force.
            reference: What KL is measured against.

        Raises:
            NonFiniteLossError: The policy gave logits, or the scorer rewards, that are not finite.
        """
        rows = self.draw(update)
        found = self._processes.join_rows(self._answer(update, rows, reference))
        policy = self._learner.policy
        rollout = self._rollout(rows, [f.answer for f in found])
        mask = rollout.response_mask
        logprobs = _laid([f.answer.logprobs for f in found], mask)
        values = _laid([f.values for f in found], mask)
        reference_logprobs = _laid([f.reference for f in found], mask)
        _refuse_broken(found, update)
        scores = torch.tensor([f.score for f in found], device=policy.device)
        shaped = self._shaper.shape(scores, rollout.response_lengths)
        exact = _laid([f.exact for f in found], mask) if self._job.ppo.kl_charged_exactly else None
        costs = self._costs(logprobs, reference_logprobs, beta, exact)
        estimated = gae(
            place_scores(costs, shaped, mask), values, mask, self._job.ppo.gamma, self._job.ppo.lam
        )
        batch = Batch(
            rollout,
            logprobs,
            reference_logprobs,
            values,
            whiten(estimated.advantages, mask),
            estimated.returns,
        )
        return Rolled(
            batch,
            scores,
            shaped,
            float((masked_var(estimated.advantages, mask) + 1e-8).sqrt()),
            sequence_kl(k1(logprobs, reference_logprobs), mask),
            float(-logprobs[mask].mean()),
            sum(f.answer.ended for f in found) / len(found),
        )

    @torch.no_grad()
    def measure_kl(self, update: int, reference: LanguageModel) -> float:
        """Sample what an update would begin with; return its mean KL, nats per sequence (k1).

        Args:
            update: Its number, from 0.
            reference: What KL is measured against.
        """
        share = self._answer(update, self.draw(update), reference, rewarded=False)
        found = self._processes.join_rows(share)
        return sum(sum(f.answer.logprobs) - sum(f.reference) for f in found) / len(found)

    def draw(self, update: int) -> list[int]:
        """Indices of an update's prompts: whole passes over all, each newly shuffled."""
        size, total = self._job.ppo.rollout_batch, len(self._prompts)
        first = update * size
        passes = range(first // total, (first + size - 1) // total + 1)
        order: list[int] = []
        for number in passes:
            generator = numpy_generator(derive_seed(self._job.seed, "pass", number))
            order += generator.permutation(total).tolist()
        skip = first - (first // total) * total
        return order[skip : skip + size]

    def _answer(
        self, update: int, rows: list[int], reference: LanguageModel, *, rewarded: bool = True
    ) -> list[_Answered]:
        """Sample and score this process's share of an update's rows.

        Raises:
            BrokenPolicyError: Some process's policy gave logits that are not finite.
        """
        own = rows[self._processes.share]
        fault, answers = None, []
        try:
            answers = self._sample(update, own)
        except NonFiniteLogitsError as exc:
            fault = (exc.seen, exc.expected, exc.action)
        faults = [f for f in self._processes.gather(fault) if f is not None]
        if faults:
            raise BrokenPolicyError(*faults[0])
        if not own:
            return []
        rollout = self._rollout(own, answers)
        temperature = self._job.generation.temperature
        portion = self._portions.scoring
        said = score_responses(reference, rollout, temperature, portion=portion).logprobs
        lengths = [len(answer.token_ids) for answer in answers]
        references = _cut(said, lengths)
        exact: list[tuple[float, ...]] = [()] * len(own)
        if rewarded and self._job.ppo.kl_charged_exactly:
            policy = self._learner.policy
            kl = exact_response_kl(policy, reference, rollout, temperature, portion)
            exact = _cut(kl, lengths)
        values = [answer.probed for answer in answers]
        if rewarded and self._learner.critic.own is not None:
            values = self._learner.critic.look(rollout, [a.stream for a in answers], portion)
        answers = [replace(answer, stream=None) for answer in answers]
        scores = self._score(own, answers).tolist() if rewarded else [0.0] * len(own)
        return list(map(_Answered, answers, values, references, exact, scores))

    def _sample(self, update: int, own: list[int]) -> list[Decoded]:
        """Sample an answer to each row's prompt; log-probs and values are kept as they were then.

        So the ratio of PPO is that of the policy to the very distribution that was sampled from.
        """
        settings = self._job.generation
        seed = derive_seed(self._job.seed, "update", update, "rollout")
        generator = torch_generator(seed, str(self._learner.policy.device))
        table = uniforms(self._job.ppo.rollout_batch, settings.max_tokens, generator)
        prompts, uniform = [self._prompts[row] for row in own], table[self._processes.share]

        def sample(places: slice) -> list[Decoded]:
            with casting_once(self._learner.policy.device):
                return decode(
                    self._learner.policy,
                    prompts[places],
                    DecodeSettings(settings.max_tokens, settings.temperature),
                    probe=self._learner.critic.probe,
                    uniform=uniform[places],
                    tap=self._learner.critic.tap,
                )

        parts = self._portions.sampling.each(len(own), sample)
        return [answer for part in parts for answer in part]

    def _rollout(self, rows: list[int], answers: list[Decoded]) -> Rollout:
        policy = self._learner.policy
        queries = [self._prompts[row] for row in rows]
        responses = [list(a.token_ids) for a in answers]
        return Rollout.from_lists(queries, responses, policy.pad_id).to(policy.device)

    def _score(self, rows: list[int], answers: list[Decoded]) -> Tensor:
        items = [
            (self._job.conversations[row], answer.text, answer.ended)
            for row, answer in zip(rows, answers, strict=True)
        ]
        device = self._learner.policy.device
        parts = self._portions.rewards.each(
            len(items), lambda places: self._scorer.score(items[places])
        )
        scores = torch.cat(parts).to(device)
        constant = self._job.missing_eos_score
        if constant is None:
            return scores
        ended = torch.tensor([a.ended for a in answers], device=device)
        return torch.where(ended, scores, torch.full_like(scores, constant))

    def _costs(
        self, logprobs: Tensor, reference: Tensor, beta: float, exact: Tensor | None = None
    ) -> Tensor:
        """Cost of each token in the reward; nothing where KL is a term of the loss."""
        if self._job.ppo.kl_place == "loss":
            return torch.zeros_like(logprobs)
        estimator = self._job.ppo.kl_estimator
        kl = exact if estimator == "exact" else token_kl(logprobs, reference, estimator)
        if kl is None:
            raise ValueError("the exact KL is not known from log-probs of single tokens")
        return beta * kl


def _cut(cells: Tensor, lengths: Sequence[int]) -> list[tuple[float, ...]]:
    """[rows, columns] -> each row's first numbers."""
    return [tuple(row[:n]) for row, n in zip(cells.tolist(), lengths, strict=True)]


def _refuse_broken(found: Sequence[_Answered], update: int) -> None:
    """Refuse rewards that are not finite; all processes hold all of them, so all stop together."""
    for one in found:
        if not math.isfinite(one.score):
            raise NonFiniteLossError(
                f"a reward of {one.score} for {quoted(one.answer.text)} in update {update}",
                "a finite reward for each completion",
                "see what gives the rewards: a reward model that broke in training wants a lower "
                "reward_model.learning_rate; the ledger keeps everything before it",
            )


def _laid(rows: Sequence[Sequence[float]], mask: Tensor) -> Tensor:
    """Lay numbers of unlike rows over the True cells of a mask; 0 elsewhere."""
    flat = torch.tensor([x for row in rows for x in row], device=mask.device)
    return flat.new_zeros(mask.shape).masked_scatter(mask, flat)
