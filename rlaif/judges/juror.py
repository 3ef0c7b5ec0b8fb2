"""A judge with what it is asked by; several of them are a jury."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlaif.errors import ConfigError
from rlaif.judges.backend import Judge
from rlaif.judges.rendering import Templates
from rlaif.records import digest_of


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


def texts_of(jury: Sequence[Juror]) -> dict[str, str]:
    """Return every template's text by name, for hashing; the names alone where there is one juror.

    So the labels of a project that never had but one judge keep their hash.
    """
    if len(jury) == 1:
        return dict(jury[0].templates.texts)
    return {
        f"{juror.name}/{kind}": text
        for juror in jury
        for kind, text in juror.templates.texts.items()
    }


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
