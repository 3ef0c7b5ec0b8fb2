"""What a panel's template shows and declares: references, and the form of verdicts."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from judge_samples import judge_criterion, rubric
from panel_samples import BAD, FULL, GOOD, PROMPT, panel, taste
from template_samples import REQUIRED, own, project_with

from rlaif.config import JudgingConfig
from rlaif.errors import ConfigError
from rlaif.judges import (
    PAIR_LABELS,
    JudgeCriterion,
    Juror,
    Rubric,
    RubricJudge,
    Templates,
    load_templates,
)
from rlaif.judges.rubric import Reference
from rlaif.records import Choice, Message, Rating, Unscored
from rlaif.testing import ScriptedJudge


def knowing(question: str, answer: str) -> Rubric:
    """Return the rubric with a reference answer."""
    reference = Reference(prompt=question, answer=answer)
    return Rubric(
        name="r", version="1", language="en", criteria=FULL.criteria, references=(reference,)
    )


def test_a_reference_answer_is_shown_where_the_prompt_has_one() -> None:
    judge = ScriptedJudge.preferring(taste)
    whole = panel(knowing(PROMPT.text, "Any colour but grey."), judge=judge)
    other = PROMPT.model_copy(update={"messages": (Message(role="user", content="And now?"),)})
    whole.rate([(PROMPT, GOOD), (other, GOOD)])
    whole.compare([(PROMPT, GOOD, BAD)])
    shown = [("Any colour but grey." in r.text, PROMPT.text in r.text) for r in judge.requests]
    assert set(shown) == {(True, True), (False, False)}


def test_a_template_that_cannot_show_the_rubric_is_refused_before_anything_is_judged(
    tmp_path: Path,
) -> None:
    juror = Juror("one", ScriptedJudge(lambda _: {}), own(tmp_path), 0.5)
    with pytest.raises(ConfigError, match="reference"):
        RubricJudge(knowing("Why?", "So."), judging=JudgingConfig(), jury=[juror])
    assert RubricJudge(FULL, judging=JudgingConfig(), jury=[juror]).compares


def own_template(root: Path, form: str) -> Templates:
    project_with(root, "mine", **REQUIRED)
    (root / "prompts" / "judge" / "mine" / "form.toml").write_text(form, encoding="utf-8")
    return load_templates("mine", root)


FORM = """
[pairwise]
phrase = "Output ({label}) is better"
labels = { a = "A", b = "B" }
[pointwise]
whole = "{label}"
"""


def test_a_judge_that_answers_in_its_own_form_is_read_by_what_its_template_declares(
    tmp_path: Path,
) -> None:
    judge = ScriptedJudge(
        lambda r: "Well. Output (b) is better." if r.labels == PAIR_LABELS else "3"
    )
    declared = Juror("own", judge, own_template(tmp_path / "a", FORM), 0.5, critique=False)
    other = FORM.replace('{label}"', 'Grade {label}"')
    undeclared = Juror("own", judge, own_template(tmp_path / "b", other), 0.5, critique=False)
    criteria = rubric(judge_criterion("kind"))
    panels = [
        RubricJudge(criteria, judging=JudgingConfig(), jury=[juror])
        for juror in (declared, undeclared)
    ]
    ((rated,), (unread,)) = (whole.rate([(PROMPT, GOOD)])[0] for whole in panels)
    assert (rated.verdict, rated.method) == (Rating(score=1.0), "words")
    assert isinstance(unread.verdict, Unscored)
    (compared,) = panels[0].compare([(PROMPT, GOOD, BAD)])
    assert [j.verdict for j in compared] == [Choice(p_first=0.0)] * 2
    assert panels[0].rubric_hash != panels[1].rubric_hash


class LabelReading(ScriptedJudge):
    """A judge that reads its verdict off the label tokens after the cue."""

    def require_labels(self, labels: Sequence[str]) -> None:
        assert len(labels) >= 2


def panel_of_label_reader(root: Path, form: str, *criteria: JudgeCriterion) -> RubricJudge:
    juror = Juror("here", LabelReading(lambda _: {}), own_template(root, form), 0.5)
    return RubricJudge(rubric(*criteria), judging=JudgingConfig(), jury=[juror])


TURNED = '{ 1 = "3", 2 = "2", 3 = "1" }'


@pytest.mark.parametrize(
    ("form", "seen"),
    [
        (f'[pointwise]\ncue = "Verdict"\nlabels = {TURNED}\n', "1 for 3, 3 for 1"),
        ('[pairwise]\ncue = "Verdict"\nlabels = { a = "A", b = "B" }\n', "a for A, b for B"),
        ('[pointwise]\ncue = "Grade"\n', "'Grade: LABEL'"),
        ('[pairwise]\nphrase = "Output ({label}) is better"\n', "'Output ({label}) is better'"),
    ],
)
def test_a_form_that_a_reader_of_label_tokens_cannot_follow_is_refused_at_the_start(
    tmp_path: Path, form: str, seen: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        panel_of_label_reader(tmp_path, form, judge_criterion("kind"))
    assert seen in caught.value.seen
    assert "Verdict: LABEL" in caught.value.expected
    assert caught.value.path == tmp_path / "prompts" / "judge" / "mine" / "form.toml"


def test_a_reader_of_label_tokens_takes_the_default_form_under_other_names(tmp_path: Path) -> None:
    form = '[pairwise]\ncue = "Verdict"\nphrase = "Output ({label}) wins"\n'
    same = '[pointwise]\ncue = "Verdict"\nlabels = { 1 = "1", 2 = "2", 3 = "3" }\n'
    assert panel_of_label_reader(tmp_path, form + same, judge_criterion("kind")).compares


def test_a_form_by_which_no_label_token_is_read_is_the_templates_own_business(
    tmp_path: Path,
) -> None:
    form = '[listwise]\ncue = "Order"\n'
    assert panel_of_label_reader(tmp_path, form, judge_criterion("kind")).compares
