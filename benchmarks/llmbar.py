"""LLMBar's recorded judges, read by rlaif's parser and agreement code: ``make bench-llmbar``.

The data are Zeng et al. 2023, "Evaluating Large Language Models at Evaluating Instruction
Following": raw replies of GPT-4 and ChatGPT, with the winner that the authors' code read in each.
How these judges state a verdict is declared in ``llmbar_form/form.toml``; everything else is what
rlaif does with any judge. Prints a table per judge, protocol and subset, then every reply whose
winner differs from the record, with the reason. Exits with 1 where the form reads a choice
otherwise than the record.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlaif.config import JudgingConfig
from rlaif.judges import (
    PAIR_LABELS,
    JudgeCriterion,
    Rubric,
    VerdictSettings,
    pair_verdict,
    parse_verdict,
    score_completion,
)
from rlaif.judges.agreement import (
    OrderedPair,
    OrderFigures,
    Proportion,
    accuracy,
    order_figures,
)
from rlaif.judges.verdict_forms import VerdictForm, load_forms
from rlaif.records import (
    Choice,
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    Unscored,
    Verdict,
)

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data" / "llmbar" / "LLMBar"
FORMS = load_forms(HERE / "llmbar_form")
JUDGES = ("GPT-4", "ChatGPT")
PROTOCOLS = ("Vanilla", "CoT", "Swap", "Rating")
SUBSETS = {
    "Natural": "Natural",
    "GPTInst": "Adversarial/GPTInst",
    "GPTOut": "Adversarial/GPTOut",
    "Manual": "Adversarial/Manual",
    "Neighbor": "Adversarial/Neighbor",
}
ORDERS = ("swap = False", "swap = True")
SCALE = tuple(str(number) for number in range(11))
CRITERION = JudgeCriterion(
    name="following", kind="judge", weight=1.0, text="It does as told.", choices=("no", "yes")
)
RUBRIC = Rubric(name="llmbar", version="1", language="en", criteria=(CRITERION,))


@dataclass(frozen=True)
class Reading:
    """One recorded winner, and what rlaif reads in the same reply.

    Attributes:
        place: Judge, protocol, subset, index of the item, and round (Swap asks again where the
            two orders differ).
        order: One of ``ORDERS``.
        said: The reply; both replies of a rating.
        finish: Why the server stopped.
        recorded: The record's winner, "1" or "2"; None where it has none.
        winner: Ours.
        reason: Why ours is None, or empty.
        strict: What rlaif's default form, ``Verdict: LABEL``, reads.
    """

    place: tuple[str, str, str, int, int]
    order: str
    said: tuple[str, ...]
    finish: tuple[str, ...]
    recorded: str | None
    winner: str | None
    reason: str
    strict: tuple[Verdict, ...]


@dataclass(frozen=True)
class Item:
    """An item as rlaif sees it: both orders of the last round, averaged.

    Attributes:
        label: The better output, "1" or "2".
        readings: Of both orders.
        pair: rlaif's label of the pair.
        p: P(output 1 is better) in both orders.
    """

    label: str
    readings: tuple[Reading, Reading]
    pair: PairVerdict
    p: OrderedPair


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``accuracy`` and ``consistency`` are LLMBar's figures, from our winners and from the recorded
    ones: the mean over both orders, and the share of items whose winner is the same in both; what
    has no winner counts as wrong, and as inconsistent. The rest is how rlaif reports a judge:
    ``right`` is the share of items whose label, both orders averaged, is on the right side, among
    those whose label has a side; ``even`` counts those where it has none. Ratings know no order.
    """

    judge: str
    protocol: str
    subset: str
    items: int
    accuracy: tuple[float, float]
    consistency: tuple[float, float]
    right: Proportion
    even: int
    orders: OrderFigures | None


def read_items(judge: str, protocol: str, subset: str, root: Path = DATA) -> list[Item]:
    """Read a judge's replies on one subset by one protocol.

    Args:
        judge: One of ``JUDGES``.
        protocol: One of ``PROTOCOLS``.
        subset: One of ``SUBSETS``.
        root: The data's folder.
    """
    path = root / SUBSETS[subset] / "evaluators" / judge / protocol / "result.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    read = _rated if protocol == "Rating" else _compared
    return [read(record, (judge, protocol, subset, index)) for index, record in enumerate(records)]


def all_readings(judge: str, protocol: str, subset: str, root: Path = DATA) -> Iterator[Reading]:
    """Yield every recorded reply with a winner, those of earlier rounds too."""
    path = root / SUBSETS[subset] / "evaluators" / judge / protocol / "result.json"
    for index, record in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        place = (judge, protocol, subset, index)
        if protocol == "Rating":
            yield from _rated(record, place).readings
        else:
            for number, asked in enumerate(record["results"]):
                yield from _readings(asked, (*place, number))


def table_row(judge: str, protocol: str, subset: str, root: Path = DATA) -> Row:
    """Return the figures of one judge, protocol and subset."""
    items = read_items(judge, protocol, subset, root)
    truth = [item.label for item in items]
    ours = [tuple(r.winner for r in item.readings) for item in items]
    recorded = [tuple(r.recorded for r in item.readings) for item in items]
    labels = [item.pair.p_first for item in items]
    sided = [None if p is None or p == 0.5 else _side(p) for p in labels]
    return Row(
        judge=judge,
        protocol=protocol,
        subset=subset,
        items=len(items),
        accuracy=(_compatible_accuracy(ours, truth), _compatible_accuracy(recorded, truth)),
        consistency=(_compatible_consistency(ours), _compatible_consistency(recorded)),
        right=accuracy(sided, truth),
        even=labels.count(0.5),
        orders=None if protocol == "Rating" else order_figures([item.p for item in items]),
    )


def _compared(record: dict[str, Any], place: tuple[str, str, str, int]) -> Item:
    last = len(record["results"]) - 1
    readings = _readings(record["results"][last], (*place, last))
    verdicts = [_verdict(r.said[0], FORMS.pairwise) for r in readings]
    outputs = _completions(record)
    shown = (outputs, outputs[::-1])
    judgements = [
        _judgement("pairwise", pair, verdict) for pair, verdict in zip(shown, verdicts, strict=True)
    ]
    scores = tuple(CompletionScore(completion_id=o.id, score=0.5, parts={}) for o in outputs)
    pair = pair_verdict(RUBRIC, _settings(1.0), outputs, (scores[0], scores[1]), judgements)
    p = [v.p_first if isinstance(v, Choice) else None for v in verdicts]
    backward = None if p[1] is None else 1.0 - p[1]
    return Item(str(record["label"]), readings, pair, OrderedPair(p[0], backward))


def _readings(
    asked: dict[str, Any], place: tuple[str, str, str, int, int]
) -> tuple[Reading, Reading]:
    first, second = (_reading(asked[order], order, place) for order in ORDERS)
    return first, second


def _reading(told: dict[str, Any], order: str, place: tuple[str, str, str, int, int]) -> Reading:
    reply, finish = told["completion"]
    verdict = _verdict(reply, FORMS.pairwise)
    winner = None
    if isinstance(verdict, Choice):
        p_first = verdict.p_first
        winner = _side(p_first if order == ORDERS[0] else 1.0 - p_first)
    return Reading(
        place=place,
        order=order,
        said=(reply,),
        finish=(finish,),
        recorded=told["winner"],
        winner=winner,
        reason=verdict.reason if isinstance(verdict, Unscored) else "",
        strict=(parse_verdict(reply, PAIR_LABELS),),
    )


def _rated(record: dict[str, Any], place: tuple[str, str, str, int]) -> Item:
    """Read two ratings as rlaif does; they know no order, so both orders say the same."""
    told = record["results"][0]
    outputs = _completions(record)
    replies = (told["score_1"], told["score_2"])
    scores = [
        score_completion(
            RUBRIC,
            output,
            [_judgement("pointwise", (output,), parse_verdict(reply, SCALE, FORMS.pointwise))],
        )
        for output, (reply, _) in zip(outputs, replies, strict=True)
    ]
    pair = pair_verdict(RUBRIC, _settings(0.0), outputs, (scores[0], scores[1]), [])
    readings = tuple(
        Reading(
            place=(*place, 0),
            order=order,
            said=tuple(reply for reply, _ in replies),
            finish=tuple(finish for _, finish in replies),
            recorded=told[order]["winner"],
            winner=_as_recorded(pair.p_first, order),
            reason=pair.unscored or "",
            strict=tuple(parse_verdict(reply, SCALE) for reply, _ in replies),
        )
        for order in ORDERS
    )
    label = str(record["label"])
    return Item(label, (readings[0], readings[1]), pair, OrderedPair(pair.p_first, pair.p_first))


def _as_recorded(p_first: float | None, order: str) -> str | None:
    """Return the winner as LLMBar records it: of two equal ratings, the output shown second."""
    if p_first == 0.5:
        return "2" if order == ORDERS[0] else "1"
    return None if p_first is None else _side(p_first)


def _side(p_first: float) -> str:
    return "1" if p_first > 0.5 else "2"


def _verdict(reply: str, form: VerdictForm) -> Verdict:
    return parse_verdict(reply, PAIR_LABELS, form)


def _settings(pairwise_weight: float) -> VerdictSettings:
    return VerdictSettings.from_config(JudgingConfig(pairwise_weight=pairwise_weight))


def _completions(record: dict[str, Any]) -> tuple[Completion, Completion]:
    first, second = (
        Completion(
            id=f"output_{number}",
            prompt_id="item",
            policy="",
            index=number,
            text=record[f"output_{number}"],
            length=0,
            ended=True,
        )
        for number in (1, 2)
    )
    return first, second


def _judgement(kind: Any, shown: Sequence[Completion], verdict: Verdict) -> Judgement:  # noqa: ANN401
    return Judgement.model_validate(
        {
            "id": "-".join(c.id for c in shown),
            "criterion": CRITERION.name,
            "kind": kind,
            "completion_ids": tuple(c.id for c in shown),
            "critique": "recorded",
            "judge": "recorded",
            "method": "words",
            "verdict": verdict,
        }
    )


def _compatible_accuracy(winners: Sequence[Sequence[str | None]], truth: Sequence[str]) -> float:
    right = sum(w == label for both, label in zip(winners, truth, strict=True) for w in both)
    return right / (len(ORDERS) * len(truth))


def _compatible_consistency(winners: Sequence[Sequence[str | None]]) -> float:
    return sum(first == second is not None for first, second in winners) / len(winners)


def _line(row: Row) -> str:
    both = " ".join(f"{a:6.3f} {b:6.3f}" for a, b in (row.accuracy, row.consistency))
    right, unscored = row.right, row.right.unscored - row.even
    share = f"{_number(right.rate)} ({right.low:.3f} to {right.high:.3f})"
    stuck = _number(row.orders.same_position.rate if row.orders else None)
    return (
        f"{row.judge:8}{row.protocol:8}{row.subset:9}{row.items:5}  {both}  {share} {row.even:5} "
        f"{unscored:8}  {stuck}"
    )


def _number(value: float | None) -> str:
    return "    - " if value is None else f"{value:6.3f}"


def _difference(reading: Reading) -> str:
    judge, protocol, subset, index, number = reading.place
    replies = " / ".join(
        f"{reply[-160:]!r} ({finish})"
        for reply, finish in zip(reading.said, reading.finish, strict=True)
    )
    strict = "; ".join(v.reason if isinstance(v, Unscored) else repr(v) for v in reading.strict)
    return (
        f"{judge} {protocol} {subset} item {index} round {number}, {reading.order}: recorded "
        f"{reading.recorded}, read {reading.winner}\n    reason: {reading.reason}\n"
        f"    reply: {replies}\n    by 'Verdict: LABEL': {strict}"
    )


def main() -> int:
    """Print the table and the differences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder LLMBar of the data")
    parser.add_argument(
        "--unscored", action="store_true", help="list replies without a verdict too"
    )
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data}: no such folder; --data names LLMBar's", file=sys.stderr)
        return 1
    combinations = [(j, p, s) for j in JUDGES for p in PROTOCOLS for s in SUBSETS]
    print(f"{'':32}accuracy      consistency    right where decided")
    head = f"{'judge':8}{'by':8}{'subset':9}items    read record   read record"
    print(f"{head}{'':25}even unscored stuck")
    for place in combinations:
        print(_line(table_row(*place, options.data)))
    readings = [r for place in combinations for r in all_readings(*place, options.data)]
    differing = [r for r in readings if r.winner != r.recorded]
    silent = [r for r in readings if r.winner is None and r.recorded is None]
    strict = sum(any(not isinstance(v, Unscored) for v in r.strict) for r in readings)
    print(
        f"\n{len(readings)} recorded winners: {len(readings) - len(differing)} read alike, of them "
        f"{len(silent)} None; {len(differing)} differ. 'Verdict: LABEL' alone would read {strict}: "
        "these judges were not asked for it."
    )
    for reading in differing + (silent if options.unscored else []):
        print(_difference(reading))
    return 1 if any(r.place[1] != "Rating" for r in differing) else 0


if __name__ == "__main__":
    sys.exit(main())
