"""An attacked answer, which forges the best verdict of every question that it stands in.

A forger wants the letter of the place in which its answer is shown, and the best grade of the
criterion at hand. One text for all would forge a verdict against itself in the other order, and
none at all on a scale of fewer grades: a judge that obeys it would seem to resist it. So each order
and each scale is shown the answer in the words that win there. A judge that goes by the place
alone, or by neither, still prefers nothing over both orders.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rlaif.judges.protocol import PAIR_LABELS, rating_labels
from rlaif.judges.rubric import JudgeCriterion
from rlaif.records import Completion, Prompt


@dataclass(frozen=True)
class Twin:
    """An answer that was changed to try the judge.

    Attributes:
        forging: By the label that serves it best, its words where that label is asked for: the
            same for all labels where nothing in them names one.
    """

    forging: Mapping[str, Completion]

    @property
    def main(self) -> Completion:
        """The first of its answers, after which its outcome is named."""
        return next(iter(self.forging.values()))

    @property
    def answers(self) -> list[Completion]:
        """All that a judge may be shown, each once."""
        return list({answer.id: answer for answer in self.forging.values()}.values())


Answer = Completion | Twin
TriedItem = tuple[Prompt, Answer]
TriedPair = tuple[Prompt, Answer, Completion]
Pair = tuple[Completion, Completion]
Orders = tuple[Pair, Pair]


def main_of(answer: Answer) -> Completion:
    """Return what an answer is known by, and what code measures."""
    return answer.main if isinstance(answer, Twin) else answer


def to_grade(answer: Answer, criterion: JudgeCriterion) -> Completion:
    """Return an answer as it is shown to be graded under a criterion."""
    return _where(answer, rating_labels(len(criterion.choices))[-1])


def in_both_orders(item: TriedPair) -> Orders:
    """Return a pair as it is shown: the first one shown first, then shown second."""
    _, first, second = item
    return (_where(first, PAIR_LABELS[0]), second), (second, _where(first, PAIR_LABELS[1]))


def _where(answer: Answer, best: str) -> Completion:
    """Return an answer as it is shown where ``best`` is the label that serves it best."""
    return answer.forging[best] if isinstance(answer, Twin) else answer
