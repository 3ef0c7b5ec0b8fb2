"""What values come from: the policy's own trunk, or one beside it."""

import torch
from torch import Tensor, nn

from rlaif.models.actor_critic import ROWS_AT_ONCE, ValueHead, response_states
from rlaif.models.loading import LanguageModel
from rlaif.models.portions import Portion
from rlaif.rl import Rollout


class Critic:
    """A value head on the policy's trunk, which costs nothing, or on a trunk of its own.

    What a policy knows of its next token may say little of the reward to come. A trunk that values
    alone move can learn that (docs/LOG.md measures it), for twice the work of learning and, where
    it is no adapter, of memory.

    Args:
        policy: The policy.
        own: The model whose trunk is the critic's, trained; None: the policy's.

    Attributes:
        head: From hidden states to values.
        own: As above.
    """

    def __init__(self, policy: LanguageModel, own: LanguageModel | None = None) -> None:
        width = policy.model.config.get_text_config().hidden_size
        self.head = ValueHead(width).to(policy.device)
        self.own = own

    @property
    def probe(self) -> ValueHead | None:
        """What gives the values while the policy samples; None where it cannot."""
        return self.head if self.own is None else None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that the value loss alone trains."""
        found = list(self.head.parameters())
        if self.own is not None:
            unused = {id(p) for p in self.own.model.get_output_embeddings().parameters()}
            tied = id(self.own.model.get_input_embeddings().weight)
            found += [p for p in self.own.trained if id(p) not in unused or id(p) == tied]
        return found

    def values(self, states: Tensor, rollout: Rollout) -> Tensor:
        """Return the values [tokens] of a rollout's response tokens, with gradient.

        Args:
            states: What the policy's trunk says of them [tokens, width].
            rollout: The rollout.
        """
        own = states if self.own is None else response_states(self.own, rollout)
        values: Tensor = self.head(own)
        return values

    @torch.no_grad()
    def look(self, rollout: Rollout, portion: Portion | None = None) -> list[tuple[float, ...]]:
        """Return the values of each row's response tokens by a trunk of the critic's own.

        Args:
            rollout: The rollout.
            portion: Rows at once.

        Raises:
            ValueError: It has none: values come with the samples.
        """
        if self.own is None:
            raise ValueError("this critic sits on the policy's trunk")
        own = self.own
        own.weights_may_have_moved()

        def score(places: slice) -> list[tuple[float, ...]]:
            part = rollout.select(torch.arange(rollout.size)[places]).trim()
            flat = self.head(response_states(own, part)).tolist()
            found, start = [], 0
            for length in part.response_lengths.tolist():
                found.append(tuple(flat[start : start + length]))
                start += length
            return found

        parts = (portion or Portion("valuing", ROWS_AT_ONCE)).each(rollout.size, score)
        return [row for part in parts for row in part]
