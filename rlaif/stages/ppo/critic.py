"""What values come from: the policy's own trunk, a branch of it, or a trunk beside it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rlaif.models.actor_critic import ROWS_AT_ONCE, ValueHead, heard_before, response_states
from rlaif.models.loading import LanguageModel
from rlaif.models.portions import Portion
from rlaif.models.tap import Tap
from rlaif.rl import Rollout

OWN = "critic"
HEAD = "value_head.safetensors"
BRANCH = "branch.safetensors"


class Critic:
    """A value head on the policy's trunk, which costs nothing, on a branch, or on its own trunk.

    What a policy knows of its next token may say little of the reward to come. Blocks that values
    alone move can learn that (docs/LOG.md measures it), for their share of the work of learning
    and, where they are no adapter, of memory.

    Args:
        policy: The policy.
        own: What is the critic's own below its head, trained: a trunk, or a branch of the policy's;
            None: nothing.
        blocks: Those of the branch; None where it is a whole trunk, or nothing.

    Attributes:
        head: From hidden states to values.
        own: As above.
    """

    def __init__(
        self, policy: LanguageModel, own: LanguageModel | None = None, blocks: int | None = None
    ) -> None:
        width = policy.model.config.get_text_config().hidden_size
        self.head = ValueHead(width).to(policy.device)
        self.own = own
        self._policy = policy
        self._blocks = blocks

    @property
    def probe(self) -> ValueHead | None:
        """What gives the values while the policy samples; None where it cannot."""
        return self.head if self.own is None else None

    @property
    def tap(self) -> Tap | None:
        """A new tap to hear, while the policy samples, what the branch will begin with."""
        return None if self._blocks is None else Tap(self._blocks)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that the value loss alone trains."""
        found = list(self.head.parameters())
        if self.own is not None:
            at_work = {id(p) for p in self.own.model.base_model.parameters()}
            found += [p for p in self.own.trained if id(p) in at_work]
        return found

    def read(self, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """Return the policy's states [tokens, width] and the values [tokens], with gradient.

        Args:
            rollout: Whose response tokens they are of, row by row.
        """
        tap = self.tap
        states = response_states(self._policy, rollout, tap=tap)
        own = states if self.own is None else response_states(self.own, rollout, begin=tap)
        return states, self.head(own)

    @torch.no_grad()
    def look(
        self,
        rollout: Rollout,
        streams: Sequence[Tensor | None],
        portion: Portion | None = None,
    ) -> list[tuple[float, ...]]:
        """Return the values of each row's response tokens where the critic has blocks of its own.

        Args:
            rollout: The rollout.
            streams: What its tap heard of each row while the policy sampled.
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
            flat = self._values(own, part, streams[places]).tolist()
            found, start = [], 0
            for length in part.response_lengths.tolist():
                found.append(tuple(flat[start : start + length]))
                start += length
            return found

        parts = (portion or Portion("valuing", ROWS_AT_ONCE)).each(rollout.size, score)
        return [row for part in parts for row in part]

    def _values(
        self, own: LanguageModel, rollout: Rollout, streams: Sequence[Tensor | None]
    ) -> Tensor:
        """Values [tokens] by what is the critic's own."""
        heard = [stream for stream in streams if stream is not None]
        tap = heard_before(own, rollout, heard, self._blocks) if self._blocks else None
        values: Tensor = self.head(response_states(own, rollout, begin=tap))
        return values

    def save(self, folder: Path) -> None:
        """Write all that is the critic's own into a checkpoint's folder."""
        save_file(self.head.state_dict(), str(folder / HEAD))
        if self.own is None:
            return
        (folder / OWN).mkdir()
        if self._blocks is not None and self.own.worn is None:
            save_file(self.own.model.state_dict(), str(folder / OWN / BRANCH))
        else:
            self.own.save(folder / OWN)
