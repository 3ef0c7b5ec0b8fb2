"""What each message of a judge template is given.

    pointwise  a grade of one answer:     criterion, conversation, completion, critique, reference
    pairwise   the better of two:         the same with first and second for completion
    listwise   a ranking of up to nine:   the same with answers for completion
    grade      a grade of a critique:     criterion, feedback
    errors     the spans that are wrong:  criterion, conversation, completion, reference
    revise     a better answer:           conversation, completion, critiques

The conversation is ``messages``, each with ``role`` and ``content``, and the same as one text,
``prompt``. ``criterion`` has ``name``, ``text``, ``choices`` from worst to best, and ``examples``
that fit the message; ``answers`` have ``label`` and ``text``, ``critiques`` have ``name``, ``text``
and ``feedback``. ``critique`` tells whether a critique is wanted before the verdict, and
``reference`` is None where there is none.
"""

from collections.abc import Sequence
from typing import Any, Literal

from rlaif.judges.rubric import JudgeCriterion
from rlaif.records import Prompt

Values = dict[str, Any]
Part = Literal["reference", "examples"]

_TALK = ("messages", "prompt")
TAKES: dict[str, tuple[str, ...]] = {
    "pointwise": ("criterion", *_TALK, "completion", "critique", "reference"),
    "pairwise": ("criterion", *_TALK, "first", "second", "critique", "reference"),
    "listwise": ("criterion", *_TALK, "answers", "critique", "reference"),
    "grade": ("criterion", "feedback"),
    "errors": ("criterion", *_TALK, "completion", "reference"),
    "revise": (*_TALK, "completion", "critiques"),
}
KINDS = tuple(TAKES)
REQUIRED = ("pointwise", "pairwise")
ANSWER_LABELS = tuple("ABCDEFGHI")


def conversation(prompt: Prompt) -> Values:
    """Return a conversation turn by turn, and as one text.

    In the text of several turns each begins a line with its role, and the further lines of a turn
    stand further in: no turn can hold the beginning of another.
    """
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.messages]
    text = prompt.text
    if len(turns) > 1:
        lines = (f"{turn['role']}: {turn['content']}".replace("\n", "\n  ") for turn in turns)
        text = "\n".join(lines)
    return {"messages": turns, "prompt": text}


def criterion_shown(criterion: JudgeCriterion, kind: str) -> Values:
    """Return what a message of this kind may show of a criterion."""
    return {
        "name": criterion.name,
        "text": criterion.text,
        "choices": list(criterion.choices),
        "examples": examples_shown(criterion, kind),
    }


def examples_shown(criterion: JudgeCriterion, kind: str) -> list[Values]:
    """Return a criterion's worked examples for a message, each with the ``label`` of its verdict.

    Rated examples belong to ``pointwise``, compared ones to ``pairwise``; others take none.
    """
    if kind == "pointwise":
        return [
            {**example.model_dump(), "label": str(1 + criterion.choices.index(example.choice))}
            for example in criterion.rating_examples
        ]
    if kind == "pairwise":
        letters = dict(zip(("first", "second"), ANSWER_LABELS, strict=False))
        return [
            {**example.model_dump(), "label": letters[example.better]}
            for example in criterion.pair_examples
        ]
    return []


def labelled(answers: Sequence[str]) -> list[Values]:
    """Label answers A, B, C and so on.

    Raises:
        ValueError: There are fewer than 2, or more than 9.
    """
    if not 2 <= len(answers) <= len(ANSWER_LABELS):
        raise ValueError(f"{len(answers)} answers; a ranking takes 2 to {len(ANSWER_LABELS)}")
    return [
        {"label": label, "text": text} for label, text in zip(ANSWER_LABELS, answers, strict=False)
    ]
