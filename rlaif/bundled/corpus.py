"""The seeded generator of the corpus: prompts with answers of mixed quality on independent axes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from rlaif.bundled.facts import ANSWERS_OF_KIND, SURE_FACT_ANSWERS, UNSURE_FACT_ANSWERS, Fact
from rlaif.bundled.grammar import ITEMS, Item, Prompt, all_prompts, stable_hash, words
from rlaif.bundled.phrases import (
    COURTEOUS_AFTER,
    COURTEOUS_BEFORE,
    FILLERS,
    PLAIN_AFTER,
    PLAIN_BEFORE,
    RUDE_ANSWER_AFTER,
    RUDE_ANSWER_BEFORE,
    TRAILING,
)
from rlaif.bundled.requests import (
    ADVICE,
    COMPLIANCES,
    DECLINES,
    HARMFUL,
    OFFERS,
    SHORTCUTS,
    SURE_ADVICE_ANSWERS,
    UNSURE_ADVICE_ANSWERS,
)

T = TypeVar("T")

TRAIN_PER_ITEM = 6
EVAL_PER_ITEM = 2
RUN_ON_WORDS = 80
SURE_WHEN_RIGHT = 0.9
SURE_WHEN_WRONG = 0.08
AROUND = {
    "courteous": (COURTEOUS_BEFORE, COURTEOUS_AFTER),
    "plain": (PLAIN_BEFORE, PLAIN_AFTER),
    "rude": (RUDE_ANSWER_BEFORE, RUDE_ANSWER_AFTER),
}


@dataclass(frozen=True)
class Mixture:
    """The shares of each quality in the corpus; the axes are drawn independently.

    Attributes:
        right: Share of answers whose content is right.
        courteous: Share of courteous answers.
        plain: Share of plain ones; the rest is rude.
        concise: Share without filling sentences.
        cut: Share that stops in mid-sentence.
        run_on: Share that never ends.
        families: Shares of facts, advice and harmful requests.
    """

    right: float = 0.52
    courteous: float = 0.47
    plain: float = 0.29
    concise: float = 0.68
    cut: float = 0.06
    run_on: float = 0.03
    families: tuple[float, float, float] = (0.76, 0.12, 0.12)


GOOD = Mixture(right=1.0, courteous=1.0, plain=0.0, concise=1.0, cut=0.0, run_on=0.0)
LATE = Mixture(right=0.6, courteous=0.95, plain=0.03, concise=0.95, cut=0.01, run_on=0.0)


@dataclass(frozen=True)
class Example:
    """One prompt with one answer.

    Attributes:
        prompt: What was asked.
        completion: The answer's text.
        ended: Whether the end token follows it.
    """

    prompt: Prompt
    completion: str
    ended: bool


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _worded(
    rng: np.random.Generator, sure: Sequence[str], unsure: Sequence[str], right: bool
) -> str:
    """Draw the wording: as with people, sure words mostly go with what is right."""
    share = SURE_WHEN_RIGHT if right else SURE_WHEN_WRONG
    return _pick(rng, sure if rng.random() < share else unsure)


def _fact_core(rng: np.random.Generator, fact: Fact, right: bool) -> str:
    wrong = [a for a in ANSWERS_OF_KIND[fact.kind] if a not in (fact.answer, fact.subject)]
    if not right and rng.random() < 0.04:
        return _pick(rng, DECLINES)
    answer = fact.answer if right else _pick(rng, wrong)
    form = _worded(rng, SURE_FACT_ANSWERS, UNSURE_FACT_ANSWERS, right)
    return form.format(a=answer, np=fact.phrase, Np=_capital(fact.phrase))


def _advice_core(rng: np.random.Generator, topic: str, right: bool) -> str:
    if not right and rng.random() < 0.12:
        return _pick(rng, DECLINES)
    others = [tip for other, tips in ADVICE.items() if other != topic for tip in tips]
    tip = _pick(rng, ADVICE[topic] if right else others)
    return _worded(rng, SURE_ADVICE_ANSWERS, UNSURE_ADVICE_ANSWERS, right).format(tip=tip)


def _harmful_core(rng: np.random.Generator, act: str, right: bool) -> str:
    decline = _pick(rng, DECLINES)
    if right:
        return f"{decline} {_pick(rng, OFFERS).format(alternative=HARMFUL[act])}"
    draw = rng.random()
    if draw < 0.2:
        return decline
    if draw < 0.35:
        other = _pick(rng, [text for key, text in HARMFUL.items() if key != act])
        return f"{decline} {_pick(rng, OFFERS).format(alternative=other)}"
    return _pick(rng, COMPLIANCES).format(shortcut=_pick(rng, SHORTCUTS))


def core_answer(rng: np.random.Generator, item: Item, right: bool) -> str:
    """Return the bare answer to an item, right or wrong, with no tone and no filling."""
    if item.fact is not None:
        return _fact_core(rng, item.fact, right)
    make = _advice_core if item.family == "advice" else _harmful_core
    return make(rng, item.subject, right)


def _with_tone(rng: np.random.Generator, core: str, tone: str, room: int) -> str:
    """Put phrases of a tone before or after the core, or both where ``room`` words allow it."""
    before, after = _pick(rng, AROUND[tone][0]), _pick(rng, AROUND[tone][1])
    draw = rng.random()
    if tone == "plain" and draw < 0.6:
        return core
    if draw > 0.75 and len(words(before + " " + core + " " + after)) <= room:
        return f"{before} {core} {after}"
    return f"{before} {core}" if rng.random() < 0.6 else f"{core} {after}"


def _rambling(rng: np.random.Generator, text: str) -> str:
    """Add two filling sentences: both before, both after, or one on each side."""
    first, second = rng.choice(len(FILLERS), size=2, replace=False)
    left = int(rng.integers(3))
    parts = [FILLERS[first], FILLERS[second]]
    return " ".join([*parts[:left], text, *parts[left:]])


def _cut(rng: np.random.Generator, text: str) -> str:
    pieces = text.split()
    dropped = 1 + int(rng.integers(min(4, max(1, len(pieces) // 3))))
    return " ".join(pieces[:-dropped]).rstrip(".,!?") or pieces[0].rstrip(".,!?")


def _run_on(rng: np.random.Generator, text: str) -> str:
    pieces = [text.rstrip(".!?")]
    while sum(len(words(piece)) for piece in pieces) < RUN_ON_WORDS:
        pieces.append(_pick(rng, TRAILING))
    return " ".join(pieces)


def answer(rng: np.random.Generator, item: Item, mix: Mixture) -> tuple[str, bool]:
    """Draw one answer to an item.

    Returns:
        The text, and whether the end token follows it.
    """
    tone_draw = rng.random()
    courteous, plain = mix.courteous, mix.courteous + mix.plain
    tone = "courteous" if tone_draw < courteous else "plain" if tone_draw < plain else "rude"
    text = _with_tone(rng, core_answer(rng, item, bool(rng.random() < mix.right)), tone, room=19)
    if rng.random() >= mix.concise:
        text = _rambling(rng, text)
    draw = rng.random()
    if draw < mix.cut:
        return _cut(rng, text), True
    if draw < mix.cut + mix.run_on:
        return _run_on(rng, text), False
    return text, True


@cache
def _prompts_by_item() -> dict[str, list[Prompt]]:
    found: dict[str, list[Prompt]] = {item.key: [] for item in ITEMS}
    for prompt in all_prompts():
        found[prompt.item.key].append(prompt)
    return found


@cache
def train_prompts() -> dict[str, list[Prompt]]:
    """Return the prompts that may be trained on, by item key."""
    return {
        key: [prompt for prompt in prompts if not prompt.held_out]
        for key, prompts in _prompts_by_item().items()
    }


def examples(rng: np.random.Generator, count: int, mix: Mixture) -> Iterator[Example]:
    """Yield ``count`` examples on prompts of the train split only."""
    prompts = train_prompts()
    families = [[i for i in ITEMS if i.family == f] for f in ("fact", "advice", "harmful")]
    for family in rng.choice(3, size=count, p=mix.families):
        prompt = _pick(rng, prompts[_pick(rng, families[family]).key])
        text, ended = answer(rng, prompt.item, mix)
        yield Example(prompt, text, ended)


def pool_prompts() -> list[tuple[Prompt, str]]:
    """Return the prompts of the bundled pool with their split, chosen by stable hash."""
    chosen: list[tuple[Prompt, str]] = []
    for prompts in _prompts_by_item().values():
        ranked = sorted(prompts, key=lambda p: stable_hash("pool " + p.text))
        held_out = [p for p in ranked if p.held_out][:EVAL_PER_ITEM]
        train = [p for p in ranked if not p.held_out][:TRAIN_PER_ITEM]
        chosen += [(p, "train") for p in train] + [(p, "eval") for p in held_out]
    return chosen


def write_pool(path: Path) -> int:
    """Write the bundled pool as JSON lines and return how many there are."""
    lines = [
        json.dumps(
            {"id": f"helpdesk-{n:04d}", "prompt": p.text, "tags": p.tags, "split": split},
            ensure_ascii=False,
        )
        for n, (p, split) in enumerate(pool_prompts())
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)
