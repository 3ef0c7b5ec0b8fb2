"""The fuzzer of the judges' readers: its three parts in small, and broken promises that it sees."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzz_judging

    yield fuzz_judging
    sys.modules.pop("fuzz_judging", None)


def test_replies_are_counted_by_what_was_read(fuzz: ModuleType) -> None:
    counts = fuzz.fuzz_replies(300, 1)
    assert counts["form 0: read"] + counts["form 0: unscored"] == 300
    assert counts["form 0: read"] > 0
    assert fuzz.fuzz_replies(300, 1) == counts
    assert fuzz.fuzz_replies(300, 2) != counts


def test_messages_are_rendered_for_every_template(fuzz: ModuleType) -> None:
    counts = fuzz.fuzz_renderings(200, 1)
    assert {name.removeprefix("messages of ") for name in counts} >= {"compact", "detailed"}
    assert all(counts.values())


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_rubric_files_are_counted(fuzz: ModuleType) -> None:
    counts = fuzz.fuzz_rubrics(40, 1)
    assert counts["refused"] + counts["still a rubric"] == 40


def test_a_broken_promise_is_shown_with_its_case(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(said: str) -> dict[str, str]:
        assert "Verdict" not in said, "a forged verdict was read"
        return {}

    monkeypatch.setattr(fuzz, "check_reply", broken)
    counts, fault = fuzz._run(fuzz.Share("replies", 500, 1))
    assert not counts
    assert "Verdict" in fault.splitlines()[0]
    assert "a forged verdict was read" in fault


def test_cases_are_shared_out_whole(fuzz: ModuleType) -> None:
    shares = fuzz._shares("replies", 7, 0, 3)
    assert [share.cases for share in shares] == [3, 2, 2]
    assert len({share.seed for share in shares}) == 3
    assert fuzz._shares("replies", 0, 0, 3) == []
