"""How many rows PPO runs at once, by kind of work."""

from collections.abc import Mapping

from rlaif.config import PpoConfig
from rlaif.models.actor_critic import ROWS_AT_ONCE
from rlaif.models.portions import Portion
from rlaif.models.processes import Processes


class Portions:
    """The portions of a run; they shrink where memory runs out, and checkpoints keep them.

    Args:
        settings: PPO's settings.

    Attributes:
        learning: Rows of a micro-batch.
        sampling: Completions that are sampled at once.
        scoring: Completions whose reference log-probs are taken at once.
        rewards: Completions that the reward model scores at once.
    """

    def __init__(self, settings: PpoConfig) -> None:
        self.learning = Portion("learning", settings.micro_batch)
        self.sampling = Portion("sampling", settings.rollout_batch)
        self.scoring = Portion("scoring by the reference", ROWS_AT_ONCE)
        self.rewards = Portion("scoring by the reward model", settings.rollout_batch)
        self._all = (self.learning, self.sampling, self.scoring, self.rewards)

    @property
    def figures(self) -> dict[str, float]:
        """The micro-batch in force, and how often memory has run out so far."""
        halved = sum(portion.halved for portion in self._all)
        return {"micro_batch": float(self.learning.rows), "out_of_memory": float(halved)}

    @property
    def note(self) -> str:
        """What memory forced, in words; nothing where it sufficed."""
        return "; ".join(
            f"memory ran out in {p.what}: {p.rows} rows at once" for p in self._all if p.halved
        )

    def agree(self, processes: Processes) -> None:
        """Take the least that any process has room for, since all go on from one checkpoint."""
        for state in processes.gather(self.state_dict()):
            for portion in self._all:
                portion.rows = min(portion.rows, state[portion.what]["rows"])
                portion.halved = max(portion.halved, state[portion.what]["halved"])

    def state_dict(self) -> dict[str, dict[str, int]]:
        """All portions, for a checkpoint."""
        return {portion.what: portion.state_dict() for portion in self._all}

    def load_state_dict(self, state: Mapping[str, dict[str, int]]) -> None:
        """Go on from a checkpoint, which may be from before there was such a portion."""
        for portion in self._all:
            if portion.what in state:
                portion.load_state_dict(state[portion.what])
