"""``rlaif critiques --like``: the critiques that mean the same."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.meanings import WordEncoder, commit
from rlaif.cli.critiques import likeness
from rlaif.cli.critiques.likeness import critiques_alike
from rlaif.cli.critiques.vectors import CritiqueVectors
from rlaif.ledger.critique_reads import Asked
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.project import Project


def alike(here: Rlaif, *options: object) -> list[tuple[str, float]]:
    result = here("critiques", "--like", *options, "--json")
    assert result.exit_code == 0, result.output
    views = json.loads(result.stdout)["critiques"]
    return [(view["id"].removeprefix("critique-"), view["similarity"]) for view in views]


@pytest.mark.usefixtures("told")
def test_what_means_the_same_comes_first_whatever_its_words(here: Rlaif) -> None:
    found = alike(here, "coldly", "--limit", 4)
    assert [name for name, _ in found] == ["x2-1", "x1-1", "x1-0", "b"]
    assert [score for _, score in found] == pytest.approx([1, 1, 1, 1])
    assert alike(here, "false", "--limit", 1) == [("x1-2", pytest.approx(1.0))]


@pytest.mark.usefixtures("told")
def test_likeness_goes_with_any_filter_and_with_pages(here: Rlaif) -> None:
    assert [n for n, _ in alike(here, "rude", "--verdict", "high", "--limit", 2)] == ["x2-2", "a"]
    assert [n for n, _ in alike(here, "rude", "--search", '"it is"', "--limit", 5)] == ["x1-0", "b"]
    assert [n for n, _ in alike(here, "rude", "--limit", 2, "--page", 2)] == ["x1-0", "b"]
    assert [n for n, _ in alike(here, "kind", "completion-x1-3")] == ["x1-2", "x1-1", "x1-0"]
    assert alike(here, "kind", "--cycle", 2) == []
    assert "  alike     1.00" in here("critiques", "--like", "rude", "--limit", 1).stdout


@pytest.fixture
def most_alike(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[list[tuple[int, float]], list[int]]]:
    """Say some things, and return those of a high verdict most like "rude", beside those named."""

    def found(
        said: Sequence[tuple[str, float]], limit: int, names: Sequence[int], **limits: int
    ) -> tuple[list[tuple[int, float]], list[int]]:
        for name, value in limits.items():
            monkeypatch.setattr(likeness, name, value)
        commit(project, "many", *said)
        encoder = WordEncoder()
        vectors = CritiqueVectors(tmp_path, encoder)
        asked: Asked = {"verdict": "high", "criterion": "tone"}
        with LedgerReader.open(project.ledger_path) as reader:
            vectors.fill(reader)
            alike = critiques_alike(reader, vectors, encoder, "rude", limit, None, asked)
            return alike, [reader.critiques(f"critique-many-{n}")[0].seq for n in names]

    return found


@pytest.mark.parametrize("few", [1, 2, 9])
def test_filters_that_leave_few_find_all_of_them(
    most_alike: Callable[..., tuple[list[tuple[int, float]], list[int]]], few: int
) -> None:
    said = [*[("rude", 0.1)] * 30, ("wrong", 0.9)]
    found, expected = most_alike(said, 5, [30], PROBED=2, FEW=few)
    assert [seq for seq, _ in found] == expected
    assert [score for _, score in found] == [0.0]


@pytest.mark.parametrize("few", [1, 30, 31, 99])
def test_filters_that_leave_many_find_the_most_alike(
    most_alike: Callable[..., tuple[list[tuple[int, float]], list[int]]], few: int
) -> None:
    said = [*[("rude", 0.9)] * 2, *[("wrong", 0.9)] * 28, ("rude", 0.1)]
    found, expected = most_alike(said, 2, [1, 0], PROBED=4, FEW=few)
    assert [seq for seq, _ in found] == expected


@pytest.mark.usefixtures("told")
def test_likeness_and_themes_leave_out_what_code_said(here: Rlaif, project: Project) -> None:
    before = [
        here("critiques", *asked, "--json").stdout for asked in (("--like", "rude"), ("themes",))
    ]
    commit(project, "rules", *[("rude: has 9 words", 0.0)] * 30, method="code")
    after = [
        here("critiques", *asked, "--json").stdout for asked in (("--like", "rude"), ("themes",))
    ]
    assert after == before
    assert (
        len(json.loads(here("critiques", "--search", "9 words", "--json").stdout)["critiques"])
        == 20
    )
    with LedgerReader.open(project.ledger_path) as reader:
        said = reader.critique_views([seq for seq, _ in reader.complaints()])
    assert len(said) == 5
    assert not any("words" in view.critique for view in said)


def test_nothing_is_alike_where_nothing_was_judged(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    encoder = WordEncoder()
    vectors = CritiqueVectors(tmp_path, encoder)
    with LedgerReader.open(tmp_path / "ledger.db") as reader:
        vectors.fill(reader)
        assert critiques_alike(reader, vectors, encoder, "rude", 5, None, {}) == []
    assert encoder.asked == []
