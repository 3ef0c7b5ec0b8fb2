"""A rubric that is edited between cycles is taken up, or refused with the reason."""

from pathlib import Path
from typing import Any

import pytest

from rlaif.config import RlaifConfig
from rlaif.cycle.rubrics import rubric_file
from rlaif.errors import ConfigError
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from tests.cycle.conftest import JUDGED, RULES
from tests.cycle.watchers import Notes

FUNCTION = """
[[criteria]]
name = "ours"
kind = "python"
weight = 0.3
function = "not_there"
"""
REWORDED = "# our house rules\n" + RULES.replace('version = "1"', 'version = "2"')
REFERENCE = '\n[[references]]\nprompt = "Who?"\nanswer = "I."\n'
EXAMPLE = """
[[criteria.examples]]
prompt = "Hi?"
answer = "Hi!"
critique = "It is."
choice = "kind"
"""
GRADED = JUDGED + 'graded_by = "critique"\n'
PLAIN = "compact"  # shows neither references nor examples, and grades nothing


def judge_of(template: str) -> dict[str, Any]:
    return {"path": "a-general-model", "template": template}


def project_of(root: Path, rubric: str, **sections: dict[str, Any]) -> Project:
    """Return a project of a rubric; its judge is not loaded."""
    (root / "rubric.toml").write_text(rubric, encoding="utf-8")
    sections = {"judge": judge_of(PLAIN), "rubric": {"path": "rubric.toml"}, **sections}
    return Project(root, RlaifConfig.model_validate(sections))


def begun(project: Project, judging: int = 0) -> Ledger:
    """Return a ledger whose first cycle has ended; another may have begun to judge."""
    ledger = Ledger.open(project.ledger_path)
    text = (project.root / "rubric.toml").read_text(encoding="utf-8")
    ledger.add_rubric("h", "brief", "1", RULES if judging else text)
    ledger.register_base("v0000", "d", "p", {})
    config = project.config.model_dump(mode="json")
    for number in range(1, max(judging, 1) + 1):
        ledger.begin_cycle(
            number, run_seed=1, config=config, config_hash="c", rubric_hash="h", incumbent="v0000"
        )
        if number != judging:
            ledger.finish_cycle(number)
    if judging:
        ledger.begin_stage(judging, "judging")
        with ledger.unit(judging, "judging", "ratings-train-0000"):
            pass
    return ledger


@pytest.mark.parametrize(
    ("edited", "reason"),
    [
        (RULES.replace("0.7", "much"), "not valid TOML"),
        (RULES + FUNCTION, "function = 'not_there' is not offered"),
        (JUDGED + REFERENCE, f"pointwise.jinja of the judge template '{PLAIN}' does not show ref"),
        (JUDGED + EXAMPLE, f"pointwise.jinja of the judge template '{PLAIN}' does not show exa"),
        (GRADED, f"the judge template '{PLAIN}' has no grade.jinja"),
    ],
)
def test_an_edit_that_no_cycle_could_judge_by_is_refused_and_the_last_one_kept(
    tmp_path: Path, edited: str, reason: str
) -> None:
    project, notes = project_of(tmp_path, RULES), Notes()
    with begun(project) as ledger:
        (tmp_path / "rubric.toml").write_text(edited, encoding="utf-8")
        found = rubric_file(project, ledger, project.config, None, notes)
        assert found.parent == tmp_path / "state" / "rubrics"
        assert found.read_text(encoding="utf-8") == RULES
        (note,) = notes.notes
        assert note.startswith("the rubric is refused, the one before stays in use: ")
        assert reason in note
        assert [e.kind for e in ledger.events()] == ["rubric-refused"]


def test_an_edit_that_leaves_nothing_to_revise_is_refused(tmp_path: Path) -> None:
    sections: dict[str, Any] = {"judge": judge_of("detailed"), "revision": {"share": 0.5}}
    project, notes = project_of(tmp_path, JUDGED, **sections), Notes()
    with begun(project) as ledger:
        (tmp_path / "rubric.toml").write_text(RULES, encoding="utf-8")
        found = rubric_file(project, ledger, project.config, None, notes)
    assert found.read_text(encoding="utf-8") == JUDGED
    assert "a rubric without a judge criterion" in notes.notes[0]


def test_the_gates_judge_has_to_show_all_of_an_edit_too(tmp_path: Path) -> None:
    gate = {"judge": judge_of(PLAIN)}
    sections: dict[str, Any] = {"judge": judge_of("detailed"), "evaluation": gate}
    project, notes = project_of(tmp_path, JUDGED, **sections), Notes()
    with begun(project) as ledger:
        (tmp_path / "rubric.toml").write_text(JUDGED + REFERENCE, encoding="utf-8")
        rubric_file(project, ledger, project.config, None, notes)
    assert "does not show reference" in notes.notes[0]


def test_errors_are_marked_against_references_that_an_edit_brings(tmp_path: Path) -> None:
    marking: dict[str, Any] = {"judging": {"mark_errors": True}}
    project, notes = project_of(tmp_path, RULES, **marking), Notes()
    with begun(project) as ledger:
        (tmp_path / "rubric.toml").write_text(JUDGED, encoding="utf-8")
        rubric_file(project, ledger, project.config, None, notes)
    assert f"the judge template '{PLAIN}' has no errors.jinja" in notes.notes[0]


def test_an_edit_that_can_be_judged_by_is_taken_up(tmp_path: Path) -> None:
    project, notes = project_of(tmp_path, RULES), Notes()
    with begun(project) as ledger:
        (tmp_path / "rubric.toml").write_text(JUDGED, encoding="utf-8")
        found = rubric_file(project, ledger, project.config, None, notes)
    assert (found, notes.notes) == (tmp_path / "rubric.toml", [])


def test_what_is_wrong_with_the_last_rubric_too_is_no_edits_doing(tmp_path: Path) -> None:
    project, notes = project_of(tmp_path, RULES + FUNCTION), Notes()
    with begun(project) as ledger:
        (tmp_path / "rubric.toml").write_text(f"# edited\n{RULES}{FUNCTION}", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"rubric\.toml.*not_there"):
            rubric_file(project, ledger, project.config, None, notes)
        assert (notes.notes, ledger.events()) == ([], [])


def test_a_first_rubric_that_no_cycle_could_judge_by_ends_the_run(tmp_path: Path) -> None:
    project = project_of(tmp_path, JUDGED + REFERENCE)
    with (
        Ledger.open(project.ledger_path) as ledger,
        pytest.raises(ConfigError, match="does not show reference"),
    ):
        rubric_file(project, ledger, project.config, None, Notes())


def test_other_words_about_the_same_criteria_are_no_change_of_a_cycle(tmp_path: Path) -> None:
    project, notes = project_of(tmp_path, REWORDED), Notes()
    with begun(project, 2) as ledger:
        ledger.add_rubric("h", "brief", "2", REWORDED, 2)
        known = ledger.cycle(2)
        assert rubric_file(project, ledger, project.config, known, notes) == (
            tmp_path / "rubric.toml"
        )
        assert (notes.notes, ledger.events()) == ([], [])
        (tmp_path / "rubric.toml").write_text(JUDGED, encoding="utf-8")
        kept = rubric_file(project, ledger, project.config, known, notes)
    assert kept.read_text(encoding="utf-8") == REWORDED
    assert [note.split(":")[0] for note in notes.notes] == ["rubric.toml was changed"]


def test_each_cycles_own_words_stay_with_it(tmp_path: Path) -> None:
    project = project_of(tmp_path, RULES)
    with begun(project, 2) as ledger:
        ledger.add_rubric("h", "brief", "1", RULES, 1)
        ledger.add_rubric("h", "brief", "2", REWORDED, 2)
        found = [ledger.rubric("h", cycle) for cycle in (None, 1, 2, 3)]
    assert [row and row.version for row in found] == ["1", "1", "2", "1"]
    assert [row and row.text for row in found] == [RULES, RULES, REWORDED, RULES]
