"""Tries a judge template at load: each message with every combination of what it can be given."""

import itertools
from collections.abc import Callable, Iterator, Sequence

from rlaif.judges.messages import (
    ANSWER_LABELS,
    TAKES,
    Part,
    Values,
    conversation,
    criterion_shown,
    labelled,
)
from rlaif.judges.rubric import JudgeCriterion
from rlaif.records import Message, Prompt

_CRITERION = JudgeCriterion(
    name="sample-name", kind="judge", weight=1.0, text="criterion-mark", choices=("low", "high")
)
_TURNS = (
    Message(role="system", content="system-mark"),
    Message(role="user", content="first-turn-mark"),
    Message(role="assistant", content="earlier-answer-mark"),
    Message(role="user", content="last-turn-mark"),
)
_CONVERSATIONS = tuple(
    Prompt(id="sample", messages=turns, split="train") for turns in (_TURNS, _TURNS[-1:])
)
_RATED = {"prompt": "asked", "answer": "examples-mark", "critique": "why", "choice": "low"}
_COMPARED = {"prompt": "asked", "first": "examples-mark", "second": "other", "critique": "why"}
_EXAMPLES: dict[str, list[Values]] = {
    "pointwise": [{**_RATED, "label": "1"}],
    "pairwise": [{**_COMPARED, "better": "first", "label": "A"}],
}
_CRITIQUES: list[Values] = [
    {"name": "sample-name", "text": "criterion-mark", "feedback": f"feedback-mark-{place}"}
    for place in range(2)
]
_CANDIDATES: dict[str, list[Values]] = {
    "pointwise": [{"completion": "completion-mark"}],
    "pairwise": [{"first": "answer-mark-1", "second": "answer-mark-2"}],
    "listwise": [
        {"answers": labelled([f"answer-mark-{place}" for place in range(count)])}
        for count in (2, len(ANSWER_LABELS))
    ],
    "grade": [{"feedback": "feedback-mark"}],
    "errors": [{"completion": "completion-mark"}],
    "revise": [
        {"completion": "completion-mark", "critiques": _CRITIQUES[:count]} for count in (1, 2)
    ],
}
_WORDS = {"listwise": ("Ranking:",), "errors": ("Error:", "No errors"), "grade": ("Verdict:",)}
_OPTIONAL: tuple[Part, ...] = ("reference", "examples")


class NotShownError(ValueError):
    """A template leaves out what it is there to show, or shows it in a wrong order."""


def parts_shown(kind: str, fill: Callable[[Values], str]) -> frozenset[Part]:
    """Try a message.

    Args:
        kind: The message.
        fill: Renders it.

    Returns:
        The parts that not every question has, and that it shows whenever they are given.

    Raises:
        NotShownError: It leaves out what it must show, or shows answers in another order.
    """
    shown: set[Part] = set()
    left_out: set[Part] = set()
    for values in _samples(kind):
        text = fill(values)
        _check_shown(list(_must_show(kind, values)), text)
        for part in (part for part in _OPTIONAL if _given(part, values)):
            (shown if f"{part}-mark" in text else left_out).add(part)
    return frozenset(shown - left_out)


def _samples(kind: str) -> Iterator[Values]:
    for prompt, critique, reference, examples in itertools.product(
        _CONVERSATIONS, (True, False), (None, "reference-mark"), ([], _EXAMPLES.get(kind, []))
    ):
        given: Values = {
            **conversation(prompt),
            "criterion": {**criterion_shown(_CRITERION, kind), "examples": examples},
            "critique": critique,
            "reference": reference,
        }
        taken = {key: value for key, value in given.items() if key in TAKES[kind]}
        yield from ({**taken, **candidates} for candidates in _CANDIDATES[kind])


def _given(part: Part, values: Values) -> bool:
    if part == "examples":
        return bool(values.get("criterion", {}).get("examples"))
    return values.get(part) is not None


def _must_show(kind: str, values: Values) -> Iterator[tuple[str, str]]:
    """Yield what a message must show: what people call it, and the words to look for."""
    yield from ((word, word) for word in _WORDS.get(kind, ()))
    if "criterion" in values:
        yield "criterion.text", values["criterion"]["text"]
    if kind == "grade":
        yield from (("criterion.choices", choice) for choice in values["criterion"]["choices"])
    for turn in values.get("messages", ()):
        last = turn is values["messages"][-1]
        yield "prompt" if last else f"the {turn['role']}'s turn", turn["content"]
    for name in ("completion", "first", "second", "feedback"):
        if name in values:
            yield name, values[name]
    yield from (("answers", answer["text"]) for answer in values.get("answers", ()))
    yield from (("critiques", critique["feedback"]) for critique in values.get("critiques", ()))


def _check_shown(wanted: Sequence[tuple[str, str]], text: str) -> None:
    missing = [name for name, mark in wanted if mark not in text]
    if missing:
        raise NotShownError(f"it never shows {', '.join(missing)}")
    answers = [text.index(mark) for name, mark in wanted if name in ("first", "second", "answers")]
    if answers != sorted(answers):
        raise NotShownError("it shows the answers in another order than they are given in")
