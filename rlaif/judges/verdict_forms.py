"""How a judge's words state a verdict: data that a judge template may declare.

A form names one or more ways, and a reply is read by all that it names:

    cue = "Verdict"                            a line ``Verdict: LABEL``, exactly one
    phrase = "Output ({label}) is better"      anywhere, any number of times
    whole = "Output ({label})"                 the reply is nothing else
    labels = { a = "A", b = "B" }              what the judge writes -> the protocol's label

What a judge quotes of what it was shown states nothing: see :mod:`rlaif.judges.own_words`.

All that a reply states has to name one and the same label, else it is unscored with the reason.
Without ``labels`` a judge writes the protocol's labels themselves. ``form.toml`` in a template's
folder may have the tables ``pairwise``, ``pointwise`` and ``listwise``; what it does not declare
stays the default, one line ``Verdict: LABEL``, or ``Ranking: B > A > C`` for lists.

A model in this process reads its rating, or the better of two, off the label's own token after the
default cue: for it a ``pairwise`` or ``pointwise`` form with another cue, or with other labels, is
refused. What it says in free words (rankings, graded critiques) may have any form.

A phrase is looked for as it is written. It cannot tell "I doubt that Output (a) is better" from a
verdict, so it suits judges whose prompt asks for just that sentence; the cue is the stricter form.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from rlaif.judges.own_words import own_words, unwrapped
from rlaif.records import Record, Unscored
from rlaif.text import CJK, quoted, word_spans
from rlaif.toml_source import read_toml

PLACE = "{label}"
FILE = "form.toml"

_LEFT = "*_\"'`([{ \t\r"
_RIGHT = "*_\"'`)]}.\u3002 \t\r"
_JOINED = rf"[^\W_{CJK}]"  # of a word that goes on; Chinese puts no spaces between its words
# A statement ends where no word, decimal, fraction or compound goes on.
_ENDS = rf"(?!{_JOINED}|[.,:/\u2044\u2215]\d|[-'\u2019]{_JOINED})"


def _word(cue: str) -> str:
    if not cue.strip() or cue != cue.strip() or re.search(r"[:\uff1a\n]", cue):
        raise ValueError("a word or a few, without the colon and without spaces around them")
    return cue


def _with_place(pattern: str) -> str:
    if pattern.count(PLACE) != 1 or "\n" in pattern:
        raise ValueError(f"one line with {PLACE} in it once")
    return pattern


def _with_words(pattern: str) -> str:
    if not re.search(r"\w", pattern.replace(PLACE, "")):
        raise ValueError(f"words beside {PLACE}: a bare label anywhere in a reply says nothing")
    return pattern


def _plain(labels: Mapping[str, str]) -> Mapping[str, str]:
    if any(not said or said != said.strip(_LEFT + _RIGHT) or "\n" in said for said in labels):
        raise ValueError("labels without spaces, quotes, brackets or full stops around them")
    return labels


Cue = Annotated[str, AfterValidator(_word)]
Whole = Annotated[str, AfterValidator(_with_place)]
Phrase = Annotated[str, AfterValidator(_with_place), AfterValidator(_with_words)]


class VerdictForm(Record):
    """How a verdict is stated; see the module.

    Attributes:
        cue: The word before the colon on a verdict's line, in any case.
        phrase: Words with ``{label}`` among them.
        whole: A short reply with ``{label}`` in it; ``"{label}"`` is a bare label.
        labels: From what the judge writes to the protocol's label; empty where they are the same.
    """

    cue: Cue | None = None
    phrase: Phrase | None = None
    whole: Whole | None = None
    labels: Annotated[dict[str, str], AfterValidator(_plain)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _states_something(self) -> "VerdictForm":
        if self.cue is None and self.phrase is None and self.whole is None:
            raise ValueError("one or more of: cue, phrase, whole")
        return self


DEFAULT = VerdictForm(cue="Verdict")
RANKING = VerdictForm(cue="Ranking")


def _names_both(form: VerdictForm) -> VerdictForm:
    if form.labels and set(form.labels.values()) != {"A", "B"}:
        raise ValueError("labels for A and for B, and for nothing else")
    return form


def _by_cue_alone(form: VerdictForm) -> VerdictForm:
    if form.cue is None or form.phrase is not None or form.whole is not None:
        raise ValueError("a cue alone: a ranking is one line 'CUE: B > A > C'")
    return form


class VerdictForms(Record):
    """The forms of a judge template, by what is asked."""

    pairwise: Annotated[VerdictForm, AfterValidator(_names_both)] = DEFAULT
    pointwise: VerdictForm = DEFAULT
    listwise: Annotated[VerdictForm, AfterValidator(_by_cue_alone)] = RANKING


def load_forms(folder: Path) -> VerdictForms:
    """Read ``form.toml`` of a judge template's folder; the default forms where it has none.

    Raises:
        ConfigError: The file is not TOML, or declares something else than forms; with file, line
            and field.
    """
    path = folder / FILE
    return read_toml(path).validate(VerdictForms) if path.exists() else VerdictForms()


def stated_otherwise(form: VerdictForm) -> str | None:
    """Return in words what a form has instead of the default's cue and labels, if anything.

    Ways to state a verdict beside that cue do not count.
    """
    others = [f"{said} for {label}" for said, label in form.labels.items() if said != label]
    if others:
        return ", ".join(others)
    if form.cue == DEFAULT.cue:
        return None
    return _ways(form)


def read_label(reply: str, labels: Sequence[str], form: VerdictForm = DEFAULT) -> str | Unscored:
    """Read off a judge's words which label they name.

    Args:
        reply: The words.
        labels: The protocol's labels that were asked for.
        form: How this judge states its verdict.

    Returns:
        One of ``labels``, or unscored where the words state none, or more than one.
    """
    spoken = spoken_labels(form, labels)
    if isinstance(spoken, Unscored):
        return spoken
    lines = _cued(reply, form.cue) if form.cue is not None else []
    if len(lines) > 1 or (not lines and form.phrase is None and form.whole is None):
        return _not_one(lines, form, "LABEL")
    said = [line.lstrip(_LEFT).rstrip(_RIGHT) for line in lines]
    if said and said[0] not in spoken:
        wanted = ", ".join(spoken)
        return Unscored(reason=f"the verdict is {quoted(said[0])}, not one of {wanted}")
    named = {spoken[word] for word in said + _patterned(reply, form, tuple(spoken))}
    if not named:
        return Unscored(reason=f"no verdict in the reply, expected {_ways(form)}")
    if len(named) > 1:
        return Unscored(reason=f"the reply names several labels: {', '.join(sorted(named))}")
    return named.pop()


def spoken_labels(form: VerdictForm, labels: Sequence[str]) -> dict[str, str] | Unscored:
    """Return what a judge may write, with the label that it means.

    Unscored where the form cannot say one of the labels.
    """
    if not form.labels:
        return {label: label for label in labels}
    spoken = {said: label for said, label in form.labels.items() if label in labels}
    missing = [label for label in labels if label not in spoken.values()]
    if missing:
        return Unscored(reason=f"the verdict's form has no words for {', '.join(missing)}")
    return spoken


def label_place(
    reply: str, labels: Sequence[str], form: VerdictForm = DEFAULT
) -> tuple[int, int] | Unscored:
    """Find where a judge's words name their label, the last time where they name it repeatedly.

    Returns:
        Where what the judge writes for the label begins and ends in the reply, in characters;
        unscored where :func:`read_label` is.
    """
    spoken, label = spoken_labels(form, labels), read_label(reply, labels, form)
    if isinstance(spoken, Unscored):
        return spoken
    if isinstance(label, Unscored):
        return label
    places = []
    if form.cue is not None:
        places += [_inner(start, said) for start, said in _cued_matches(reply, form.cue)]
    if form.phrase is not None:
        places += [
            m.span(1)
            for m in _phrase_pattern(form.phrase, tuple(spoken)).finditer(own_words(reply))
        ]
    if form.whole is not None:
        match = _whole_pattern(form.whole, tuple(spoken)).fullmatch(unwrapped(reply))
        places += [match.span(1)] if match else []
    return max(places)


def goes_on(reply: str, place: tuple[int, int], form: VerdictForm = DEFAULT) -> bool:
    """Tell whether a reply has words after it stated its label at a place."""
    rest = reply[place[1] :]
    for pattern in (form.phrase, form.whole):
        rest = rest.removeprefix(pattern.partition(PLACE)[2]) if pattern is not None else rest
    return bool(word_spans(rest))


def _ways(form: VerdictForm) -> str:
    ways = [f"{form.cue}: LABEL" if form.cue else None, form.phrase, form.whole]
    return " or ".join(repr(way) for way in ways if way is not None)


def _inner(start: int, said: str) -> tuple[int, int]:
    """Return where the words after a cue, which begin at ``start``, stand undressed."""
    begin = start + len(said) - len(said.lstrip(_LEFT))
    return begin, begin + len(said.lstrip(_LEFT).rstrip(_RIGHT))


def read_ranking(
    reply: str, labels: Sequence[str], form: VerdictForm = RANKING
) -> tuple[str, ...] | Unscored:
    """Read a ranking, ``Ranking: B > A > C``, best first.

    Ties are refused: a model of rankings has no place for them, and judges write them to get out
    of the question.

    Args:
        reply: The judge's words; exactly one line may begin with the cue.
        labels: The labels of the answers that were shown.
        form: Its cue, and labels where the judge writes others.

    Returns:
        Every label exactly once, or unscored.
    """
    spoken = spoken_labels(form, labels)
    if isinstance(spoken, Unscored):
        return spoken
    lines = _cued(reply, form.cue or "")
    if len(lines) != 1:
        return _not_one(lines, form, " > ".join(labels))
    said = [part.lstrip(_LEFT).rstrip(_RIGHT) for part in re.split("[>\uff1e]", lines[0])]
    if re.search("[=\uff1d]", lines[0]):
        return Unscored(reason=f"the ranking {quoted(lines[0].strip())} has a tie")
    unknown = [part for part in said if part not in spoken]
    if unknown:
        wanted = ", ".join(spoken)
        return Unscored(reason=f"the ranking holds {quoted(unknown[0])}, not one of {wanted}")
    ranked = tuple(spoken[part] for part in said)
    if sorted(ranked) != sorted(labels):
        return Unscored(
            reason=f"the ranking is {' > '.join(ranked)}, expected each of {', '.join(labels)} once"
        )
    return ranked


def before_ranking(reply: str, form: VerdictForm = RANKING) -> str:
    """Return a judge's words before its first ranking line; all of them where there is none."""
    return around_cue(reply, form)[0]


def around_cue(reply: str, form: VerdictForm) -> tuple[str, str]:
    """Return a judge's words before its first own line that begins with its cue, and those after.

    Without such a line, or without a cue, all are before it.
    """
    if form.cue is None:
        return reply, ""
    lines = reply.split("\n")
    pattern = _cue_pattern(form.cue)
    own = own_words(reply).split("\n")
    at = next((i for i, line in enumerate(own) if pattern.fullmatch(line)), len(lines))
    return "\n".join(lines[:at]), "\n".join(lines[at + 1 :])


def _cued(reply: str, cue: str) -> list[str]:
    """Return what follows the cue on each line of the judge's own that begins with it."""
    return [said for _, said in _cued_matches(reply, cue)]


def _cued_matches(reply: str, cue: str) -> list[tuple[int, str]]:
    """Return what follows the cue on each own line that begins with it, and where that begins."""
    pattern, start = _cue_pattern(cue), 0
    found = []
    for line in own_words(reply).split("\n"):
        if match := pattern.fullmatch(line):
            found.append((start + match.start(1), match[1]))
        start += len(line) + 1
    return found


def _not_one(lines: Sequence[str], form: VerdictForm, what: str) -> Unscored:
    word = str(form.cue).lower()
    count = f"{len(lines)} {word} lines" if lines else f"no {word} line"
    return Unscored(reason=f"{count} in the reply, expected one '{form.cue}: {what}'")


def _patterned(reply: str, form: VerdictForm, spoken: tuple[str, ...]) -> list[str]:
    """Return what stands in the places of the form's phrase and of its short form."""
    said: list[str] = []
    if form.phrase is not None:
        said += _phrase_pattern(form.phrase, spoken).findall(own_words(reply))
    if form.whole is not None:
        match = _whole_pattern(form.whole, spoken).fullmatch(unwrapped(reply))
        said += [match.group(1)] if match else []
    return said


@lru_cache(maxsize=64)
def _cue_pattern(cue: str) -> re.Pattern[str]:
    words = r"[ \t]+".join(map(re.escape, cue.split()))
    return re.compile(rf"[\s*_#]*{words}[\s*_]*[:\uff1a](.*)", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=64)
def _phrase_pattern(phrase: str, spoken: tuple[str, ...]) -> re.Pattern[str]:
    begins = rf"(?<!{_JOINED})(?<![.+-])" if phrase.startswith(PLACE) else rf"(?<!{_JOINED})"
    return re.compile(f"{begins}(?={_filled(phrase, spoken)}{_ENDS})")  # they may overlap


@lru_cache(maxsize=64)
def _whole_pattern(whole: str, spoken: tuple[str, ...]) -> re.Pattern[str]:
    left, right = re.escape(_LEFT + "\n"), re.escape(_RIGHT + "\n")
    return re.compile(rf"[{left}]*{_filled(whole, spoken)}[{right}]*")


def _filled(pattern: str, spoken: tuple[str, ...]) -> str:
    """Return a pattern of words with any label in its place."""
    before, _, after = pattern.partition(PLACE)
    return f"{re.escape(before)}({'|'.join(map(re.escape, spoken))}){re.escape(after)}"
