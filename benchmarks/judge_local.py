"""How fast a judge in this process judges, what sharing and sorting are worth, and a profile.

Answers of the bundled policy to the pool's prompts are judged under the judge criteria of the help
desk's rubric through the panel, by the bundled judge and by a story model of 260 thousand
parameters whose byte-like tokenizer makes requests more than twice as long (its verdicts mean
nothing, and all count). A judgement is one criterion on one answer (``ratings``), or one criterion
on one pair in both orders (``pairs``).

Every way of batching is measured in turn, round after round, the order turned round each time:

- ``shipped``: as it ships; beginnings are shared from ``MIN_SHARED`` of a request on;
- ``shared from 0.6`` (as it was until 2026-11-29), ``shared from 0.05``, ``nothing shared``;
- ``not by length``: requests that begin alike are neighbours, but lengths mix in a batch;
- ``as they come``: neither.

Seconds are medians: by the clock, and of processor time, which says more where others use the
machine. ``read`` counts the tokens that the model is given, ``cells`` the rectangles they lie in.
Prints JSON, and tables in Markdown to standard error. Run it with ``make bench-judge-local``.
"""

import argparse
import cProfile
import json
import os
import platform
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch

from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.judges import (
    Juror,
    RubricJudge,
    TransformersJudge,
    cached_batch,
    load_rubric,
    load_templates,
    transformers_judge,
)
from rlaif.judges.cached_batch import CachedBatch
from rlaif.judges.panel import ComparedItem, RatedItem
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.records import Completion, Judgement, Prompt
from rlaif.seeds import torch_generator
from rlaif.stages.pools import read_pools

ROOT = Path(__file__).resolve().parents[1]
STORIES = ROOT.parent / "shared" / "models" / "stories260K"
CPU = torch.device("cpu")
SEED, ANSWERS, TOKENS = 20261129, 4, 48
SHIPPED = "shipped"
WARM = 4
TOP = 15
NOTHING = 2.0  # no beginning is twice its row

Row = dict[str, Any]
Judge = Callable[[], list[list[Judgement]]]
Order = Callable[[Sequence[Any]], list[Any]]


def by_beginning(rows: Sequence[Any]) -> list[Any]:
    """Order requests by what they begin with, whatever their length."""
    return sorted(rows, key=lambda row: (row.ids, row.place))


@dataclass(frozen=True)
class Way:
    """A way of batching: what is shared from which part of a request on, and in which order."""

    share: float | None = None
    order: Order | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Judge in this way for a while."""
        with ExitStack() as stack:
            if self.share is not None:
                stack.enter_context(patch.object(cached_batch, "MIN_SHARED", self.share))
            if self.order is not None:
                own = patch.object(transformers_judge, "_in_reading_order", self.order)
                stack.enter_context(own)
            yield


WAYS = {
    SHIPPED: Way(),
    "shared from 0.6": Way(share=0.6),
    "shared from 0.05": Way(share=0.05),
    "nothing shared": Way(share=NOTHING),
    "not by length": Way(order=by_beginning),
    "as they come": Way(order=list),
}


@dataclass
class Counts:
    """What a model was given in some batches, and the processor time it took.

    Attributes:
        read: Tokens.
        cells: Cells of the rectangles that they lie in.
        seconds: Of all forward passes.
    """

    read: int = 0
    cells: int = 0
    seconds: float = 0.0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count for a while."""
        extend = CachedBatch.extend

        def counted(batch: CachedBatch, pieces: Sequence[Sequence[int]]) -> torch.Tensor:
            self.read += sum(map(len, pieces))
            self.cells += len(pieces) * max(map(len, pieces))
            start = time.process_time()
            logits = extend(batch, pieces)
            self.seconds += time.process_time() - start
            return logits

        with patch.object(CachedBatch, "extend", counted):
            yield


class Spent(NamedTuple):
    """What a profile tells of a function: seconds in itself, and with what it called."""

    calls: int
    own: float
    whole: float


@dataclass
class Times:
    """Seconds of each round in one way."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take(self, judge: Judge) -> list[list[Judgement]]:
        """Judge once and keep the time."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = judge()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        return found


def answered(prompts: int) -> list[tuple[Prompt, list[Completion]]]:
    """Let the bundled policy answer the pool's first prompts; answers that say the same count once.

    Args:
        prompts: How many.
    """
    policy = load_language_model(str(ROOT / "policies" / "tiny"), CPU)
    asked = read_pools(ROOT, "prompts/pools/*.jsonl", 0.1)[:prompts]
    queries = [encode_conversation(policy, p.messages) for p in asked for _ in range(ANSWERS)]
    said = decode(policy, queries, DecodeSettings(TOKENS, 1.0), torch_generator(SEED, "cpu"))
    found = []
    for place, prompt in enumerate(asked):
        own = {one.text: one for one in said[place * ANSWERS : (place + 1) * ANSWERS]}
        found.append(
            (
                prompt,
                [
                    Completion(
                        id=f"{prompt.id}-{index}",
                        prompt_id=prompt.id,
                        policy=policy.digest,
                        index=index,
                        text=text,
                        length=len(one.token_ids),
                        ended=one.ended,
                    )
                    for index, (text, one) in enumerate(own.items())
                ],
            )
        )
    return found


def panel_of(lm: LanguageModel, *, critique: bool, batch_size: int) -> RubricJudge:
    """Return the rubric's judge criteria with one judge, as a run makes them."""
    config = JudgeConfig(critique=critique, batch_size=batch_size, min_label_mass=0.0)
    rubric = load_rubric(ROOT / "prompts" / "rubrics" / "helpdesk.toml")
    judge = TransformersJudge(lm, config)
    templates = load_templates(config.template)
    return RubricJudge(
        rubric.model_copy(update={"criteria": rubric.judge_criteria}),
        judging=JudgingConfig(),
        jury=[Juror("local", judge, templates, config.min_label_mass, critique=critique)],
    )


def work_of(
    panel: RubricJudge, answers: Sequence[tuple[Prompt, list[Completion]]]
) -> dict[str, Judge]:
    """Return what is measured: every answer rated, two of each prompt's answers compared."""
    rated: list[RatedItem] = [(prompt, one) for prompt, own in answers for one in own]
    pairs: list[ComparedItem] = [(p, own[0], own[1]) for p, own in answers if len(own) > 1]
    panel.rate(rated[:WARM])
    panel.compare(pairs[:WARM])
    return {"ratings": lambda: panel.rate(rated), "pairs": lambda: panel.compare(pairs)}


def compared(judge: Judge, kind: str, rounds: int) -> Row:
    """Measure all ways in turn."""
    times = {name: Times() for name in WAYS}
    counts = {name: Counts() for name in WAYS}
    said: dict[str, list[list[Judgement]]] = {}
    for number in range(rounds):
        for name in list(WAYS)[:: -1 if number % 2 else 1]:
            counts[name] = Counts()
            with WAYS[name].taken(), counts[name].counting():
                said[name] = times[name].take(judge)
    calls = [j.call for own in said[SHIPPED] for j in own if j.call is not None]
    judgements = len(calls) // (2 if kind == "pairs" else 1)
    best = statistics.median(times[SHIPPED].cpu)
    ways = {}
    for name, own in times.items():
        wall, cpu = statistics.median(own.wall), statistics.median(own.cpu)
        ways[name] = {
            "per_second": round(judgements / wall, 1),
            "per_cpu_second": round(judgements / cpu, 1),
            "cpu_seconds": [round(x, 3) for x in own.cpu],
            "cpu_to_shipped": round(cpu / best, 3),
            "tokens_per_cpu_second": round(counts[name].read / cpu),
            "forward_share": round(counts[name].seconds / own.cpu[-1], 3),
            "read": counts[name].read,
            "cells": counts[name].cells,
            "verdicts_apart": apart(said[SHIPPED], said[name]),
        }
    return {
        "judgements": judgements,
        "requests": len(calls),
        "tokens_asked": sum(call.prompt_tokens for call in calls),
        "tokens_written": sum(call.reply_tokens for call in calls),
        "ways": ways,
    }


def apart(one: Sequence[Sequence[Judgement]], other: Sequence[Sequence[Judgement]]) -> Row:
    """Tell how far two ways' judgements lie apart: critiques, and the largest label probability."""
    pairs = [
        (a, b)
        for own, others in zip(one, other, strict=True)
        for a, b in zip(own, others, strict=True)
    ]
    gaps = [
        abs(p - b.call.label_probs[label])
        for a, b in pairs
        if a.call is not None and b.call is not None and a.critique == b.critique
        for label, p in a.call.label_probs.items()
    ]
    return {
        "critiques": sum(a.critique != b.critique for a, b in pairs),
        "probability": max(gaps, default=0.0),
    }


def profiled(works: Sequence[Judge]) -> Row:
    """Profile some work once: functions by own time, and shares; the profiler adds to both.

    What share the forward passes have without it is measured beside the ways, by ``Counts``.
    """
    profile = cProfile.Profile()
    profile.enable()
    for judge in works:
        judge()
    profile.disable()
    found: Any = pstats.Stats(profile)
    total = found.total_tt
    stats: dict[str, Spent] = {}
    for key, (_, calls, own, whole, _) in found.stats.items():
        name = place_of(key)
        before = stats.get(name, Spent(0, 0.0, 0.0))
        stats[name] = Spent(before.calls + calls, before.own + own, max(before.whole, whole))
    top = sorted(stats.items(), key=lambda item: -item[1].own)[:TOP]
    parts = {
        "the model's forward passes": "models/stepping.py read",
        "rendering": "judges/rendering.py render",
        "encoding requests": "judges/transformers_judge.py _tokens",
        "looking for the end of a critique": "judges/transformers_judge.py _ends",
        "encoding critique and cue": "judges/transformers_judge.py _ending",
        "grouping by beginning": "judges/cached_batch.py group_by_beginning",
        "copying shared rows": "judges/cached_batch.py select",
        "replies and their hashes": "judges/transformers_judge.py _reply",
    }
    return {
        "seconds": round(total, 3),
        "share": {
            name: round(stats[place].whole / total, 4)
            for name, place in parts.items()
            if place in stats
        },
        "own_time": [
            {"function": name, "calls": spent.calls, "share": round(spent.own / total, 4)}
            for name, spent in top
        ],
    }


def place_of(key: tuple[str, int, str]) -> str:
    """Return a function's name with its file, from the last two folders on."""
    path, _, name = key
    return name.strip("<>") if path == "~" else f"{'/'.join(Path(path).parts[-2:])} {name}"


def judged_by(path: Path, given: argparse.Namespace, answers: Any) -> Row:  # noqa: ANN401 - see answered
    """Measure one judge, with critique and without."""
    lm = load_language_model(str(path), CPU)
    found: Row = {}
    for title, critique in (("critique", True), ("no critique", False)):
        panel = panel_of(lm, critique=critique, batch_size=given.batch_size)
        works = work_of(panel, answers)
        for kind, judge in works.items():
            found[f"{kind}, {title}"] = compared(judge, kind, given.rounds)
        found[f"profile, {title}"] = profiled(list(works.values()))
    return found


def tables(models: dict[str, Row]) -> str:
    """Return all figures in Markdown."""
    titles = ("judgements / s", "per CPU s", "CPU to shipped", "tokens read", "forward")
    lines = [f"| judge | kind | way | {' | '.join(titles)} |", "|---" * 8 + "|"]
    for model, figures in models.items():
        for kind, found in figures.items():
            for name, way in found.get("ways", {}).items():
                lines.append(
                    f"| {model} | {kind} | {name} | {way['per_second']} | {way['per_cpu_second']} "
                    f"| {way['cpu_to_shipped']:.2f} | {way['read']} "
                    f"| {way['forward_share']:.0%} |"
                )
    for model, figures in models.items():
        for kind, found in figures.items():
            if "own_time" in found:
                shares = ", ".join(f"{name} {x:.1%}" for name, x in found["share"].items())
                lines += ["", f"{model}, {kind}: {shares}", "", "| function | calls | own time |"]
                lines += ["|---|---|---|"]
                lines += [
                    f"| `{one['function']}` | {one['calls']} | {one['share']:.1%} |"
                    for one in found["own_time"]
                ]
            elif "skipped" in found:
                lines += ["", f"{model}: skipped, {found['skipped']}"]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=48, help="prompts of the pool")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is measured")
    parser.add_argument("--batch-size", type=int, default=96, help="requests decoded together")
    parser.add_argument("--stories", type=Path, default=STORIES, help="the story model's folder")
    parser.add_argument("--threads", type=int, default=1, help="cores to judge on")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    answers = answered(given.prompts)
    models = {"tiny-judge": judged_by(ROOT / "policies" / "tiny-judge", given, answers)}
    print(tables(models), file=sys.stderr, flush=True)
    if given.stories.is_dir():
        models["stories260K"] = judged_by(given.stories, given, answers)
    else:
        models["stories260K"] = {"all": {"skipped": f"there is no folder {given.stories}"}}
    print(tables({"stories260K": models["stories260K"]}), file=sys.stderr)
    report = {
        "machine": {
            "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "settings": {name: str(value) for name, value in vars(given).items()},
        "min_shared": cached_batch.MIN_SHARED,
        "models": models,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
