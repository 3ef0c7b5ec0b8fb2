"""Questions put to a juror, and what it said: by its verdict, by marked errors, by its critique.

A rating is read from the judge's verdict on the criterion's choices, unless the criterion is
``graded_by`` the errors that the judge marks, or by a critique: what the judge writes before any
verdict of its own, graded in a second call that shows the critique and not the answer. Pairs are
always decided by the judge's verdict.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.judges.juror import Juror
from rlaif.judges.marking import errors_in, errors_text, score_of_errors
from rlaif.judges.messages import ANSWER_LABELS
from rlaif.judges.protocol import (
    DRESSING,
    PAIR_LABELS,
    JudgeRequest,
    WriteReply,
    method_of,
    parse_verdict,
    rating_labels,
    verdict_of,
)
from rlaif.judges.rendering import load_templates
from rlaif.judges.rubric import JudgeCriterion, Rubric
from rlaif.judges.rubric.criteria import GradedBy
from rlaif.judges.verdict_forms import around_cue
from rlaif.judges.weighing import VerdictSettings, kinds_to_ask
from rlaif.records import (
    Completion,
    JudgeCall,
    JudgementKind,
    Prompt,
    Unscored,
    Verdict,
    VerdictMethod,
)

GRADE_TOKENS = 32
MESSAGES: dict[GradedBy, str] = {"errors": "errors", "critique": "grade"}


def messages_of(criteria: Sequence[JudgeCriterion]) -> tuple[str, ...]:
    """Return the messages beside rating and comparing that verdicts on criteria are read from."""
    used = {criterion.graded_by for criterion in criteria}
    return tuple(kind for how, kind in MESSAGES.items() if how in used)


def require_messages(
    rubric: Rubric,
    jury: Sequence[JudgeConfig],
    judging: JudgingConfig,
    root: Path,
    also: Sequence[str] = (),
) -> None:
    """Check that judges' templates can put all that a rubric asks; no model is loaded for it.

    Args:
        rubric: The rubric.
        jury: Who judges.
        judging: How verdicts become labels.
        root: The project's folder.
        also: Messages beside those that verdicts are read from.

    Raises:
        ConfigError: There is no such template, it lacks a message, or cannot show a part of the
            rubric.
    """
    criteria, reference = rubric.judge_criteria, bool(rubric.references)
    if not criteria:
        return
    kinds = kinds_to_ask(rubric, VerdictSettings.from_config(judging))
    for name in dict.fromkeys(judge.template for judge in jury):
        wanted = (*kinds, *messages_of(criteria), *also)
        load_templates(name, root).require(criteria, wanted, reference=reference)


def require_questions(juror: Juror, rubric: Rubric, kinds: Sequence[JudgementKind]) -> None:
    """Check before anything is judged that a juror can be asked all that a rubric asks.

    Args:
        juror: The juror.
        rubric: The rubric.
        kinds: What will be asked for verdicts: ratings, comparisons, rankings.

    Raises:
        ConfigError: Its template lacks a message, cannot show a part of the rubric, or has a judge
            that reads label tokens word its verdicts in a form of the template's own.
        ModelError: A criterion is graded by what it writes, and it writes no free text; or it
            cannot tell the labels of a verdict apart.
    """
    criteria, reference = rubric.judge_criteria, bool(rubric.references)
    juror.templates.require(criteria, kinds, reference=reference)
    for criterion in criteria:
        kind = MESSAGES.get(criterion.graded_by)
        if kind is not None:
            juror.require_writing(f"the criterion {criterion.name!r}", kind, reference)
    for kind, labels in _labels_of(criteria, kinds):
        juror.require_labels(kind, labels)


def _labels_of(
    criteria: Sequence[JudgeCriterion], kinds: Sequence[JudgementKind]
) -> list[tuple[JudgementKind, tuple[str, ...]]]:
    """Return the sets of labels that verdicts are read off, each once; rankings are words."""
    rated = [c for c in criteria if c.graded_by not in MESSAGES]
    found: dict[tuple[JudgementKind, tuple[str, ...]], None] = {}
    if "pointwise" in kinds:
        found |= dict.fromkeys(("pointwise", rating_labels(len(c.choices))) for c in rated)
    if "pairwise" in kinds:
        found["pairwise", PAIR_LABELS] = None
    return list(found)


@dataclass(frozen=True)
class Question:
    """One criterion put to a juror: on one answer, or several in the order they are shown in.

    ``ranks`` tells whether several are to be ranked; else two are compared.
    """

    criterion: JudgeCriterion
    prompt: Prompt
    answers: tuple[Completion, ...]
    juror: Juror
    reference: str | None = None
    ranks: bool = False

    @property
    def kind(self) -> JudgementKind:
        """What is asked for."""
        if self.ranks:
            return "listwise"
        return "pointwise" if len(self.answers) == 1 else "pairwise"

    @property
    def graded_by(self) -> GradedBy:
        """What the verdict is read from."""
        return self.criterion.graded_by if len(self.answers) == 1 else "choices"

    def text(self, *, critique: bool) -> str:
        """Render the message that asks for a rating, for the better of two, or for a ranking."""
        templates = self.juror.templates
        render = templates.render_ranking if self.ranks else templates.render
        return render(
            self.criterion,
            self.prompt,
            [answer.text for answer in self.answers],
            self.juror.judge.special_tokens,
            critique=critique,
            reference=self.reference,
        )

    def request(self) -> JudgeRequest:
        """Return what the juror is asked where its verdict decides."""
        return JudgeRequest(
            text=self.text(critique=self.juror.critique),
            labels=self._labels,
            criterion=self.criterion.name,
            shown=tuple(answer.text for answer in self.answers),
            critique=self.juror.critique,
            form=getattr(self.juror.templates.forms, self.kind),
            asks="ranking" if self.ranks else "verdict",
        )

    @property
    def _labels(self) -> tuple[str, ...]:
        if self.kind == "pointwise":
            return rating_labels(len(self.criterion.choices))
        return ANSWER_LABELS[: len(self.answers)] if self.ranks else PAIR_LABELS


@dataclass(frozen=True)
class Said:
    """What a juror said to a question.

    Attributes:
        critique: Its words.
        verdict: Its verdict.
        method: What the verdict was read from.
        call: The exchange that the verdict was read from.
        writing: The exchange before it in which the critique was written, where it was another.
        grader: Who made the verdict of the critique, where that was a step of its own.
    """

    critique: str
    verdict: Verdict
    method: VerdictMethod | None
    call: JudgeCall | None
    writing: JudgeCall | None = None
    grader: str = ""


def ask(juror: Juror, questions: Sequence[Question], most: int) -> list[Said]:
    """Put all of a juror's questions to it, those of a kind at once, so that it can batch them.

    Args:
        juror: Who is asked.
        questions: Its questions.
        most: Tokens that marked errors, or a critique to be graded, may take.
    """
    ways: dict[GradedBy, Callable[[Sequence[Question]], list[Said]]] = {
        "choices": lambda own: _by_choices(juror, own),
        "errors": lambda own: _by_errors(juror, own, most),
        "critique": lambda own: _by_critique(juror, own, most),
    }
    found: dict[int, Said] = {}
    for how, answer in ways.items():
        places = [i for i, question in enumerate(questions) if question.graded_by == how]
        if places:
            found |= zip(places, answer([questions[i] for i in places]), strict=True)
    return [found[place] for place in range(len(questions))]


def _by_choices(juror: Juror, questions: Sequence[Question]) -> list[Said]:
    requests = [question.request() for question in questions]
    return [
        Said(
            reply.critique,
            verdict_of(request, reply, juror.min_label_mass),
            method_of(request, reply),
            reply.call,
        )
        for request, reply in zip(requests, juror.judge.judge(requests), strict=True)
    ]


def _by_errors(juror: Juror, questions: Sequence[Question], most: int) -> list[Said]:
    texts = [
        errors_text(juror, q.criterion, q.prompt, q.answers[0].text, q.reference) for q in questions
    ]
    said: list[Said] = []
    for question, reply in zip(questions, juror.write(texts, most), strict=True):
        answer = question.answers[0].text
        verdict = score_of_errors(errors_in(juror, reply, answer), answer)
        said.append(Said(reply.text.strip(), verdict, _words_of(reply), reply.call))
    return said


def _by_critique(juror: Juror, questions: Sequence[Question], most: int) -> list[Said]:
    written = juror.write([question.text(critique=True) for question in questions], most)
    forms = [question.juror.templates.forms.pointwise for question in questions]
    critiques = [
        around_cue(reply.text, form)[0].strip(DRESSING)
        for reply, form in zip(written, forms, strict=True)
    ]
    failures = [_unwritten(*pair) for pair in zip(written, critiques, strict=True)]
    places = [place for place, failure in enumerate(failures) if failure is None]
    texts = [_grade_text(questions[place], critiques[place]) for place in places]
    grades = dict(zip(places, juror.write(texts, GRADE_TOKENS), strict=True))
    return [
        _graded(question, critiques[place], written[place], grades.get(place), failures[place])
        for place, question in enumerate(questions)
    ]


def _unwritten(reply: WriteReply, critique: str) -> str | None:
    """Say why there is no critique to grade; one that came to its verdict is whole."""
    if reply.failure is not None and critique == reply.text.strip(DRESSING):
        return reply.failure
    return None if critique else "the judge wrote no critique"


def _grade_text(question: Question, critique: str) -> str:
    juror = question.juror
    return juror.templates.render_grade(question.criterion, critique, juror.judge.special_tokens)


def _graded(
    question: Question,
    critique: str,
    writing: WriteReply,
    grade: WriteReply | None,
    failure: str | None,
) -> Said:
    if grade is None:
        reason = failure or "the critique was not graded"
        return Said(critique, Unscored(reason=reason), None, None, writing.call)
    verdict: Verdict
    if grade.failure is not None:
        verdict = Unscored(reason=f"the critique was not graded: {grade.failure}")
    else:
        labels = rating_labels(len(question.criterion.choices))
        verdict = parse_verdict(grade.text, labels, question.juror.templates.forms.pointwise)
    name = question.juror.name
    return Said(critique, verdict, _words_of(grade), grade.call, writing.call, name)


def _words_of(reply: WriteReply) -> VerdictMethod | None:
    return None if reply.call is None else "words"
