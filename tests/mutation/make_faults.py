"""Write the patches of ``faults/`` anew from what they change: run it when the code has moved."""

import difflib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RL, LEAN, PPO = "rlaif/rl", "rlaif/models/lean", "rlaif/stages/ppo"

# name: (file, what is there, what the fault puts in its place)
FAULTS: dict[str, tuple[str, str, str]] = {
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
        "masked_var(returns - values, response_mask) / masked_var(returns, response_mask)",
        "masked_var(returns, response_mask) / masked_var(returns - values, response_mask)",
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
        "inner.add_(per_row).mul_(chunk.probs).neg_()",
        "inner.sub_(per_row).mul_(chunk.probs)",
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
    "attention-sees-later-tokens": (
        f"{LEAN}/attention.py",
        "= _forward(q, k, v, _NO_DROPOUT, _CAUSAL,",
        "= _forward(q, k, v, _NO_DROPOUT, not _CAUSAL,",
    ),
    "attention-gradient-of-another-softmax": (
        f"{LEAN}/attention.py",
        "found.normaliser.transpose(1, 2).contiguous()",
        "torch.zeros_like(found.normaliser.transpose(1, 2).contiguous())",
    ),
    "scores-not-scaled": (
        f"{LEAN}/trunk.py",
        "query=angles * self.sizes.head**-0.5",
        "query=angles",
    ),
    "turn-not-undone": (
        f"{LEAN}/block.py",
        "turn(key, plan.rotation.key.conj())",
        "turn(key, plan.rotation.key)",
    ),
    "norm-gradient-lacks-its-mean": (
        f"{LEAN}/block.py",
        "inner.sub_(unit.mul_(mean)).mul_(scale)",
        "inner.mul_(scale)",
    ),
    "residual-gradient-lost": (
        f"{LEAN}/block.py",
        "return back.add_(grad), norm",
        "return back, norm",
    ),
    "beta-forgotten": (f"{PPO}/rollouts.py", "return beta * token_kl(", "return token_kl("),
    "loss-beta-in-units-of-reward": (
        f"{PPO}/trainer.py",
        "self.beta / rolled.spread)",
        "self.beta)",
    ),
    "tokens-of-the-micro-batch": (
        f"{PPO}/learning.py",
        "self._backward(part.trim(), count, beta)",
        "self._backward(part.trim(), int(part.response_mask.sum()), beta)",
    ),
    "flushed-place-of-the-same-column": (
        f"{RL}/batch.py",
        "rows * longest + self.query_width - 1 - starts[rows]",
        "rows * longest + self.query_width - starts[rows]",
    ),
    "gradients-of-the-failed-attempt-kept": (
        f"{PPO}/learning.py",
        "self._learner.optimizer.zero_grad(set_to_none=True)\n        parts",
        "parts",
    ),
    "adapter-scale-forgotten": (
        f"{LEAN}/pairs.py",
        "up.to(torch.promote_types(up.dtype, torch.float32)) * pair.scale",
        "up.to(torch.promote_types(up.dtype, torch.float32))",
    ),
    "adapter-gradient-unscaled": (
        f"{LEAN}/products.py",
        "(grad.T @ (x @ pair.down.T)).mul_(pair.scale)",
        "grad.T @ (x @ pair.down.T)",
    ),
    "adapter-rows-not-turned": (
        f"{LEAN}/pairs.py",
        "interleaved(pair.up, self._head) if name in TURNED else pair.up",
        "pair.up",
    ),
    "adapter-gradient-past-the-adapter": (
        f"{LEAN}/products.py",
        "found.addmm_(grad @ pair.up, pair.down)",
        "found",
    ),
    "adapters-never-outdated": (
        f"{LEAN}/trunk.py",
        "            self._worn.outdate()\n",
        "            pass\n",
    ),
    "one-adapter-for-all": (
        "rlaif/models/shared_base.py",
        "lean = lm.lean.wearing(lm.model, name, checkpointing=checkpointing)",
        "lean = lm.lean",
    ),
    "run-again-under-anothers-adapter": (
        "rlaif/models/checkpointing.py",
        "        lm.worn.put_on()\n",
        "        pass\n",
    ),
    "rows-draw-by-their-place": (
        "rlaif/models/decoding.py",
        "self._uniform[rows, self._done]",
        "self._uniform[: len(rows), self._done]",
    ),
    "chunks-of-exact-kl-forget-the-temperature": (
        f"{RL}/kl.py",
        "exact_kl(_logits(p, head_p), _logits(q, head_q), temperature)",
        "exact_kl(_logits(p, head_p), _logits(q, head_q))",
    ),
    "exact-kl-of-sequences-over-filler": (
        "rlaif/stages/evaluation.py",
        "sequence_kl(kl.new_zeros(mask.shape).masked_scatter(mask, kl), mask).cpu()",
        "sequence_kl(kl.new_zeros(mask.shape).masked_scatter(~mask, kl), mask).cpu()",
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
    "values-move-the-policy-through-the-tap": (
        "rlaif/models/tap.py",
        "self._heard = stream.detach()",
        "self._heard = stream",
    ),
    "branch-begins-a-block-too-high": (
        f"{LEAN}/trunk.py",
        "len(blocks) if begin is None else begin.above",
        "len(blocks) if begin is None else begin.above - 1 or 1",
    ),
    "tap-a-block-too-high-in-sampling": (
        f"{LEAN}/stepping.py",
        "self._tap.above == len(layers) - number",
        "self._tap.above == len(layers) - number + 1",
    ),
    "heard-a-token-late": (
        "rlaif/models/decoding.py",
        "row[width - prompt : width + length - 1]",
        "row[width - prompt + 1 : width + length]",
    ),
    "heard-in-the-wrong-row": (
        "rlaif/models/decoding.py",
        "whole[rows, column] = heard[:, 0]",
        "whole[: len(rows), column] = heard[:, 0]",
    ),
    "branch-forgotten-by-the-optimiser": (
        f"{PPO}/critic.py",
        "found += [p for p in self.own.trained if id(p) in at_work]",
        "found += [p for p in self.own.trained if id(p) not in at_work]",
    ),
    "minibatches-never-shuffled": (
        f"{PPO}/learning.py",
        "order = torch.randperm(batch.size, generator=generator)",
        "order = torch.arange(batch.size)",
    ),
    "value-coefficient-forgotten": (
        f"{PPO}/learning.py",
        "loss = found.loss + settings.value_coefficient * value.loss",
        "loss = found.loss + value.loss",
    ),
    "gradients-never-clipped": (
        f"{PPO}/learning.py",
        "self._learner.parameters, self._settings.max_grad_norm, foreach=True",
        "self._learner.parameters, 1e9, foreach=True",
    ),
    "entropy-averaged-in-each-chunk": (
        f"{PPO}/learning.py",
        "entropy.sum() / count",
        "entropy.mean()",
    ),
    "advantages-not-whitened": (
        f"{PPO}/rollouts.py",
        "whiten(estimated.advantages, mask),",
        "estimated.advantages,",
    ),
    "values-learn-advantages": (
        f"{PPO}/rollouts.py",
        "            estimated.returns,\n",
        "            estimated.advantages,\n",
    ),
    "gamma-for-lambda": (
        f"{PPO}/rollouts.py",
        "values, mask, self._job.ppo.gamma, self._job.ppo.lam",
        "values, mask, self._job.ppo.lam, self._job.ppo.gamma",
    ),
    "constant-for-those-that-ended": (
        f"{PPO}/rollouts.py",
        "torch.where(ended, scores, torch.full_like(scores, constant))",
        "torch.where(ended, torch.full_like(scores, constant), scores)",
    ),
    "shaped-scores-unused": (
        f"{PPO}/rollouts.py",
        "place_scores(costs, shaped, mask)",
        "place_scores(costs, scores, mask)",
    ),
    "controller-told-nats-per-token": (
        f"{PPO}/trainer.py",
        "kl = float(rolled.kl.mean())",
        "kl = float(rolled.kl.mean() / rolled.batch.rollout.response_lengths.float().mean())",
    ),
    "average-never-follows": (
        f"{PPO}/trainer.py",
        "        self._reference.follow(self.learner.policy)\n",
        "",
    ),
    "controller-forgotten-on-resume": (
        f"{PPO}/trainer.py",
        '            self._controller.load_state_dict(state["controller"])\n',
        "",
    ),
    "running-scale-forgotten-on-resume": (
        f"{PPO}/trainer.py",
        '            self._shaper.load_state_dict(state["shaper"])\n',
        "",
    ),
    "rate-never-falls": (
        f"{PPO}/actors.py",
        "left = 1.0 - done / self._settings.updates",
        "left = 1.0",
    ),
    "warm-up-an-update-too-long": (
        f"{PPO}/actors.py",
        "resting = done < self._settings.critic_warmup",
        "resting = done <= self._settings.critic_warmup",
    ),
    "critics-copies-stale": (
        f"{PPO}/actors.py",
        "for model in (self.policy, self.critic.own):",
        "for model in (self.policy,):",
    ),
    "critic-restored-without-its-head": (
        f"{PPO}/actors.py",
        "        learner.critic.head.load_state_dict(load_file(str(folder / HEAD)))\n",
        "",
    ),
    "optimiser-forgotten-on-resume": (
        f"{PPO}/actors.py",
        "        load_optimizer(learner.optimizer, folder)\n",
        "",
    ),
    "ptx-weight-forgotten": (
        f"{PPO}/examples.py",
        "(self._weight * found.loss).backward()",
        "found.loss.backward()",
    ),
    "ptx-averaged-in-each-part": (
        f"{PPO}/examples.py",
        "-logprobs.sum() / count",
        "-logprobs.mean()",
    ),
    "length-is-paid": (
        f"{PPO}/shaping.py",
        "scores = scores - length_penalty(",
        "scores = scores + length_penalty(",
    ),
    "scaled-before-it-is-seen": (
        f"{PPO}/shaping.py",
        "            self._scale.update(scores)\n            scores = self._scale.scale(scores)\n",
        "            seen = scores\n            scores = self._scale.scale(scores)\n            self._scale.update(seen)\n",
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
    "sampled-log-probs-without-temperature": (
        "rlaif/models/drawing.py",
        "logprobs = scaled.gather(-1, tokens) - normaliser",
        "logprobs = logits.gather(-1, tokens) - logits.logsumexp(dim=-1, keepdim=True)",
    ),
    "values-kept-by-place": (
        "rlaif/models/decoding.py",
        "self._probed[self._rows, self._done] =",
        "self._probed[: len(self._rows), self._done] =",
    ),
    "end-token-left-out": (
        "rlaif/models/decoding.py",
        "lengths = (is_end.int().argmax(dim=1) + 1).tolist()",
        "lengths = is_end.int().argmax(dim=1).clamp(min=1).tolist()",
    ),
    "finished-rows-stay": (
        "rlaif/models/decoding.py",
        "(~self._live).int().argsort(stable=True)[:room]",
        "self._live.int().argsort(stable=True)[:room]",
    ),
    "prefill-sees-the-next-token": (
        f"{LEAN}/stepping.py",
        "triu(columns - new + 1)",
        "triu(columns - new + 2)",
    ),
    "caches-of-other-heads-kept": (
        f"{LEAN}/stepping.py",
        "(rows.unsqueeze(1) * heads + torch.arange(heads)).flatten()",
        "(rows.unsqueeze(1) * heads + torch.arange(heads)).T.flatten()",
    ),
    "head-copy-stale": (
        f"{LEAN}/weights.py",
        "            _fill(self.head, self._head_master)\n",
        "            pass\n",
    ),
    "keys-shared-by-the-wrong-heads": (
        f"{LEAN}/attention.py",
        "wide.repeat_interleave(group, dim=2)",
        "wide.repeat(1, 1, group, 1)",
    ),
    "gradient-of-shared-keys-averaged": (
        f"{LEAN}/attention.py",
        "x.unflatten(2, (-1, group)).sum(3)",
        "x.unflatten(2, (-1, group)).mean(3)",
    ),
    "reward-read-a-token-early": (
        "rlaif/models/reward.py",
        "layout.starts + real.sum(dim=1) - 1",
        "layout.starts + real.sum(dim=1).clamp(min=2) - 2",
    ),
    "rewards-in-order-of-length": (
        "rlaif/models/reward.py",
        "torch.cat(parts)[order.argsort()]",
        "torch.cat(parts)",
    ),
    "rows-of-processes-joined-end-to-end": (
        "rlaif/models/processes.py",
        "            found += [part[place] for part in parts if place < len(part)]\n",
        "            found += []\n        found = [row for part in parts for row in part]\n",
    ),
    "gradients-averaged-over-processes": (
        "rlaif/models/processes.py",
        "tensor.copy_(part.view_as(tensor))",
        "tensor.copy_(part.view_as(tensor) / self.size)",
    ),
    "processes-compare-no-bytes": (
        "rlaif/models/processes.py",
        "            seen.update(plain.view(torch.uint8).numpy().data)\n",
        "            seen.update(plain.norm().numpy().tobytes())\n",
    ),
    "early-stop-never": (
        f"{PPO}/learning.py",
        "EARLY_STOP_FACTOR = 1.5",
        "EARLY_STOP_FACTOR = 1e9",
    ),
}


def main() -> None:
    """Write all patches; a fault whose place is not found once is an error."""
    folder = HERE / "faults"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.patch"):
        old.unlink()
    for name, (path, there, fault) in FAULTS.items():
        before = (ROOT / path).read_text(encoding="utf-8")
        if before.count(there) != 1:
            raise SystemExit(f"{name}: found {before.count(there)} times in {path}")
        after = before.replace(there, fault)
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{path}",
            f"b/{path}",
            n=1,
        )
        text = f"{name.replace('-', ' ')}\n" + "".join(lines)
        (folder / f"{name}.patch").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
