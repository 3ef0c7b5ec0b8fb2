"""What humans say joins a project: lines of a file become prompts, answers and labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlaif.errors import FeedbackFileError
from rlaif.judges.probes import PROBE_POLICY
from rlaif.ledger.reads import LedgerReads
from rlaif.records import Completion, HumanLabel, Prompt, make_id
from rlaif.seeds import SEED_BITS, derive_seed
from rlaif.stages.feedback_files import MEND, Answer, FeedbackLine, Statement
from rlaif.stages.json_lines import asked_words
from rlaif.stages.last_words import Sayings
from rlaif.text import quoted, words_of

AUTHOR = "human:"
_DIGITS = 12  # 1 - P errs by some 1e-16, and nobody means a part in so many
Line = tuple[int, FeedbackLine]


@dataclass
class FeedbackPlan:
    """What a file brings: rows that the ledger lacks, and every label of the file.

    Attributes:
        prompts: Those that neither the ledger nor a pool knows, and those that only a pool knows.
        completions: Answers that the ledger does not have.
        labels: All labels, each once.
        counting: Those labels that no later word of the same rater replaces.
        repeated: Statements that the file makes more than once.
        replaced: Earlier labels, of the ledger or of the file, that a later word replaces.
    """

    prompts: dict[str, Prompt] = field(default_factory=dict)
    completions: dict[str, Completion] = field(default_factory=dict)
    labels: dict[str, HumanLabel] = field(default_factory=dict)
    counting: list[HumanLabel] = field(default_factory=list)
    repeated: int = 0
    replaced: int = 0


@dataclass(frozen=True)
class Known:
    """What a project knows before an import.

    Attributes:
        prompts: By id: the ledger's.
        by_words: Ledger's and pools' prompts by their normalised words.
        frozen: Which labelled prompts are frozen.
        criteria: The rubric's criteria; None: not known, and then any is taken.
        seed: The run's seed.
        frozen_share: Share of newly labelled prompts that are frozen.
    """

    prompts: dict[str, Prompt]
    by_words: dict[str, Prompt]
    frozen: dict[str, bool]
    criteria: tuple[str, ...] | None
    seed: int
    frozen_share: float

    @classmethod
    def of(
        cls,
        reads: LedgerReads | None,
        pool: Iterable[Prompt],
        criteria: Iterable[str] | None,
        seed: int,
        frozen_share: float,
    ) -> "Known":
        """Gather it from the ledger, which may not exist yet, and the pools."""
        prompts = [] if reads is None else reads.prompts()
        frozen = {} if reads is None else reads.frozen_prompts()
        return cls(
            prompts={p.id: p for p in prompts},
            by_words={
                asked_words(p.messages): p
                for p in (*pool, *sorted(prompts, key=lambda p: p.id in frozen))
            },
            frozen=frozen,
            criteria=None if criteria is None else tuple(criteria),
            seed=seed,
            frozen_share=frozen_share,
        )

    def freezes(self, prompt_id: str) -> bool:
        """Return the side of a prompt, on which it stays."""
        share = derive_seed(self.seed, "frozen", prompt_id) / (1 << SEED_BITS)
        return self.frozen.get(prompt_id, share < self.frozen_share)


def plan_import(
    path: Path,
    lines: Sequence[Line],
    known: Known,
    reads: LedgerReads | None,
    rater: str = "",
) -> FeedbackPlan:
    """Turn lines into rows; nothing is written.

    Args:
        path: The file, for messages; its name stands for who wrote what nobody else did.
        lines: Its lines with their numbers.
        known: What the project knows.
        reads: The ledger; None where there is none yet.
        rater: Who said what no line ascribes to anyone.

    Raises:
        FeedbackFileError: A line names a prompt, an answer or a criterion that is not known,
            answers to different prompts, or one answer twice.
    """
    return _Importer(path, lines, known, reads, rater).plan


class _Importer:
    def __init__(
        self,
        path: Path,
        lines: Sequence[Line],
        known: Known,
        reads: LedgerReads | None,
        rater: str,
    ) -> None:
        self._path = path
        self._known = known
        self._rater = rater
        self.plan = FeedbackPlan()
        ids = sorted({a.id for _, line in lines for a in line.shown if a.id is not None})
        named = [] if reads is None else reads.known_completions(ids)
        self._by_id = {c.id: c for c in named}
        prompts = [self._prompt(number, line) for number, line in lines]
        said = [] if reads is None else reads.answers_to(sorted({p.id for p in prompts}))
        self._said = {(c.prompt_id, c.text): c for c in reversed(said) if not _attacked(c)}
        stated = [
            label
            for (number, line), prompt in zip(lines, prompts, strict=True)
            for label in self._stated(number, line, prompt)
        ]
        sayings = Sayings([] if reads is None else reads.human_labels(), stated)
        self.plan.labels, self.plan.counting = sayings.labels, sayings.counting
        self.plan.repeated, self.plan.replaced = sayings.repeated, sayings.replaced

    def _stated(self, number: int, line: FeedbackLine, prompt: Prompt) -> list[HumanLabel]:
        self._refuse_unknown_criterion(number, line)
        if prompt.id not in self._known.prompts:
            self.plan.prompts[prompt.id] = prompt
        answers = [self._answer(number, line, prompt, answer) for answer in line.shown]
        if len({answer.text for answer in answers}) < len(answers):
            raise self._error(number, "two of its answers are the same", "different answers")
        return [self._label(line, prompt, answers, said) for said in line.statements()]

    def _prompt(self, number: int, line: FeedbackLine) -> Prompt:
        prompt_id = line.prompt_id
        if not line.turns and prompt_id is None:
            prompt_id = self._named(number, line.shown[0]).prompt_id
        if prompt_id is not None:
            if prompt_id not in self._known.prompts:
                seen = f"prompt_id = {quoted(prompt_id)} is not in the ledger"
                raise self._error(number, seen, "a prompt that a cycle drew, or was imported")
            return self._known.prompts[prompt_id]
        words = asked_words(line.turns)
        if words in self._known.by_words:
            return self._known.by_words[words]
        names = [part for turn in line.turns for part in (turn.role, turn.content)]
        return Prompt(id=make_id("prompt", "human", *names), messages=line.turns, split="train")

    def _answer(
        self, number: int, line: FeedbackLine, prompt: Prompt, answer: Answer
    ) -> Completion:
        """Return an answer: the one that is named, the one of the same words, or a new one."""
        if answer.text is None:
            found = self._named(number, answer)
            if found.prompt_id != prompt.id:
                seen = f"{found.id} answers {found.prompt_id}, not {prompt.id}"
                raise self._error(number, seen, "answers to the line's own prompt")
            return found
        if (prompt.id, answer.text) not in self._said:
            made = Completion(
                id=make_id("completion", "human", prompt.id, answer.text),
                prompt_id=prompt.id,
                policy=AUTHOR + (line.rater or self._rater or self._path.stem),
                index=0,
                text=answer.text,
                length=len(words_of(answer.text)),
                ended=True,
            )
            self._said[prompt.id, answer.text] = self.plan.completions[made.id] = made
        return self._said[prompt.id, answer.text]

    def _named(self, number: int, answer: Answer) -> Completion:
        if answer.id not in self._by_id:
            seen = f"there is no answer {quoted(answer.id)} in the ledger"
            raise self._error(number, seen, "the id of a completion (see rlaif critiques)")
        found = self._by_id[answer.id]
        if _attacked(found):
            seen = f"{found.id} is an answer with an attack, made to try the judge"
            raise self._error(number, seen, "an answer that somebody gave")
        return found

    def _refuse_unknown_criterion(self, number: int, line: FeedbackLine) -> None:
        known = self._known.criteria
        if line.criterion is not None and known is not None and line.criterion not in known:
            raise self._error(
                number,
                f"criterion = {quoted(line.criterion)} is not in the rubric",
                f"one of: {', '.join(known)}; or none, for the whole",
            )

    def _label(
        self,
        line: FeedbackLine,
        prompt: Prompt,
        answers: Sequence[Completion],
        statement: Statement,
    ) -> HumanLabel:
        first = answers[statement.first].id
        second = None if statement.second is None else answers[statement.second].id
        value = statement.value
        if second is not None and second < first:
            first, second, value = second, first, 1.0 - value
        if second is not None:
            value = round(value, _DIGITS)
        rater, criterion = line.rater or self._rater, line.criterion or ""
        names = (prompt.id, first, second or "", repr(value), criterion, rater, repr(line.weight))
        return HumanLabel(
            id=make_id("label", line.form, *names),
            prompt_id=prompt.id,
            form=line.form,
            first_id=first,
            second_id=second,
            value=value,
            criterion=criterion,
            rater=rater,
            weight=line.weight,
            note=line.note,
            frozen=self._known.freezes(prompt.id),
        )

    def _error(self, number: int, seen: str, expected: str) -> FeedbackFileError:
        return FeedbackFileError(seen, expected, MEND, path=self._path, line=number)


def _attacked(answer: Completion) -> bool:
    """Whether an answer was made to try the judge; such a one never trains."""
    return answer.policy.startswith(PROBE_POLICY)
