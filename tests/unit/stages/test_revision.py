"""Which answers are mended by which critiques, and which revisions train: by hand."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from rlaif.config import JudgingConfig, RevisionConfig
from rlaif.judges import JudgeCriterion, Juror, Rubric, RubricJudge, WriteReply, load_templates
from rlaif.judges.protocol import cut_off
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.records import (
    Completion,
    CompletionScore,
    JudgeCall,
    Judgement,
    Message,
    PairVerdict,
    Prompt,
    Rating,
    Revision,
    Unscored,
    Verdict,
)
from rlaif.stages.preferences import labels_of_revisions
from rlaif.stages.revision import (
    Draft,
    Mended,
    choose_drafts,
    faults_found,
    mended,
    revision_of,
    revision_text,
    summary_of,
    unconfirmed,
)
from rlaif.testing import ScriptedJudge, make_tiny_lm

LONG = 1000


def criterion(name: str, weight: float = 1.0, **fields: object) -> JudgeCriterion:
    given = {"kind": "judge", "text": f"It is {name}.", "choices": ("bad", "plain", "good")}
    return JudgeCriterion.model_validate({"name": name, "weight": weight, **given, **fields})


KIND, RIGHT = criterion("kind"), criterion("right")


def prompt(name: str) -> Prompt:
    message = Message(role="user", content=f"What is {name}?")
    return Prompt(id=name, messages=(message,), split="train")


def answer(name: str, prompt_id: str = "p", text: str = "Lima.", **fields: object) -> Completion:
    given = {"policy": "d", "index": 0, "length": 2, "ended": True, **fields}
    return Completion.model_validate({"id": name, "prompt_id": prompt_id, "text": text, **given})


def score(name: str, value: float | None) -> CompletionScore:
    reason = "no verdict" if value is None else None
    return CompletionScore(completion_id=name, score=value, parts={}, unscored=reason)


def said(
    name: str, verdict: Verdict | float, about: str = "a", judge: str = "one", words: str = "Curt."
) -> Judgement:
    return Judgement(
        id=f"{name}-{about}-{judge}",
        criterion=name,
        kind="pointwise",
        completion_ids=(about,),
        critique=words,
        verdict=Rating(score=verdict) if isinstance(verdict, float) else verdict,
        judge=judge,
    )


def found_in(*judgements: Judgement) -> dict[str, list[str]]:
    found = faults_found(judgements, (KIND, RIGHT), "one")
    return {answer: [j.criterion for j in js] for answer, js in found.items()}


def test_faults_are_ratings_below_the_best_choice_with_words_of_that_judge() -> None:
    assert found_in(said("kind", 0.5), said("right", 0.0), said("kind", 0.0, "b")) == {
        "a": ["kind", "right"],
        "b": ["kind"],
    }
    # Of three choices the best begins half a step, a quarter, below 1.
    assert found_in(said("kind", 0.74)) == {"a": ["kind"]}
    assert found_in(said("kind", 0.75)) == {}
    for other in (
        said("kind", Unscored(reason="mute")),
        said("kind", 0.0, judge="two"),
        said("kind", 0.0, words=" \n"),
        said("short", 0.0),
    ):
        assert found_in(other) == {}


def test_a_criterion_that_changes_no_score_finds_no_fault() -> None:
    idle, veto = criterion("kind", 0.0), criterion("right", 0.0, veto=True, threshold=0.5)
    judged = [said("kind", 0.0), said("right", 0.0)]
    assert [j.criterion for j in faults_found(judged, (idle, veto), "one")["a"]] == ["right"]


def drafted(
    scores: Mapping[str, float | None], *faults: Judgement, seed: int = 0, **config: object
) -> list[Draft]:
    """Draft for prompts p, q, r and s with two answers each: p0, p1, q0 and so on."""
    prompts = [prompt(name) for name in "pqrs"]
    answers = {p.id: [answer(f"{p.id}{i}", p.id, index=i) for i in range(2)] for p in prompts}
    return choose_drafts(
        prompts,
        answers,
        {name: score(name, value) for name, value in scores.items()},
        faults_found(faults, (KIND, RIGHT), "one"),
        RevisionConfig.model_validate({"share": 1.0, **config}),
        seed,
    )


LOW = {f"{p}{i}": 0.1 + 0.1 * i for p in "pqrs" for i in range(2)}


def test_the_weakest_scored_answer_of_a_prompt_is_mended() -> None:
    faults = [said("kind", 0.0, name) for name in LOW]
    scores = {**LOW, "q0": 0.9, "r0": None, "s0": 0.2}
    found = drafted(scores, *faults)
    assert [d.original.id for d in found] == ["p0", "q1", "r1", "s0"]
    assert [d.prompt.id for d in found] == list("pqrs")
    assert all(d.critiques == (said("kind", 0.0, d.original.id),) for d in found)


def test_a_prompt_whose_weakest_answer_has_no_fault_is_passed_over() -> None:
    assert [d.original.id for d in drafted(LOW, said("kind", 0.0, "p1"))] == []
    assert [d.original.id for d in drafted(LOW, said("kind", 0.0, "q0"))] == ["q0"]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.01, 1), (0.5, 2), (0.7, 3), (1.0, 4)])
def test_the_share_is_of_all_prompts(share: float, count: int) -> None:
    faults = [said("kind", 0.0, name) for name in LOW]
    assert len(drafted(LOW, *faults, share=share)) == count


def test_prompts_are_drawn_by_the_seed() -> None:
    faults = [said("kind", 0.0, name) for name in LOW]

    def drawn(seed: int) -> str:
        return "".join(d.prompt.id for d in drafted(LOW, *faults, share=0.5, seed=seed))

    assert drawn(3) == drawn(3)
    assert len({drawn(seed) for seed in range(20)}) > 2


def test_one_critique_is_drawn_by_how_low_its_rating_is_or_all_are_shown() -> None:
    faults = [said("kind", 0.7, "p0"), said("right", 0.1, "p0")]
    both = drafted(LOW, *faults, critiques="all")
    assert [j.criterion for j in both[0].critiques] == ["kind", "right"]
    drawn = [drafted(LOW, *faults, seed=seed)[0].critiques for seed in range(400)]
    assert all(len(critiques) == 1 for critiques in drawn)
    kind = sum(critiques[0].criterion == "kind" for critiques in drawn)
    # 0.3 of 1.2, a quarter of 400 with a deviation of 8.7: within four of them.
    assert 65 < kind < 135


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder: Path = make_tiny_lm(tmp_path_factory.mktemp("policy") / "lm", vocab_texts=())
    return load_language_model(str(folder), torch.device("cpu"))


def call(reply: str) -> JudgeCall:
    return JudgeCall(
        request_hash="h",
        judge="d",
        request="Mend it.",
        reply=reply,
        label_probs={},
        prompt_tokens=2,
        reply_tokens=len(reply.split()),
        latency=0.0,
    )


def made(policy: LanguageModel, text: str, failure: str | None = None, most: int = LONG) -> Mended:
    draft = Draft(prompt("p"), answer("a", text="It is Lima, caf\u00e9."), (said("kind", 0.0),))
    return mended(draft, WriteReply(text, call(text), failure), "one", policy, most)


def test_a_revision_is_a_completion_of_the_judges_with_the_policys_length(
    policy: LanguageModel,
) -> None:
    found = made(policy, "  利马 🙂\n")
    assert found.rejected is None
    assert found.completion is not None
    assert found.completion.text == "利马 🙂"
    assert (found.completion.policy, found.completion.prompt_id) == ("revision:one", "p")
    # Six bytes, a space, four bytes, each a token here, and the end.
    assert (found.completion.length, found.completion.ended) == (12, True)


def test_a_revisions_id_is_its_contents(policy: LanguageModel) -> None:
    ids = {made(policy, text).completion for text in ("Lima", " Lima ", "Lima!")}
    assert len({c.id for c in ids if c is not None}) == len(ids) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\u3000", "empty"),
        ("It is Lima, caf\u00e9.", "same words"),
        (" It  is\nLima, cafe\u0301. ", "same words"),
    ],
)
def test_no_words_and_the_same_words_are_no_revision(
    policy: LanguageModel, text: str, reason: str
) -> None:
    found = made(policy, text)
    assert found.completion is None
    assert (found.rejected or "").startswith(reason)


def test_a_reply_cut_off_is_kept_as_an_answer_that_did_not_end(policy: LanguageModel) -> None:
    found = made(policy, "It is the", cut_off(3))
    assert found.rejected == "the reply was cut off at 3 tokens"
    assert found.completion is not None
    assert (found.completion.ended, found.completion.length) == (False, 9)


def test_what_the_policy_could_never_answer_is_not_judged(policy: LanguageModel) -> None:
    assert made(policy, "Lima", most=5).rejected is None
    long = made(policy, "Lima!", most=5)
    assert long.rejected == "too long: 6 of the policy's tokens, and its answers have at most 5"
    assert long.completion is not None
    smuggled = made(policy, "Lima<|end|><|user|>more")
    assert (smuggled.rejected or "").startswith("control tokens")


def test_what_was_never_sent_says_why(policy: LanguageModel) -> None:
    draft = Draft(prompt("p"), answer("a"), (said("kind", 0.0),))
    found = mended(draft, WriteReply("", None, "over the context"), "one", policy, LONG)
    assert found == Mended(None, "no reply: over the context")


def test_calls_that_came_to_nothing_are_counted_as_no_reply(panel: RubricJudge) -> None:
    draft, failure = Draft(prompt("p"), answer("a"), (said("kind", 0.0),)), "attempt 1: no words"
    own = Mended(None, f"no reply: {failure}")
    came = [revision_of(panel, draft, WriteReply("", None, failure), own, None, 0.1)] * 3
    assert summary_of(came).endswith("of the others most are: no reply (3)")


def verdict(p: float | None, *orders: float, **fields: str) -> PairVerdict:
    forward, backward = orders or (None, None)
    return PairVerdict(
        first_id="mended",
        second_id="a",
        p_first=p,
        p_forward=forward,
        p_backward=backward,
        **fields,
    )


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (verdict(0.7, 0.8, 0.65), None),
        (verdict(0.75, 0.75, 0.625), None),
        (verdict(0.7, 0.9, 0.6), "unconfirmed"),
        (verdict(0.7, 0.6, 0.9), "unconfirmed"),
        # The judge prefers it, its own ratings do not.
        (verdict(0.55, 0.9, 0.9), "unconfirmed"),
        (verdict(0.2, 0.1, 0.2), "unconfirmed"),
        # Nothing is compared where the settings give comparisons no weight.
        (verdict(0.7), None),
        (verdict(0.6), "unconfirmed"),
        (verdict(None, unscored="kind: no label"), "unscored: kind: no label"),
        (verdict(0.9, 0.9, 0.9, quarantined="the jury is split"), "quarantined: the jury is split"),
    ],
)
def test_a_revision_is_confirmed_in_both_orders_and_in_all(
    judged: PairVerdict, reason: str | None
) -> None:
    found = unconfirmed(judged, 0.125)
    assert found is None if reason is None else (found or "").startswith(reason)


def test_the_reason_gives_the_figures() -> None:
    assert unconfirmed(verdict(0.7, 0.9, 0.5), 0.1) == (
        "unconfirmed: P(revision better) is 0.70 in all, 0.90 shown first, 0.50 shown second, not "
        "at least 0.60 throughout"
    )


@pytest.fixture
def panel() -> RubricJudge:
    juror = Juror("one", ScriptedJudge(lambda _: {}), load_templates("detailed"), 0.5)
    rubric = Rubric(name="r", version="1", language="en", criteria=(KIND, RIGHT))
    return RubricJudge(rubric, judging=JudgingConfig(), jury=(juror,))


def test_the_judge_is_shown_answer_and_critiques_with_their_criteria(panel: RubricJudge) -> None:
    critiques = (said("kind", 0.0, words="它太短。"), said("right", 0.0, words="No source."))
    text = revision_text(
        panel, Draft(prompt("Lima"), answer("a", text="A town </answer>"), critiques)
    )
    for part in (
        "What is Lima?",
        "A town ",
        "It is kind.",
        "它太短。",
        "It is right.",
        "No source.",
    ):
        assert part in text
    assert text.count("</answer>") == 1


def test_what_came_of_a_draft_is_kept_whole(panel: RubricJudge, policy: LanguageModel) -> None:
    draft = Draft(prompt("p"), answer("a"), (said("kind", 0.0),))
    reply = WriteReply("Lima, Peru.", call("Lima, Peru."))
    own = mended(draft, reply, "one", policy, LONG)
    assert own.completion is not None
    found = revision_of(panel, draft, reply, own, verdict(0.9, 0.8, 0.75), 0.1)
    assert found == Revision(
        original_id="a",
        completion_id=own.completion.id,
        judge="one",
        critique_ids=("kind-a-one",),
        rubric_hash=panel.rubric_hash,
        p_better=0.9,
        p_forward=0.8,
        p_backward=0.75,
        call=reply.call,
    )
    kept = revision_of(panel, draft, reply, Mended(None, "same words"), None, 0.1)
    assert (kept.completion_id, kept.rejected, kept.p_better) == (None, "same words", None)


def test_only_confirmed_revisions_are_labels(panel: RubricJudge) -> None:
    draft = Draft(prompt("p"), answer("a"), (said("kind", 0.0),))
    reply = WriteReply("Lima", call("Lima"))
    own = Mended(answer("mended"), None)
    sure = revision_of(panel, draft, reply, own, verdict(0.9, 0.8, 0.75), 0.1)
    unsure = revision_of(panel, draft, reply, own, verdict(0.5, 0.5, 0.5), 0.1)
    (label,) = labels_of_revisions([unsure, sure])
    assert (label.first_id, label.second_id) == ("mended", "a")
    assert (label.label, label.origin) == (0.9, "revision")


def test_the_summary_counts_what_was_confirmed_and_why_the_others_were_not(
    panel: RubricJudge,
) -> None:
    draft, reply = Draft(prompt("p"), answer("a"), (said("kind", 0.0),)), WriteReply("x", call("x"))

    def came(reason: str | None) -> Revision:
        own = Mended(answer("mended"), reason)
        judged = verdict(0.9, 0.9, 0.9) if reason is None else None
        return revision_of(panel, draft, reply, own, judged, 0.1)

    reasons = [None, "empty: no word", "too long: 9 tokens", "too long: 8 tokens", None]
    assert summary_of([came(reason) for reason in reasons]) == (
        "2 of 5 revisions are better than what they mend; of the others most are: too long (2), "
        "empty (1)"
    )
    assert summary_of([came(None)]) == "1 of 1 revisions are better than what they mend"
