"""What judges' replies lack, how often, and what an owner can do about it.

A critique that came to its limit of tokens was cut off before its end; labels that hold less
probability than ``judge.min_label_mass`` give no verdict. Neither is wrong of a single reply, and
both of many say that a setting does not suit the judge. Code that often gives no verdict is broken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rlaif.judges.agreement import CONFIDENCE, Proportion, proportion
from rlaif.judges.protocol import lacks_mass
from rlaif.records import Judgement, Unscored

WORTH_TELLING = 0.05


def cut_share(
    judgements: Iterable[Judgement],
    confidence: float = CONFIDENCE,
    prompts: Mapping[str, str] | None = None,
) -> Proportion:
    """Return the share of critiques that were cut off at their limit of tokens.

    Args:
        judgements: Those that no judge model wrote are not counted; each sample counts.
        confidence: Level of the interval.
        prompts: By answer, as judgements of one prompt hang together; None where they are told of
            without their answers, and count as independent.
    """
    outcomes: list[bool | None] = []
    of: list[Judgement] = []
    for judgement in judgements:
        call = judgement.writing or judgement.call
        if call is not None and call.reply:
            samples = max(len(call.samples), 1)
            outcomes += [True] * call.cut + [False] * (samples - call.cut)
            of += [judgement] * samples
    return proportion(outcomes, confidence, _clusters(of, prompts))


def low_mass_share(
    judgements: Iterable[Judgement],
    confidence: float = CONFIDENCE,
    prompts: Mapping[str, str] | None = None,
) -> Proportion:
    """Return the share of verdicts read off probabilities whose labels held too little of it.

    Args:
        judgements: Those whose verdict is read from words or code are not counted.
        confidence: Level of the interval.
        prompts: By answer, as judgements of one prompt hang together; None where they are told of
            without their answers, and count as independent.
    """
    read = [j for j in judgements if j.call is not None and j.call.label_probs]
    lacking = [lacks_mass(judgement.verdict) for judgement in read]
    return proportion(lacking, confidence, _clusters(read, prompts))


def _clusters(
    judgements: Iterable[Judgement], prompts: Mapping[str, str] | None
) -> list[str] | None:
    return None if prompts is None else [prompts[j.completion_ids[0]] for j in judgements]


def advice(judgements: Sequence[Judgement]) -> tuple[str, ...]:
    """Say of each judge what it lacks often enough to be worth telling, and what to do."""
    by_judge: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_judge.setdefault(judgement.judge, []).append(judgement)
    return tuple(told for name, own in by_judge.items() for told in _advice_on(name, own))


def _advice_on(judge: str, own: Sequence[Judgement]) -> Iterator[str]:
    by = f" by {judge}" if judge else ""
    cut, low = cut_share(own), low_mass_share(own)
    if cut.rate is not None and cut.rate >= WORTH_TELLING:
        yield (
            f"{cut.rate:.0%} of {cut.count} critiques{by} were cut off at {_limit(own)} tokens: "
            "raise judge.max_critique_tokens (judge.server.max_tokens for a judge on servers, "
            "judging.max_feedback_tokens for criteria with graded_by)"
        )
    if low.rate is not None and low.rate >= WORTH_TELLING:
        yield (
            f"{low.rate:.0%} of {low.count} verdicts{by} are unscored because their labels hold "
            "less probability than judge.min_label_mass: change judge.critique, judge.template or "
            "the judge's model; a lower min_label_mass scores them too, by what the judge was "
            "unlikely to say, which makes labels noisier"
        )


def code_advice(judgements: Iterable[Judgement]) -> tuple[str, ...]:
    """Say of each criterion judged by code how many answers it left unscored, and why the first.

    Args:
        judgements: Those of judge models are passed over.
    """
    by_criterion: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        if judgement.method == "code":
            by_criterion.setdefault(judgement.criterion, []).append(judgement)
    return tuple(told for name, own in by_criterion.items() for told in _advice_on_code(name, own))


def _advice_on_code(criterion: str, own: Sequence[Judgement]) -> Iterator[str]:
    reasons = [j.verdict.reason for j in own if isinstance(j.verdict, Unscored)]
    if len(reasons) / len(own) >= WORTH_TELLING:
        first = " ".join(reasons[0].split())
        yield (
            f"{criterion}: {len(reasons)} of {len(own)} answers are unscored by code, "
            f"the first: {first}"
        )


def _limit(own: Sequence[Judgement]) -> int:
    """Return the most tokens that one reply took of calls in which one was cut off."""
    calls = [call for j in own if (call := j.writing or j.call) is not None and call.cut]
    return max(round(call.reply_tokens / max(len(call.samples), 1)) for call in calls)
