"""Judge templates: from a criterion and candidate text to the message that a judge reads.

A template is a folder of messages (``messages.KINDS``), each a Jinja file, and of parts that they
include, whose names begin with ``_``. All that is put in (candidate text, reference, examples,
system prompt, criterion) is data: it is put in once and never expanded again, and it holds no fence
of that template and no control token of the judge's tokenizer (``fencing``). A template shows it
with ``{{ completion | fenced("answer") }}`` or ``{{ completion | bracketed }}``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from rlaif.errors import ConfigError
from rlaif.judges import messages
from rlaif.judges.fencing import Shown, as_data, shown_as, without_fences
from rlaif.judges.messages import KINDS, Part, Values
from rlaif.judges.rubric import JudgeCriterion
from rlaif.judges.template_check import NotShownError, parts_shown
from rlaif.judges.template_folder import TemplateFolder, broken
from rlaif.judges.verdict_forms import DEFAULT, FILE, load_forms, stated_otherwise
from rlaif.project import share
from rlaif.records import JudgementKind, Prompt

_FOLDER_NAME = re.compile(r"\w[\w.-]*")


class Templates:
    """The messages of a judge template, checked and compiled.

    Attributes:
        name: The template's name.
        texts: Source of each message and part by name.
        kinds: The messages that it has; ``pointwise`` and ``pairwise`` are always among them.
        forms: How the judge's words state what it is asked for, as ``form.toml`` declares.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._source = TemplateFolder(folder)
        self.texts: Mapping[str, str] = self._source.texts
        self.kinds = tuple(kind for kind in KINDS if kind in self.texts)
        self._compiled = {kind: self._source.compile(kind) for kind in self.kinds}
        self.forms = load_forms(folder)
        self._shown = {kind: self._check(kind) for kind in self.kinds}

    def texts_of(self, *kinds: str) -> dict[str, str]:
        """Return the sources that decide what some messages say, by name: for hashing.

        Fences that only other messages name are among them: they are broken in these too.
        """
        wanted = [kind for kind in kinds if kind in self.kinds]
        names = {name for kind in wanted for name in (kind, *self._source.included(kind))}
        others = self._source.fences_beside(names)
        beside = {"fences of other messages": " ".join(others)} if others else {}
        return {**{name: self.texts[name] for name in sorted(names)}, **beside}

    def shows(self, kind: str, part: Part) -> bool:
        """Tell whether a message of this template shows a part that not every question has."""
        return part in self._shown.get(kind, ())

    def render(
        self,
        criterion: JudgeCriterion,
        prompt: Prompt,
        answers: Sequence[str],
        special_tokens: Sequence[str] = (),
        *,
        critique: bool = True,
        reference: str | None = None,
    ) -> str:
        """Render the message that asks for a rating of one answer, or for the better of two.

        Args:
            criterion: The criterion.
            prompt: The conversation that the assistant was to answer, system prompt and all.
            answers: One answer, or two in the order in which the judge shall see them.
            special_tokens: Control tokens of the judge's tokenizer; they are broken in the data.
            critique: Whether a critique is asked for before the verdict.
            reference: An answer that is known to be right, to compare with.

        Raises:
            ConfigError: The template has no such message, cannot show a part of the question, or
                fails on it.
        """
        kind = "pointwise" if len(answers) == 1 else "pairwise"
        names = ("completion",) if len(answers) == 1 else ("first", "second")
        values: Values = {
            **messages.conversation(prompt),
            **dict(zip(names, answers, strict=True)),
            "criterion": messages.criterion_shown(criterion, kind),
            "critique": critique,
            "reference": reference,
        }
        return self._render(kind, values, special_tokens)

    def render_ranking(
        self,
        criterion: JudgeCriterion,
        prompt: Prompt,
        answers: Sequence[str],
        special_tokens: Sequence[str] = (),
        *,
        critique: bool = True,
        reference: str | None = None,
    ) -> str:
        """Render the message that asks to rank 2 to 9 answers, labelled A, B, C and so on.

        The reply shall end with a line such as ``Ranking: B > A > C``. Arguments and errors are
        those of :meth:`render`.
        """
        values: Values = {
            **messages.conversation(prompt),
            "answers": messages.labelled(answers),
            "criterion": messages.criterion_shown(criterion, "listwise"),
            "critique": critique,
            "reference": reference,
        }
        return self._render("listwise", values, special_tokens)

    def render_grade(
        self, criterion: JudgeCriterion, feedback: str, special_tokens: Sequence[str] = ()
    ) -> str:
        """Render the message that asks to turn a critique in free words into a verdict.

        Args:
            criterion: The criterion whose choices are the grades.
            feedback: The critique.
            special_tokens: As in :meth:`render`.

        Raises:
            ConfigError: The template has no such message, or fails on these words.
        """
        shown = messages.criterion_shown(criterion, "grade")
        return self._render("grade", {"criterion": shown, "feedback": feedback}, special_tokens)

    def render_errors(
        self,
        criterion: JudgeCriterion,
        prompt: Prompt,
        answer: str,
        special_tokens: Sequence[str] = (),
        *,
        reference: str | None = None,
    ) -> str:
        """Render the message that asks for the spans of an answer that break a criterion.

        The reply shall hold a line ``Error: "span" - why`` for each, or ``No errors``. Arguments
        and errors are those of :meth:`render`.
        """
        values: Values = {
            **messages.conversation(prompt),
            "completion": answer,
            "criterion": messages.criterion_shown(criterion, "errors"),
            "reference": reference,
        }
        return self._render("errors", values, special_tokens)

    def render_revision(
        self,
        prompt: Prompt,
        answer: str,
        critiques: Sequence[tuple[JudgeCriterion, str]],
        special_tokens: Sequence[str] = (),
    ) -> str:
        """Render the message that asks for a better answer in the light of critiques.

        Critique and revision are Bai et al. 2022 (Constitutional AI, section 3.1). No reference is
        shown: a revision that copies one would teach nothing.

        Args:
            prompt: The conversation.
            answer: The answer to revise.
            critiques: Critiques of it, each with the criterion that it was written under.
            special_tokens: As in :meth:`render`.

        Raises:
            ConfigError: The template has no such message, or fails on these words.
        """
        values: Values = {
            **messages.conversation(prompt),
            "completion": answer,
            "critiques": [
                {"name": criterion.name, "text": criterion.text, "feedback": feedback}
                for criterion, feedback in critiques
            ],
        }
        return self._render("revise", values, special_tokens)

    def shown(self, answer: str, special_tokens: Sequence[str] = ()) -> Shown:
        """Return what messages show of an answer between fences, and where in it that stands."""
        return shown_as(answer, special_tokens, self._source.fences)

    def require(
        self, criteria: Sequence[JudgeCriterion], kinds: Sequence[str], *, reference: bool = False
    ) -> None:
        """Check before anything is judged that this template can put the questions to come.

        Args:
            criteria: The criteria that will be asked about.
            kinds: The messages that will be needed.
            reference: Whether some question comes with a reference answer.

        Raises:
            ConfigError: A message is missing, or does not show a reference or worked examples.
        """
        for kind in kinds:
            self._need(kind)
            if reference and "reference" in messages.TAKES[kind]:
                self._need(kind, "reference")
            if any(messages.examples_shown(criterion, kind) for criterion in criteria):
                self._need(kind, "examples")

    def require_default_form(self, kind: JudgementKind) -> None:
        """Refuse a form of verdicts that a judge cannot follow that reads its labels' tokens.

        Raises:
            ConfigError: ``form.toml`` has labels of its own, or not the default cue.
        """
        own = stated_otherwise(getattr(self.forms, kind))
        if own is not None:
            raise ConfigError(
                f"[{kind}] of the judge template {self.name!r} has its own words for a verdict "
                f"({own}), but the judge in this process reads it off the label's own token",
                f"'{DEFAULT.cue}: LABEL', with the labels as they are; phrases may be added",
                f"take [{kind}] out of {FILE} and let the message ask for that form, or put the "
                "judge behind a server",
                path=self._folder / FILE,
            )

    def _render(self, kind: str, values: Values, special_tokens: Sequence[str]) -> str:
        self._need(kind)
        if values.get("reference") is not None:
            self._need(kind, "reference")
        if values.get("criterion", {}).get("examples"):
            self._need(kind, "examples")
        return self._fill(kind, values, special_tokens)

    def _fill(self, kind: str, values: Values, special_tokens: Sequence[str] = ()) -> str:
        shown = self._safe(values, special_tokens)
        try:
            return self._compiled[kind].render(shown).strip()
        except jinja2.TemplateError as exc:
            raise broken(self._source.path(kind), str(exc)) from exc
        except Exception as exc:  # the owner's expressions may raise anything
            seen = f"{type(exc).__name__}: {exc}"
            raise broken(self._source.path(kind), seen) from exc

    def _safe(self, value: Any, special_tokens: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, str):
            return without_fences(as_data(value, special_tokens), self._source.fences)
        if isinstance(value, Mapping):
            return {key: self._safe(inner, special_tokens) for key, inner in value.items()}
        if isinstance(value, Sequence):
            return [self._safe(inner, special_tokens) for inner in value]
        return value

    def _need(self, kind: str, part: Part | None = None) -> None:
        if kind not in self.kinds:
            seen = f"the judge template {self.name!r} has no {kind}.jinja"
        elif part is not None and part not in self._shown[kind]:
            seen = f"{kind}.jinja of the judge template {self.name!r} does not show {part}"
        else:
            return
        raise ConfigError(
            seen,
            "a template that can put every question that the rubric and the settings ask for",
            "name another template in [judge] template ('detailed' has all), or add it",
            path=self._source.path(kind),
        )

    def _check(self, kind: str) -> frozenset[Part]:
        try:
            return parts_shown(kind, lambda values: self._fill(kind, values))
        except NotShownError as exc:
            raise broken(self._source.path(kind), str(exc)) from exc


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
