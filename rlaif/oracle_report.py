"""What an exact grader says of a cycle, after its gate has decided; nothing ever learns from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlaif.bundled.grammar import UnknownPromptError, parse_prompt
from rlaif.bundled.oracle import HelpDeskOracle, OracleGrade
from rlaif.errors import LedgerError
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Completion, Probability, Prompt, Record

ROLES = ("base", "incumbent", "challenger")
Grades = dict[str, OracleGrade]


class OracleReport(Record):
    """The oracle's figures of one cycle, on the answers that the evaluation drew.

    ``base``, ``incumbent`` and ``challenger`` are mean scores; ``correct_*`` and ``good_*`` the
    shares of answers that are right, and good in every respect. Win rates: the strictly higher
    score wins, ties count half; ``win_rate_vs_base`` is the challenger's. ``judge_agreement`` is
    the share of held-out pairs, among those that the oracle tells apart and the judge scored, on
    which both agree. ``prompts`` counts those that were graded, ``left_out`` the held-out ones that
    are not of the oracle's world.
    """

    prompts: int
    left_out: int
    base: Probability
    incumbent: Probability
    challenger: Probability
    correct_base: Probability
    correct_challenger: Probability
    good_base: Probability
    good_challenger: Probability
    win_rate_vs_base: Probability
    judge_agreement: Probability | None
    pairs: int


def measure(project: Project, cycle: int) -> dict[str, Any] | None:
    """Grade a finished cycle's held-out answers and keep the figures in the ledger.

    Args:
        project: The project.
        cycle: A cycle whose gate has decided.

    Returns:
        The report as plain data, as another process wrote it where one was faster; None where
        the cycle had no challenger to evaluate, or the oracle knows none of its prompts.

    Raises:
        LedgerError: The gate has not decided yet, or the ledger cannot be written.
    """
    with Ledger.open(project.ledger_path) as ledger:
        report = _grade(ledger, cycle)
        if report is None:
            return None
        content = report.model_dump(mode="json")
        try:
            ledger.add_oracle_report(cycle, content)
        except LedgerError:
            there = ledger.oracle_report(cycle)
            if there is None:
                raise
            return there
        return content


def oracle_win_rate(mine: Mapping[str, OracleGrade], other: Mapping[str, OracleGrade]) -> float:
    """Return the share of prompts on which ``mine`` scores strictly higher, ties counted half."""
    wins = [
        1.0 if own.score > other[key].score else 0.5 if own.score == other[key].score else 0.0
        for key, own in mine.items()
    ]
    return sum(wins) / len(wins)


def _grade(reads: LedgerReads, cycle: int) -> OracleReport | None:
    held_out = reads.cycle_prompts(cycle, "eval")
    prompts = {p.id: p for p in held_out if _known(p)}
    answers = {
        role: [a for a in reads.completions(cycle, f"eval-{role}") if a.prompt_id in prompts]
        for role in ROLES
    }
    if not answers["challenger"]:
        return None
    answers["incumbent"] = answers["incumbent"] or answers["base"]
    oracle = HelpDeskOracle()
    grades = {role: _grades(oracle, prompts, found) for role, found in answers.items()}
    agreed, pairs = _agreement(reads, cycle, answers, grades)
    base, challenger = grades["base"], grades["challenger"]
    return OracleReport(
        prompts=len(challenger),
        left_out=len(held_out) - len(prompts),
        base=_mean([g.score for g in base.values()]),
        incumbent=_mean([g.score for g in grades["incumbent"].values()]),
        challenger=_mean([g.score for g in challenger.values()]),
        correct_base=_mean([g.correct for g in base.values()]),
        correct_challenger=_mean([g.correct for g in challenger.values()]),
        good_base=_mean([g.good for g in base.values()]),
        good_challenger=_mean([g.good for g in challenger.values()]),
        win_rate_vs_base=oracle_win_rate(challenger, base),
        judge_agreement=agreed,
        pairs=pairs,
    )


def _known(prompt: Prompt) -> bool:
    try:
        parse_prompt(prompt.text)
    except UnknownPromptError:
        return False
    return True


def _grades(
    oracle: HelpDeskOracle, prompts: Mapping[str, Prompt], answers: Sequence[Completion]
) -> Grades:
    return {a.prompt_id: oracle.grade(prompts[a.prompt_id].text, a.text, a.ended) for a in answers}


def _agreement(
    reads: LedgerReads,
    cycle: int,
    answers: Mapping[str, Sequence[Completion]],
    grades: Mapping[str, Grades],
) -> tuple[float | None, int]:
    score = {
        answer.id: grades[role][answer.prompt_id].score
        for role, found in answers.items()
        for answer in found
    }
    agreed = []
    for verdict in reads.pair_verdicts(cycle, "evaluation"):
        if verdict.first_id not in score or verdict.second_id not in score:
            continue
        gap = score[verdict.first_id] - score[verdict.second_id]
        if gap and verdict.p_first is not None and verdict.p_first != 0.5:
            agreed.append((verdict.p_first > 0.5) == (gap > 0))
    return (_mean(agreed) if agreed else None), len(agreed)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
