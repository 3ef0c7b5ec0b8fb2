"""How a tokenizer spells verdict labels: one token each, or the label is refused by name.

Whatever reads a verdict off the next token's probabilities needs each label to be one token, and
no two labels the same. Only the labels that are asked for count: a scale of three grades does not
need a tokenizer that has ``8`` in one piece.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from rlaif.errors import ModelError
from rlaif.judges.cached_batch import shared_length
from rlaif.judges.protocol import CUE, PAIR_LABELS, rating_labels
from rlaif.judges.rubric import MAX_CHOICES
from rlaif.models.encoding import encode_answer
from rlaif.models.loading import LanguageModel

_FORMS = ((f"\n{CUE}", " "), (f"\n{CUE} ", ""), (f"\n{CUE} (", ""))
_BEFORE = "Good."
_NAMED = 3
_LEAST_CHOICES = 2


@dataclass(frozen=True)
class LabelForm:
    """How a tokenizer spells verdicts: the cue after the critique, and one token per label."""

    cue: str
    token_ids: dict[str, int]


class LabelForms:
    """The forms of the labels that a judge is asked for; each set of labels is looked at once.

    Where the longest scale has a form, shorter ones take it too: a judge's cue then does not
    depend on the rubric.

    Args:
        lm: The judge's model.
        critique: Whether a critique comes before the cue.

    Attributes:
        cues: Those before the labels of a pair and of the longest scale; empty where there is none.
    """

    def __init__(self, lm: LanguageModel, *, critique: bool) -> None:
        self._lm = lm
        self._before = _BEFORE if critique else ""
        self._shared = {
            labels: _fitting_form(_spellings(lm, labels, self._before))
            for labels in (PAIR_LABELS, rating_labels(MAX_CHOICES))
        }
        self.cues = tuple(form.cue if form else "" for form in self._shared.values())
        self.of = cache(self._find)

    def _find(self, labels: tuple[str, ...]) -> LabelForm:
        for known, form in self._shared.items():
            if form is not None and known[: len(labels)] == labels:
                return form
        return find_label_form(self._lm, labels, self._before)


@dataclass(frozen=True)
class _Spelling:
    """Labels after one form of the cue: the token of each, and why some will not do."""

    cue: str
    token_ids: dict[str, int]
    faults: dict[str, str]


def find_label_form(lm: LanguageModel, labels: Sequence[str], before: str = _BEFORE) -> LabelForm:
    """Find a cue after which each label is exactly one token of its own.

    A label of two tokens, or two labels that begin with the same token, would silently make all
    verdicts alike.

    Args:
        lm: The judge's model.
        labels: The labels, two or more.
        before: A critique that the cue may follow; empty where the cue comes first.

    Raises:
        ModelError: No form of the cue does it in this tokenizer; it names labels and their tokens.
    """
    spellings = _spellings(lm, labels, before)
    form = _fitting_form(spellings)
    if form is None:
        raise _refusal(lm, labels, min(spellings, key=lambda spelling: len(spelling.faults)))
    return form


def _fitting_form(spellings: Sequence[_Spelling]) -> LabelForm | None:
    fitting = next((spelling for spelling in spellings if not spelling.faults), None)
    return None if fitting is None else LabelForm(fitting.cue, fitting.token_ids)


def _spellings(lm: LanguageModel, labels: Sequence[str], before: str) -> list[_Spelling]:
    found = []
    for form, space in _FORMS:
        cue = form if before else form.lstrip()
        known = encode_answer(lm, before + cue, ended=False)
        after = {x: encode_answer(lm, f"{before}{cue}{space}{x}", ended=False) for x in labels}
        last = {label: ids[-1] for label, ids in after.items() if ids}
        found.append(_Spelling(cue, last, _faults(lm, known, after)))
    return found


def _faults(
    lm: LanguageModel, known: Sequence[int], after: Mapping[str, list[int]]
) -> dict[str, str]:
    """Say of each label that is not one token of its own what it is, ``known`` being the cue."""
    faults: dict[str, str] = {}
    owners: dict[int, str] = {}
    for label, ids in after.items():
        if ids[:-1] != known:
            own = ids[shared_length([ids, [*known, -1]]) :]
            tokens = " + ".join(map(repr, lm.tokenizer.convert_ids_to_tokens(own)))
            faults[label] = f"{label!r} becomes {tokens}"
        elif ids[-1] == lm.tokenizer.unk_token_id:
            faults[label] = f"{label!r} becomes the unknown token"
        elif ids[-1] in owners:
            faults[label] = f"{label!r} becomes the token that {owners[ids[-1]]!r} becomes"
        else:
            owners[ids[-1]] = label
    return faults


def _refusal(lm: LanguageModel, labels: Sequence[str], nearest: _Spelling) -> ModelError:
    """Return the error of a tokenizer in which even the form with fewest faults has some."""
    told = list(nearest.faults.values())
    more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    usable = next(i for i, label in enumerate(labels) if label in nearest.faults)
    shorter = usable >= _LEAST_CHOICES and tuple(labels) != PAIR_LABELS
    scale = f"give the rubric's criteria {usable} choices at most, " if shorter else ""
    return ModelError(
        f"judge {lm.name}: the verdict labels {', '.join(labels)} are not single distinct tokens "
        f"after {CUE!r}: {'; '.join(told[:_NAMED])}{more}",
        "a tokenizer in which each label that the rubric asks for is one token of its own",
        f"{scale}take another judge, or add the labels to its tokenizer and train it",
    )
