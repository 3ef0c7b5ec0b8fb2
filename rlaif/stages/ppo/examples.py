"""The ptx term: the likelihood of some completions, held up while PPO moves the policy.

InstructGPT (Ouyang et al. 2022, eq. 2) mixes in pretraining text; here it is the completions that
the judge preferred, which are at hand in every project, or supervised text that the project names.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rlaif.errors import ConfigError
from rlaif.models.actor_critic import head_weight, response_states, working_head
from rlaif.models.encoding import encode_apart
from rlaif.models.processes import Processes
from rlaif.rl import Rollout
from rlaif.rl.head_loss import head_loss
from rlaif.seeds import derive_seed, torch_generator
from rlaif.stages.ppo.actors import Learner
from rlaif.stages.ppo.job import PpoJob

Row = tuple[list[int], list[int]]


class Drawn(NamedTuple):
    """Examples of an optimiser step.

    Attributes:
        rows: This process's share: tokens of conversation and completion.
        tokens: Tokens of the completions of all processes.
    """

    rows: Sequence[Row]
    tokens: int


class Examples:
    """Draws as many examples for each optimiser step as its minibatch has completions.

    Args:
        job: The job.
        learner: What learns.
        processes: Who else learns from the same draws.

    Raises:
        ConfigError: The term has a weight, and there is no example.
        ModelError: An example's conversation does not fit into the context.
    """

    def __init__(self, job: PpoJob, learner: Learner, processes: Processes) -> None:
        self._job = job
        self._processes = processes
        self._learner = learner
        self._weight = job.ppo.ptx_coefficient
        self._drawn = 0
        rows = (
            encode_apart(learner.policy, e.messages, e.text, e.ended)
            for e in (job.examples if self._weight else ())
        )
        self._rows = [(asked, answer) for asked, answer in rows if answer]
        if self._weight and not self._rows:
            raise ConfigError(
                f"ppo.ptx_coefficient is {self._weight}, and no completion was preferred",
                "at least one preference in the cycle",
                "set it to 0, or sample more prompts",
            )

    def draw(self, update: int, count: int) -> Drawn:
        """Draw the examples of an optimiser step; none where the term has no weight.

        Args:
            update: The update's number.
            count: How many examples.
        """
        if not self._weight:
            return Drawn([], 0)
        self._drawn += 1
        seed = derive_seed(self._job.seed, "update", update, "ptx", self._drawn)
        picks = torch.randint(len(self._rows), (count,), generator=torch_generator(seed)).tolist()
        drawn = [self._rows[pick] for pick in picks]
        tokens = sum(len(answer) for _, answer in drawn)
        return Drawn(drawn[self._processes.share], tokens)

    def backward(self, drawn: Drawn, size: int) -> Tensor:
        """Add this process's share of the term's gradients.

        Args:
            drawn: What `draw` gave.
            size: How many rows run at once.

        Returns:
            Its share of the loss [] without its weight, nats per token: minus the log-probs at the
            sampling temperature, as everywhere.
        """
        total = torch.zeros((), device=self._learner.policy.device)
        for start in range(0, len(drawn.rows), size):
            total += self._part(drawn.rows[start : start + size], drawn.tokens)
        return total

    def _part(self, rows: Sequence[Row], count: int) -> Tensor:
        policy = self._learner.policy
        part = Rollout.from_lists([q for q, _ in rows], [a for _, a in rows], policy.pad_id)
        part = part.to(policy.device)
        found = head_loss(
            response_states(policy, part),
            head_weight(policy.model),
            part.response_ids.flatten()[part.response_places],
            lambda said, _places: -said.logprobs.sum() / count,
            self._job.generation.temperature,
            working_head=working_head(policy),
        )
        (self._weight * found.loss).backward()
        return found.loss.detach()

    def restart(self) -> None:
        """Begin an update: its draws depend on its number alone."""
        self._drawn = 0
