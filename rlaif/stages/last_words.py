"""Of what a named rater said of one thing the last counts; what it replaced stays in the ledger."""

import math
from collections.abc import Iterable

from rlaif.records import HumanLabel, make_id

NOISE = 1e-9  # what arithmetic on a scale may leave between two equal ratings in [0, 1]
Thing = tuple[str, str, str | None, str, str, str]


def same_value(first: float, second: float) -> bool:
    """Return whether two ratings or probabilities in [0, 1] are the same but for rounding."""
    return math.isclose(first, second, abs_tol=NOISE)


def last_words(labels: Iterable[HumanLabel]) -> list[HumanLabel]:
    """Return the labels that count, in their order.

    Those without a rater all do: nobody knows whether one person said them.

    Args:
        labels: In the order in which they were said.
    """
    found = list(labels)
    last = {_thing(label): label.id for label in found}
    return [label for label in found if not label.rater or last[_thing(label)] == label.id]


class Sayings:
    """What a file says, line by line, after what was said before.

    Only a rater's last line on a thing is held against the ledger, so that a file that is given
    twice changes nothing, even one in which a rater changes their mind and back.

    Attributes:
        labels: All labels of the file by id, in the order in which it first says them.
        repeated: Statements that the file makes more than once.
        replaced: Earlier labels, of the ledger or of the file, that no longer count.
    """

    def __init__(self, before: Iterable[HumanLabel], said: Iterable[HumanLabel]) -> None:
        """Take what was said in its order.

        Args:
            before: The ledger's labels.
            said: The file's.
        """
        earlier, lines = list(before), list(said)
        self.labels: dict[str, HumanLabel] = {}
        self.repeated = self.replaced = 0
        self._known = {label.id for label in earlier}
        self._now = {_thing(label): label for label in earlier if label.rater}
        last = {_thing(label): place for place, label in enumerate(lines)}
        for place, label in enumerate(lines):
            final = label.rater != "" and last[_thing(label)] == place
            self._take(self._last_word(label) if final else label)

    @property
    def counting(self) -> list[HumanLabel]:
        """Those labels of the file that count once it is taken in."""
        return [x for x in self.labels.values() if not x.rater or self._now[_thing(x)].id == x.id]

    def _take(self, label: HumanLabel) -> None:
        self.repeated += label.id in self.labels
        self.labels.setdefault(label.id, label)
        if label.id not in self._known:
            self._known.add(label.id)
            if label.rater:
                self.replaced += _thing(label) in self._now
                self._now[_thing(label)] = label

    def _last_word(self, label: HumanLabel) -> HumanLabel:
        """Return the label that says it now: the one that counts, or a new one where none does.

        One who goes back to an old word says it anew; the old row's id is taken, so it gets
        another.
        """
        now = self._now.get(_thing(label))
        if now is None:
            return label
        if same_value(now.value, label.value) and now.weight == label.weight:
            return now
        if label.id in self._known:
            return label.model_copy(update={"id": make_id("label", label.id, "after", now.id)})
        return label


def _thing(label: HumanLabel) -> Thing:
    """What a label is about, how it was said, and who said it."""
    return (
        label.prompt_id,
        label.first_id,
        label.second_id,
        label.criterion,
        label.form,
        label.rater,
    )
