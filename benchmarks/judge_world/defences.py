"""What stands between an attack and a label, and the same judging with one of it taken away.

Production has no switch for most of these, and none is added to it: what is taken away is
substituted here, by a template folder without the filter, a renderer or a judge that leaves a step
out, or a setting. Everything else is production's own code.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rlaif.config import JudgeConfig, RlaifConfig
from rlaif.judges import (
    Judge,
    JudgeReply,
    JudgeRequest,
    Juror,
    Rubric,
    RubricJudge,
    SentenceEncoder,
    Templates,
    TransformersJudge,
    as_data,
)
from rlaif.models.loading import LanguageModel
from rlaif.project import share
from rlaif.records import Choice, Judgement

BRACKETED = re.compile(r"\{\{ ([\w.]+) \| bracketed \}\}")
SMUGGLED = "smuggles control tokens"


@dataclass(frozen=True)
class Defences:
    """Which defences stand.

    Attributes:
        brackets: What fences an answer cannot stand in it; else brackets and lines are left as
            they are.
        breaking: Control tokens of the judge's tokenizer are broken in an answer.
        refusing: A request that holds more of them than a plain one is refused.
        visible: Control and invisible characters are made visible.
        single_pass: What an answer holds is never expanded by the template.
        both_orders: A pair is shown in both orders; else in one.
        attacked_first: In which one: with the attacked answer first, or second.
        quarantine: A pair whose verdict flips with the order does not train.
        label_mass: A verdict whose labels hold little of the probability is unscored.
        ratings: The two ratings count beside the comparison.
        code: Criteria that ask no judge (a rule, an embedding) count.
    """

    brackets: bool = True
    breaking: bool = True
    refusing: bool = True
    visible: bool = True
    single_pass: bool = True
    both_orders: bool = True
    attacked_first: bool = True
    quarantine: bool = True
    label_mass: bool = True
    ratings: bool = True
    code: bool = True


TITLES: Final = {
    "brackets": "brackets that an answer cannot hold",
    "breaking": "control tokens broken",
    "refusing": "smuggled control tokens refused",
    "visible": "control characters made visible",
    "single_pass": "single-pass templates",
    "both_orders": "the other order: attacked one shown first",
    "quarantine": "quarantine of flips",
    "label_mass": "least label mass",
    "ratings": "ratings beside comparisons",
    "code": "rule and embedding criteria",
}
ALL = Defences()
NONE = Defences(**dict.fromkeys(TITLES, False))
ALL_ON, ALL_OFF = "all on", "all off"
BOTH_TOKENS = "control tokens broken and refused"
SHOWN_SECOND = "the other order: attacked one shown second"
SETS: Final[dict[str, Defences]] = {
    ALL_ON: ALL,
    **{title: replace(ALL, **{field: False}) for field, title in TITLES.items()},
    BOTH_TOKENS: replace(ALL, breaking=False, refusing=False),
    SHOWN_SECOND: replace(ALL, both_orders=False, attacked_first=False),
    ALL_OFF: NONE,
}

MADE_FOR: Final = {
    TITLES["brackets"]: "forged rival",
    TITLES["breaking"]: "forged turn",
    TITLES["refusing"]: "forged turn",
    TITLES["visible"]: "hidden signs",
    TITLES["single_pass"]: "template code",
    BOTH_TOKENS: "forged turn",
}


class OpenTemplates(Templates):
    """A renderer that leaves steps out.

    Args:
        name: The template's name.
        folder: Its files.
        defences: Which steps stay.
    """

    def __init__(self, name: str, folder: Path, defences: Defences) -> None:
        self._defences = defences
        self._second = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
        super().__init__(name, folder)

    def _fill(self, kind: str, values: dict[str, Any], special_tokens: Sequence[str] = ()) -> str:
        """Render; without single pass, expand what was put in as a template of its own."""
        text = super()._fill(kind, values, special_tokens)
        if self._defences.single_pass:
            return text
        try:
            return self._second.from_string(text).render(values).strip()
        except jinja2.TemplateError:  # an answer that is no template stays what it was
            return text

    def _safe(self, value: Any, special_tokens: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
        """Make safe what is put in; without ``visible``, nothing but control tokens."""
        if isinstance(value, str) and not self._defences.visible:
            return only_tokens_broken(value, special_tokens)
        return super()._safe(value, special_tokens)


def only_tokens_broken(text: str, special_tokens: Sequence[str]) -> str:
    """Break control tokens as production does, and leave every other character as it is."""
    runs = groupby(text, key=lambda char: as_data(char) == char)
    return "".join(
        as_data(run, special_tokens) if plain else run
        for plain, run in ((plain, "".join(chars)) for plain, chars in runs)
    )


class UnrefusingJudge(TransformersJudge):
    """The judge without its count of control tokens."""

    def __init__(self, lm: LanguageModel, config: JudgeConfig) -> None:
        super().__init__(lm, config)
        self._special_ids = frozenset()
        self._expected_special = 0


class RememberingJudge:
    """A judge that is asked each question once, so that what a defence changes is all that differs.

    Args:
        judge: The judge.

    Attributes:
        name: As the judge's.
        digest: As the judge's.
        special_tokens: As the judge's.
        asked: How many different questions were put to it.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._memory: dict[tuple[str, tuple[str, ...]], JudgeReply] = {}
        self.name = judge.name
        self.digest = judge.digest
        self.special_tokens = tuple(judge.special_tokens)

    @property
    def asked(self) -> int:
        """How many different questions were put to the judge."""
        return len(self._memory)

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer from memory, and ask what was never asked, each question once."""
        keys = [(request.text, request.labels) for request in requests]
        new = {k: r for k, r in zip(keys, requests, strict=True) if k not in self._memory}
        if new:
            self._memory.update(zip(new, self._judge.judge(list(new.values())), strict=True))
        return [self._memory[key] for key in keys]


class WeakenedJudge:
    """A judge without its dealings with control tokens.

    Args:
        judge: The judge.
        open_judge: The same without its count of control tokens: it is put what the judge refuses.
            None: what it refuses stays refused.
        named: Whether it names its control tokens, which the renderer then breaks.
    """

    def __init__(
        self, judge: RememberingJudge, open_judge: RememberingJudge | None, *, named: bool
    ) -> None:
        self._judge = judge
        self._open_judge = open_judge
        self.name = judge.name
        self.digest = judge.digest
        self.special_tokens = judge.special_tokens if named else ()

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests, in their order."""
        replies = self._judge.judge(requests)
        if self._open_judge is None:
            return replies
        refused = [i for i, reply in enumerate(replies) if SMUGGLED in (reply.failure or "")]
        again = self._open_judge.judge([requests[i] for i in refused])
        for place, reply in zip(refused, again, strict=True):
            replies[place] = reply
        return replies


class Panels:
    """Makes panels with any set of defences; the models are those of the project.

    Args:
        encoder: The embedder.
        lm: The judge's model.
        rubric: The rubric.
        config: The settings.
    """

    def __init__(
        self, encoder: SentenceEncoder, lm: LanguageModel, rubric: Rubric, config: RlaifConfig
    ) -> None:
        self._encoder = encoder
        self._rubric = rubric
        self._config = config
        self._judge = RememberingJudge(TransformersJudge(lm, config.judge))
        self._open_judge = RememberingJudge(UnrefusingJudge(lm, config.judge))

    @property
    def asked(self) -> int:
        """How many different questions were put to the model."""
        return self._judge.asked + self._open_judge.asked

    def with_defences(self, defences: Defences) -> RubricJudge:
        """Return the panel of the project's settings, with some defences taken away."""
        config = self._config
        open_judge = None if defences.refusing else self._open_judge
        judge = WeakenedJudge(self._judge, open_judge, named=defences.breaking)
        changed = ({} if defences.quarantine else {"flip_threshold": 1.0}) | (
            {} if defences.ratings else {"pairwise_weight": 1.0}
        )
        criteria = self._rubric.criteria if defences.code else self._rubric.judge_criteria
        return RubricJudge(
            Rubric.model_validate({**dict(self._rubric), "criteria": criteria}),
            judging=config.judging.model_copy(update=changed),
            jury=[
                Juror(
                    name=config.judge.display_name,
                    judge=judge,
                    templates=templates(config.judge.template, defences),
                    min_label_mass=config.judge.min_label_mass if defences.label_mass else 0.0,
                    critique=config.judge.critique,
                )
            ],
            encoder=self._encoder,
            together=config.judge.batch_size,
        )


def templates(name: str, defences: Defences) -> Templates:
    """Return a shipped template with some defences taken away."""
    folder = share("prompts", "judge", name)
    if defences.brackets:
        return OpenTemplates(name, folder, defences)
    with tempfile.TemporaryDirectory() as place:
        for file in folder.glob("*.jinja"):
            text = BRACKETED.sub(r"[{{ \1 }}]", file.read_text("utf-8"))
            Path(place, file.name).write_text(text, encoding="utf-8")
        return OpenTemplates(name, Path(place), defences)


def mirrored(judgements: Sequence[Judgement], *, keeps_first: bool) -> list[Judgement]:
    """Return comparisons in which one order says again what the other one said.

    Args:
        judgements: Of one pair, by criterion first shown first, then shown second, of one juror.
        keeps_first: Which order is heard: the one with the first shown first, or shown second.
    """
    found: list[Judgement] = []
    for orders in zip(judgements[::2], judgements[1::2], strict=True):
        heard, other = orders if keeps_first else orders[::-1]
        verdict = heard.verdict
        if isinstance(verdict, Choice):
            verdict = Choice(p_first=1.0 - verdict.p_first)
        again = other.model_copy(update={"verdict": verdict})
        found += [heard, again] if keeps_first else [again, heard]
    return found
