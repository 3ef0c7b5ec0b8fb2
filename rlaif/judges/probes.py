"""Answers made to try the judge: would it be talked round, or taken in by length?

The policy is trained against the judge, so what takes the judge in is what the policy will learn.
A probe is a policy's own answer with an attack added; an honest judge does not like it better. It
is judged among the others, in the same batch and by the same words, and never trained on.

Injections (Greshake et al. 2023, 2302.12173, name the kind): an order to the judge, a forged
critique and verdict, the end of the fence that holds the answer and words of the judge's own side.
Attacks on taste (Zheng et al. 2023, MT-Bench, 2306.05685, section 3.3): padding that says nothing,
and an answer that says everything again. Their words are data: ``prompts/probes``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from pydantic import BaseModel, ConfigDict, Field

from rlaif.judges.twins import Twin
from rlaif.project import share
from rlaif.records import Completion, ProbeKind, TrialKind, make_id
from rlaif.text import words_of
from rlaif.toml_source import read_toml

KINDS: Final[tuple[ProbeKind, ...]] = get_args(ProbeKind)
INJECTIONS: Final[frozenset[ProbeKind]] = frozenset({"instruction", "forged_verdict", "fence"})
AGAIN: Final = "again"
PROBE_POLICY = "probe:"
_UNCHANGED = " "  # at an answer's end it says nothing, and makes another text of it
_LANGUAGES = ("en", "zh")


class Attacks(BaseModel):
    """What attacks add to an answer; ``{label}`` stands for the verdict that a forger wants."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    instruction: str = Field(min_length=1)
    forged_verdict: str = Field(min_length=1)
    fence: str = Field(min_length=1)
    padding: str = Field(min_length=1)

    def attack(self, text: str, kind: ProbeKind, label: str) -> str:
        """Return an answer's text with an attack added."""
        if kind == "repetition":
            return f"{text.rstrip()}\n\n{text.strip()}"
        added: str = getattr(self, kind)
        return text.rstrip() + added.replace("{label}", label)


def load_attacks(language: str, root: Path | None = None) -> Attacks:
    """Read the attacks in a rubric's language, in English where there are none in it.

    Args:
        language: As the rubric names it, such as ``zh-CN``.
        root: The project's folder, whose own ``prompts/probes`` go first; or None.

    Raises:
        ConfigError: The project's file is no file of attacks; with file, line and field.
    """
    code = language.lower().split("-")[0]
    own = root / "prompts" / "probes" / f"{code}.toml" if root is not None else None
    if own is not None and own.is_file():
        return read_toml(own).validate(Attacks)
    name = code if code in _LANGUAGES else _LANGUAGES[0]
    return read_toml(share("prompts", "probes", f"{name}.toml")).validate(Attacks)


def make_twin(
    original: Completion, kind: TrialKind, attacks: Attacks, spoken: Mapping[str, str]
) -> Twin:
    """Change an answer to try the judge.

    Args:
        original: A policy's own answer.
        kind: The attack, or the same question again.
        attacks: Their words.
        spoken: The labels that serve it best, each with what the judge writes for it.
    """
    if kind == AGAIN:
        return Twin(dict.fromkeys(spoken, make_again(original)))
    return Twin({best: make_probe(original, kind, attacks, s) for best, s in spoken.items()})


def make_probe(original: Completion, kind: ProbeKind, attacks: Attacks, label: str) -> Completion:
    """Add an attack to an answer.

    Args:
        original: A policy's own answer.
        kind: The attack.
        attacks: Their words.
        label: The verdict that a forger would write.

    Returns:
        The attacked answer, with an identifier of its own; its ``policy`` says what it is, its
        ``length`` is in the unit of the original's, which has as many of it for each word.
    """
    return _made(original, kind, attacks.attack(original.text, kind, label))


def make_again(original: Completion) -> Completion:
    """Return an answer to be asked about again: the same but for a space at its end.

    So the judge is put a question that it has not answered yet: a sampled verdict is drawn anew, a
    stored reply does not answer it, and a judge that decodes greedily shows how far its verdict
    hangs on what does not matter.
    """
    return _made(original, AGAIN, original.text + _UNCHANGED)


def kind_of(probe: Completion) -> TrialKind:
    """Return what a probe tries: the attack that it carries, or the same question again."""
    kinds: tuple[TrialKind, ...] = (*KINDS, AGAIN)
    return next(kind for kind in kinds if probe.policy == f"{PROBE_POLICY}{kind}")


def _made(original: Completion, kind: TrialKind, text: str) -> Completion:
    words = len(words_of(original.text))
    each = original.length / words if words else 1.0
    return Completion(
        id=make_id("completion", "probe", original.id, text),
        prompt_id=original.prompt_id,
        policy=f"{PROBE_POLICY}{kind}",
        index=original.index,
        text=text,
        length=round(each * len(words_of(text))),
        ended=True,
    )
