"""Orders, filters and sums of what the ledger tells."""

import subprocess
import sys
from pathlib import Path

import pytest
from ledger_samples import (
    RUBRIC,
    begin,
    comparison,
    completion,
    fill_cycle,
    marking,
    preference,
    probe,
    prompt,
    rating,
    revision,
)

from rlaif.errors import LedgerError
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import CompletionScore, Metric, PairVerdict


def answer(ledger: Ledger, name: str, *, cycle: int = 1, purpose: str = "train") -> None:
    """Add a prompt with two answers, as the unit of that name."""
    with ledger.unit(cycle, "generation", f"{name}-{purpose}") as unit:
        unit.add_prompts([prompt(name)])
        answers = [completion(f"{name}-{i}", name, index=i) for i in range(2)]
        unit.add_completions(purpose, answers)


def second_cycle(ledger: Ledger) -> None:
    fill_cycle(ledger)
    begin(ledger, 2)
    for stage in ("generation", "judging"):
        ledger.begin_stage(2, stage)


def test_revisions_and_markings_come_back_with_their_calls(ledger: Ledger) -> None:
    fill_cycle(ledger)
    assert ledger.revisions(1) == [revision("colours"), revision("capitals")]
    assert ledger.markings(1) == [marking("colours"), marking("capitals")]
    assert ledger.marking("judgement-colours-0") == marking("colours")
    assert ledger.marking("judgement-colours-1") is None
    assert ledger.revisions(2) == ledger.markings(2) == []


def test_a_critique_knows_what_was_marked_and_mended_after_it(ledger: Ledger) -> None:
    fill_cycle(ledger)
    found = ledger.lineage("judgement-colours-0")
    assert found.marking == marking("colours")
    assert found.revisions == (revision("colours"),)
    other = ledger.lineage("judgement-colours-1")
    assert (other.marking, other.revisions) == (None, ())


def test_revisions_are_no_answers_of_a_policy(ledger: Ledger) -> None:
    fill_cycle(ledger)
    assert ledger.cycle_counts(1).completions == 4


def test_probes_are_found_by_the_rubric_that_they_were_judged_under(ledger: Ledger) -> None:
    fill_cycle(ledger)
    assert ledger.probes(RUBRIC) == [
        probe(f"completion-{name}-0-attacked", f"completion-{name}-0")
        for name in ("colours", "capitals")
    ]
    assert ledger.probes("another") == []


def test_answers_come_in_the_order_of_units_and_not_of_commits(ledger: Ledger) -> None:
    for unit in ("10", "2", "1"):
        with ledger.unit(1, "generation", unit) as gathered:
            gathered.add_prompts([prompt(unit)])
            answers = [completion(f"{unit}-{i}", unit, index=i) for i in (1, 0)]
            gathered.add_completions("train", answers)
    found = [c.id.removeprefix("completion-") for c in ledger.completions(1, "train")]
    assert found == ["1-1", "1-0", "2-1", "2-0", "10-1", "10-0"]


def test_prompts_come_as_asked_and_unknown_ones_are_named(ledger: Ledger) -> None:
    with ledger.unit(1, "generation", "u0") as unit:
        unit.add_prompts([prompt(name) for name in "cab"])
        unit.add_cycle_prompts("train", ["prompt-b", "prompt-a"])
        unit.add_cycle_prompts("eval", ["prompt-c"])
    assert ledger.prompts(["prompt-b", "prompt-c"]) == [prompt("b"), prompt("c")]
    assert [p.id for p in ledger.prompts()] == ["prompt-a", "prompt-b", "prompt-c"]
    assert ledger.prompts([]) == []
    assert ledger.cycle_prompts(1, "train") == [prompt("b"), prompt("a")]
    assert ledger.cycle_prompts(1, "eval") == [prompt("c")]
    assert ledger.cycle_prompts(2, "eval") == []
    with pytest.raises(LedgerError, match="no prompt 0, 1, 2 and 2 more"):
        ledger.prompts([str(i) for i in range(5)])
    with pytest.raises(LedgerError, match="no completion nowhere"):
        ledger.completions_by_id(["nowhere"])


def test_more_ids_than_sql_takes_parameters(ledger: Ledger) -> None:
    answer(ledger, "a")
    ids = [f"completion-{i}" for i in range(300_000)] + ["completion-a-1", "completion-a-0"]
    assert ledger.judgements(ids) == []
    with pytest.raises(LedgerError, match="completion-0, completion-1, completion-2 and 299997"):
        ledger.completions_by_id(ids)
    assert [c.id for c in ledger.completions_by_id(ids[-2:])] == ids[-2:]


def test_judgements_are_filtered_by_answers_cycle_stage_and_rubric(ledger: Ledger) -> None:
    second_cycle(ledger)
    ledger.add_rubric("stricter", "helpdesk", "2", "")
    with ledger.unit(2, "judging", "u0") as unit:
        unit.add_judgements("stricter", [rating("again", "capitals-0")])
        unit.add_judgements(
            RUBRIC, [comparison("across", "capitals-0", "colours-0"), rating("col", "colours-0")]
        )

    def found(*about: str, **filters: object) -> list[str]:
        ids = [f"completion-{name}" for name in about] if about else None
        judged = ledger.judgements(ids, **filters)  # type: ignore[arg-type]
        return [j.id.removeprefix("judgement-") for j in judged]

    assert found("capitals-0") == ["capitals-0", "again"]
    assert found("capitals-0", "capitals-1") == [
        "capitals-0",
        "capitals-pair",
        "capitals-1",
        "again",
    ]
    assert found("capitals-0", "colours-0", cycle=2) == ["again", "across", "col"]
    assert found("capitals-0", rubric_hash=RUBRIC) == ["capitals-0"]
    assert found(cycle=1, stage="judging") == found(cycle=1)
    assert found(cycle=1, stage="generation") == []
    assert len(found()) == 11
    assert ledger.judgements([]) == []


def test_scores_are_those_of_a_stage_or_of_one_purpose(ledger: Ledger) -> None:
    for name, purpose in (("a", "challenger"), ("b", "base")):
        answer(ledger, name, purpose=purpose)
        with ledger.unit(1, "judging", name) as unit:
            unit.add_scores(
                [CompletionScore(completion_id=f"completion-{name}-0", score=0.5, parts={})]
            )
    assert len(ledger.scores(1, "judging")) == 2
    (score,) = ledger.scores(1, "judging", "base")
    assert score.completion_id == "completion-b-0"
    assert ledger.scores(1, "judging", "incumbent") == ledger.scores(1, "generation") == []


def test_preferences_are_cut_by_cycle_and_rubric(ledger: Ledger) -> None:
    second_cycle(ledger)
    ledger.add_rubric("stricter", "helpdesk", "2", "")
    with ledger.unit(2, "judging", "u0") as unit:
        strict = preference("s", "capitals", "capitals-0", "capitals-1", rubric_hash="stricter")
        unit.add_preferences([strict])
    first = ["preference-colours", "preference-capitals"]  # shorter names of units come first

    def ids(**filters: object) -> list[str]:
        return [p.id for p in ledger.preferences(**filters)]  # type: ignore[arg-type]

    assert ids() == [*first, "preference-s"]
    assert ids(up_to_cycle=1) == ids(cycle=1) == ids(rubric_hash=RUBRIC) == first
    assert ids(cycle=2) == ids(rubric_hash="stricter") == ["preference-s"]
    assert ids(up_to_cycle=0) == []


def test_difficulty_is_that_of_the_last_time(ledger: Ledger) -> None:
    def judge(cycle: int, name: str, scores: list[float | None], p_first: float | None) -> None:
        with ledger.unit(cycle, "judging", f"{name}-again") as unit:
            unit.add_scores(
                [
                    CompletionScore(completion_id=f"completion-{name}-{i}", score=s, parts={})
                    for i, s in enumerate(scores)
                ]
            )
            first, second = f"completion-{name}-0", f"completion-{name}-1"
            unit.add_pair_verdicts([PairVerdict(first_id=first, second_id=second, p_first=p_first)])

    for name in ("near", "low", "unread"):
        answer(ledger, name)
    judge(1, "near", [1.0, 1.0], 0.5)
    judge(1, "low", [0.25, 0.0], 1.0)
    judge(1, "unread", [None, None], None)
    found = ledger.prompt_difficulty()
    assert found == pytest.approx({"prompt-near": 0.0, "prompt-low": 0.125})
    ledger.begin_stage(1, "calibration")
    with ledger.unit(1, "calibration", "human") as unit:
        unit.add_scores([CompletionScore(completion_id="completion-low-0", score=1.0, parts={})])
    ledger.finish_stage(1, "calibration")
    assert ledger.prompt_difficulty() == found
    second_cycle(ledger)
    judge(2, "near", [0.75, None], 0.125)
    judge(2, "low", [None, None], None)
    found = ledger.prompt_difficulty()
    assert found["prompt-near"] == pytest.approx(0.75)
    assert found["prompt-low"] == pytest.approx(0.125)
    assert found["prompt-capitals"] == pytest.approx(0.5)


def test_metrics_are_in_the_order_of_steps(ledger: Ledger) -> None:
    for unit, steps in (("late", (10, 2)), ("early", (1,))):
        with ledger.unit(1, "promotion", unit) as gathered:
            gathered.add_metrics(
                [Metric(step=s, name=n, value=float(s)) for s in steps for n in ("kl", "beta")]
            )
    found = [(m.step, m.name) for m in ledger.metrics(1, "promotion")]
    assert found == [(s, n) for s in (1, 2, 10) for n in ("beta", "kl")]
    assert ledger.metrics(1, "generation") == []


def test_reader_and_writer_tell_the_same(ledger: Ledger, path: Path) -> None:
    fill_cycle(ledger)
    with LedgerReader.open(path) as reader:
        for name in ("cycles", "policies", "promotions", "artifacts", "critiques", "judgements"):
            assert getattr(reader, name)() == getattr(ledger, name)() != []
        assert reader.stages(1) == ledger.stages(1)


def test_reading_needs_the_standard_library_alone() -> None:
    heavy = ("sqlite_utils", "pandas", "numpy", "torch", "transformers")
    code = f"import sys, rlaif.ledger.reader as _; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
