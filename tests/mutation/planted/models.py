"""Faults in how models sample, score, and share weights and work."""

FAULTS = {
    "one-adapter-for-all": (
        "rlaif/models/shared_base.py",
        "lean = lm.lean.wearing(lm.model, name, checkpointing=checkpointing)",
        "lean = lm.lean",
    ),
    "weights-left-where-the-file-has-them": (
        "rlaif/models/loading.py",
        "parameter.data = parameter.data.clone()",
        "pass",
    ),
    "adapter-begins-with-an-effect": (
        "rlaif/models/adapters.py",
        'if ".lora_A." in name:',
        'if ".lora_" in name:',
    ),
    "moments-lose-their-squares": (
        "rlaif/models/training_state.py",
        "        for name, value in moments.items()\n    }",
        '        for name, value in moments.items()\n        if name != "exp_avg_sq"\n    }',
    ),
    "portion-halved-of-rows-that-were-not-there": (
        "rlaif/models/portions.py",
        "self.rows = rows // 2",
        "self.rows = self.rows // 2",
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
    "values-move-the-policy-through-the-tap": (
        "rlaif/models/tap.py",
        "self._heard = stream.detach()",
        "self._heard = stream",
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
    "one-end-token-of-several": (
        "rlaif/models/decoding.py",
        "torch.tensor(sorted(lm.eos_ids), device=lm.device)",
        "torch.tensor([lm.end_id], device=lm.device)",
    ),
    "adapter-drawn-within-its-rank": (
        "rlaif/models/adapters.py",
        "bound = parameter.shape[1] ** -0.5",
        "bound = parameter.shape[0] ** -0.5",
    ),
    "adapter-matrices-all-alike": (
        "rlaif/models/adapters.py",
        "        parameter = parameters[name]\n        drawn",
        "        parameter = parameters[name]\n        generator = torch_generator(seed)\n"
        "        drawn",
    ),
    "branch-of-the-lowest-blocks-kinds": (
        "rlaif/models/branch.py",
        "upper.config.layer_types = kinds[-blocks:]",
        "upper.config.layer_types = kinds[:blocks]",
    ),
    "answers-end-with-the-lowest-id": (
        "rlaif/models/encoding.py",
        "return [*ids, lm.end_id] if ended else ids",
        "return [*ids, min(lm.eos_ids)] if ended else ids",
    ),
    "windows-run-lean": (
        "rlaif/models/lean/weights.py",
        '        and not getattr(config, "sliding_window", None)\n',
        "",
    ),
    "share-over-the-ranks-root": (
        "rlaif/models/adapters.py",
        'task_type="CAUSAL_LM",',
        'task_type="CAUSAL_LM",\n        use_rslora=True,',
    ),
    "none-ends-at-the-limit": (
        "rlaif/models/decoding.py",
        "ids[-1] in self._lm.eos_ids",
        "length < self._tokens.shape[1]",
    ),
    "templates-begin-twice": (
        "rlaif/models/encoding.py",
        "tokenizer.encode(str(text), add_special_tokens=False)",
        "tokenizer.encode(str(text))",
    ),
    "blocks-without-an-adapter-pass-no-gradient": (
        "rlaif/models/lean/trunk.py",
        "_wants_gradient(x, *trained)",
        "_wants_gradient(*trained)",
    ),
    "values-of-half-precision-states": (
        "rlaif/models/stepping.py",
        "states.float())",
        "states)",
    ),
    "answers-run-over-the-context": (
        "rlaif/models/encoding.py",
        "encode_answer(lm, text, ended)[: lm.context - len(asked)]",
        "encode_answer(lm, text, ended)",
    ),
    "a-larger-setting-forgets-that-memory-ran-out": (
        "rlaif/models/portions.py",
        '            self.rows = min(self.rows, state["rows"])',
        "            pass",
    ),
}
