"""A judge with what it is asked by; several of them are a jury."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlaif.errors import ConfigError, ModelError
from rlaif.judges.backend import Judge, LabelReader, Writer
from rlaif.judges.protocol import WriteReply, WriteRequest
from rlaif.judges.rendering import Templates
from rlaif.judges.verdict_forms import VerdictForms
from rlaif.records import JudgementKind, digest_of

_ASKED = ("pointwise", "pairwise")
_FORMS = VerdictForms()


@dataclass(frozen=True)
class Juror:
    """One judge of a rubric.

    Attributes:
        name: What the critique log calls it: the same on every machine, unlike a path.
        judge: The model.
        templates: How it is asked.
        min_label_mass: The least probability of all verdict labels together that is an answer.
        critique: Whether it writes a critique before its verdict.
    """

    name: str
    judge: Judge
    templates: Templates
    min_label_mass: float
    critique: bool = True

    def write(self, texts: Sequence[str], max_tokens: int) -> list[WriteReply]:
        """Let it write to rendered messages.

        Raises:
            ModelError: It cannot write.
        """
        writer = self._writer("what it is asked for")
        return writer.write([WriteRequest(text, max_tokens) for text in texts]) if texts else []

    def require_writing(self, what: str, kind: str, reference: bool = False) -> None:
        """Refuse a juror that cannot write, or that has no message for it, before it is asked.

        Args:
            what: The setting or criterion that needs it, for the message.
            kind: The template's message.
            reference: Whether the message is to show a reference answer.

        Raises:
            ModelError: It cannot write.
            ConfigError: Its template has no such message.
        """
        self._writer(what)
        self.templates.require((), (kind,), reference=reference)

    def require_labels(self, kind: JudgementKind, labels: Sequence[str]) -> None:
        """Refuse a juror that cannot tell verdict labels apart, before it is asked for them.

        Args:
            kind: What it will be asked: a rating, or the better of two.
            labels: The labels.

        Raises:
            ModelError: They are not single distinct tokens of its tokenizer.
            ConfigError: It reads its verdict off the labels' tokens after the default cue, and its
                template has it word verdicts in another form.
        """
        if isinstance(self.judge, LabelReader):
            self.templates.require_default_form(kind)
            self.judge.require_labels(labels)

    def _writer(self, what: str) -> Writer:
        if isinstance(self.judge, Writer):
            return self.judge
        raise ModelError(
            f"the judge {self.name!r} writes no free text, which {what} needs",
            "a judge with write(requests), as rlaif.judges.Writer has it",
            "take another judge, or change that setting",
        )


def texts_of(jury: Sequence[Juror], also: Sequence[str] = ()) -> dict[str, str]:
    """Return all words that decide a verdict, by name, for hashing.

    A single juror's are not named after it, so that the labels of a project that never had but one
    judge keep their hash.

    Args:
        jury: Who judges.
        also: Messages beside those that rate and compare.
    """
    if len(jury) == 1:
        return _words_of(jury[0].templates, also)
    return {
        f"{juror.name}/{name}": text
        for juror in jury
        for name, text in _words_of(juror.templates, also).items()
    }


def _words_of(templates: Templates, also: Sequence[str]) -> dict[str, str]:
    """Return the messages that ask for verdicts, and the forms where they are not the default."""
    forms = {
        f"form of {kind}": form.model_dump_json()
        for kind in (*_ASKED, *(kind for kind in also if kind in VerdictForms.model_fields))
        if (form := getattr(templates.forms, kind)) != getattr(_FORMS, kind)
    }
    return {**templates.texts_of(*_ASKED, *also), **forms}


def digest_of_jury(jury: Sequence[Juror]) -> str:
    """Return the digest of all who judge: a single judge's own, empty where nobody is asked."""
    if len(jury) <= 1:
        return "".join(juror.judge.digest for juror in jury)
    return digest_of([[j.name, j.judge.digest, j.min_label_mass] for j in jury])


def refuse_namesakes(jury: Sequence[Juror]) -> None:
    """Refuse two jurors of one name.

    Raises:
        ConfigError: Their critiques could not be told apart.
    """
    names = [juror.name for juror in jury]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two judges are called {twice!r}",
            "judges whose names differ",
            "give each a name of its own ([judge] name)",
        )
