"""What a preview takes of the ledger: which judgements, and whether the rubric has changed."""

import json
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC
from cli.judged_pairs import DRAFT, compare_pairs, takes_the_bench, tells
from rlaif.cli.rubric_trial import _is_about
from rlaif.crew import Crew
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Judgement, JudgementKind, Unscored
from rlaif.testing import ScriptedJudge


class LookedUp(Set[str]):
    """Holds everything but ``other``, and is never gone through: there may be very many."""

    def __contains__(self, name: object) -> bool:
        return name != "other"

    def __len__(self) -> int:
        return 1_000_000

    def __iter__(self) -> Iterator[str]:
        raise AssertionError


class Pairs(set[frozenset[str]]):
    """Pairs that are looked up, and never gone through."""

    def __iter__(self) -> Iterator[frozenset[str]]:
        raise AssertionError


@pytest.mark.parametrize(
    ("kind", "names", "about"),
    [
        ("pointwise", "a", True),
        ("pointwise", "other", False),
        ("pairwise", "b a", True),
        ("pairwise", "a c", False),
        ("listwise", "c b a", True),
        ("listwise", "a c d", False),
    ],
)
def test_a_judgement_is_looked_up_however_many_answers_there_are(
    kind: JudgementKind, names: str, about: bool
) -> None:
    judgement = Judgement(
        id="j",
        criterion="c",
        kind=kind,
        completion_ids=tuple(names.split()),
        critique="",
        verdict=Unscored(reason="none"),
    )
    assert _is_about(judgement, LookedUp(), Pairs([frozenset("ab")])) is about


def test_only_what_can_change_a_label_is_told_as_a_change_of_the_rubric(
    here: Rlaif, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crew, "_juror", takes_the_bench(ScriptedJudge(tells)))
    compare_pairs(project)
    draft = tmp_path / "draft.toml"
    draft.write_text(DRAFT, encoding="utf-8")
    in_force = project.file(project.config.rubric.path)
    text = in_force.read_text(encoding="utf-8")
    with Ledger.open(project.ledger_path) as ledger:
        ledger.add_rubric(RUBRIC, "helpdesk", "3", text, 3)

    def notes() -> list[str]:
        found = json.loads(here("rubric", "preview", draft, "--json").stdout)
        assert found["current"]["version"] == "3"
        return [note for note in found["notes"] if "it was changed since" in note]

    in_force.write_text(f"# a comment\n{text}", encoding="utf-8")
    assert notes() == []
    in_force.write_text(text.replace("weight = 0.", "weight = 0.0", 1), encoding="utf-8")
    assert len(notes()) == 1
