"""An embedder that knows eight words, and critiques for it."""

from collections.abc import Sequence

import numpy as np

from cli.filled import RUBRIC, answer, judgement
from rlaif.cli.critiques.vectors import Floats
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Rating, VerdictMethod

MEANINGS = {"rude": 0, "curt": 0, "cold": 0, "wrong": 1, "false": 1, "长": 2, "long": 2, "kind": 3}


class WordEncoder:
    """Knows what eight words mean, in four dimensions; counts what it was asked."""

    def __init__(self, digest: str = "d" * 64) -> None:
        self.digest = digest
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.asked += texts
        rows = np.zeros((len(texts), 4), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word, meaning in MEANINGS.items():
                row[meaning] += text.casefold().count(word)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        found: Floats = rows / np.where(norms > 0, norms, 1)
        return found


def commit(
    project: Project,
    name: str,
    *said: tuple[str, float],
    method: VerdictMethod | None = None,
    cycle: int = 3,
) -> None:
    """Commit ratings of one answer: what was said, and the score; by code, or by a judge."""
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(cycle, "judging", name) as unit:
        made = answer(name, cycle, "It is.", "capital", "p0")
        unit.add_completions("train", [made])
        judged = [
            judgement(f"{name}-{i}", "tone", [made.id], words, Rating(score=score))
            for i, (words, score) in enumerate(said)
        ]
        unit.add_judgements(RUBRIC, [j.model_copy(update={"method": method}) for j in judged])


def begin(project: Project, number: int) -> None:
    """End the cycle before this number, and begin to judge in this one."""
    with Ledger.open(project.ledger_path) as ledger:
        ledger.finish_stage(number - 1, "judging")
        ledger.finish_cycle(number - 1)
        hashes = {"config_hash": "c" * 64, "rubric_hash": RUBRIC}
        ledger.begin_cycle(number, run_seed=7, config={}, incumbent="v0001", **hashes)
        ledger.begin_stage(number, "judging")
