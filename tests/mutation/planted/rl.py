"""Faults in the tensor mathematics."""

RL = "rlaif/rl"

FAULTS = {
    "surrogate-sign": (
        f"{RL}/losses.py",
        "unclipped = -advantages * ratio",
        "unclipped = advantages * ratio",
    ),
    "clip-takes-the-smaller-loss": (
        f"{RL}/losses.py",
        "losses = torch.maximum(unclipped, clipped)\n    if dual",
        "losses = torch.minimum(unclipped, clipped)\n    if dual",
    ),
    "clip-range-one-sided": (
        f"{RL}/losses.py",
        "ratio.clamp(1 - clip_range, 1 + clip_range)",
        "ratio.clamp(max=1 + clip_range)",
    ),
    "dual-clip-for-good-tokens": (
        f"{RL}/losses.py",
        "torch.where(advantages < 0, bounded, losses)",
        "torch.where(advantages > 0, bounded, losses)",
    ),
    "old-log-probs-not-detached": (
        f"{RL}/losses.py",
        "clamped_log_ratio(logprobs, old_logprobs.detach())",
        "clamped_log_ratio(logprobs, old_logprobs)",
    ),
    "mean-of-means": (
        f"{RL}/losses.py",
        "return PolicyLoss(losses.sum() / token_count,",
        "return PolicyLoss((losses.sum(1) / response_mask.sum(1).clamp(min=1)).mean(),",
    ),
    "value-clip-around-itself": (
        f"{RL}/losses.py",
        "near = values.clamp(old_values - clip_range, old_values + clip_range)",
        "near = values.clamp(values - clip_range, values + clip_range)",
    ),
    "value-loss-takes-the-smaller": (
        f"{RL}/losses.py",
        "0.5 * torch.maximum(unclipped, clipped)",
        "0.5 * torch.minimum(unclipped, clipped)",
    ),
    "value-loss-not-halved": (
        f"{RL}/losses.py",
        "loss = 0.5 * torch.maximum",
        "loss = torch.maximum",
    ),
    "explained-variance-upside-down": (
        f"{RL}/losses.py",
        "masked_var(returns - values, response_mask) / variance",
        "variance / masked_var(returns - values, response_mask)",
    ),
    "kl-loss-reference-first": (
        f"{RL}/losses.py",
        '"k3": k3}[estimator](logprobs, ref_logprobs.detach())',
        '"k3": k3}[estimator](ref_logprobs.detach(), logprobs)',
    ),
    "gae-gamma-forgotten": (
        f"{RL}/advantages.py",
        "deltas = rewards + gamma * next_values - values",
        "deltas = rewards + next_values - values",
    ),
    "gae-lambda-forgotten": (
        f"{RL}/advantages.py",
        "deltas[:, column] + gamma * lam * following",
        "deltas[:, column] + gamma * following",
    ),
    "gae-value-of-the-same-state": (
        f"{RL}/advantages.py",
        "torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)",
        "values",
    ),
    "gae-bootstraps-past-the-end": (
        f"{RL}/advantages.py",
        "    values = values.masked_fill(~response_mask, 0.0)\n",
        "",
    ),
    "whitening-over-padding": (
        f"{RL}/advantages.py",
        "mean = masked_mean(kept, mask)\n    white",
        "mean = kept.mean()\n    white",
    ),
    "variance-not-centred": (
        f"{RL}/advantages.py",
        "return masked_mean((kept - masked_mean(kept, mask)).square(), mask)",
        "return masked_mean(kept.square(), mask)",
    ),
    "masked-mean-over-all-cells": (
        f"{RL}/advantages.py",
        "(mask.sum() if dim is None else mask.sum(dim=dim))",
        "(mask.numel() if dim is None else mask.shape[dim])",
    ),
    "score-on-the-first-token": (
        f"{RL}/rewards.py",
        "places == response_mask.sum(dim=1, keepdim=True)",
        "places == 1",
    ),
    "score-on-the-token-before-last": (
        f"{RL}/rewards.py",
        "torch.arange(1, response_mask.shape[1] + 1,",
        "torch.arange(2, response_mask.shape[1] + 2,",
    ),
    "kl-paid-out-instead-of-charged": (
        f"{RL}/rewards.py",
        "(-kl_penalty).masked_fill",
        "kl_penalty.masked_fill",
    ),
    "free-tokens-cost-too": (f"{RL}/rewards.py", "(lengths - free).clamp(min=0)", "lengths"),
    "ensemble-likes-doubt": (
        f"{RL}/rewards.py",
        "scores.mean(dim=0) - penalty",
        "scores.mean(dim=0) + penalty",
    ),
    "running-variance-forgets-the-gap": (
        f"{RL}/rewards.py",
        "self._squares += squares + gap * gap * self._count * count / total",
        "self._squares += squares",
    ),
    "kl-of-the-wrong-direction": (
        f"{RL}/kl.py",
        "return clamped_log_ratio(logprobs, ref_logprobs)\n\n\ndef k2",
        "return clamped_log_ratio(ref_logprobs, logprobs)\n\n\ndef k2",
    ),
    "k2-not-halved": (f"{RL}/kl.py", "return 0.5 * clamped_log_ratio", "return clamped_log_ratio"),
    "k3-sign": (
        f"{RL}/kl.py",
        "torch.expm1(-log_ratio) + log_ratio",
        "torch.expm1(log_ratio) - log_ratio",
    ),
    "k3-unbounded": (f"{RL}/kl.py", ".clamp(-K3_LIMIT, K3_LIMIT)", ""),
    "exact-kl-reversed": (
        f"{RL}/kl.py",
        "return (log_p.exp() * gap).sum(dim=-1)",
        "return (log_q.exp() * gap).sum(dim=-1)",
    ),
    "sequence-kl-per-token": (
        f"{RL}/kl.py",
        "return masked_sum(kl, response_mask, dim=1)",
        "return masked_sum(kl, response_mask, dim=1) / response_mask.sum(dim=1)",
    ),
    "standard-error-biased": (f"{RL}/kl.py", "wide.var(correction=1)", "wide.var(correction=0)"),
    "controller-sign": (
        f"{RL}/control.py",
        "self.beta *= 1.0 + error * episodes / self.horizon",
        "self.beta *= 1.0 - error * episodes / self.horizon",
    ),
    "controller-error-not-clipped": (
        f"{RL}/control.py",
        "error = min(max(kl / self.target - 1.0, -self.error_limit), self.error_limit)\n        self.beta *=",
        "error = kl / self.target - 1.0\n        self.beta *=",
    ),
    "lagrangian-winds-up": (
        f"{RL}/control.py",
        "self._slow = min(max(self._slow + share * error, low), high)",
        "self._slow = self._slow + share * error",
    ),
    "temperature-forgotten": (
        f"{RL}/logprobs.py",
        "return wide if temperature == 1 else wide / temperature",
        "return wide",
    ),
    "entropy-sign": (
        f"{RL}/logprobs.py",
        "return -(log_p.exp() * log_p.masked_fill",
        "return (log_p.exp() * log_p.masked_fill",
    ),
    "head-temperature-forgotten-backwards": (
        f"{RL}/head_loss.py",
        "return grad if settings.temperature == 1 else grad.div_(settings.temperature)",
        "return grad",
    ),
    "head-keeps-the-last-chunk-only": (
        f"{RL}/head_loss.py",
        "to_head += grad.T @ states",
        "to_head.copy_(grad.T @ states)",
    ),
    "head-entropy-gradient-sign": (
        f"{RL}/head_loss.py",
        "inner = inner - surprise",
        "inner = inner + surprise",
    ),
    "lagrangian-quick-part-unbounded": (
        f"{RL}/control.py",
        "self.gain * error * min(share, 1.0)",
        "self.gain * error * share",
    ),
    "head-kl-gradient-sign": (
        f"{RL}/head_loss.py",
        "mul_(slopes.kl.unsqueeze(-1)).add_(inner)",
        "mul_(slopes.kl.unsqueeze(-1)).neg_().add_(inner)",
    ),
    "head-kl-of-the-wrong-direction": (
        f"{RL}/head_loss.py",
        "(probs * gap).sum(dim=-1)), gap)",
        "(log_q.exp() * -gap).sum(dim=-1)), gap)",
    ),
    "head-kl-forgets-the-temperature-of-the-anchor": (
        f"{RL}/head_loss.py",
        "_scaled(far[places], far_head, settings.temperature)",
        "_scaled(far[places], far_head, 1.0)",
    ),
    "predicting-the-same-column": (
        f"{RL}/batch.py",
        "slice(self.query_width - 1, self.input_ids.shape[1] - 1)",
        "slice(self.query_width, self.input_ids.shape[1])",
    ),
    "positions-from-one": (
        f"{RL}/batch.py",
        "(self.token_mask.cumsum(dim=1) - 1).clamp(min=0)",
        "self.token_mask.cumsum(dim=1)",
    ),
    "queries-padded-on-the-right": (
        f"{RL}/batch.py",
        'pad(queries, pad_id, "left", query_width)',
        'pad(queries, pad_id, "right", query_width)',
    ),
    "average-follows-at-the-wrong-pace": (f"{RL}/averaging.py", "1.0 - decay)", "decay)"),
    "flushed-place-of-the-same-column": (
        f"{RL}/batch.py",
        "rows * longest + self.query_width - 1 - starts[rows]",
        "rows * longest + self.query_width - starts[rows]",
    ),
    "chunks-of-exact-kl-forget-the-temperature": (
        f"{RL}/kl.py",
        "exact_kl(_logits(p, head_p), _logits(q, head_q), temperature)",
        "exact_kl(_logits(p, head_p), _logits(q, head_q))",
    ),
    "running-mean-runs-away": (
        f"{RL}/rewards.py",
        "self._mean += gap * count / total",
        "self._mean += gap * total / count",
    ),
    "slow-part-not-carried": (
        f"{RL}/control.py",
        '"slow": self._slow}',
        '"slow": math.log(self.beta)}',
    ),
    "k1-in-the-loss-allowed-as-k2": (
        f"{RL}/losses.py",
        '{"k2": k2, "k3": k3}[estimator](logprobs, ref_logprobs.detach())',
        '{"k2": k3, "k3": k2}[estimator](logprobs, ref_logprobs.detach())',
    ),
    "beta-leaves-its-bounds": (
        "rlaif/rl/control.py",
        "self.beta = math.exp(min(max(self._slow + quick, low), high))",
        "self.beta = math.exp(self._slow + quick)",
    ),
    "temperature-divides-in-half-precision": (
        "rlaif/rl/logprobs.py",
        "    wide = logits if logits.dtype == torch.float64 else logits.float()\n"
        "    return wide if temperature == 1 else wide / temperature\n",
        "    scaled = logits if temperature == 1 else logits / temperature\n"
        "    return scaled if scaled.dtype == torch.float64 else scaled.float()\n",
    ),
    "frozen-average-refused": (
        "rlaif/rl/averaging.py",
        "if not 0.0 <= decay <= 1.0:",
        "if not 0.0 <= decay < 1.0:",
    ),
    "tokens-that-nobody-says-are-nan": (
        "rlaif/rl/kl.py",
        "log_p.masked_fill(never, 0.0) - log_q.masked_fill(never, 0.0)",
        "log_p.masked_fill(never, 0.0) - log_q",
    ),
    "equal-scores-below-zero-blown-up": (
        "rlaif/rl/rewards.py",
        "ROUNDING * self._mean**2",
        "ROUNDING * self._mean",
    ),
}
