"""What a cycle would take with a draft of a rubric, reckoned from what judging some pairs took."""

import math
from typing import NamedTuple

from rlaif.config import RlaifConfig
from rlaif.judges import RubricJudge
from rlaif.records import Record
from rlaif.stages.trying import Cost, Tried

ROLES_RATED, ROLES_COMPARED = 3, 2
ORDERS = 2
_MILLION = 1e6


class PreviewCost(Record):
    """What judging takes.

    Attributes:
        current: What the pairs took when they were judged: the lists that they are in, where they
            were ranked in lists.
        draft: What they took now.
        cycle: What a cycle of this project would take, at most.
        cycle_answers: How many answers a cycle rates, at most.
        cycle_pairs: How many pairs it compares, at most.
        cycle_lists: How many lists it ranks, at most.
    """

    current: Cost
    draft: Cost
    cycle: Cost
    cycle_answers: int
    cycle_pairs: int
    cycle_lists: int = 0

    def untimed(self) -> "PreviewCost":
        """Return the same without times that were measured now."""
        new = {"draft": self.draft.untimed(), "cycle": self.cycle.untimed()}
        return self.model_copy(update=new)


class CycleSize(NamedTuple):
    """How many answers a cycle rates, how many pairs it compares, how many lists it ranks."""

    answers: int
    pairs: int
    lists: int


def cycle_size(config: RlaifConfig, *, probes: bool, ranks: bool) -> CycleSize:
    """Return how much a cycle judges with the rubric.

    All at most: near-duplicates are passed over, and answers of the last evaluation serve again.
    What a judge of the evaluation's own says is not among them.

    Args:
        config: The project's settings.
        probes: Whether some answers try the judge, attacked or asked about again.
        ranks: Whether a prompt's answers are ranked as a list; probes and duels stay pairs, and
            no list is asked about again.
    """
    prompts, own = config.sampling.prompts_per_cycle, config.generation.completions_per_prompt
    shares = (config.audit.probe_share, config.audit.again_share) if probes else (0.0, 0.0)
    attacked, again = (max(1, round(share * prompts)) if share else 0 for share in shares)
    held_out = config.sampling.eval_prompts if config.evaluation.judge is None else 0
    pairs = 0 if ranks else prompts * config.judging.pairs_per_prompt + again
    return CycleSize(
        prompts * own + attacked + again + ROLES_RATED * held_out,
        pairs + attacked + ROLES_COMPARED * held_out,
        prompts if ranks else 0,
    )


def preview_cost(
    panel: RubricJudge, tried: Tried, current: Cost, config: RlaifConfig
) -> PreviewCost:
    """Reckon what a cycle would take from what a trial took.

    Args:
        panel: The draft with its judges.
        tried: What it said, and what that took.
        current: What judging the same pairs took before.
        config: How much a cycle judges.
    """
    size = cycle_size(config, probes=bool(panel.jury), ranks=panel.ranks)
    ratings = tried.rating_cost.times(size.answers / len(tried.answers))
    comparisons = tried.comparing_cost.times(size.pairs / len(tried.pairs))
    rankings = _ranking_cost(tried, config).times(size.lists / len(tried.pairs))
    return PreviewCost(
        current=current,
        draft=tried.cost,
        cycle=ratings + comparisons + (rankings if size.lists else Cost()),
        cycle_answers=size.answers,
        cycle_pairs=size.pairs,
        cycle_lists=size.lists,
    )


def _ranking_cost(tried: Tried, config: RlaifConfig) -> Cost:
    """Return what it would take to rank a list in place of each pair.

    A call that ranks is taken for one that compares and reads more answers, of the mean length
    and at as many tokens a character as the judges read here.
    """
    listed = min(config.judging.list_size, config.generation.completions_per_prompt)
    orders = min(config.judging.list_orders, math.factorial(listed))
    said = [(j.judge, j.call) for js in tried.comparisons for j in js if j.call is not None]
    shown = sum(len(call.request) for _, call in said)
    read = sum(call.prompt_tokens for _, call in said)
    letters = sum(len(answer.text) for _, answer in tried.answers) / len(tried.answers)
    more = (listed - 2) * letters * read / shown if shown else 0.0
    prices = {j.display_name: j.server.prompt_price for j in config.jury if j.server is not None}
    money = math.fsum(more * prices.get(judge, 0.0) / _MILLION for judge, _ in said)
    further = Cost(prompt_tokens=round(more * len(said)), money=money or None)
    return (tried.comparing_cost + further).times(orders / ORDERS)
