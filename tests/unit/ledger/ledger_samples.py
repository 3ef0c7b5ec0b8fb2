"""Small, readable records for the ledger's tests."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rlaif.ledger.writer import Ledger
from rlaif.records import (
    ArtifactRef,
    Choice,
    Completion,
    CompletionScore,
    GateCheck,
    GateDecision,
    HumanLabel,
    JudgeCall,
    Judgement,
    MarkedError,
    Marking,
    Message,
    Metric,
    PairVerdict,
    Preference,
    ProbeOutcome,
    Prompt,
    Ranking,
    Rating,
    Revision,
    Unscored,
)

RUBRIC = "rubric-hash"
CONFIG = {"run": {"seed": 7}, "policy": {"path": "bundled:tiny"}}


def in_child(work: Callable[[], None]) -> int | None:
    """Run ``work`` in a forked child; return its exit code, or minus the signal that ended it."""
    child = get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode


def prompt(
    name: str, text: str = "", *, split: str = "train", tags: tuple[str, ...] = ()
) -> Prompt:
    return Prompt(
        id=f"prompt-{name}",
        messages=(Message(role="user", content=text or f"What is {name}?"),),
        tags=tags,
        split=split,  # type: ignore[arg-type]
    )


def completion(name: str, prompt_name: str, text: str = "", **fields: Any) -> Completion:
    given: dict[str, Any] = {"policy": "digest-base", "index": 0, "length": 3, "ended": True}
    return Completion(
        id=f"completion-{name}",
        prompt_id=f"prompt-{prompt_name}",
        text=text or f"It is {name}.",
        **given | fields,
    )


def call(request: str = "Which is better?", *, latency: float = 0.5, **fields: Any) -> JudgeCall:
    given: dict[str, Any] = {
        "request_hash": f"hash of {request}",
        "judge": "tiny-judge",
        "request": request,
        "reply": "The first is courteous. A",
        "label_probs": {"A": 0.75, "B": 0.125},
        "prompt_tokens": 40,
        "reply_tokens": 8,
    }
    return JudgeCall(latency=latency, **given | fields)


def rating(name: str, about: str, critique: str = "Plain and right.", **fields: Any) -> Judgement:
    given: dict[str, Any] = {
        "criterion": "helpful",
        "kind": "pointwise",
        "verdict": Rating(score=0.75),
        "call": call(f"Rate {about}"),
    }
    return Judgement(
        id=f"judgement-{name}",
        completion_ids=(f"completion-{about}",),
        critique=critique,
        **given | fields,
    )


def comparison(name: str, first: str, second: str, **fields: Any) -> Judgement:
    given: dict[str, Any] = {
        "criterion": "helpful",
        "kind": "pairwise",
        "verdict": Choice(p_first=0.75),
        "critique": "The first is courteous.",
        "call": call(f"Compare {first} and {second}"),
    }
    return Judgement(
        id=f"judgement-{name}",
        completion_ids=(f"completion-{first}", f"completion-{second}"),
        **given | fields,
    )


def listing(name: str, *about: str, places: tuple[int, ...], **fields: Any) -> Judgement:
    given: dict[str, Any] = {
        "criterion": "helpful",
        "kind": "listwise",
        "verdict": Ranking(places=places),
        "critique": "The second is courteous, the third is curt.",
        "method": "words",
        "call": call(f"Rank {', '.join(about)}", label_probs={}),
    }
    return Judgement(
        id=f"judgement-{name}",
        completion_ids=tuple(f"completion-{answer}" for answer in about),
        **given | fields,
    )


def probe(probe_id: str, original_id: str, **fields: Any) -> ProbeOutcome:
    given: dict[str, Any] = {"kind": "fence", "method": "rating", "value": -0.25}
    return ProbeOutcome(
        probe_id=probe_id, original_id=original_id, rubric_hash=RUBRIC, **given | fields
    )


def revision(name: str, **fields: Any) -> Revision:
    """Return a confirmed revision of ``completion-NAME-0`` by ``completion-NAME-0-mended``."""
    given: dict[str, Any] = {
        "judge": "helper",
        "critique_ids": (f"judgement-{name}-0",),
        "p_better": 0.875,
        "p_forward": 0.75,
        "p_backward": 1.0,
        "call": call(f"Mend {name}-0", reply="Mended.", label_probs={}),
    }
    return Revision(
        original_id=f"completion-{name}-0",
        completion_id=f"completion-{name}-0-mended",
        rubric_hash=RUBRIC,
        **given | fields,
    )


def marking(name: str, **fields: Any) -> Marking:
    """Return two errors marked after ``judgement-NAME-0``, one of them found."""
    given: dict[str, Any] = {
        "errors": (
            MarkedError(quote="is", why="was", start=3, end=5),
            MarkedError(quote="\u662f", why="\u9519", unlocated="'\u662f' is not in the answer"),
        ),
        "call": call(f"Mark {name}-0", reply='Error: "is" - was', label_probs={}),
    }
    return Marking(critique_id=f"judgement-{name}-0", **given | fields)


def preference(name: str, prompt_name: str, first: str, second: str, **fields: Any) -> Preference:
    given: dict[str, Any] = {"label": 0.75, "split": "train", "rubric_hash": RUBRIC}
    given["origin"] = "comparison"
    return Preference(
        id=f"preference-{name}",
        prompt_id=f"prompt-{prompt_name}",
        first_id=f"completion-{first}",
        second_id=f"completion-{second}",
        **given | fields,
    )


def human_label(name: str, prompt_name: str, first: str, second: str, **fields: Any) -> HumanLabel:
    given: dict[str, Any] = {"form": "pair", "value": 0.75, "rater": "ana", "frozen": False}
    return HumanLabel(
        id=f"label-{name}",
        prompt_id=f"prompt-{prompt_name}",
        first_id=f"completion-{first}",
        second_id=f"completion-{second}" if second else None,
        **given | fields,
    )


def begin(ledger: Ledger, number: int = 1, **fields: Any) -> None:
    """Register rubric and base, and begin a cycle."""
    given: dict[str, Any] = {
        "run_seed": 7,
        "config": CONFIG,
        "config_hash": "config-hash",
        "rubric_hash": RUBRIC,
        "incumbent": "v0000",
    }
    ledger.add_rubric(RUBRIC, "helpdesk", "1", "name = 'helpdesk'", 1)
    ledger.register_base("v0000", "digest-base", "policies/v0000", {"made": "by hand"})
    ledger.begin_cycle(number, **given | fields)


def begun(path: Path, *stages: str) -> Ledger:
    """Open a ledger whose first cycle has begun these stages."""
    ledger = Ledger.open(path)
    begin(ledger)
    for stage in stages:
        ledger.begin_stage(1, stage)
    return ledger


def fill_cycle(ledger: Ledger, *, reverse: bool = False) -> None:
    """Do what is left of the begun first cycle, two units of everything, and finish it."""
    for stage, fill in (
        ("generation", fill_answers),
        ("judging", _fill_judgements),
        ("promotion", _fill_promotion),
    ):
        if ledger.stage_done(1, stage):
            continue
        units = ["capitals", "colours"]
        for name in reversed(units) if reverse else units:
            if name not in ledger.done_units(1, stage):
                fill(ledger, name)
        ledger.finish_stage(1, stage)
    ledger.finish_cycle(1)


def fill_answers(ledger: Ledger, name: str) -> None:
    with ledger.unit(1, "generation", name) as unit:
        unit.add_prompts([prompt(name)])
        unit.add_cycle_prompts("train", [f"prompt-{name}"])
        answers = [completion(f"{name}-{i}", name, index=i) for i in range(2)]
        unit.add_completions("train", answers)


def _fill_judgements(ledger: Ledger, name: str) -> None:
    first, second = f"{name}-0", f"{name}-1"
    label = human_label(name, name, first, second)
    ledger.add_human_labels([label], source="labels.jsonl")
    with ledger.unit(1, "judging", name) as unit:
        graded = {"grader": "helper", "writing": call(f"Write of {first}", label_probs={})}
        judged = [rating(first, first, **graded), comparison(f"{name}-pair", first, second)]
        unread = Unscored(reason="no label in the reply")
        judged.append(rating(second, second, verdict=unread, call=call("Rate", reply="?")))
        unit.add_judgements(RUBRIC, judged)
        score = CompletionScore(
            completion_id=f"completion-{first}", score=0.75, parts={"helpful": 0.75}
        )
        unit.add_scores([score])
        pair = PairVerdict(
            first_id=f"completion-{first}", second_id=f"completion-{second}", p_first=0.75
        )
        unit.add_pair_verdicts([pair])
        unit.add_preferences([preference(name, name, first, second)])
        attacked = completion(f"{name}-0-attacked", name, policy="probe:fence")
        unit.add_completions("probe-rated", [attacked])
        ranked = listing(f"{name}-list", first, second, f"{first}-attacked", places=(1, 0, 2))
        unit.add_judgements(RUBRIC, [ranked])
        unit.add_probes([probe(attacked.id, f"completion-{first}")])
        unit.add_cycle_labels([label.id])
        mended = completion(f"{name}-0-mended", name, policy="revision:helper")
        unit.add_completions("revision", [mended])
        unit.add_revisions([revision(name)])
        unit.add_markings([marking(name)])


def _fill_promotion(ledger: Ledger, name: str) -> None:
    with ledger.unit(1, "promotion", name) as unit:
        if name == "capitals":
            unit.add_metrics([Metric(step=0, name="kl", value=0.1)])
            unit.add_artifact(ArtifactRef(name="reward", digest="aa"), "state/artifacts/reward")
            check = GateCheck(name="win rate", passed=True, reason="0.61 is above 0.5")
            unit.add_gate_decision(GateDecision(decision="promote", checks=(check,)))
            unit.add_report("gate", check)
            unit.add_policy("v0001", "bb", "policies/v0001", "v0000", {"win_rate": 0.61})
            unit.add_promotion("v0001", "0.61 is above 0.5", "promote")
