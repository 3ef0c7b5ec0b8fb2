"""Pairs that a cycle compared, in the ledger of the filled project, and a judge to judge them."""

from collections.abc import Callable

from cli.filled import ANSWERS, RUBRIC, judgement
from rlaif.config import JudgeConfig
from rlaif.crew import Crew
from rlaif.judges import PAIR_LABELS, JudgeRequest, Juror, load_templates
from rlaif.ledger.unit import Unit
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import (
    Choice,
    Completion,
    CompletionScore,
    JudgeCall,
    Judgement,
    PairVerdict,
    Ranking,
    Rating,
)
from rlaif.testing import ScriptedJudge

DRAFT = """\
name = "draft"
version = "7"
language = "en"

[[criteria]]
name = "correct"
kind = "judge"
weight = 1.0
text = "The answer is right."
choices = ["wrong", "half right", "right"]

[[criteria]]
name = "brief"
kind = "rule"
weight = 0.5
rule = { max_words = 40 }
"""
LIKED = ("Paris", "Five", "\u5df4\u9ece")
WITHOUT_VERDICT = "[mute]"


def tells(request: JudgeRequest) -> dict[str, float] | str:
    """Like Paris and five, dislike all else, and say nothing of what is mute."""
    if any(WITHOUT_VERDICT in text for text in request.shown):
        return "Well."
    likes = [any(word in text for word in LIKED) for text in request.shown]
    if request.labels == PAIR_LABELS:
        p = 0.5 + (likes[0] - likes[1]) / 2.0
        return {"A": p, "B": 1.0 - p}
    return dict.fromkeys(request.labels, 0.0) | {request.labels[-1 if likes[0] else 0]: 1.0}


def takes_the_bench(judge: ScriptedJudge) -> Callable[[Crew, JudgeConfig], Juror]:
    """What stands for ``Crew._juror``: this judge, whatever the settings name."""

    def juror(_: Crew, config: JudgeConfig) -> Juror:
        templates = load_templates(config.template)
        return Juror(config.display_name, judge, templates, config.min_label_mass)

    return juror


def call(money: float = 0.0) -> JudgeCall:
    return JudgeCall(
        request_hash="q" * 64,
        judge="another judge",
        request="Which?",
        reply="The first.",
        label_probs={},
        prompt_tokens=10,
        reply_tokens=2,
        latency=0.5,
        cost=money,
    )


def compare_pairs(
    project: Project,
    cycle: int = 3,
    p_first: float = 0.9,
    rubric: str = RUBRIC,
    *,
    ranked: bool = False,
) -> None:
    """Judge the cycle's two pairs: of the first answer to each prompt, P(better) is given.

    ``ranked``: in lists, which hold another answer besides.
    """
    with Ledger.open(project.ledger_path) as ledger:
        if rubric != RUBRIC:
            ledger.add_rubric(rubric, "newer", "2", 'name = "newer"')
        with ledger.unit(cycle, "judging", "comparisons") as unit:
            ids = [f"completion-{name}-{cycle}" for name in ANSWERS]
            _fill(unit, ids, p_first, rubric, ranked=ranked)


def _fill(unit: Unit, ids: list[str], p_first: float, rubric: str, *, ranked: bool) -> None:
    pairs = list(zip(ids[::2], ids[1::2], strict=True))
    ratings = [
        judgement(f"{name}-{i}", name, [i], "So.", Rating(score=0.5), call())
        for i in ids
        for name in ("correct", "courteous")
    ]
    comparisons = [
        judgement(f"{a}-{b}", "correct", [a, b], "So.", Choice(p_first=p), call(0.25))
        for first, second in pairs
        for a, b, p in ((first, second, p_first), (second, first, 1.0 - p_first))
    ]
    if ranked:
        comparisons = _rankings(unit, pairs)
    parts = {"correct": 0.5, "courteous": 0.5}
    both = {"p_first": p_first, "p_forward": p_first, "p_backward": p_first}
    unit.add_judgements(rubric, ratings)
    unit.add_judgements(rubric, comparisons)
    unit.add_scores([CompletionScore(completion_id=i, score=0.5, parts=parts) for i in ids])
    unit.add_pair_verdicts([PairVerdict(first_id=a, second_id=b, **both) for a, b in pairs])


def _rankings(unit: Unit, pairs: list[tuple[str, str]]) -> list[Judgement]:
    """Rank each pair with a third answer of its prompt, which is no pair of its own here."""
    found = []
    for first, second in pairs:
        name = first.split("-")[1]
        third = Completion(
            id=f"third-{name}",
            prompt_id=name,
            policy="d",
            index=9,
            text="Ask me later.",
            length=3,
            ended=True,
        )
        unit.add_completions("train", [third])
        for ids in ((first, second, third.id), (third.id, second, first)):
            told = judgement(
                "-".join(ids), "correct", ids[:2], "So.", Rating(score=0.5), call(0.25)
            )
            changes = {
                "kind": "listwise",
                "completion_ids": ids,
                "verdict": Ranking(places=(0, 1, 2)),
            }
            found.append(told.model_copy(update=changes))
    return found
