"""One rule for samples, jurors and rankings: a verdict stands where more than half have one."""

import pytest
from judge_samples import judge_criterion

from rlaif.judges.combining import merge
from rlaif.judges.protocol import PAIR_LABELS, parse_verdict
from rlaif.judges.quorum import is_quorum
from rlaif.judges.samples import verdict_from_samples
from rlaif.records import Choice, Judgement, Unscored, Verdict

BOUNDARY = [(2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 2), (5, 3)]


def by_samples(asked: int, verdicts: int) -> Verdict:
    said = ["Good.\nVerdict: A"] * verdicts + ["Good, I think."] * (asked - verdicts)
    return verdict_from_samples(said, PAIR_LABELS, parse_verdict)


def by_jurors(asked: int, verdicts: int) -> Verdict:
    said: list[Verdict] = [Choice(p_first=1.0)] * verdicts
    said += [Unscored(reason="mumbled")] * (asked - verdicts)
    judgements = [
        Judgement(
            id=f"kind-{place}",
            criterion="kind",
            kind="pairwise",
            completion_ids=("a", "b"),
            critique="words",
            verdict=verdict,
            judge=f"juror {place}",
        )
        for place, verdict in enumerate(said)
    ]
    (merged,) = merge([judgements], [judge_criterion("kind")], "mean")
    (judgement,) = merged.judgements
    return judgement.verdict


@pytest.mark.parametrize(("asked", "verdicts"), BOUNDARY)
def test_samples_and_jurors_are_held_to_the_same_rule(asked: int, verdicts: int) -> None:
    expected = Choice if 2 * verdicts > asked else Unscored
    assert isinstance(by_samples(asked, verdicts), expected)
    assert isinstance(by_jurors(asked, verdicts), expected)


@pytest.mark.parametrize(
    ("verdicts", "asked", "enough"),
    [(0, 0, False), (1, 1, True), (1, 2, False), (2, 3, True), (2, 4, False), (3, 4, True)],
)
def test_exactly_half_is_no_quorum(verdicts: int, asked: int, enough: bool) -> None:
    assert is_quorum(verdicts, asked) is enough
