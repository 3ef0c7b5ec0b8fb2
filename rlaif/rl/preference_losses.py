"""Losses of the reward model, on pairs and on rankings."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from rlaif.rl.advantages import masked_sum


def bradley_terry_loss(
    first: Float[Tensor, " pairs"],
    second: Float[Tensor, " pairs"],
    p_first: Float[Tensor, " pairs"],
    weights: Float[Tensor, " pairs"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of soft preferences under Bradley and Terry (1952), in nats.

    -[p log sigmoid(d) + (1 - p) log sigmoid(-d)], where d = first - second; at p = 1 it is the
    reward-model loss of Ouyang et al. 2022, eq. 1.

    Args:
        first: Rewards of the first answers.
        second: Rewards of the second answers.
        p_first: Probability that the first is better; 0.5 is a tie.
        weights: What each pair's loss is multiplied by; see :func:`weighted_mean`.
    """
    gap = first - second
    return -weighted_mean(p_first * logsigmoid(gap) + (1 - p_first) * logsigmoid(-gap), weights)


def pairwise_hinge_loss(
    first: Float[Tensor, " pairs"],
    second: Float[Tensor, " pairs"],
    p_first: Float[Tensor, " pairs"],
    margin: float = 1.0,
    weights: Float[Tensor, " pairs"] | None = None,
) -> Float[Tensor, ""]:
    """Mean hinge on the reward gap, weighted by soft preferences.

    p max(0, m - d) + (1 - p) max(0, m + d), where d = first - second (Joachims 2002, made soft).

    Args:
        first: Rewards of the first answers.
        second: Rewards of the second answers.
        p_first: Probability that the first is better; 0.5 is a tie.
        margin: m, the gap beyond which a certain pair costs nothing, in units of reward.
        weights: What each pair's loss is multiplied by; see :func:`weighted_mean`.
    """
    gap = first - second
    losses = p_first * (margin - gap).relu() + (1 - p_first) * (margin + gap).relu()
    return weighted_mean(losses, weights)


def listwise_loss(
    scores: Float[Tensor, "groups items"],
    item_mask: Bool[Tensor, "groups items"],
    weights: Float[Tensor, " groups"] | None = None,
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of rankings under Plackett and Luce, in nats per group.

    The best is chosen among all, the next among the rest, and so on (Xia et al. 2008, "Listwise
    Approach to Learning to Rank", ListMLE). For groups of two it is Bradley-Terry at p = 1.

    Args:
        scores: Rewards of each group's items, the best item first.
        item_mask: True = a real item; groups of different sizes are filled at the end.
        weights: What each group's loss is multiplied by; see :func:`weighted_mean`.
    """
    size = scores.shape[1]
    everyone = torch.ones(size, size, dtype=torch.bool, device=scores.device)
    itself = torch.eye(size, dtype=torch.bool, device=scores.device)
    remaining = (everyone.triu() & item_mask.unsqueeze(1)) | itself
    kept = scores.masked_fill(~item_mask, 0.0)
    among = kept.unsqueeze(1).masked_fill(~remaining, -torch.inf).logsumexp(dim=-1)
    return weighted_mean(masked_sum(among - kept, item_mask, dim=1), weights)


def weighted_mean(
    losses: Float[Tensor, " rows"], weights: Float[Tensor, " rows"] | None
) -> Float[Tensor, ""]:
    """Return the mean of losses, each multiplied by its weight.

    It is divided by the number of rows, not by their weights: weights whose mean over a data set is
    1 make the batches of an epoch add up to its weighted mean, and a batch of light rows weighs
    little.

    Args:
        losses: One per row.
        weights: Of mean 1 over all rows of the data set; None: each is 1.
    """
    return (losses if weights is None else weights * losses).mean()
