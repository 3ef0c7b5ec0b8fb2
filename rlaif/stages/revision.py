"""Revision: a weak answer, mended by the judge in the light of its own critiques.

Critique and revision are Bai et al. 2022 (Constitutional AI, section 3.1). There the model is
fine-tuned on its revisions; here a revision and its original become a preference, and only where
the judge, asked in both orders, prefers the revision. As there, a revision is shown one critique
that is drawn by chance: revisions then differ, and a small model has one thing to mend. Unlike
there, the draw is among the criteria that the answer falls short of, by how far it does, since a
critique that finds nothing amiss leaves nothing to mend.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rlaif.config import RevisionConfig
from rlaif.judges import JudgeCriterion, RubricJudge, WriteReply
from rlaif.models.encoding import encode_answer, special_tokens
from rlaif.models.loading import LanguageModel
from rlaif.records import (
    Completion,
    CompletionScore,
    Judgement,
    PairVerdict,
    Prompt,
    Rating,
    Revision,
    make_id,
)
from rlaif.seeds import numpy_generator

POLICY = "revision:"


@dataclass(frozen=True)
class Draft:
    """An answer to mend, with the critiques that say what."""

    prompt: Prompt
    original: Completion
    critiques: tuple[Judgement, ...]


@dataclass(frozen=True)
class Mended:
    """What the judge made of a draft.

    Attributes:
        completion: The revision; None where there is none.
        rejected: Why it is not to be judged; None where it is.
    """

    completion: Completion | None
    rejected: str | None


def choose_drafts(
    prompts: Sequence[Prompt],
    completions: Mapping[str, Sequence[Completion]],
    scores: Mapping[str, CompletionScore],
    faults: Mapping[str, Sequence[Judgement]],
    config: RevisionConfig,
    seed: int,
) -> list[Draft]:
    """Draw prompts, and of each the weakest scored answer if something in it can be mended.

    Args:
        prompts: All of the cycle, in order.
        completions: Their answers, by prompt id.
        scores: By completion id.
        faults: What :func:`faults_found` says of the answers, by completion id.
        config: The share of prompts, and how many critiques a revision is shown.
        seed: Source of both draws.
    """
    weakest = [(p, _weakest(completions.get(p.id, ()), scores)) for p in prompts]
    usable = [(p, own) for p, own in weakest if own is not None and faults.get(own.id)]
    generator = numpy_generator(seed)
    count = min(len(usable), max(1, round(config.share * len(prompts)))) if config.share else 0
    places = sorted(generator.permutation(len(usable))[:count].tolist())
    drafts: list[Draft] = []
    for prompt, original in (usable[place] for place in places):
        shown = list(faults[original.id])
        if config.critiques == "drawn":
            lacking = [1.0 - _score(judgement) for judgement in shown]
            odds = [share / sum(lacking) for share in lacking]
            shown = [shown[int(generator.choice(len(shown), p=odds))]]
        drafts.append(Draft(prompt, original, tuple(shown)))
    return drafts


def faults_found(
    judgements: Iterable[Judgement], criteria: Sequence[JudgeCriterion], judge: str
) -> dict[str, list[Judgement]]:
    """Return the critiques of one judge that find something amiss, by completion id.

    These are ratings below the best choice, with words, under criteria that can change a score.

    Args:
        judgements: Any.
        criteria: The rubric's judge criteria.
        judge: The judge's name.
    """
    known = {c.name: c for c in criteria if c.weight > 0.0 or c.veto}
    found: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        criterion, verdict = known.get(judgement.criterion), judgement.verdict
        rated = criterion is not None and isinstance(verdict, Rating)
        if not rated or judgement.judge != judge or not judgement.critique.strip():
            continue
        if criterion is not None and criterion.faulted(_score(judgement)):
            found.setdefault(judgement.completion_ids[0], []).append(judgement)
    return found


def revision_text(panel: RubricJudge, draft: Draft) -> str:
    """Render the message that asks the panel's first judge for a revision."""
    by_name = {criterion.name: criterion for criterion in panel.rubric.judge_criteria}
    juror = panel.jury[0]
    return juror.templates.render_revision(
        draft.prompt,
        draft.original.text,
        [(by_name[j.criterion], j.critique) for j in draft.critiques],
        juror.judge.special_tokens,
    )


def mended(draft: Draft, reply: WriteReply, judge: str, policy: LanguageModel, most: int) -> Mended:
    """Make a completion of what the judge wrote.

    Args:
        draft: What it was asked to mend.
        reply: What it wrote.
        judge: Its name.
        policy: Who would have to answer so.
        most: Tokens that an answer of the policy may have.

    Returns:
        The revision, and the reason why it is not judged: the request failed, or it is cut off,
        empty, the same words, written with control tokens of the policy's, or longer than the
        policy may answer, which would reward length that no answer can have.
    """
    text = reply.text.strip()
    if reply.call is None or not text:
        failure = "empty: the judge wrote no word"
        return Mended(None, failure if reply.failure is None else f"no reply: {reply.failure}")
    if _words(text) == _words(draft.original.text):
        return Mended(None, "same words: the judge changed nothing")
    ids = encode_answer(policy, text, reply.failure is None)
    completion = Completion(
        id=make_id("completion", POLICY, judge, draft.original.id, text),
        prompt_id=draft.prompt.id,
        policy=f"{POLICY}{judge}",
        index=0,
        text=text,
        length=len(ids),
        ended=reply.failure is None,
    )
    return Mended(completion, reply.failure or _unanswerable(policy, text, len(ids), most))


def revision_of(
    panel: RubricJudge,
    draft: Draft,
    reply: WriteReply,
    made: Mended,
    verdict: PairVerdict | None,
    min_margin: float,
) -> Revision:
    """Say what came of a draft.

    Args:
        panel: Who judged.
        draft: The original with its critiques.
        reply: What the judge wrote.
        made: The revision.
        verdict: On the revision, first, and the original; None where it was not judged.
        min_margin: How far over one half P(revision is better) must be.
    """
    return Revision(
        original_id=draft.original.id,
        completion_id=None if made.completion is None else made.completion.id,
        judge=panel.jury[0].name,
        critique_ids=tuple(judgement.id for judgement in draft.critiques),
        rubric_hash=panel.rubric_hash,
        p_better=None if verdict is None else verdict.p_first,
        p_forward=None if verdict is None else verdict.p_forward,
        p_backward=None if verdict is None else verdict.p_backward,
        rejected=made.rejected if verdict is None else unconfirmed(verdict, min_margin),
        call=reply.call,
    )


def unconfirmed(verdict: PairVerdict, min_margin: float) -> str | None:
    """Say why a judge does not confirm that the first of a pair is better; None if it does.

    It does where every probability of the verdict is at least one half and ``min_margin``: the
    label, which counts the ratings too, and the jury's own in either order. Where the settings
    compare no pairs, the label is all there is.
    """
    if verdict.p_first is None:
        return f"unscored: {verdict.unscored or 'no verdict'}"
    if verdict.quarantined is not None:
        return f"quarantined: {verdict.quarantined}"
    found = {"in all": verdict.p_first}
    if verdict.p_forward is not None and verdict.p_backward is not None:
        found |= {"shown first": verdict.p_forward, "shown second": verdict.p_backward}
    least = 0.5 + min_margin
    if min(found.values()) >= least:
        return None
    told = ", ".join(f"{p:.2f} {how}" for how, p in found.items())
    return f"unconfirmed: P(revision better) is {told}, not at least {least:.2f} throughout"


def _unanswerable(policy: LanguageModel, text: str, length: int, most: int) -> str | None:
    """Say why the policy could never answer so, if it could not."""
    if special_tokens(policy).keys() & set(encode_answer(policy, text, ended=False)):
        return "control tokens: the text holds some of the policy's tokenizer"
    if length > most:
        return f"too long: {length} of the policy's tokens, and its answers have at most {most}"
    return None


def summary_of(revisions: Sequence[Revision]) -> str:
    """Say in a line how many revisions were confirmed, and why the others were not."""
    reasons = Counter(r.rejected.partition(":")[0] for r in revisions if r.rejected is not None)
    told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
    confirmed = len(revisions) - reasons.total()
    line = f"{confirmed} of {len(revisions)} revisions are better than what they mend"
    return f"{line}; of the others most are: {told}" if told else line


def _weakest(
    completions: Sequence[Completion], scores: Mapping[str, CompletionScore]
) -> Completion | None:
    scored = [
        (found.score, place)
        for place, c in enumerate(completions)
        if c.duplicate_of is None and (found := scores.get(c.id)) and found.score is not None
    ]
    return completions[min(scored)[1]] if scored else None


def _score(judgement: Judgement) -> float:
    return judgement.verdict.score if isinstance(judgement.verdict, Rating) else 1.0


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).split()
