"""A pair of a ranked list that flips with the order is held back, as a compared one is."""

from judge_samples import completion, judge_criterion, rubric, scored

from rlaif.judges import VerdictSettings
from rlaif.judges.lists import list_verdicts
from rlaif.judges.rubric import Rubric
from rlaif.records import Judgement, PairVerdict, Ranking

ONE = rubric(judge_criterion("right"))
TWO = rubric(judge_criterion("right", 3.0), judge_criterion("kind", 1.0))
NINE = "abcdefghi"


def ranking(criterion: str, shown: str, said: str) -> Judgement:
    return Judgement(
        id=f"{criterion}-{shown}",
        criterion=criterion,
        kind="listwise",
        completion_ids=tuple(shown),
        critique="words",
        verdict=Ranking(places=tuple(shown.index(name) for name in said)),
    )


def verdicts(
    *said: Judgement, names: str, flip_threshold: float = 0.0, of: Rubric = ONE
) -> dict[str, PairVerdict]:
    how = VerdictSettings(1.0, 0.2, flip_threshold, compare="lists")
    answers = [completion(name) for name in names]
    scores = {name: scored(name, 0.5) for name in names}
    return {v.first_id + v.second_id: v for v in list_verdicts(of, how, answers, scores, said)}


def flipping(flip_threshold: float) -> dict[str, PairVerdict]:
    return verdicts(
        ranking("right", NINE, NINE),
        ranking("right", NINE[::-1], "ba" + NINE[2:]),
        names=NINE,
        flip_threshold=flip_threshold,
    )


def test_the_pair_that_flips_is_held_back_and_no_other() -> None:
    found = flipping(0.0)
    assert [pair for pair, v in found.items() if v.quarantined is not None] == ["ab"]
    assert found["ab"].quarantined == (
        "the verdict flips with the order: P(first better) is 0.74 shown first, 0.26 shown second, "
        "most of all under right"
    )


def test_the_threshold_of_flips_is_that_of_compared_pairs() -> None:
    gap = 0.7376 - 0.2624
    assert flipping(gap - 0.01)["ab"].quarantined is not None
    assert flipping(gap + 0.01)["ab"].quarantined is None


def test_criteria_flip_together_and_the_worst_is_named() -> None:
    steady = [ranking("right", shown, "abc") for shown in ("abc", "cba")]
    kind = [ranking("kind", "abc", "abc"), ranking("kind", "cba", "bac")]
    assert verdicts(*steady, *kind, names="abc", of=TWO)["ab"].quarantined is None
    right = [ranking("right", "abc", "abc"), ranking("right", "cba", "bac")]
    kind = [ranking("kind", shown, "abc") for shown in ("abc", "cba")]
    told = verdicts(*right, *kind, names="abc", of=TWO)["ab"].quarantined or ""
    assert told.endswith("most of all under right")


def test_an_order_that_is_even_is_no_flip() -> None:
    """Opposite rankings under two criteria that weigh alike: one half, but for the fits' errors."""
    even = rubric(judge_criterion("right"), judge_criterion("kind"))
    found = verdicts(
        ranking("right", "abc", "abc"),
        ranking("kind", "abc", "bac"),
        ranking("right", "cba", "bac"),
        ranking("kind", "cba", "bac"),
        names="abc",
        of=even,
    )
    assert found["ab"].p_first is not None
    assert found["ab"].quarantined is None
