"""A small local judge, what it writes worked out by hand, and models that misbehave."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import torch

from rlaif.config import JudgeConfig
from rlaif.judges import PAIR_LABELS, JudgeRequest, TransformersJudge
from rlaif.models.loading import LanguageModel, load_language_model

LIMIT = 6
CONFIG = JudgeConfig(max_critique_tokens=LIMIT, batch_size=4, min_label_mass=0.0)


def request(text: str, labels: tuple[str, ...] = PAIR_LABELS) -> JudgeRequest:
    return JudgeRequest(text=text, labels=labels, criterion="c", shown=())


def load(folder: Path) -> LanguageModel:
    return load_language_model(str(folder), torch.device("cpu"))


def opening(lm: LanguageModel, text: str) -> list[int]:
    """Return the tokens of a question and of where its reply begins."""
    return list(lm.tokenizer.encode(f"<|user|>{text}<|end|><|assistant|>"))


@torch.no_grad()
def written_by_hand(lm: LanguageModel, text: str, most: int) -> tuple[str, bool]:
    """Write without cache, batch or decoder: the words, and whether they ended."""
    ids = opening(lm, text)
    written: list[int] = []
    for _ in range(most):
        logits = lm.model(input_ids=torch.tensor([ids + written])).logits[0, -1]
        written.append(int(logits.argmax()))
        if written[-1] in lm.eos_ids:
            break
    ended = written[-1] in lm.eos_ids
    return str(lm.tokenizer.decode(written, skip_special_tokens=True)), ended


@torch.no_grad()
def by_hand(lm: LanguageModel, text: str, cue: str) -> tuple[str, torch.Tensor]:
    """Judge without cache, batch or decoder: the critique, and the next-token distribution."""
    critique = written_by_hand(lm, text, LIMIT)[0].rstrip(" \t\r\n*#_")
    ids = opening(lm, text) + lm.tokenizer.encode(critique + cue)
    return critique, lm.model(input_ids=torch.tensor([ids])).logits[0, -1].softmax(-1)


def judge_by(lm: LanguageModel, model: Any, config: JudgeConfig = CONFIG) -> TransformersJudge:
    """Return a judge by a model in another's place, with that one's tokenizer."""
    return TransformersJudge(dataclasses.replace(lm, model=model, lean=None), config)


def without_stepping_back(lm: LanguageModel) -> TransformersJudge:
    """Return a judge whose model keeps a state that cannot be cut."""
    stateful = copy.copy(lm.model)
    stateful._is_stateful = True
    return judge_by(lm, stateful)


class Reciting(torch.nn.Module):
    """A model that recites tokens from a position on, and then its last one."""

    def __init__(self, inner: torch.nn.Module, script: list[int], start: int) -> None:
        super().__init__()
        self.inner = inner
        self.config = inner.config
        self.script = script
        self.start = start

    def forward(self, position_ids: torch.Tensor, **rest: Any) -> Any:
        output = self.inner(position_ids=position_ids, **rest)
        place = min(max(int(position_ids[0, -1]) - self.start, 0), len(self.script) - 1)
        output.logits[..., self.script[place]] = 1e4
        return output


def reciting(
    lm: LanguageModel, said: str, config: JudgeConfig, asked: str = "Q", *, ends: bool = False
) -> TransformersJudge:
    """Return a judge that recites a text as its reply to a question; it may end with it."""
    script = list(lm.tokenizer.encode(said))
    script += [min(lm.eos_ids)] if ends else []
    return judge_by(lm, Reciting(lm.model, script, len(opening(lm, asked)) - 1), config)
