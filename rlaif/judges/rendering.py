"""Judge templates: from a criterion and candidate text to the message that a judge reads.

Candidate text is data. It is put in once and never expanded again; control and invisible format
characters are made visible; control tokens of the judge's tokenizer are broken; and where a
template fences it with ``{{ completion | fenced("answer") }}`` it cannot hold any fence of that
template.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rlaif.errors import ConfigError
from rlaif.judges.rubric import JudgeCriterion
from rlaif.project import share

LOOKALIKES = {"<": "\u2039", "[": "\u27e6"}

_FOLDER_NAME = re.compile(r"\w[\w.-]*")
_FENCE_NAME = re.compile(r"[A-Za-z]\w*")
_NOT_PLAIN = re.compile(r"[^\n\t -~\u200c\u200d]")  # joiners shape words and faces: let them be
_STANDINS = ("\ufffd", "?", "_")
_SAMPLE = JudgeCriterion(
    name="sample-name", kind="judge", weight=1.0, text="sample-text", choices=("low", "high")
)
_MARKS = {
    "pointwise": {"prompt": "prompt-mark", "completion": "completion-mark"},
    "pairwise": {"prompt": "prompt-mark", "first": "first-mark", "second": "second-mark"},
}
_NO_BRACKETS = str.maketrans("[]", "()")


class Templates:
    """The two messages of a judge template, checked and compiled.

    Attributes:
        name: The template's name.
        texts: Source of each message by name, for hashing.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        sources = {kind: _read(folder / f"{kind}.jinja") for kind in _MARKS}
        self.texts: Mapping[str, str] = sources
        self._compiled = {
            kind: _compile(text, folder / f"{kind}.jinja") for kind, text in sources.items()
        }
        self._check(folder)

    def render(
        self,
        criterion: JudgeCriterion,
        prompt: str,
        answers: Sequence[str],
        special_tokens: Sequence[str] = (),
    ) -> str:
        """Render the message that asks for a rating of one answer, or for the better of two.

        Args:
            criterion: The criterion.
            prompt: What was asked of the assistant.
            answers: One answer, or two in the order in which the judge shall see them.
            special_tokens: Control tokens of the judge's tokenizer; they are broken in the data.
        """
        kind = "pointwise" if len(answers) == 1 else "pairwise"
        names = list(_MARKS[kind])
        data = dict(zip(names, (prompt, *answers), strict=True))
        return self._render(kind, criterion, data, special_tokens)

    def _render(
        self,
        kind: str,
        criterion: JudgeCriterion,
        data: Mapping[str, str],
        special_tokens: Sequence[str],
    ) -> str:
        safe = {key: as_data(text, special_tokens) for key, text in data.items()}
        shown = {
            "name": criterion.name,
            "text": criterion.text,
            "choices": list(criterion.choices),
        }
        return self._compiled[kind].render(criterion=shown, **safe).strip()

    def _check(self, folder: Path) -> None:
        for kind, marks in _MARKS.items():
            path = folder / f"{kind}.jinja"
            try:
                text = self._render(kind, _SAMPLE, marks, ())
            except jinja2.TemplateError as exc:
                raise _broken(path, str(exc)) from exc
            missing = [key for key, mark in marks.items() if mark not in text]
            if _SAMPLE.text not in text:
                missing.append("criterion.text")
            if missing:
                raise _broken(path, f"it never shows {', '.join(missing)}")


def load_templates(name: str, root: Path | None = None) -> Templates:
    """Load a judge template: the project's own where it has one, else one that ships.

    Args:
        name: A folder under ``prompts/judge``.
        root: The project's folder, or None.

    Raises:
        ConfigError: There is no such template, or it is broken.
    """
    if not _FOLDER_NAME.fullmatch(name):
        raise ConfigError(
            f"judge.template = {name!r}", "the name of a folder under prompts/judge", "correct it"
        )
    own = root / "prompts" / "judge" / name if root is not None else None
    return Templates(name, own if own and own.is_dir() else share("prompts", "judge", name))


def as_data(text: str, special_tokens: Sequence[str] = ()) -> str:
    """Return text that can be shown to a judge as data.

    Line breaks become line feeds; other control characters, invisible format characters and lone
    surrogates become visible; a special token loses its first character to a look-alike.
    """
    visible = _NOT_PLAIN.sub(_visible, text.replace("\r\n", "\n"))
    return _without_tokens(visible, tuple(special_tokens)) if special_tokens else visible


def fence_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern of the start of any tag, open or closed, with one of the names."""
    alternatives = "|".join(map(re.escape, sorted(names)))
    return re.compile(rf"<(?=\s*/?\s*(?:{alternatives})\b)", re.IGNORECASE)


def _visible(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\u2039U+{code:04X}\u203a"
    return char


def _without_tokens(text: str, tokens: tuple[str, ...]) -> str:
    """Break every special token; again where breaking one made another.

    It ends: what takes a first character's place begins no token.
    """
    pattern, substitutes = _token_pattern(tokens)
    while (broken := pattern.sub(lambda m: substitutes[m[0][0]] + m[0][1:], text)) != text:
        text = broken
    return text


@lru_cache(maxsize=64)
def _token_pattern(tokens: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted(filter(None, tokens), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
    initials = {token[0] for token in longest_first}
    return pattern, {
        initial: next(
            (s for s in (LOOKALIKES.get(initial, _STANDINS[0]), *_STANDINS) if s not in initials),
            "",
        )
        for initial in initials
    }


def _compile(text: str, path: Path) -> jinja2.Template:
    """Compile a template in an environment of its own, whose fences know each other's names."""
    environment = ImmutableSandboxedEnvironment(
        autoescape=False,
        undefined=jinja2.StrictUndefined,
    )
    try:
        environment.filters["fenced"] = _fence(_fence_names(environment.parse(text)))
        environment.filters["bracketed"] = bracketed
        return environment.from_string(text)
    except jinja2.TemplateSyntaxError as exc:
        raise _broken(path, str(exc), exc.lineno) from exc


def _fence_names(tree: nodes.Template) -> list[str]:
    calls = [call for call in tree.find_all(nodes.Filter) if call.name == "fenced"]
    for call in calls:
        if not (len(call.args) == 1 and _FENCE_NAME.fullmatch(_constant(call.args[0]))):
            seen = 'fenced takes one name of letters in quotes: fenced("answer")'
            raise jinja2.TemplateSyntaxError(seen, call.lineno)
    return sorted({_constant(call.args[0]) for call in calls})


def _constant(argument: nodes.Expr) -> str:
    return str(argument.value) if isinstance(argument, nodes.Const) else ""


def bracketed(text: str) -> str:
    """Return data between square brackets, on one line and without brackets of its own.

    The compact way to fence what a judge reads: nothing inside can end it.
    """
    return f"[{' '.join(str(text).translate(_NO_BRACKETS).splitlines())}]"


def _fence(names: Sequence[str]) -> Callable[[str, str], str]:
    pattern = fence_pattern(names)

    def fenced(text: str, name: str) -> str:
        return f"<{name}>\n{pattern.sub(LOOKALIKES['<'], str(text))}\n</{name}>"

    return fenced


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"cannot be read: {exc}",
            "a judge template with pointwise.jinja and pairwise.jinja",
            "add the file, or name another template in [judge] template",
            path=path,
        ) from exc


def _broken(path: Path, seen: str, line: int | None = None) -> ConfigError:
    return ConfigError(
        seen,
        "a Jinja template that shows criterion.text, prompt, and completion (pointwise) or first "
        "and second (pairwise)",
        "mend the template",
        path=path,
        line=line,
    )
