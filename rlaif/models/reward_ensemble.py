"""Several reward models that score as one: their mean, less a penalty where they disagree.

A policy that climbs a learned reward finds where the reward is wrong. Models that learned the same
preferences from other beginnings are wrong in different places, so far from what they were
trained on they disagree, and disagreement is what the penalty takes off: reward = mean - lambda *
std over the members (the uncertainty-weighted optimisation of Coste et al. 2023, "Reward model
ensembles help mitigate overoptimization", eq. 4, with the standard deviation in place of the
variance, so that lambda has no unit).

Members are heads on one trunk, trunks of their own, or adapters on one frozen base. Heads cost next
to nothing and share all features, so they disagree little; trunks cost as many times as there are,
in training, memory and scoring; adapters do so in training and scoring, in memory next to nothing
(Zhai et al. 2024, "Uncertainty-penalized RLHF with diverse reward LoRA ensembles"). All begin at
one pre-trained policy: errors that it gives to all its offspring no disagreement shows (Eisenstein
et al. 2023, "Helping or herding?": other pre-training seeds help more than other fine-tuning
seeds).

A folder of one member is that member's own, as ``RewardModel.save`` writes it. Others have
``ensemble.json`` beside it; trunks and adapters lie in folders of their own, ``member-0`` and on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from rlaif.errors import ModelError
from rlaif.models.loading import LOADING_FAULTS, LanguageModel
from rlaif.models.reward import RewardModel
from rlaif.records import Record
from rlaif.rl import ensemble_score

ENSEMBLE_FILE = "ensemble.json"
MEMBER = "member-"
Kind = Literal["heads", "trunks", "adapters"]
_FLAT = 1e-6


class Rewards(NamedTuple):
    """Rewards of answers, float32 [answers] each.

    The unit is the deviation of the members' mean on the reference policy's answers.

    Attributes:
        reward: ``mean`` less the penalty times ``std``: what to learn from.
        mean: Mean over the members.
        std: Standard deviation over the members, as that of all there are (divided by their
            number): 0 for one member.
    """

    reward: Tensor
    mean: Tensor
    std: Tensor


def penalised(members: Tensor, penalty: float) -> Rewards:
    """Join what the members say.

    Args:
        members: Their rewards [answers, members].
        penalty: Lambda, at least 0.
    """
    mean = members.mean(dim=1)
    std = members.std(dim=1, correction=0)
    return Rewards(ensemble_score(members.T, penalty), mean, std)


class _Facts(Record):
    """What ``ensemble.json`` says."""

    kind: Kind
    members: int = Field(ge=2)
    penalty: float = Field(ge=0.0)


class RewardEnsemble:
    """Reward models, K >= 1 members in all, that score as one.

    Args:
        parts: One network with all heads, or several with one each.
        penalty: Lambda, in reward per unit of the members' standard deviation.
    """

    def __init__(self, parts: Sequence[RewardModel], penalty: float = 0.0) -> None:
        self.parts = tuple(parts)
        self.penalty = penalty

    @property
    def members(self) -> int:
        """K."""
        return sum(part.heads for part in self.parts)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.parts[0].device

    @property
    def gain(self) -> float:
        """The scale that all members share."""
        return float(self.parts[0].gain)

    @property
    def bias(self) -> float:
        """The shift of the members' mean."""
        return float(torch.cat([part.bias for part in self.parts]).mean())

    @torch.no_grad()
    def raw(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return what each member says, before gain and bias; trunks run one after the other.

        Args:
            input_ids: Token ids [batch, tokens], padded on any side.
            attention_mask: True (or 1) = a real token [batch, tokens]; at least one a row.

        Returns:
            float32 [batch, members].

        Raises:
            ValueError: A row has no real token.
        """
        if not attention_mask.any(dim=1).all():
            raise ValueError("a row has no real token: there is nothing to score")
        return torch.cat([part(input_ids, attention_mask) for part in self.parts], dim=1)

    def score(self, input_ids: Tensor, attention_mask: Tensor) -> Rewards:
        """Return the rewards of each row, without gradient.

        Args:
            input_ids: Token ids [batch, tokens], padded on any side.
            attention_mask: True (or 1) = a real token [batch, tokens]; at least one a row.

        Raises:
            ValueError: A row has no real token.
        """
        return penalised(self.scaled(self.raw(input_ids, attention_mask)), self.penalty)

    def scaled(self, raw: Tensor) -> Tensor:
        """Return members' rewards [batch, members], ``gain * raw + bias``, of their raw numbers."""
        bias = torch.cat([part.bias for part in self.parts])
        return self.parts[0].gain * raw + bias

    def recentre(self, raw: Tensor) -> None:
        """Set gain and biases so that the mean's rewards of ``raw`` have mean 0 and deviation 1.

        Labels of pairs say nothing of a member's level, so every member gets a bias of its own,
        and a difference of levels is no disagreement. They do say how far answers lie apart (in
        nats of log-odds), so all share one gain: a member that is surer than the others counts as
        that. The members' deviation is thus measured on the scale of the mean's rewards.

        The penalty is taken off afterwards. So the mean reward of the reference's own answers is
        below 0, by lambda times the members' usual disagreement there.

        Raw numbers that are all alike are shifted but not stretched; none at all change nothing.

        Args:
            raw: Raw numbers [n, members] of the reference policy's answers.
        """
        if not len(raw):
            return
        std = raw.mean(dim=1).std(correction=0)
        gain = torch.where(std > _FLAT, 1 / std.clamp(min=_FLAT), torch.ones_like(std))
        biases = -gain * torch.stack([own.mean() for own in raw.unbind(dim=1)])
        heads = [part.heads for part in self.parts]
        for part, bias in zip(self.parts, biases.split(heads), strict=True):
            part.gain.copy_(gain)
            part.bias.copy_(bias)

    def save(self, folder: Path) -> None:
        """Write all that scoring needs into a folder that is there."""
        if len(self.parts) == 1:
            self.parts[0].save(folder)
        else:
            for number, part in enumerate(self.parts):
                part.save(folder / f"{MEMBER}{number}")
        if self.members > 1:
            facts = _Facts(kind=self._kind, members=self.members, penalty=self.penalty)
            text = facts.model_dump_json(indent=1) + "\n"
            (folder / ENSEMBLE_FILE).write_text(text, encoding="utf-8")

    @property
    def _kind(self) -> Kind:
        if len(self.parts) == 1:
            return "heads"
        return "trunks" if self.parts[0].adapted is None else "adapters"

    @classmethod
    def load(
        cls,
        folder: Path,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        beside: LanguageModel | None = None,
    ) -> "RewardEnsemble":
        """Read a folder that :meth:`save` wrote, frozen and ready to score.

        Args:
            folder: The folder.
            device: Where to put it; the CPU if not said.
            dtype: Type of the trunks' weights and products.
            beside: A policy whose base adapters may share.

        Raises:
            ModelError: The folder holds no readable reward model, or not all its members.
        """
        facts = _read_facts(folder)
        if facts is None:
            return cls([RewardModel.load(folder, device, dtype, beside)])
        apart = range(0 if facts.kind == "heads" else facts.members)
        folders = [folder / f"{MEMBER}{number}" for number in apart] or [folder]
        parts: list[RewardModel] = []
        for place in folders:
            parts.append(RewardModel.load(place, device, dtype, beside))
            beside = parts[-1].adapted or beside
        found = cls(parts, facts.penalty)
        if found.members != facts.members:
            raise ModelError(
                f"{folder} holds {found.members} members of an ensemble",
                f"{facts.members}, as its {ENSEMBLE_FILE} says",
                "run the reward model's stage again",
            )
        return found


def _read_facts(folder: Path) -> _Facts | None:
    path = folder / ENSEMBLE_FILE
    if not path.exists():
        return None
    try:
        return _Facts.model_validate_json(path.read_text(encoding="utf-8"))
    except LOADING_FAULTS as exc:
        raise ModelError(
            f"{path} is not readable: {exc}",
            "kind, members and penalty of an ensemble",
            "run the reward model's stage again",
        ) from exc
