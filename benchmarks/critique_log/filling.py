"""A ledger as judging would leave it: seeded, of any size, written through ``Ledger.unit``."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rlaif.ledger.writer import Ledger
from rlaif.records import (
    Choice,
    Completion,
    JudgeCall,
    Judgement,
    Message,
    PairVerdict,
    Prompt,
    Rating,
    Unscored,
    Verdict,
)
from rlaif.text import words_of

LETTERS = 400
CYCLES = 50
PROMPTS = 5_000
TOGETHER = 16
RUBRIC = "r" * 64
CRITERIA = ("helpful", "courteous", "honest", "harmless", "concise", "on-topic")
JUDGES = ("large-judge", "middle-judge", "small-judge")
TAGS = ("billing", "refunds", "travel", "maths", "chitchat")
RARE_TAG, GONE_WORD = "legal", "brusque"
HEAD = words_of(
    "the answer is and it to a of not that does in polite with but reply says user what first "
    "second for this on rude how as question asked long be too clear tone gives was have more "
    "correct word than would no help which are from by its at an good done only right they "
    "refund capital vague short plain apology promise amount date wrong kind curt facts"
)
CHARACTERS = (
    "的是不了在有这个人我他们没" + "".join(chr(0x4E00 + 17 * i) for i in range(500)) + "礼貌"
)
SYLLABLES = [c + v for c in "bcdfghklmnprstvw" for v in ("a", "e", "i", "o", "u", "ea", "or", "in")]


@dataclass
class Filled:
    """What was written, and how long writing took."""

    critiques: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    checkpoint_seconds: float = 0.0
    units: int = 0
    rare: list[str] = field(default_factory=list)


class Writer:
    """Makes up texts: words drawn by Zipf's law, some of them Chinese."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        made = {
            "".join(self.random.choice(SYLLABLES, size=n))
            for n in self.random.integers(2, 5, 30_000)
        }
        self.words = np.array([*HEAD, *sorted(made - set(HEAD))], dtype=object)
        tail = self.words[len(HEAD) :]
        self.random.shuffle(tail)
        self.signs = np.array(list(CHARACTERS), dtype=object)
        self._word_cut = np.cumsum(1 / np.arange(1, len(self.words) + 1))
        self._sign_cut = np.cumsum(1 / np.arange(1, len(self.signs) + 1))

    def texts(self, count: int, letters: int = LETTERS) -> list[str]:
        """Return English texts of so many letters."""
        rows = self._draw(self._word_cut, (count, letters // 4))
        return [" ".join(self.words[row])[: letters - 1] + "." for row in rows]

    def chinese(self, count: int, letters: int = LETTERS) -> list[str]:
        """Return Chinese texts of so many characters."""
        rows = self._draw(self._sign_cut, (count, letters))
        return ["".join(self.signs[row]) for row in rows]

    def _draw(self, cut: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        drawn = np.searchsorted(cut, self.random.random(shape) * cut[-1])
        return np.minimum(drawn, len(cut) - 1)


def fill(path: Path, critiques: int, seed: int) -> Filled:
    """Write a ledger of at least so many critiques."""
    writer, filled = Writer(seed), Filled()
    filled.rare = [str(word) for word in writer.words[-3:]]
    per_prompt = 4 * len(CRITERIA)
    prompts = _prompts(writer)
    per_cycle = max(-(-critiques // CYCLES // per_prompt), 1)
    with Ledger.open(path) as ledger:
        ledger.add_rubric(RUBRIC, "bench", "1", "name = 'bench'")
        ledger.register_base("v0000", f"{0:064x}", "policies/v0000", {})
        for cycle in range(1, CYCLES + 1):
            _cycle(ledger, writer, cycle, prompts, per_cycle, filled)
            if filled.critiques >= critiques:
                break
    return filled


def _prompts(writer: Writer) -> list[Prompt]:
    texts = writer.texts(PROMPTS - PROMPTS // 20, 80) + writer.chinese(PROMPTS // 20, 20)
    return [
        Prompt(
            id=f"prompt-{i:06d}",
            messages=(Message(role="user", content=text),),
            tags=(RARE_TAG,) if i % 1000 == 7 else (TAGS[i % len(TAGS)],),
            split="train",
        )
        for i, text in enumerate(texts)
    ]


def _cycle(
    ledger: Ledger,
    writer: Writer,
    cycle: int,
    prompts: Sequence[Prompt],
    per_cycle: int,
    filled: Filled,
) -> None:
    policy = f"v{cycle - 1:04d}"
    digest = f"{cycle - 1:064x}"
    ledger.begin_cycle(
        cycle, run_seed=7, config={}, config_hash="c", rubric_hash=RUBRIC, incumbent="v0000"
    )
    for stage in ("generation", "judging"):
        ledger.begin_stage(cycle, stage)
    chosen = writer.random.choice(len(prompts), size=per_cycle, replace=per_cycle > len(prompts))
    asked = [prompts[i] for i in dict.fromkeys(chosen.tolist())]
    answers = {
        p.id: [
            Completion(
                id=f"completion-{cycle}-{p.id}-{i}",
                prompt_id=p.id,
                policy=digest,
                index=i,
                text=text,
                length=40,
                ended=True,
            )
            for i, text in enumerate(writer.texts(2, 160))
        ]
        for p in asked
    }
    with ledger.unit(cycle, "generation", "answers") as unit:
        unit.add_prompts(asked)
        unit.add_completions("train", [c for pair in answers.values() for c in pair])
        if cycle > 1:
            unit.add_policy(policy, digest, f"policies/{policy}", None, {})
    batches = [asked[i : i + TOGETHER] for i in range(0, len(asked), TOGETHER)]
    for number, batch in enumerate(batches):
        judged = [j for p in batch for c in answers[p.id] for j in _ratings(writer, cycle, c)]
        _write(ledger, cycle, f"ratings-{number:05d}", judged, [], filled)
    for number, batch in enumerate(batches):
        both = [_compared(writer, cycle, *answers[p.id]) for p in batch]
        judged = [j for found, _ in both for j in found]
        _write(ledger, cycle, f"pairs-{number:05d}", judged, [v for _, v in both], filled)
    for stage in ("generation", "judging"):
        ledger.finish_stage(cycle, stage)
    started = time.perf_counter()
    ledger.checkpoint()
    filled.checkpoint_seconds += time.perf_counter() - started
    ledger.finish_cycle(cycle)


def _write(
    ledger: Ledger,
    cycle: int,
    name: str,
    judged: list[Judgement],
    verdicts: list[PairVerdict],
    filled: Filled,
) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    with ledger.unit(cycle, "judging", name) as unit:
        unit.add_judgements(RUBRIC, judged)
        unit.add_pair_verdicts(verdicts)
    filled.seconds += time.perf_counter() - started
    filled.cpu_seconds += time.process_time() - cpu
    filled.critiques += len(judged)
    filled.units += 1


def _ratings(writer: Writer, cycle: int, answer: Completion) -> Iterator[Judgement]:
    scores = writer.random.beta(2, 1, size=len(CRITERIA))
    for criterion, score in zip(CRITERIA, scores, strict=True):
        verdict = Rating(score=float(score))
        yield _judgement(writer, cycle, criterion, (answer.id,), verdict)


def _compared(
    writer: Writer, cycle: int, first: Completion, second: Completion
) -> tuple[list[Judgement], PairVerdict]:
    p = float(writer.random.beta(1, 1))
    flips = writer.random.random() < 0.04
    backward = 1 - p if flips else p
    judged = [
        _judgement(writer, cycle, criterion, ids, Choice(p_first=min(max(shown, 0.0), 1.0)))
        for criterion in CRITERIA
        for ids, shown in (((first.id, second.id), p), ((second.id, first.id), 1 - backward))
    ]
    held = writer.random.random() < 0.03
    return judged, PairVerdict(
        first_id=first.id,
        second_id=second.id,
        p_first=(p + backward) / 2,
        p_forward=p,
        p_backward=backward,
        quarantined="the verdict flips with the order" if held else None,
    )


def _judgement(
    writer: Writer, cycle: int, criterion: str, ids: tuple[str, ...], verdict: Verdict
) -> Judgement:
    words = writer.chinese(1)[0] if writer.random.random() < 0.04 else writer.texts(1)[0]
    if cycle <= CYCLES // 10 and writer.random.random() < 0.5:
        words = f"{GONE_WORD} {words}"[:LETTERS]
    if writer.random.random() < 0.01:
        verdict = Unscored(reason="no label in the reply")
    judge = JUDGES[int(writer.random.random() ** 2 * len(JUDGES))]
    name = "-".join([str(cycle), criterion, *(i.removeprefix("completion-") for i in ids)])
    return Judgement(
        id=f"critique-{name}",
        criterion=criterion,
        kind="pairwise" if len(ids) > 1 else "pointwise",
        completion_ids=ids,
        critique=words,
        verdict=verdict,
        judge=judge,
        method="label_probs",
        call=JudgeCall(
            request_hash=name,
            judge=judge,
            request=f"{words[::-1]}\nWhich is better?",
            reply=f"{words}\nVerdict: A",
            label_probs={"A": 0.5, "B": 0.25},
            prompt_tokens=300,
            reply_tokens=90,
            latency=0.5,
        ),
    )
