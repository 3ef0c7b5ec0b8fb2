"""A rubric with everything that serves it: rates, compares, ranks answers, combines the verdicts.

Every judge of the jury is asked every question; each one's critique and verdict is a judgement of
its own, and aggregation makes one verdict of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from rlaif.config import JudgingConfig
from rlaif.errors import ModelError
from rlaif.judges import protocol
from rlaif.judges.aggregation import (
    judged_preference,
    orders_by_criterion,
    pair_verdict,
    score_completion,
)
from rlaif.judges.agreement import OrderedPair
from rlaif.judges.asking import Question, Said, ask, messages_of, require_questions
from rlaif.judges.backend import SentenceEncoder
from rlaif.judges.code_criteria import LoadedFunction, digests_of, judge_by_code
from rlaif.judges.combining import Merged, merge
from rlaif.judges.juror import Juror, digest_of_jury, refuse_namesakes, texts_of
from rlaif.judges.lists import RankedItem, list_verdicts, refuse_without_ranking
from rlaif.judges.rubric import (
    AnyCriterion,
    EmbeddingCriterion,
    JudgeCriterion,
    PythonCriterion,
    Rubric,
    RuleCriterion,
    rubric_hash,
)
from rlaif.judges.rules import judge_by_rule
from rlaif.judges.similarity import Similarity, texts_needed
from rlaif.judges.twins import TriedItem, TriedPair, in_both_orders, main_of, to_grade
from rlaif.judges.weighing import (
    VerdictSettings,
    criteria_to_compare,
    kinds_to_ask,
    split_raters,
)
from rlaif.records import (
    Completion,
    CompletionScore,
    Judgement,
    JudgementKind,
    PairVerdict,
    Prompt,
    Unscored,
    Verdict,
    make_id,
)

RatedItem = tuple[Prompt, Completion]
ComparedItem = tuple[Prompt, Completion, Completion]


class RubricJudge:
    """A rubric, ready to judge.

    Args:
        rubric: The rubric.
        judging: How verdicts become labels.
        jury: Who judges, one or more; nobody is right for a rubric without judge criteria.
        encoder: The embedder; None is right for a rubric without embedding criteria.
        code: The functions of python criteria by name, as ``load_code`` finds them.
        together: How many items are judged together, where labels depend on it (Dawid-Skene).

    Raises:
        ModelError: The rubric needs a judge, an embedder, a function or labels that are not there.
        ConfigError: Two jurors have the same name, or a juror's template cannot show a part of the
            rubric, or cannot ask for a ranking where lists are to be ranked.
    """

    def __init__(
        self,
        rubric: Rubric,
        *,
        judging: JudgingConfig,
        jury: Sequence[Juror] = (),
        encoder: SentenceEncoder | None = None,
        code: Mapping[str, LoadedFunction] | None = None,
        together: int = 0,
    ) -> None:
        self._together = together
        self.rubric = rubric
        self.settings = VerdictSettings.from_config(judging)
        if rubric.judge_criteria and not jury:
            raise _lacks("judge", rubric.judge_criteria)
        refuse_namesakes(jury)
        self.jury = tuple(jury) if rubric.judge_criteria else ()
        self._feedback_tokens = judging.max_feedback_tokens
        for juror in self.jury:
            if self.ranks:
                refuse_without_ranking(juror)
            require_questions(juror, rubric, kinds_to_ask(rubric, self.settings))
        if rubric.embedding_criteria and encoder is None:
            raise _lacks("embedder", rubric.embedding_criteria)
        self._encoder = encoder if rubric.embedding_criteria else None
        self._code = dict(code or {}) if rubric.python_criteria else {}
        lacking = [c for c in rubric.python_criteria if c.function not in self._code]
        if lacking:
            raise _lacks("function", lacking)

    @property
    def compares(self) -> bool:
        """Whether pairs are put to a judge at all."""
        return bool(self.jury and criteria_to_compare(self.rubric, self.settings))

    @property
    def _messages(self) -> tuple[str, ...]:
        """The messages beside rating and comparing that a verdict is read from."""
        graded = messages_of(self.rubric.judge_criteria) if self.jury else ()
        return (*graded, "listwise") if self.ranks else graded

    @property
    def ranks(self) -> bool:
        """Whether a prompt's answers are compared as lists."""
        return self.compares and self.settings.compare == "lists"

    @cached_property
    def rubric_hash(self) -> str:
        """The hash that labels carry: rubric, templates, models, code, settings, protocol."""
        told = self.settings.for_hashing(len(self.jury), compares=self.compares)
        settings = {**told, "protocol": protocol.VERSION}
        if self._code:
            settings["shown to code"] = self.rubric.name
        if len(self.jury) == 1:
            settings["min_label_mass"] = self.jury[0].min_label_mass
        silent = [juror.name for juror in self.jury if not juror.critique]
        if silent:
            settings["without critique"] = ", ".join(silent) if len(self.jury) > 1 else "all"
        if self._together and self.settings.learns_of(len(self.jury)):
            settings["judged together"] = self._together
        if set(self._messages) - {"listwise"}:
            settings["max_feedback_tokens"] = self._feedback_tokens
        return rubric_hash(
            self.rubric,
            templates=texts_of(self.jury, self._messages),
            judge=digest_of_jury(self.jury),
            embedder=self._encoder.digest if self._encoder else "",
            settings=settings,
            code=digests_of(self._code),
        )

    def rate(self, items: Sequence[TriedItem]) -> list[list[Judgement]]:
        """Judge answers one by one, each under every criterion of the rubric.

        Returns:
            For each item, pointwise judgements in the rubric's order: of a judge criterion one
            of each juror, of the others one.
        """
        questions = [
            question
            for prompt, answer in items
            for criterion in self.rubric.judge_criteria
            for question in self._questions(criterion, prompt, (to_grade(answer, criterion),))
        ]
        asked = iter(self._ask(questions))
        similarity = self._similarity(items)
        return [
            [
                judgement
                for criterion in self.rubric.criteria
                for judgement in self._rated(criterion, item, asked, similarity)
            ]
            for item in items
        ]

    def compare(self, items: Sequence[TriedPair]) -> list[list[Judgement]]:
        """Compare pairs in both orders under the judge criteria that can change their label.

        Returns:
            For each item, pairwise judgements: for each criterion with first shown first, then
            with second shown first, of each juror. Nothing for two answers with the same words, nor
            where the judge's own probability has no weight.
        """
        questions = [self._both_orders(item) for item in items]
        judged = iter(self._ask([question for group in questions for question in group]))
        return [[next(judged) for _ in group] for group in questions]

    def rank(self, items: Sequence[RankedItem]) -> list[list[Judgement]]:
        """Rank lists in each of their orders under the judge criteria that can change a label.

        Returns:
            For each item, listwise judgements: for each criterion and order one of each juror.
        """
        questions = [
            [
                question
                for criterion in criteria_to_compare(self.rubric, self.settings)
                for answers in item.orders
                for question in self._questions(criterion, item.prompt, answers, ranks=True)
            ]
            for item in items
        ]
        judged = iter(self._ask([question for group in questions for question in group]))
        return [[next(judged) for _ in group] for group in questions]

    def scores(
        self, items: Sequence[TriedItem], judged: Sequence[Sequence[Judgement]]
    ) -> list[CompletionScore]:
        """Combine what :meth:`rate` returned; see ``aggregation.score_completion``."""
        return [
            score_completion(self.rubric, main_of(answer), one.judgements, one.disagreement, doubt)
            for (_, answer), one in zip(items, self._merge(judged), strict=True)
            for doubt in [split_raters(self.settings, one.disagreement, one.outliers, one.vetoes)]
        ]

    def pair_verdicts(
        self,
        items: Sequence[ComparedItem],
        scores: Mapping[str, CompletionScore],
        judged: Sequence[Sequence[Judgement]],
    ) -> list[PairVerdict]:
        """Combine scores and what :meth:`compare` returned; see ``aggregation.pair_verdict``.

        Args:
            items: Prompts, first and second answers.
            scores: The answers' scores by id.
            judged: Their comparisons.
        """
        return [
            pair_verdict(
                self.rubric,
                self.settings,
                (first, second),
                (scores[first.id], scores[second.id]),
                merged.judgements,
                merged.disagreement,
                merged.outliers,
            )
            for (_, first, second), merged in zip(items, self._merge(judged), strict=True)
        ]

    def list_verdicts(
        self,
        items: Sequence[RankedItem],
        scores: Mapping[str, CompletionScore],
        judged: Sequence[Sequence[Judgement]],
    ) -> list[PairVerdict]:
        """Combine scores and what :meth:`rank` returned; see ``lists.list_verdicts``.

        Args:
            items: Prompts and answers in their orders.
            scores: The answers' scores by id.
            judged: Their rankings.

        Returns:
            One verdict for every two answers of each list.
        """
        return [
            verdict
            for item, said in zip(items, judged, strict=True)
            for verdict in list_verdicts(self.rubric, self.settings, item.answers, scores, said)
        ]

    def preferences(
        self, items: Sequence[TriedPair], judged: Sequence[Sequence[Judgement]]
    ) -> list[float | Unscored]:
        """Return the jury's own P(first is better) of what :meth:`compare` returned."""
        return [
            judged_preference(self.rubric, self.settings, in_both_orders(item), merged.judgements)
            for item, merged in zip(items, self._merge(judged), strict=True)
        ]

    def orders(
        self, items: Sequence[TriedPair], judged: Sequence[Sequence[Judgement]]
    ) -> list[dict[str, OrderedPair]]:
        """Take apart what :meth:`compare` returned; see ``aggregation.orders_by_criterion``."""
        return [
            orders_by_criterion(self.rubric, self.settings, in_both_orders(item), merged.judgements)
            for item, merged in zip(items, self._merge(judged), strict=True)
        ]

    def _merge(self, judged: Sequence[Sequence[Judgement]]) -> list[Merged]:
        how = self.settings
        return merge(judged, self.rubric.judge_criteria, how.combine, how.outlier_distance)

    def _both_orders(self, item: TriedPair) -> list[Question]:
        prompt, first, second = item
        if main_of(first).text == second.text:
            return []
        return [
            question
            for criterion in criteria_to_compare(self.rubric, self.settings)
            for answers in in_both_orders(item)
            for question in self._questions(criterion, prompt, answers)
        ]

    def _questions(
        self,
        criterion: JudgeCriterion,
        prompt: Prompt,
        answers: tuple[Completion, ...],
        *,
        ranks: bool = False,
    ) -> list[Question]:
        """Return one question as it is put to each juror."""
        reference = self.rubric.reference_for(prompt.text)
        return [
            Question(criterion, prompt, answers, juror, reference, ranks) for juror in self.jury
        ]

    def _ask(self, questions: Sequence[Question]) -> list[Judgement]:
        """Put a juror's questions to it all at once, so that it can batch them as it likes."""
        found: dict[int, Judgement] = {}
        for juror in self.jury:
            places = [i for i, question in enumerate(questions) if question.juror is juror]
            said = ask(juror, [questions[i] for i in places], self._feedback_tokens)
            for place, own in zip(places, said, strict=True):
                found[place] = self._said(questions[place], own)
        return [found[place] for place in range(len(questions))]

    def _said(self, question: Question, said: Said) -> Judgement:
        names = (question.juror.name,) if len(self.jury) > 1 else ()
        plain = self._judgement(
            question.criterion,
            question.answers,
            said.critique,
            said.verdict,
            question.kind,
            names,
        )
        fields = {"judge": question.juror.name, "method": said.method, "call": said.call}
        return plain.model_copy(update={**fields, "writing": said.writing, "grader": said.grader})

    def _rated(
        self,
        criterion: AnyCriterion,
        item: TriedItem,
        asked: Iterator[Judgement],
        similarity: Similarity | None,
    ) -> list[Judgement]:
        """Return an answer's judgements under a criterion, taking the judges' from ``asked``."""
        if isinstance(criterion, JudgeCriterion):
            return [next(asked) for _ in self.jury]
        return [self._measure(criterion, item, similarity)]

    def _similarity(self, items: Sequence[TriedItem]) -> Similarity | None:
        if self._encoder is None:
            return None
        prompts = [prompt.text for prompt, _ in items]
        answers = [main_of(answer).text for _, answer in items]
        texts = texts_needed(self.rubric.embedding_criteria, prompts, answers)
        return Similarity(self._encoder.encode, texts)

    def _measure(
        self,
        criterion: RuleCriterion | EmbeddingCriterion | PythonCriterion,
        item: TriedItem,
        similarity: Similarity | None,
    ) -> Judgement:
        """Judge one answer under a criterion that asks no judge model."""
        prompt, completion = item[0], main_of(item[1])
        verdict: Verdict
        if isinstance(criterion, RuleCriterion):
            verdict, critique = judge_by_rule(criterion.rule, completion.text)
        elif isinstance(criterion, PythonCriterion):
            function = self._code[criterion.function]
            verdict, critique = judge_by_code(self.rubric, criterion, function, prompt, completion)
        elif similarity is not None:
            verdict, critique = similarity.judge(criterion, prompt.text, completion.text)
        else:
            raise _lacks("embedder", (criterion,))
        plain = self._judgement(criterion, (completion,), critique, verdict)
        return plain.model_copy(update={"method": "code"})

    def _judgement(
        self,
        criterion: AnyCriterion,
        answers: tuple[Completion, ...],
        critique: str,
        verdict: Verdict,
        kind: JudgementKind = "pointwise",
        names: tuple[str, ...] = (),
    ) -> Judgement:
        ids = tuple(answer.id for answer in answers)
        asked = ("listwise",) if kind == "listwise" else ()
        return Judgement(
            id=make_id("judgement", self.rubric_hash, *asked, criterion.name, *ids, *names),
            criterion=criterion.name,
            kind=kind,
            completion_ids=ids,
            critique=critique,
            verdict=verdict,
        )


def _lacks(what: str, criteria: Sequence[AnyCriterion]) -> ModelError:
    names = ", ".join(criterion.name for criterion in criteria)
    return ModelError(
        f"no {what} for the criteria {names}",
        f"a rubric with such criteria comes with a {what}",
        "find it with load_code" if what == "function" else f"name one in [{what}] path",
    )
