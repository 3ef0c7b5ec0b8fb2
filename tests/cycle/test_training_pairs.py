"""Which preferences train, which measure, and what the policy's optimisers make of them."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlaif.config import RlaifConfig
from rlaif.cycle import training
from rlaif.records import Completion, Message, Preference, Prompt
from rlaif.stages.preferences import preference_split
from rlaif.stages.supervised import Example

RUBRIC = "r"
SHARE = RlaifConfig().preferences.heldout_share
NAMES = [f"prompt-{number}" for number in range(40)]


def prompt(name: str, split: str = "train") -> Prompt:
    message = Message(role="user", content=f"What of {name}?")
    return Prompt.model_validate({"id": name, "messages": (message,), "split": split})


def completion(name: str, ended: bool = True, number: int = 0) -> Completion:
    return Completion(
        id=name,
        prompt_id=name.split("/")[0],
        policy="p",
        index=number,
        text=f"It is {name}.",
        length=7 + number,
        ended=ended,
    )


def preference(name: str, label: float, cycle: int = 2, split: str | None = None) -> Preference:
    return Preference(
        id=f"{cycle}:{name}",
        prompt_id=name,
        first_id=f"{name}/a",
        second_id=f"{name}/b",
        label=label,
        split=split or preference_split(name, SHARE),
        rubric_hash=RUBRIC,
        origin="ratings",
    )


class Shelf:
    """A ledger's preferences, prompts and answers: those of cycle 2, and of the one before."""

    def __init__(self, own: Sequence[Preference], earlier: Sequence[Preference] = ()) -> None:
        self._own, self._earlier = own, earlier
        self.held_out: list[Prompt] = []
        self.answers: list[Completion] = []
        self.near: dict[str, str] = {}

    def preferences(
        self, up_to: int | None = None, *, cycle: int | None = None, rubric_hash: str
    ) -> list[Preference]:
        assert rubric_hash == RUBRIC
        assert (up_to, cycle) in {(None, 2), (1, None)}
        return list(self._own if cycle == 2 else self._earlier)

    def prompts(self, ids: Sequence[str] | None = None) -> list[Prompt]:
        if ids is None:
            return self.held_out
        return [prompt(name, "eval" if name == "moved" else "train") for name in ids]

    def completions_by_id(self, ids: Sequence[str]) -> list[Completion]:
        made = {i: completion(i, i.endswith("a"), number) for number, i in enumerate(ids)}
        return [made[i] for i in sorted(made)]

    def completions(self, cycle: int, purpose: str) -> list[Completion]:
        assert (cycle, purpose) == (2, "train")
        return self.answers

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return a direction per prompt, and the other's for those said to be near another."""
        asked = [text.removeprefix("What of ").removesuffix("?") for text in texts]
        places = {name: place for place, name in enumerate([*NAMES, "moved"])}
        return np.eye(len(places))[[places[self.near.get(name, name)] for name in asked]]


def context(shelf: Shelf, **sections: Any) -> Any:
    panel = SimpleNamespace(rubric_hash=RUBRIC)
    return SimpleNamespace(
        ledger=shelf,
        number=2,
        config=RlaifConfig.model_validate(sections),
        crew=SimpleNamespace(panel=lambda _: panel, embedder=lambda: shelf),
        seed=lambda *names: 7 + len(names),
    )


TRAINED = [name for name in NAMES if preference_split(name, SHARE) == "train"]
MEASURED = [name for name in NAMES if preference_split(name, SHARE) == "heldout"]


def test_a_pair_is_told_with_its_own_answers() -> None:
    name = TRAINED[0]
    (pair,) = training._pairs(context(Shelf([preference(name, 0.8)])))
    assert pair.prompt[0].content == f"What of {name}?"
    assert (pair.first, pair.second) == (f"It is {name}/a.", f"It is {name}/b.")
    assert (pair.first_ended, pair.second_ended) == (True, False)
    assert (pair.label, pair.split) == (0.8, "train")


@pytest.mark.parametrize("replay", [0.0, 0.5, 9.0])
def test_earlier_pairs_are_replayed_by_their_share_and_go_on_measuring(replay: float) -> None:
    own = [preference(name, 0.9) for name in TRAINED[:8]]
    earlier = [preference(name, 0.1, cycle=1) for name in [*TRAINED[8:20], *MEASURED]]
    assert MEASURED
    pairs = training._pairs(context(Shelf(own, earlier), reward_model={"replay": replay}))
    old = [p for p in pairs if p.label == 0.1]
    assert len(pairs) - len(old) == 8
    assert sum(p.split == "heldout" for p in old) == len(MEASURED)
    assert sum(p.split == "train" for p in old) == min(12, round(8 * replay))


def test_humans_pairs_keep_their_weight_and_are_never_replayed() -> None:
    """Every cycle has them among its own, and the replay is a share of the judge's pairs."""
    spoken = preference(TRAINED[1], 0.9).model_copy(update={"origin": "human", "weight": 0.25})
    own = [*(preference(name, 0.8) for name in TRAINED[2:6]), spoken]
    before = [preference(name, 0.1, cycle=1) for name in TRAINED[8:20]]
    theirs = [p.model_copy(update={"origin": "human", "label": 0.0}) for p in before]
    shelf = Shelf(own, [*before, *theirs])
    pairs = training._pairs(context(shelf, reward_model={"replay": 1.0}))
    assert [p.label for p in pairs].count(0.1) == 4
    assert [p.label for p in pairs].count(0.0) == 0
    assert {(p.label, p.weight) for p in pairs} == {(0.1, 1.0), (0.8, 1.0), (0.9, 0.25)}


def test_what_is_held_out_by_now_is_replayed_no_more() -> None:
    gone, stays, near = TRAINED[1:4]
    earlier = [preference(name, 0.1, cycle=1) for name in (gone, stays, near)]
    earlier.append(preference("moved", 0.1, cycle=1, split="train"))
    shelf = Shelf([preference(TRAINED[0], 0.9)], earlier)
    shelf.held_out, shelf.near = [prompt(gone, "eval")], {near: gone}
    pairs = training._pairs(context(shelf, reward_model={"replay": 9.0}))
    assert [p.first for p in pairs] == [f"It is {stays}/a.", f"It is {TRAINED[0]}/a."]


def test_the_share_that_measures_is_todays() -> None:
    earlier = [preference(name, 0.1, cycle=1) for name in NAMES]
    shelf = Shelf([preference(TRAINED[0], 0.9)], earlier)
    more = {"preferences": {"heldout_share": 0.45}, "reward_model": {"replay": 99.0}}
    pairs = training._pairs(context(shelf, **more))
    expected = [preference_split(name, 0.45) for name in NAMES].count("heldout")
    assert sum(p.split == "heldout" for p in pairs) == expected > len(MEASURED)


def test_the_ptx_term_holds_up_the_better_answers_once_each() -> None:
    sides = {TRAINED[0]: 0.8, TRAINED[1]: 0.2, TRAINED[2]: 0.5, MEASURED[0]: 0.9}
    own = [preference(name, label) for name, label in sides.items()]
    ctx = context(Shelf([*own, own[0]]), ppo={"ptx_coefficient": 0.1})
    assert training._examples(ctx) == tuple(
        Example(messages=prompt(name).messages, text=f"It is {name}/{side}.", ended=ended)
        for name, side, ended in ((TRAINED[0], "a", True), (TRAINED[1], "b", False))
    )
    assert training._examples(context(Shelf(own), ppo={"ptx_coefficient": 0.0})) == ()


def test_dpo_trains_on_no_pair_that_measures() -> None:
    own = [preference(name, 0.7) for name in (TRAINED[0], MEASURED[0], TRAINED[1])]
    pairs = training._policy_pairs(context(Shelf(own)))
    assert [(p.first, p.second, p.label) for p in pairs] == [
        (f"It is {name}/a.", f"It is {name}/b.", 0.7) for name in TRAINED[:2]
    ]
    assert {(p.first_ended, p.second_ended) for p in pairs} == {(True, False)}


@pytest.mark.parametrize(
    ("setting", "ended", "expected"),
    [
        ("auto", [True, True, False, False], -1.0),
        ("auto", [True, False, False], None),
        (0.0, [False], 0.0),
        (-3.5, [True, True], -3.5),
    ],
)
def test_cut_off_answers_get_a_constant_where_most_end_themselves(
    setting: str | float, ended: list[bool], expected: float | None
) -> None:
    shelf = Shelf([])
    shelf.answers = [completion(f"{i}/a", whole) for i, whole in enumerate(ended)]
    ctx = context(shelf, ppo={"missing_eos_score": setting})
    assert training._missing_eos_score(ctx) == expected
