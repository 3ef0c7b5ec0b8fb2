"""Faults in PPO's stage."""

PPO = "rlaif/stages/ppo"

FAULTS = {
    "beta-forgotten": (f"{PPO}/rollouts.py", "return beta * kl\n", "return kl\n"),
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
    "gradients-of-the-failed-attempt-kept": (
        f"{PPO}/learning.py",
        "self._learner.optimizer.zero_grad(set_to_none=True)\n        parts",
        "parts",
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
    "entropy-penalised": (
        f"{PPO}/learning.py",
        "loss = loss - self._settings.entropy_coefficient",
        "loss = loss + self._settings.entropy_coefficient",
    ),
    "dual-clip-never-passed": (
        f"{PPO}/learning.py",
        'None if dual == "off" else dual,',
        "None,",
    ),
    "clip-setting-ignored": (
        f"{PPO}/learning.py",
        "self._settings.clip,",
        "0.2,",
    ),
    "value-clip-setting-ignored": (
        f"{PPO}/learning.py",
        "settings.value_clip,",
        "0.2,",
    ),
    "same-shuffle-in-each-update": (
        f"{PPO}/learning.py",
        '"update", update, "epoch", epoch',
        '"update", 0, "epoch", epoch',
    ),
    "figures-summed": (
        f"{PPO}/learning.py",
        "{name: value / steps for name, value in totals.items()}",
        "dict(totals)",
    ),
    "exact-kl-from-a-stale-average": (
        f"{PPO}/trainer.py",
        "            self._reference.policy,\n            self._examples,",
        "            Reference(self._job, self.learner.policy, folder).policy,\n            self._examples,",
    ),
    "reference-at-temperature-one": (
        f"{PPO}/rollouts.py",
        "score_responses(reference, rollout, temperature, portion=portion)",
        "score_responses(reference, rollout, 1.0, portion=portion)",
    ),
    "spread-over-padding": (
        f"{PPO}/rollouts.py",
        "masked_var(estimated.advantages, mask)",
        "estimated.advantages.var(correction=0)",
    ),
    "same-order-in-each-pass": (
        f"{PPO}/rollouts.py",
        '"pass", number',
        '"pass", 0',
    ),
    "everyone-ended": (
        f"{PPO}/rollouts.py",
        "answer.text, answer.ended)",
        "answer.text, True)",
    ),
    "values-of-the-first-rows-for-all": (
        f"{PPO}/critic.py",
        "part, streams[places]",
        "part, streams[: part.size]",
    ),
    "weights-decay": (
        f"{PPO}/actors.py",
        "weight_decay=0.0",
        "weight_decay=0.01",
    ),
    "adams-own-epsilon": (
        f"{PPO}/actors.py",
        "eps=ADAM_EPS",
        "eps=1e-8",
    ),
    "value-learning-rate-ignored": (
        f"{PPO}/actors.py",
        'rate * factor if own == "auto" else own',
        "rate * factor",
    ),
    "lora-alpha-ignored": (
        f"{PPO}/actors.py",
        "settings.lora_rank, settings.lora_alpha",
        "settings.lora_rank, 32.0",
    ),
    "lagrangian-horizon-ignored": (
        f"{PPO}/trainer.py",
        "LagrangianKL(job.beta, settings.kl_target, float(settings.kl_horizon))",
        "LagrangianKL(job.beta, settings.kl_target)",
    ),
    "fingerprint-without-beta": (
        f"{PPO}/job.py",
        '"reward_model", "output", "work"}',
        '"reward_model", "output", "work", "beta", "controller"}',
    ),
    "fingerprint-without-the-rewards": (
        f"{PPO}/job.py",
        "reference_digest, rewards, shaping]",
        "reference_digest, shaping]",
    ),
    "exact-kl-averaged-in-each-chunk": (
        f"{PPO}/learning.py",
        "said.kl.sum() / count",
        "said.kl.mean()",
    ),
    "exact-kl-is-a-cost-alone": (
        "rlaif/config/ppo.py",
        'return self.kl_place == "loss" or self.kl_charged_exactly',
        'return self.kl_place == "loss"',
    ),
    "exact-kl-to-itself": (
        f"{PPO}/learning.py",
        "settings, reference = self._settings, self._reference",
        "settings, reference = self._settings, self._learner.policy",
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
        "left = (1.0 - done / self._settings.updates) * SLOWER**spikes",
        "left = SLOWER**spikes",
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
        "-said.logprobs.sum() / count",
        "-said.logprobs.mean()",
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
    "early-stop-never": (
        f"{PPO}/learning.py",
        "self._settings.kl_early_stop, EARLY_STOP_FACTOR)",
        "self._settings.kl_early_stop, 1e9)",
    ),
    "estimator-ignored-in-the-reward": (
        f"{PPO}/rollouts.py",
        "token_kl(logprobs, reference, estimator)",
        "token_kl(logprobs, reference)",
    ),
    "exact-kl-charged-backwards": (
        f"{PPO}/rollouts.py",
        "exact_response_kl(policy, reference, rollout,",
        "exact_response_kl(reference, policy, rollout,",
    ),
    "estimator-ignored-in-the-loss": (
        f"{PPO}/learning.py",
        "            estimator,\n",
        '            "k2",\n',
    ),
    "ptx-without-temperature": (
        f"{PPO}/examples.py",
        "            self._job.generation.temperature,\n",
        "",
    ),
    "spikes-borne-at-the-same-rate": (f"{PPO}/actors.py", " * SLOWER**spikes", ""),
    "the-last-step-is-not-looked-at": (
        f"{PPO}/learning.py",
        "        self._refuse_spike(found)\n",
        "",
    ),
    "a-resting-policy-gathers": (f"{PPO}/learning.py", "        self._learner.rest()\n", ""),
    "beta-moves-while-the-policy-rests": (
        f"{PPO}/trainer.py",
        "        if not self.learner.resting:\n            self._controller",
        "        if True:\n            self._controller",
    ),
    "the-last-policy-is-held-to-no-ceiling": (
        f"{PPO}/running.py",
        "filter(None, [ended, ceiling.passed_at_the_end()])",
        "filter(None, [ended])",
    ),
    "anothers-checkpoint-is-ones-own": (
        f"{PPO}/checkpoints.py",
        'state.get("job") == self._job',
        "True",
    ),
    "spikes-forgotten-on-resume": (
        f"{PPO}/trainer.py",
        'max(self.spikes, int(state.get("spikes", 0)))',
        "self.spikes",
    ),
    "broken-checkpoint-handed-over": (
        f"{PPO}/running.py",
        "if isinstance(fault, BrokenPolicyError):",
        "if False:",
    ),
    "few-tokens-are-enough-for-a-spike": (
        f"{PPO}/learning.py",
        "if _passes(found, self._settings.spike_kl) and rows < batch.size:",
        "if False:",
    ),
    "broken-rewards-go-on": (f"{PPO}/rollouts.py", "        _refuse_broken(found, update)\n", ""),
    "policy-never-checkpointed-under-an-adapter": (
        f"{PPO}/actors.py",
        "checkpointing = settings.gradient_checkpointing\n",
        "checkpointing = False\n",
    ),
    "entropy-over-padding": (
        f"{PPO}/rollouts.py",
        "float(-logprobs[mask].mean())",
        "float(-logprobs.mean())",
    ),
    "ptx-draws-go-on-after-an-update": (
        f"{PPO}/trainer.py",
        "        self._examples.restart()\n",
        "",
    ),
    "ptx-draws-the-same-each-step": (
        f"{PPO}/examples.py",
        "        self._drawn += 1\n",
        "",
    ),
    "a-constant-of-zero-for-cut-off-answers-ignored": (
        f"{PPO}/rollouts.py",
        "if constant is None:",
        "if not constant:",
    ),
    "average-in-half-precision": (
        f"{PPO}/actors.py",
        "stored = torch.float32 if follows else beside.dtype",
        "stored = beside.dtype",
    ),
    "average-of-the-start-anchors-the-loss": (
        f"{PPO}/trainer.py",
        "            self._reference.policy,\n            self._examples,",
        "            Reference(self._job, self.learner.policy, folder).policy,\n"
        "            self._examples,",
    ),
    "memory-counted-once-for-all-kinds-of-work": (
        f"{PPO}/portions.py",
        "halved = sum(portion.halved",
        "halved = max(portion.halved",
    ),
    "each-update-samples-by-the-same-numbers": (
        f"{PPO}/rollouts.py",
        'derive_seed(self._job.seed, "update", update, "rollout")',
        'derive_seed(self._job.seed, "rollout")',
    ),
    "kl-of-the-first-updates-reported": (
        f"{PPO}/running.py",
        "[-KL_WINDOW:]",
        "[:KL_WINDOW]",
    ),
    "examples-always-ended": (
        f"{PPO}/examples.py",
        "e.text, e.ended)\n",
        "e.text, ended=True)\n",
    ),
    "saving-memory-begins-anew": (
        f"{PPO}/job.py",
        '("checkpoint_updates", *MEMORY_SAVING)',
        '("checkpoint_updates",)',
    ),
    "early-stop-without-its-factor": (
        f"{PPO}/learning.py",
        'return limit != "off" and kl > times * limit',
        'return limit != "off" and kl > limit',
    ),
}
