"""Which answers of a prompt are ranked together, and in which orders they are shown."""

import math
from collections.abc import Mapping, Sequence

from rlaif.judges.lists import RankedItem
from rlaif.records import Completion, CompletionScore, Prompt
from rlaif.seeds import numpy_generator


def choose_list(
    prompt: Prompt,
    completions: Sequence[Completion],
    scores: Mapping[str, CompletionScore],
    *,
    size: int,
    orders: int,
    seed: int,
) -> RankedItem | None:
    """Choose the answers of one prompt that tell most when they are ranked together.

    The best and the worst first, then again and again the answer whose score is farthest from
    those of all that are chosen: so scores spread as widely as they can. Duplicates, answers with
    the same words and unscored ones are left out.

    Args:
        prompt: The prompt.
        completions: Its answers.
        scores: By completion id.
        size: Answers at most, two or more.
        orders: In how many orders they are shown, as far as there are that many.
        seed: Source of ties and of the orders.

    Returns:
        The list with its orders, None where fewer than two answers can be ranked.
    """
    generator = numpy_generator(seed)
    usable = _distinct(completions, scores)
    drawn = [usable[i] for i in generator.permutation(len(usable)).tolist()]
    if len(drawn) < 2:
        return None
    chosen = _spread(drawn, [scores[c.id].score or 0.0 for c in drawn], size)
    return RankedItem(
        prompt,
        tuple(
            tuple(chosen[place] for place in order)
            for order in shown_orders(len(chosen), orders, int(generator.integers(2**62)))
        ),
    )


def shown_orders(count: int, orders: int, seed: int) -> list[tuple[int, ...]]:
    """Draw distinct orders of so many answers; every second one reverses the one before it.

    Args:
        count: Answers, two or more.
        orders: Orders wanted; fewer where there are no more than that.
        seed: Source of the draw.
    """
    generator = numpy_generator(seed)
    found: list[tuple[int, ...]] = []
    while len(found) < min(orders, math.factorial(count)):
        order = tuple(generator.permutation(count).tolist())
        if order not in found:
            found += [order, order[::-1]]
    return found[:orders]


def _distinct(
    completions: Sequence[Completion], scores: Mapping[str, CompletionScore]
) -> list[Completion]:
    """Return the scored answers, the first of each wording."""
    found: dict[str, Completion] = {}
    for completion in completions:
        score = scores.get(completion.id)
        if completion.duplicate_of is None and score is not None and score.score is not None:
            found.setdefault(completion.text, completion)
    return list(found.values())


def _spread(answers: Sequence[Completion], levels: Sequence[float], size: int) -> list[Completion]:
    """Take the best, the worst, and then whatever is farthest from all that is taken."""
    left = list(range(len(answers)))
    taken: list[int] = []
    while left and len(taken) < size:
        if not taken:
            best = max(left, key=levels.__getitem__)
        else:
            gaps = {i: min(abs(levels[i] - levels[j]) for j in taken) for i in left}
            best = max(left, key=gaps.__getitem__)
        left.remove(best)
        taken.append(best)
    return [answers[i] for i in taken]
