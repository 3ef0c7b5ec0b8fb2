"""What goes into the ledger comes out of it, whatever the words and numbers."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import RUBRIC, begun, completion, prompt

from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import (
    Choice,
    Completion,
    CompletionScore,
    GateCheck,
    GateDecision,
    JudgeCall,
    Judgement,
    MarkedError,
    Marking,
    Message,
    Metric,
    PairVerdict,
    Preference,
    Prompt,
    Rating,
    Revision,
    Unscored,
    VerdictMethod,
)

SETTINGS = settings(derandomize=True, deadline=None, max_examples=40)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
shares = st.floats(0.0, 1.0)
maybe_shares = st.none() | shares
maybe_texts = st.none() | texts
sizes = st.integers(0, 2**40)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts)
calls = st.builds(
    JudgeCall,
    request_hash=words,
    judge=words,
    request=texts,
    reply=texts,
    label_probs=st.dictionaries(words, shares, max_size=3),
    samples=st.lists(texts, max_size=3).map(tuple),
    prompt_tokens=sizes,
    reply_tokens=sizes,
    latency=st.floats(0.0, 1e6),
    cost=st.floats(0.0, 1e6),
)
methods = st.none() | st.sampled_from(get_args(VerdictMethod))
verdicts = (
    st.builds(Rating, score=shares)
    | st.builds(Choice, p_first=shares)
    | st.builds(Unscored, reason=words)
)
found_errors = st.builds(MarkedError, quote=texts, why=texts, start=sizes, end=sizes)
lost_errors = st.builds(MarkedError, quote=texts, why=texts, unlocated=words)
numbers = count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("shared") / "ledger.db"
    with begun(path, "generation", "judging", "promotion") as ledger:
        yield ledger


def pair(ledger: Ledger) -> tuple[str, str, str]:
    """Add a fresh prompt with two answers; return the three ids."""
    name = f"pair-{next(numbers)}"
    with ledger.unit(1, "generation", name) as unit:
        unit.add_prompts([prompt(name)])
        unit.add_completions("train", [completion(f"{name}-{i}", name, index=i) for i in range(2)])
    return f"prompt-{name}", f"completion-{name}-0", f"completion-{name}-1"


@SETTINGS
@given(
    rounds=st.lists(messages, min_size=1, max_size=3),
    tags=st.lists(texts, max_size=3),
    split=st.sampled_from(["train", "eval"]),
)
def test_prompts(shared: Ledger, rounds: list[Message], tags: list[str], split: Any) -> None:
    name = f"any-{next(numbers)}"
    given_prompt = Prompt(id=name, messages=tuple(rounds), tags=tuple(tags), split=split)
    with shared.unit(1, "generation", name) as unit:
        unit.add_prompts([given_prompt])
        unit.add_cycle_prompts("eval", [name])
    assert shared.prompts([name]) == [given_prompt]
    assert given_prompt in shared.cycle_prompts(1, "eval")


@SETTINGS
@given(st.data())
def test_completions(shared: Ledger, data: st.DataObject) -> None:
    name = f"any-{next(numbers)}"
    answers = [
        Completion(
            id=f"{name}-{i}",
            prompt_id=name,
            policy=data.draw(words),
            index=i,
            text=data.draw(texts),
            length=data.draw(sizes),
            ended=data.draw(st.booleans()),
            duplicate_of=f"{name}-0" if i and data.draw(st.booleans()) else None,
        )
        for i in range(data.draw(st.integers(0, 3)))
    ]
    with shared.unit(1, "generation", name) as unit:
        unit.add_prompts([prompt("x").model_copy(update={"id": name})])
        unit.add_completions(name, answers)
    assert shared.completions(1, name) == answers
    assert shared.completions_by_id([a.id for a in answers]) == answers


@SETTINGS
@given(
    verdict=verdicts,
    call=st.none() | calls,
    critique=texts,
    criterion=texts,
    judge=texts,
    method=methods,
)
def test_judgements(
    shared: Ledger,
    verdict: Any,
    call: JudgeCall | None,
    critique: str,
    criterion: str,
    judge: str,
    method: VerdictMethod | None,
) -> None:
    _, first, second = pair(shared)
    about = (first, second) if verdict.type == "choice" else (first,)
    judgement = Judgement(
        id=f"judgement-{next(numbers)}",
        criterion=criterion,
        kind="pairwise" if len(about) == 2 else "pointwise",
        completion_ids=about,
        critique=critique,
        verdict=verdict,
        judge=judge,
        method=method,
        call=call,
    )
    with shared.unit(1, "judging", judgement.id) as unit:
        unit.add_judgements(RUBRIC, [judgement])
    assert shared.judgements([first, second]) == [judgement]
    (view,) = shared.critiques(judgement.id)
    assert (view.critique, view.verdict) == (critique, verdict)
    assert view.label_probs == (call.label_probs if call else None)
    assert [c.id for c in view.completions] == list(about)


@SETTINGS
@given(
    grader=texts,
    writing=st.none() | calls,
    call=st.none() | calls,
    errors=st.lists(found_errors | lost_errors, max_size=4).map(tuple),
    unscored=maybe_texts,
)
def test_graded_critiques_and_markings(
    shared: Ledger,
    grader: str,
    writing: JudgeCall | None,
    call: JudgeCall | None,
    errors: tuple[MarkedError, ...],
    unscored: str | None,
) -> None:
    _, first, _ = pair(shared)
    judgement = Judgement(
        id=f"judgement-{next(numbers)}",
        criterion="kind",
        kind="pointwise",
        completion_ids=(first,),
        critique="It is curt.",
        verdict=Rating(score=0.5),
        writing=writing,
        grader=grader,
    )
    marking = Marking(critique_id=judgement.id, errors=errors, unscored=unscored, call=call)
    with shared.unit(1, "judging", judgement.id) as unit:
        unit.add_judgements(RUBRIC, [judgement])
    with shared.unit(1, "judging", f"marks of {judgement.id}") as unit:
        unit.add_markings([marking])
    assert shared.judgements([first]) == [judgement]
    assert shared.marking(judgement.id) == marking
    lineage = shared.lineage(judgement.id)
    assert (lineage.told.writing, lineage.told.grader, lineage.marking) == (
        writing,
        grader,
        marking,
    )


@SETTINGS
@given(
    judge=texts,
    critique_ids=st.lists(words, min_size=1, max_size=3).map(tuple),
    p_forward=maybe_shares,
    p_backward=maybe_shares,
    fate=st.tuples(shares, st.none()) | st.tuples(maybe_shares, texts),
    call=st.none() | calls,
)
def test_revisions(shared: Ledger, fate: tuple[float | None, str | None], **fields: Any) -> None:
    _, first, second = pair(shared)
    revision = Revision(
        original_id=first,
        completion_id=second,
        rubric_hash=RUBRIC,
        p_better=fate[0],
        rejected=fate[1],
        **fields,
    )
    with shared.unit(1, "judging", f"mended {first}") as unit:
        unit.add_revisions([revision])
    assert revision in shared.revisions(1)


@SETTINGS
@given(
    score=maybe_shares,
    parts=st.dictionaries(words, shares, max_size=4),
    vetoed_by=maybe_texts,
    why=maybe_texts,
)
def test_scores(shared: Ledger, why: str | None, **fields: Any) -> None:
    _, first, _ = pair(shared)
    reason = {"unscored" if fields["score"] is None else "quarantined": why}
    score = CompletionScore(completion_id=first, **fields, **reason)
    with shared.unit(1, "judging", first) as unit:
        unit.add_scores([score])
    assert score in shared.scores(1, "judging")


@SETTINGS
@given(
    p_first=maybe_shares,
    p_forward=maybe_shares,
    p_backward=maybe_shares,
    quarantined=maybe_texts,
    unscored=maybe_texts,
    label=shares,
    split=st.sampled_from(["train", "heldout"]),
)
def test_pair_verdicts_and_preferences(
    shared: Ledger, label: float, split: Any, **fields: Any
) -> None:
    prompt_id, first, second = pair(shared)
    verdict = PairVerdict(first_id=first, second_id=second, **fields)
    wish = Preference(
        id=f"preference-{first}",
        prompt_id=prompt_id,
        first_id=first,
        second_id=second,
        label=label,
        split=split,
        rubric_hash=RUBRIC,
        origin="ratings",
    )
    with shared.unit(1, "judging", f"pair {first}") as unit:
        unit.add_pair_verdicts([verdict])
        unit.add_preferences([wish])
    assert verdict in shared.pair_verdicts(1, "judging")
    assert wish in shared.preferences(cycle=1)


@SETTINGS
@given(st.dictionaries(st.tuples(sizes, words), st.floats(allow_nan=False, allow_infinity=False)))
def test_metrics(shared: Ledger, values: dict[tuple[int, str], float]) -> None:
    stage = f"train-{next(numbers)}"
    shared.begin_stage(1, stage)
    metrics = [Metric(step=step, name=name, value=v) for (step, name), v in values.items()]
    with shared.unit(1, stage, "all") as unit:
        unit.add_metrics(metrics)
    expected = sorted(metrics, key=lambda m: (m.step, m.name.encode("utf-8")))
    assert shared.metrics(1, stage) == expected


def test_reports_and_decisions(ledger: Ledger, path: Path) -> None:
    checks = tuple(
        GateCheck(name=name, passed=passed, reason=f"{name}: 0.5")
        for name, passed in (("win rate", True), ("KL", False))
    )
    decision = GateDecision(decision="hold", checks=checks)
    with ledger.unit(1, "promotion", "gate") as unit:
        unit.add_gate_decision(decision)
        unit.add_report("gate", decision)
    ledger.add_oracle_report(1, {"base": 0.25, "words": "“né”"})
    with LedgerReader.open(path) as reader:
        assert reader.gate_decision(1) == decision
        assert reader.report(1, "gate") == decision.model_dump(mode="json")
        assert reader.oracle_report(1) == {"base": 0.25, "words": "“né”"}
        assert reader.gate_decision(2) is None
        assert reader.report(1, "ppo") is None
        assert reader.oracle_report(2) is None
