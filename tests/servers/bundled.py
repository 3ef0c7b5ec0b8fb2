"""The bundled judge behind OpenAI's schema: greedy, with log-probs and 20 alternatives a token."""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.servers.loopback import Asked

FOLDER = Path(__file__).resolve().parents[2] / "policies" / "tiny-judge"
MODEL = "tiny-judge"


class BundledAnswers:
    """Answers requests one at a time, token by token, without a cache: slow and plain."""

    def __init__(self) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(FOLDER)
        self._model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
        self._eos = self._model.generation_config.eos_token_id

    def __call__(self, asked: Asked) -> dict[str, Any]:
        """Return the completion of a request."""
        torch.set_num_threads(1)  # of this thread; more only wait for one another on a busy machine
        shown = self._tokenizer.apply_chat_template(
            asked.body["messages"], add_generation_prompt=True, return_dict=True
        )["input_ids"]
        written: list[int] = []
        entries: list[dict[str, Any]] = []
        finish = "length"
        while len(written) < asked.body["max_tokens"]:
            token, entry = self._next([*shown, *written], asked.body.get("top_logprobs", 0))
            if token == self._eos or token in (self._eos if isinstance(self._eos, list) else []):
                finish = "stop"
                break
            written.append(token)
            entries.append(entry)
        content = self._tokenizer.decode(written, skip_special_tokens=True)
        return {
            "id": "bundled",
            "object": "chat.completion",
            "model": MODEL,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "logprobs": {"content": entries} if asked.body.get("logprobs") else None,
                    "message": {"role": "assistant", "content": content},
                }
            ],
            "usage": {"prompt_tokens": len(shown), "completion_tokens": len(written)},
        }

    @torch.no_grad()
    def _next(self, ids: list[int], top: int) -> tuple[int, dict[str, Any]]:
        logits = self._model(input_ids=torch.tensor([ids])).logits[0, -1]
        log_probs = logits.double().log_softmax(-1)
        token = int(log_probs.argmax())
        best = log_probs.topk(top).indices.tolist()
        entry = self._entry(token, log_probs)
        return token, {**entry, "top_logprobs": [self._entry(one, log_probs) for one in best]}

    def _entry(self, token: int, log_probs: torch.Tensor) -> dict[str, Any]:
        """Describe a token; its text is what it adds to a reply, white space before it included."""
        text = self._tokenizer.decode([token])
        value = float(log_probs[token])
        return {
            "token": text,
            "bytes": list(text.encode("utf-8")),
            "logprob": value if math.isfinite(value) else -9999.0,
        }
