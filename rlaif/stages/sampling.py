"""Which prompts a cycle works on."""

from collections.abc import Mapping, Sequence

import numpy as np

from rlaif.config import SamplingConfig
from rlaif.records import Prompt
from rlaif.seeds import derive_seed, numpy_generator
from rlaif.stages.pools import Encode, stable_share


def choose_training_prompts(
    prompts: Sequence[Prompt],
    config: SamplingConfig,
    *,
    seed: int,
    cycle: int,
    encode: Encode,
    difficulty: Mapping[str, float],
) -> list[Prompt]:
    """Choose the prompts that a cycle trains on.

    ``uniform`` walks through a seeded shuffle of the pool, so that no prompt comes again before
    all have come. ``coverage`` takes the prompt farthest from those taken, again and again
    (k-centre greedy; Gonzalez 1985). ``hard`` takes those of lowest difficulty figure first;
    prompts never seen count as average.

    Args:
        prompts: The pool; only those of split ``train`` are taken.
        config: Strategy and number.
        seed: The run's seed.
        cycle: Number of the cycle, from 1.
        encode: Texts -> unit vectors (``coverage`` only).
        difficulty: Prompt id -> margin or reward last time; low is hard (``hard`` only).
    """
    pool = [p for p in prompts if p.split == "train"]
    count = min(config.prompts_per_cycle, len(pool))
    generator = numpy_generator(derive_seed(seed, cycle, "sampling"))
    if config.strategy == "uniform":
        chosen = _walk(len(pool), count, seed, cycle)
    elif config.strategy == "coverage":
        chosen = _farthest_first(encode([p.text for p in pool]), count, generator)
    else:
        chosen = _hardest([p.id for p in pool], count, difficulty, generator)
    return [pool[i] for i in chosen]


def choose_held_out_prompts(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """Choose held-out prompts, the same ones in every cycle, by stable hash of their ids."""
    pool = [p for p in prompts if p.split == "eval"]
    return sorted(pool, key=lambda p: (stable_share(p.id), p.id))[:count]


def _walk(total: int, count: int, seed: int, cycle: int) -> list[int]:
    """Return a cycle's slice of an endless walk of shuffled passes, without repeats in it."""
    first = (cycle - 1) * count
    chosen: list[int] = []
    number = first // total
    skip = first % total
    while len(chosen) < count:
        generator = numpy_generator(derive_seed(seed, "sampling", "pass", number))
        order = generator.permutation(total).tolist()[skip:]
        chosen += [i for i in order if i not in chosen][: count - len(chosen)]
        number, skip = number + 1, 0
    return chosen


def _farthest_first(vectors: np.ndarray, count: int, generator: np.random.Generator) -> list[int]:
    chosen = [int(generator.integers(len(vectors)))]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < count:
        nearest[chosen[-1]] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
        nearest[chosen] = np.inf
    return chosen


def _hardest(
    ids: Sequence[str],
    count: int,
    difficulty: Mapping[str, float],
    generator: np.random.Generator,
) -> list[int]:
    average = float(np.mean(list(difficulty.values()))) if difficulty else 0.0
    order = generator.permutation(len(ids)).tolist()
    return sorted(order, key=lambda i: difficulty.get(ids[i], average))[:count]
