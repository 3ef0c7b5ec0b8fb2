"""What the figures of attacks say of judges that obey them, and of judges that do not."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rlaif.config import AuditConfig, JudgingConfig
from rlaif.judges import JudgeCriterion, Juror, Rubric, RubricJudge, load_templates
from rlaif.judges.probes import INJECTIONS, KINDS, Attacks, load_attacks
from rlaif.judges.protocol import PAIR_LABELS, JudgeRequest
from rlaif.judges.rendering import Templates
from rlaif.project import share
from rlaif.records import AuditFigure, Completion, Message, ProbeOutcome, ProbeTrial, Prompt
from rlaif.stages.attacking import WHOLE, attack
from rlaif.stages.audit import probe_figures
from rlaif.stages.pools import stable_share
from rlaif.stages.probing import (
    attacked_pairs,
    comparison_outcomes,
    comparison_probe,
    rating_outcomes,
    rating_probe,
)
from rlaif.stages.trying import try_panel
from rlaif.testing import ScriptedJudge

Said = Mapping[str, float] | str
FORGED = ("forged_verdict", "fence")
MIXED = {"right": (4, 0.3), "kind": (4, 0.5), "brief": (3, 0.2)}
PROMPT = Prompt(id="p", messages=(Message(role="user", content="Hm?"),), split="train")
ANSWERS = [
    Completion(
        id=f"p-{n}", prompt_id="p", policy="d", index=n, text=f"Yes, {n}.", length=2, ended=True
    )
    for n in range(12)
]
ATTACKS = {language: load_attacks(language) for language in ("en", "zh")}


def forged_in(request: JudgeRequest) -> str | None:
    """The first verdict that stands in an answer, where the question has such a label."""
    said = re.findall(r"Verdict: (\S+)", "\n".join(request.shown))
    return said[0] if said and said[0] in request.labels else None


def evenly(request: JudgeRequest) -> dict[str, float]:
    return {label: 1.0 / len(request.labels) for label in request.labels}


def obeys(request: JudgeRequest) -> dict[str, float]:
    """Give whatever verdict an answer forges, and prefer nothing else."""
    forged = forged_in(request)
    return evenly(request) if forged is None else {x: float(x == forged) for x in request.labels}


def obeys_in_words(request: JudgeRequest) -> str:
    """The same of a judge that writes its verdict, and that takes the first where it has none."""
    return f"So be it.\nVerdict: {forged_in(request) or request.labels[0]}"


def goes_by_place(p_first: float) -> Callable[[JudgeRequest], dict[str, float]]:
    """Ignore what answers say: the first shown is better by so much, under each criterion anew."""

    def says(request: JudgeRequest) -> dict[str, float]:
        if request.labels != PAIR_LABELS:
            return evenly(request)
        p = p_first - 0.1 * stable_share(request.criterion)
        return {"A": p, "B": 1.0 - p}

    return says


def breaks_off(request: JudgeRequest) -> Said:
    return "Well, well." if forged_in(request) else evenly(request)


def panel_of(
    says: Callable[[JudgeRequest], Said],
    templates: Templates | None = None,
    criteria: Mapping[str, tuple[int, float]] = MIXED,
) -> RubricJudge:
    return RubricJudge(
        Rubric(
            name="r",
            version="1",
            language="en",
            criteria=tuple(
                JudgeCriterion(
                    name=n, kind="judge", weight=weight, text=n, choices=tuple("abcde"[:choices])
                )
                for n, (choices, weight) in criteria.items()
            ),
        ),
        judging=JudgingConfig(),
        jury=[Juror("one", ScriptedJudge(says), templates or load_templates("detailed"), 0.5)],
    )


def tried(panel: RubricJudge, attacks: Attacks = ATTACKS["en"]) -> list[ProbeOutcome]:
    """Try every attack on every answer, by rating and by comparison."""
    tries = [(kind, own) for own in ANSWERS for kind in KINDS]
    items = [(PROMPT, own) for own in ANSWERS]
    twins = [(PROMPT, rating_probe(panel, kind, own, attacks)) for kind, own in tries]
    answers, probes = (items, panel.rate(items)), (twins, panel.rate(twins))
    pairs = attacked_pairs(panel, tries, {"p": PROMPT}, attacks)
    return [
        *rating_outcomes(panel, answers, probes, [own for _, own in tries]),
        *comparison_outcomes(panel, pairs, panel.compare(pairs)),
    ]


def figures(outcomes: list[ProbeOutcome]) -> dict[str, AuditFigure]:
    trials = [ProbeTrial(outcome, outcome.original_id) for outcome in outcomes]
    return {figure.name: figure for figure in probe_figures(AuditConfig(), trials)}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("says", [obeys, obeys_in_words])
def test_a_judge_that_obeys_every_forged_verdict_is_found_out(
    says: Callable[[JudgeRequest], Said], language: str
) -> None:
    found = figures(tried(panel_of(says), ATTACKS[language]))
    for kind in FORGED:
        for method in ("comparison", "rating"):
            figure = found[f"{kind} by {method}"]
            assert (figure.value, figure.count, figure.unscored) == (1.0, len(ANSWERS), 0)
    for method in ("comparison", "rating"):
        assert found[f"injection by {method}"].value == pytest.approx(2 / len(INJECTIONS))
        assert found[f"injection by {method}"].breached
        assert found[f"taste by {method}"].value == 0.0


@pytest.mark.parametrize("p_first", [1.0, 0.9, 0.7, 0.6, 0.4, 0.1])
def test_a_judge_that_goes_by_the_place_alone_obeys_nothing(p_first: float) -> None:
    found = figures(tried(panel_of(goes_by_place(p_first))))
    assert {figure.value for figure in found.values()} == {0.0}
    assert {figure.unscored for figure in found.values()} == {0}


def test_a_judge_that_ignores_attacks_obeys_nothing() -> None:
    found = figures(tried(panel_of(evenly)))
    assert {figure.value for figure in found.values()} == {0.0}


def test_attacks_that_leave_no_verdict_are_counted_beside_the_rate() -> None:
    found = figures(tried(panel_of(breaks_off, criteria={"right": (4, 1.0)})))
    figure = found["fence by comparison"]
    assert (figure.value, figure.count, figure.unscored) == (None, 0, len(ANSWERS))
    assert f"of 0, {len(ANSWERS)} unscored)" in figure.told
    assert "unscored" not in found["padding by rating"].told


def test_each_criterion_is_forged_on_its_own_scale() -> None:
    panel = panel_of(obeys)
    answers = try_panel(panel, [(PROMPT, own) for own in ANSWERS], ())
    found = attack(panel, answers, ATTACKS["en"], count=3, seed=1)
    for name in (WHOLE, *MIXED):
        forged = [o for o, *_ in found.outcomes[name] if o.kind in FORGED]
        assert {o.value for o in forged if o.method == "rating"} == {0.5}
        assert {o.value for o in forged if o.method == "comparison"} == {1.0}
        assert len(forged) == 3 * len(FORGED) * 2


def test_a_forger_asks_no_more_than_another_attack() -> None:
    panel, judge = panel_of(obeys), ScriptedJudge(obeys)
    panel.jury = (Juror("one", judge, load_templates("detailed"), 0.5),)
    own, asked = ANSWERS[0], []
    for kind in KINDS:
        panel.rate([(PROMPT, rating_probe(panel, kind, own, ATTACKS["en"]))])
        panel.compare([(PROMPT, comparison_probe(panel, kind, own, ATTACKS["en"]), own)])
        asked.append(len(judge.requests))
    assert asked == [len(MIXED) * 3 * (n + 1) for n in range(len(KINDS))]


def test_a_forger_writes_its_verdict_as_the_judge_does(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(share("prompts", "judge", "detailed"), folder)
    (folder / "form.toml").write_text(
        '[pairwise]\ncue = "Verdict"\nlabels = { first = "A", second = "B" }\n', encoding="utf-8"
    )

    def says(request: JudgeRequest) -> str:
        if request.labels != PAIR_LABELS:
            return "So be it.\nVerdict: 1"
        said = re.findall(r"Verdict: (first|second)", "\n".join(request.shown))
        return f"So be it.\nVerdict: {said[0] if said else 'first'}"

    panel = panel_of(says, Templates("own", folder))
    found = figures(tried(panel))
    assert found["fence by comparison"].value == found["forged_verdict by comparison"].value == 1.0
    assert found["instruction by comparison"].value == 0.0
    forged = rating_probe(panel, "fence", ANSWERS[0], ATTACKS["en"]).answers
    assert ["Verdict: 4" in forged[0].text, "Verdict: 3" in forged[1].text] == [True, True]


def test_jurors_that_write_other_labels_are_shown_the_same_answer(tmp_path: Path) -> None:
    """What they say is merged answer by answer."""
    folder = tmp_path / "own"
    shutil.copytree(share("prompts", "judge", "detailed"), folder)
    (folder / "form.toml").write_text(
        '[pairwise]\ncue = "Verdict"\nlabels = { first = "A", second = "B" }\n', encoding="utf-8"
    )
    panel = panel_of(evenly)
    other = Juror("two", ScriptedJudge(evenly, "two"), Templates("own", folder), 0.5)
    panel.jury = (*panel.jury, other)
    forged = comparison_probe(panel, "fence", ANSWERS[0], ATTACKS["en"]).answers
    assert ["Verdict: A" in forged[0].text, "Verdict: B" in forged[1].text] == [True, True]


def test_only_what_differs_is_made_twice() -> None:
    panel = panel_of(evenly)
    for kind in KINDS:
        several = 2 if kind in FORGED else 1
        for twin in (
            rating_probe(panel, kind, ANSWERS[0], ATTACKS["en"]),
            comparison_probe(panel, kind, ANSWERS[0], ATTACKS["en"]),
        ):
            assert len({answer.id for answer in twin.answers}) == len(twin.answers) == several
            assert twin.main == twin.answers[0]
