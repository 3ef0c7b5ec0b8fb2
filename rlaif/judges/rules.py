"""Rule criteria: an answer's text -> a score in [0, 1] and the reason in words.

Each key of a rule is a part; the rule's score is the mean of its parts. Parts are graded where that
is natural, so that a policy that comes nearer is told so:

    min_words        words / min_words while short, else 1
    max_words        1 up to the limit, falling in a line to 0 at twice the limit
    must_match       share of the patterns that are found, anywhere
    must_not_match   share of the patterns that are not found
    starts_with      1 or 0, leading white space aside
    ends_with        1 or 0, trailing white space aside
    max_repetition   1 up to the limit, falling in a line to 0 where every trigram repeats
    language         share of the words in the language's script

Where a pattern was not looked for to the end the answer is unscored.
"""

from collections.abc import Callable, Iterator, Sequence

from rlaif.judges.patterns import UnsearchedError, found_in
from rlaif.judges.rubric import RuleSpec
from rlaif.judges.wording import language_share, repetition
from rlaif.records import Rating, Unscored
from rlaif.text import shortened, words_of

Part = tuple[float, str]

_NAMES = {
    ".": "a full stop",
    "!": "an exclamation mark",
    "?": "a question mark",
    ":": "a colon",
    ",": "a comma",
    "\u3002": "a Chinese full stop",
    "\uff01": "a Chinese exclamation mark",
    "\uff1f": "a Chinese question mark",
}
_SHOWN = 24


def judge_by_rule(spec: RuleSpec, text: str) -> tuple[Rating | Unscored, str]:
    """Score a text by a rule.

    Args:
        spec: The rule.
        text: The answer.

    Returns:
        The rating and why, in words; unscored, with the reason, where a pattern was not looked for
        to the end.
    """
    try:
        parts = list(_parts(spec, text))
    except UnsearchedError as exc:
        return Unscored(reason=str(exc)), ""
    score = sum(part for part, _ in parts) / len(parts)
    return Rating(score=score), "; ".join(why for _, why in parts)


def _parts(spec: RuleSpec, text: str) -> Iterator[Part]:
    words = words_of(text)
    if spec.min_words is not None:
        yield _min_words(len(words), spec.min_words)
    if spec.max_words is not None:
        yield _max_words(len(words), spec.max_words)
    yield from _patterns(spec, text)
    yield from _edges(spec, text.strip())
    if spec.max_repetition is not None:
        yield _max_repetition(repetition(words), spec.max_repetition)
    if spec.language is not None:
        yield _language(words, spec.language)


def _patterns(spec: RuleSpec, text: str) -> Iterator[Part]:
    if spec.must_match is not None:
        yield _must_match(spec.must_match, text)
    if spec.must_not_match is not None:
        yield _must_not_match(spec.must_not_match, text)


def _edges(spec: RuleSpec, text: str) -> Iterator[Part]:
    if spec.starts_with is not None:
        yield _edge("start", text.startswith, text[:1], spec.starts_with)
    if spec.ends_with is not None:
        yield _edge("end", text.endswith, text[-1:], spec.ends_with)


def _min_words(count: int, least: int) -> Part:
    if count >= least:
        return 1.0, f"has {_words(count)}, at least {least}"
    return count / least, f"has {_words(count)}, fewer than {least}"


def _max_words(count: int, most: int) -> Part:
    if count <= most:
        return 1.0, f"has {_words(count)}, at most {most}"
    return max(0.0, 2.0 - count / most), f"has {_words(count)}, more than {most}"


def _must_match(patterns: Sequence[str], text: str) -> Part:
    missing = [pattern for pattern in patterns if found_in(text, pattern) is None]
    if missing:
        return 1.0 - len(missing) / len(patterns), f"lacks {_list(map(_quote, missing))}"
    return 1.0, "has what it must have"


def _must_not_match(patterns: Sequence[str], text: str) -> Part:
    looked_for = (found_in(text, pattern) for pattern in patterns)
    found = [match for match in looked_for if match is not None]
    if found:
        return 1.0 - len(found) / len(patterns), f"must not have {_list(map(_quote, found))}"
    return 1.0, "has nothing that it must not have"


def _edge(verb: str, fits: Callable[[str], bool], seen: str, wanted: Sequence[str]) -> Part:
    fitting = next((text for text in wanted if fits(text)), None)
    if fitting is not None:
        return 1.0, f"{verb}s with {_name(fitting)}"
    shown = f"not with {_quote(seen)}" if seen else "but is empty"
    return 0.0, f"should {verb} with {_list(map(_name, wanted))}, {shown}"


def _max_repetition(share: float, most: float) -> Part:
    if share <= most:
        return 1.0, f"repeats {share:.0%} of its phrases, at most {most:.0%}"
    return (1.0 - share) / (1.0 - most), f"repeats {share:.0%} of its phrases, over {most:.0%}"


def _language(words: Sequence[str], language: str) -> Part:
    share = language_share(words, language)
    return share, f"{share:.0%} of its words are in the script of {language}"


def _words(count: int) -> str:
    return f"{count} word" if count == 1 else f"{count} words"


def _name(text: str) -> str:
    return _NAMES.get(text) or _quote(text)


def _quote(text: str) -> str:
    return f'"{shortened(text, _SHOWN)}"'


def _list(texts: "Iterator[str] | map[str]") -> str:
    *rest, last = texts
    return f"{', '.join(rest)} or {last}" if rest else last
