"""The tensor mathematics of reinforcement learning on language models: torch, and nothing else."""

from rlaif.rl.advantages import (
    Advantages,
    gae,
    masked_mean,
    masked_sum,
    masked_var,
    whiten,
)
from rlaif.rl.averaging import ema_update
from rlaif.rl.batch import Batch, Rollout, micro_batches, pad
from rlaif.rl.control import AdaptiveKL, FixedKL, KLController, LagrangianKL
from rlaif.rl.head_loss import Anchor, HeadLoss, Said, head_loss
from rlaif.rl.kl import (
    KLEstimator,
    MeanKL,
    chunked_exact_kl,
    exact_kl,
    k1,
    k2,
    k3,
    mean_and_error,
    sequence_kl,
    token_kl,
)
from rlaif.rl.logprobs import HeadLogprobs, chunked_logprobs, entropy, token_logprobs
from rlaif.rl.losses import (
    PolicyLoss,
    ValueLoss,
    explained_variance,
    kl_loss,
    policy_loss,
    value_loss,
)
from rlaif.rl.preference_losses import bradley_terry_loss, listwise_loss, pairwise_hinge_loss
from rlaif.rl.rewards import (
    RunningScale,
    clip_scores,
    ensemble_score,
    length_penalty,
    place_scores,
)

__all__ = [
    "AdaptiveKL",
    "Advantages",
    "Anchor",
    "Batch",
    "FixedKL",
    "HeadLogprobs",
    "HeadLoss",
    "KLController",
    "KLEstimator",
    "LagrangianKL",
    "MeanKL",
    "PolicyLoss",
    "Rollout",
    "RunningScale",
    "Said",
    "ValueLoss",
    "bradley_terry_loss",
    "chunked_exact_kl",
    "chunked_logprobs",
    "clip_scores",
    "ema_update",
    "ensemble_score",
    "entropy",
    "exact_kl",
    "explained_variance",
    "gae",
    "head_loss",
    "k1",
    "k2",
    "k3",
    "kl_loss",
    "length_penalty",
    "listwise_loss",
    "masked_mean",
    "masked_sum",
    "masked_var",
    "mean_and_error",
    "micro_batches",
    "pad",
    "pairwise_hinge_loss",
    "place_scores",
    "policy_loss",
    "sequence_kl",
    "token_kl",
    "token_logprobs",
    "value_loss",
    "whiten",
]
