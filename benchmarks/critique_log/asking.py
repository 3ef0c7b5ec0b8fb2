"""What is asked of the filled ledger, and how long each answer takes."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from filling import CYCLES, GONE_WORD, RARE_TAG, Filled

from rlaif.cli.critiques.likeness import critiques_alike
from rlaif.cli.critiques.themes import find_themes
from rlaif.cli.critiques.vectors import CritiqueVectors, Floats
from rlaif.ledger.reader import LedgerReader

DIMENSIONS = 384
LIMITS = {"rank": 1.5, "themes": 10.0}
LIMIT = 0.3

Query = tuple[str, Callable[[LedgerReader], Any]]


class ChanceEncoder:
    """Vectors drawn by chance: the benchmark is about time, not about meaning."""

    digest = "chance" * 8

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return [texts, dimensions] float32 of length 1."""
        drawn = self._random.standard_normal((len(texts), DIMENSIONS), np.float32)
        found: Floats = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return found


FILTERS: dict[str, dict[str, Any]] = {
    "newest": {},
    "cycle last": {"cycle": CYCLES},
    "cycle first": {"cycle": 1},
    "stage": {"stage": "judging"},
    "criterion": {"criterion": "honest"},
    "criterion unknown": {"criterion": "nobody's"},
    "judge common": {"judge": "large-judge"},
    "judge rare": {"judge": "small-judge"},
    "judge part": {"judge": "LARGE"},
    "verdict rating": {"verdict": "rating"},
    "verdict choice": {"verdict": "choice"},
    "verdict low": {"verdict": "low"},
    "verdict tie": {"verdict": "tie"},
    "unscored": {"unscored": True},
    "margin at least 0.99": {"margin_min": 0.99},
    "margin at most 0.0001": {"margin_max": 0.0001},
    "margin 0.3 to 0.7": {"margin_min": 0.3, "margin_max": 0.7},
    "flipped": {"flipped": True},
    "quarantined": {"quarantined": True},
    "policy first": {"policy": f"{0:064x}"},
    "policy last": {"policy": f"v{CYCLES - 1:04d}"},
    "tag common": {"tag": "billing"},
    "tag rare": {"tag": RARE_TAG},
    "deep page": {"before": 1_000},
}
PAIRS: dict[str, dict[str, Any]] = {
    "quarantined, tag rare": {"quarantined": True, "tag": RARE_TAG},
    "flipped, quarantined, cycle": {"flipped": True, "quarantined": True, "cycle": 3},
    "unscored, judge rare, criterion": {
        "unscored": True,
        "judge": "small-judge",
        "criterion": "harmless",
    },
    "rating, choice's margin": {"verdict": "rating", "flipped": True},
    "policy first, cycle last": {"policy": f"{0:064x}", "cycle": CYCLES},
    "criterion, judge, verdict": {"criterion": "honest", "judge": "large", "verdict": "second"},
    "margin at most 0.001, unscored": {"margin_max": 0.001, "unscored": True},
}


def searches(rare: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what is searched for, alone and with filters."""
    words = {
        "common word": "the",
        "middling word": "apology",
        "rare word": rare[0],
        "no such word": "zzzyx",
        "two letters": "it",
        "two rare letters": "xq",
        "one letter": "e",
        "part of a word": "olit",
        "common part": "an",
        "rare part": rare[1][1:],
        "phrase": '"the answer"',
        "phrase that nobody wrote": '"gone refund of the clear and"',
        "phrase of parts": '"e answe"',
        "rare phrase": f'"{rare[2]} the"',
        "chinese": "礼貌",
        "chinese, one sign": "貌",
        "chinese phrase": "没有礼貌",
        "word of old cycles": GONE_WORD,
        "two words": "polite vague",
        "common and rare": f"the {rare[0]}",
        "signs": "!?% -- \"'; DROP",
        "full stop": ".",
    }
    asked = {f"search {name}": {"search": text} for name, text in words.items()}
    for name in ("common word", "rare word", "two letters", "word of old cycles", "chinese"):
        for filters in ("quarantined", "tag rare", "cycle last", "verdict tie", "criterion"):
            asked[f"search {name}, {filters}"] = {"search": words[name], **FILTERS[filters]}
    for name, filters in PAIRS.items():
        asked[f"search common word, {name}"] = {"search": "the", **filters}
    return asked


def queries(filled: Filled, vectors: CritiqueVectors, encoder: ChanceEncoder) -> Iterable[Query]:
    """Yield everything that is asked, with its name."""
    asked = FILTERS | PAIRS | searches(filled.rare)
    for name, filters in asked.items():
        yield name, lambda reads, f=filters: reads.critiques(**f)
    about = {"prompt": "prompt-000011", "part of a prompt": "refund cap", "common part": "the"}
    for name, words in about.items():
        yield f"about {name}", lambda reads, w=words: reads.critiques(w)
        yield f"about {name}, flipped", lambda reads, w=words: reads.critiques(w, flipped=True)
    for name, words in (("common word", "the"), ("two words", "polite vague"), ("part", "olit")):
        yield f"rank {name}", lambda reads, w=words: reads.critiques(order="rank", search=w)
    yield (
        "rank common word, criterion",
        lambda reads: reads.critiques(order="rank", search="the", criterion="honest"),
    )
    yield "show", lambda reads: reads.lineage(str(filled.critiques // 2))
    yield (
        "follow",
        lambda reads: reads.critiques(order="oldest", after=filled.critiques - 200, search="the"),
    )
    for name in ("newest", "quarantined", "tag rare", "cycle first", "criterion"):
        yield (
            f"like, {name}",
            lambda reads, f=FILTERS[name]: critiques_alike(
                reads, vectors, encoder, "cold", 20, None, f
            ),
        )
    yield "themes", lambda reads: find_themes(reads, vectors, 8, 7, {})


def measured(
    reads: LedgerReader, asked: Iterable[Query], repeats: int
) -> dict[str, dict[str, float | int | bool]]:
    """Return p50 and p95 of each query in seconds, and whether p95 keeps the limit.

    ``cpu`` is the median of what the process itself computed, where others shared the machine.
    """
    found: dict[str, dict[str, float | int | bool]] = {}
    for name, ask in asked:
        times, computed = [], []
        for _ in range(repeats if not name.startswith("themes") else min(repeats, 3)):
            started, cpu = time.perf_counter(), time.process_time()
            answer = ask(reads)
            times.append(time.perf_counter() - started)
            computed.append(time.process_time() - cpu)
        times.sort()
        p95 = times[min(round(0.95 * (len(times) - 1)), len(times) - 1)]
        limit = LIMITS.get(name.split()[0].rstrip(","), LIMIT)
        found[name] = {
            "p50": round(statistics.median(times), 4),
            "p95": round(p95, 4),
            "cpu": round(statistics.median(computed), 4),
            "limit": limit,
            "kept": p95 <= limit,
            "found": len(answer) if isinstance(answer, list) else 1,
        }
    return found
