"""A rubric with everything that serves it: rates answers, compares pairs, combines the verdicts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from rlaif.config import JudgingConfig
from rlaif.errors import ModelError
from rlaif.judges import protocol
from rlaif.judges.aggregation import (
    VerdictSettings,
    criteria_to_compare,
    pair_verdict,
    score_completion,
)
from rlaif.judges.backend import Judge, SentenceEncoder
from rlaif.judges.protocol import PAIR_LABELS, JudgeRequest, rating_labels, verdict_of
from rlaif.judges.rendering import Templates
from rlaif.judges.rubric import (
    AnyCriterion,
    EmbeddingCriterion,
    JudgeCriterion,
    Rubric,
    RuleCriterion,
    rubric_hash,
)
from rlaif.judges.rules import judge_by_rule
from rlaif.judges.similarity import Similarity, texts_needed
from rlaif.records import (
    Completion,
    CompletionScore,
    JudgeCall,
    Judgement,
    PairVerdict,
    Prompt,
    Rating,
    Verdict,
    make_id,
)

RatedItem = tuple[Prompt, Completion]
ComparedItem = tuple[Prompt, Completion, Completion]


@dataclass(frozen=True)
class _Question:
    """One criterion put to one answer, or to two in the order in which they are shown."""

    criterion: JudgeCriterion
    prompt: Prompt
    answers: tuple[Completion, ...]

    def request(self, templates: Templates, special_tokens: Sequence[str]) -> JudgeRequest:
        shown = tuple(answer.text for answer in self.answers)
        ratings = rating_labels(len(self.criterion.choices))
        return JudgeRequest(
            text=templates.render(self.criterion, self.prompt.text, shown, special_tokens),
            labels=ratings if len(shown) == 1 else PAIR_LABELS,
            criterion=self.criterion.name,
            shown=shown,
        )


class RubricJudge:
    """A rubric, ready to judge.

    Args:
        rubric: The rubric.
        judging: How verdicts become labels.
        min_label_mass: The least probability of all verdict labels together that is an answer.
        judge: The judge model; None is right for a rubric without judge criteria.
        templates: The judge's templates; None where there is no judge.
        encoder: The embedder; None is right for a rubric without embedding criteria.

    Raises:
        ModelError: The rubric needs a judge, templates or an embedder that was not given.
    """

    def __init__(
        self,
        rubric: Rubric,
        *,
        judging: JudgingConfig,
        min_label_mass: float,
        judge: Judge | None = None,
        templates: Templates | None = None,
        encoder: SentenceEncoder | None = None,
    ) -> None:
        self.rubric = rubric
        self.settings = VerdictSettings.from_config(judging, min_label_mass)
        self._model: tuple[Judge, Templates] | None = None
        if rubric.judge_criteria:
            if judge is None or templates is None:
                raise _lacks("judge", rubric.judge_criteria)
            self._model = (judge, templates)
        if rubric.embedding_criteria and encoder is None:
            raise _lacks("embedder", rubric.embedding_criteria)
        self._encoder = encoder if rubric.embedding_criteria else None

    @cached_property
    def rubric_hash(self) -> str:
        """The hash that labels carry: rubric, templates, judge, embedder, settings, protocol."""
        return rubric_hash(
            self.rubric,
            templates=dict(self._model[1].texts) if self._model else {},
            judge=self._model[0].digest if self._model else "",
            embedder=self._encoder.digest if self._encoder else "",
            settings={**asdict(self.settings), "protocol": protocol.VERSION},
        )

    def rate(self, items: Sequence[RatedItem]) -> list[list[Judgement]]:
        """Judge answers one by one, each under every criterion of the rubric.

        Returns:
            For each item, one pointwise judgement per criterion in the rubric's order.
        """
        criteria = self.rubric.judge_criteria
        questions = [_Question(c, prompt, (answer,)) for prompt, answer in items for c in criteria]
        asked = iter(self._ask(questions))
        similarity = self._similarity(items)
        return [
            [
                next(asked)
                if isinstance(criterion, JudgeCriterion)
                else self._measure(criterion, item, similarity)
                for criterion in self.rubric.criteria
            ]
            for item in items
        ]

    def compare(self, items: Sequence[ComparedItem]) -> list[list[Judgement]]:
        """Compare pairs in both orders under the judge criteria that can change their label.

        Returns:
            For each item, pairwise judgements: for each criterion with first shown first, then
            with second shown first. Nothing for two answers with the same words, nor where the
            judge's own probability has no weight.
        """
        questions = [self._both_orders(item) for item in items]
        judged = iter(self._ask([question for group in questions for question in group]))
        return [[next(judged) for _ in group] for group in questions]

    def score(self, completion: Completion, judgements: Sequence[Judgement]) -> CompletionScore:
        """Combine an answer's pointwise judgements; see ``aggregation.score_completion``."""
        return score_completion(self.rubric, completion, judgements)

    def pair_verdict(
        self,
        first: Completion,
        second: Completion,
        score_first: CompletionScore,
        score_second: CompletionScore,
        judgements: Sequence[Judgement],
    ) -> PairVerdict:
        """Combine scores and comparisons of a pair; see ``aggregation.pair_verdict``."""
        return pair_verdict(
            self.rubric, self.settings, (first, second), (score_first, score_second), judgements
        )

    def _both_orders(self, item: ComparedItem) -> list[_Question]:
        prompt, first, second = item
        if first.text == second.text:
            return []
        return [
            _Question(criterion, prompt, answers)
            for criterion in criteria_to_compare(self.rubric, self.settings)
            for answers in ((first, second), (second, first))
        ]

    def _ask(self, questions: Sequence[_Question]) -> list[Judgement]:
        """Put all questions to the judge model at once, so that it can batch them as it likes."""
        if self._model is None or not questions:
            return []
        judge, templates = self._model
        requests = [question.request(templates, judge.special_tokens) for question in questions]
        replies = judge.judge(requests)
        floor = self.settings.min_label_mass
        return [
            self._judgement(
                question.criterion,
                question.answers,
                reply.critique,
                verdict_of(request, reply, floor),
                reply.call,
            )
            for question, request, reply in zip(questions, requests, replies, strict=True)
        ]

    def _similarity(self, items: Sequence[RatedItem]) -> Similarity | None:
        if self._encoder is None:
            return None
        prompts = [prompt.text for prompt, _ in items]
        answers = [completion.text for _, completion in items]
        texts = texts_needed(self.rubric.embedding_criteria, prompts, answers)
        return Similarity(self._encoder.encode, texts)

    def _measure(
        self,
        criterion: RuleCriterion | EmbeddingCriterion,
        item: RatedItem,
        similarity: Similarity | None,
    ) -> Judgement:
        """Judge one answer under a criterion that asks no judge model."""
        prompt, completion = item
        verdict: Verdict
        if isinstance(criterion, RuleCriterion):
            score, critique = judge_by_rule(criterion.rule, completion.text)
            verdict = Rating(score=score)
        elif similarity is not None:
            verdict, critique = similarity.judge(criterion, prompt.text, completion.text)
        else:
            raise _lacks("embedder", (criterion,))
        return self._judgement(criterion, (completion,), critique, verdict, None)

    def _judgement(
        self,
        criterion: AnyCriterion,
        answers: tuple[Completion, ...],
        critique: str,
        verdict: Verdict,
        call: JudgeCall | None,
    ) -> Judgement:
        ids = tuple(answer.id for answer in answers)
        return Judgement(
            id=make_id("judgement", self.rubric_hash, criterion.name, *ids),
            criterion=criterion.name,
            kind="pointwise" if len(ids) == 1 else "pairwise",
            completion_ids=ids,
            critique=critique,
            verdict=verdict,
            call=call,
        )


def _lacks(what: str, criteria: Sequence[AnyCriterion]) -> ModelError:
    names = ", ".join(criterion.name for criterion in criteria)
    return ModelError(
        f"no {what} for the criteria {names}",
        f"a rubric with such criteria comes with a {what}",
        f"name one in [{what}] path",
    )
