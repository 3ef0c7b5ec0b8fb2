"""The ptx term: the likelihood of preferred completions, held up while PPO moves the policy.

InstructGPT (Ouyang et al. 2022, eq. 2) mixes in pretraining text; here it is the completions that
the judge preferred, which are at hand in every project.
"""

import torch
from torch import Tensor

from rlaif.errors import ConfigError
from rlaif.models.actor_critic import head_weight, response_states, working_head
from rlaif.models.loading import encode_answer, encode_conversation
from rlaif.models.processes import Processes
from rlaif.rl import Rollout
from rlaif.rl.head_loss import head_loss
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.ppo.actors import Learner
from rlaif.stages.ppo.job import PpoJob


class Examples:
    """Draws as many examples for each optimiser step as its minibatch has completions.

    Args:
        job: The job.
        learner: What learns.
        processes: Who else learns from the same draws.

    Raises:
        ConfigError: The term has a weight, and there is no example.
    """

    def __init__(self, job: PpoJob, learner: Learner, processes: Processes) -> None:
        self._job = job
        self._processes = processes
        self._learner = learner
        self._weight = job.ppo.ptx_coefficient
        self._drawn = 0
        self._rows = [
            (encode_conversation(learner.policy, e.messages), answer)
            for e in (job.examples if self._weight else ())
            if (answer := encode_answer(learner.policy, e.text, e.ended))
        ]
        if self._weight and not self._rows:
            raise ConfigError(
                f"ppo.ptx_coefficient is {self._weight}, and no completion was preferred",
                "at least one preference in the cycle",
                "set it to 0, or sample more prompts",
            )

    def backward(self, update: int, count: int) -> Tensor:
        """Add this process's share of the term's gradients.

        Returns:
            Its share of the loss without its weight, nats per token.

        Args:
            update: The update's number.
            count: How many examples to draw.
        """
        policy = self._learner.policy
        if not self._weight:
            return torch.zeros((), device=policy.device)
        self._drawn += 1
        seed = derive_seed(self._job.seed, "update", update, "ptx", self._drawn)
        picks = torch.randint(len(self._rows), (count,), generator=torch_generator(seed)).tolist()
        drawn = [self._rows[pick] for pick in picks]
        total = sum(len(answer) for _, answer in drawn)
        rows = drawn[self._processes.share]
        if not rows:
            return torch.zeros((), device=policy.device)
        rollout = Rollout.from_lists([q for q, _ in rows], [a for _, a in rows], policy.pad_id)
        rollout = rollout.to(policy.device)
        tokens = rollout.response_ids[rollout.response_mask]
        found = head_loss(
            response_states(policy, rollout),
            head_weight(policy.model),
            tokens,
            lambda logprobs, _entropy, _places: -logprobs.sum() / total,
            working_head=working_head(policy),
        )
        (self._weight * found.loss).backward()
        return found.loss.detach()

    def restart(self) -> None:
        """Begin an update: its draws depend on its number alone."""
        self._drawn = 0
