"""Faults in how a challenger is measured and decided on."""

FAULTS = {
    "exact-kl-in-the-wrong-cells": (
        "rlaif/models/actor_critic.py",
        "laid(kl, part.response_places, shape)",
        "laid(kl, torch.arange(len(kl)), shape)",
    ),
    "lifetime-ceiling-on-the-lower-bound": (
        "rlaif/stages/evaluation.py",
        "else kl.mean + z * kl.error",
        "else kl.mean - z * kl.error",
    ),
    "lifetime-ceiling-on-the-mean": (
        "rlaif/stages/promotion.py",
        "below = high <= config.max_kl_base",
        "below = evaluation.kl_base <= config.max_kl_base",
    ),
    "unknown-distance-is-no-distance": (
        "rlaif/stages/promotion.py",
        'interval, below = "standard error not known", False',
        'interval, below = "standard error not known", True',
    ),
    "an-end-at-the-limit-counts-as-cut-off": (
        "rlaif/stages/optimisers/groups.py",
        "ended = [ids[-1] in self.lm.eos_ids for ids in completion_ids]",
        "ended = [len(ids) < self._job.generation.max_tokens for ids in completion_ids]",
    ),
    "a-horizon-at-its-bound-let-through": (
        "rlaif/config/ppo.py",
        "self.kl_horizon <= most_at_once",
        "self.kl_horizon < most_at_once",
    ),
    "best-answers-of-the-first-prompts": (
        "rlaif/stages/optimisers/best_of_n.py",
        "job.conversations[start + row // samples]",
        "job.conversations[row // samples]",
    ),
    "equal-length-is-the-mean-gap": (
        "rlaif/stages/evaluation.py",
        "np.tanh(gap / scale)",
        "np.tanh((gap - gap.mean()) / scale)",
    ),
    "ratings-in-quarantine-calibrate": (
        "rlaif/stages/calibration.py",
        "any(said.scores[n].quarantined is not None for n in names)",
        "False",
    ),
    "exactly-even-is-a-win-of-the-second": (
        "rlaif/sides.py",
        "return side(p_first) == 0 or abs(p_first - 0.5) < margin - ROUNDING",
        "return abs(p_first - 0.5) < margin - ROUNDING",
    ),
    "a-loss-on-the-margin-is-a-tie": (
        "rlaif/sides.py",
        "return side(p_first) == 0 or abs(p_first - 0.5) < margin - ROUNDING",
        "return side(p_first) == 0 or abs(p_first - 0.5) < margin",
    ),
}
