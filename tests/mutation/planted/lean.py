"""Faults in the blocks that were written for the CPU."""

LEAN = "rlaif/models/lean"

FAULTS = {
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
        "turn_(key, plan.rotation.key.conj())",
        "turn_(key, plan.rotation.key)",
    ),
    "norm-gradient-lacks-its-mean": (
        f"{LEAN}/block.py",
        "return inner.addcmul_(x, mean.mul_(scale).mul_(scale), value=-1), weight_grad",
        "return inner, weight_grad",
    ),
    "residual-gradient-lost": (
        f"{LEAN}/block.py",
        "return back.add_(grad), norm",
        "return back, norm",
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
        "x.repeat_interleave(group, dim=2)",
        "x.repeat(1, 1, group, 1)",
    ),
    "gradient-of-shared-keys-averaged": (
        f"{LEAN}/attention.py",
        "x.unflatten(2, (-1, group)).sum(3)",
        "x.unflatten(2, (-1, group)).mean(3)",
    ),
}
