"""``rlaif run`` and ``rlaif demo``: real cycles of a random model, and what surrounds them."""

import importlib
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.conftest import Rlaif
from rlaif import cycle as rlaif_cycle
from rlaif.cli import main
from rlaif.cli.demo import peak_memory
from rlaif.cli.run import finished_cycles, measure
from rlaif.errors import BudgetSpentError, TrainingError
from rlaif.ledger.lock import ProjectLock, lock_holder
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project, load_project
from rlaif.testing import make_tiny_lm

RUN = importlib.import_module("rlaif.cli.run")  # its package gives the command instead
SMALL = {
    "device": '"cpu"',
    "prompts_per_cycle": 6,
    "eval_prompts": 4,
    "completions_per_prompt": 3,
    "max_tokens": 6,
    "updates": 1,
    "rollout_batch": 4,
    "minibatch": 4,
    "calibration_prompts": 4,
}
RUBRIC = """name = "short"
version = "1"
language = "en"

[[criteria]]
name = "brief"
kind = "rule"
weight = 1.0
rule = { max_words = 2, must_match = "[aeiou]" }
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str, str]:
    """A project of a random model after its first cycle, and what the command printed."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "short.toml").write_text(RUBRIC, encoding="utf-8")
    asked = [json.dumps({"prompt": f"Say a word about {'abcdefgh'[i % 8] * i}"}) for i in range(30)]
    (folder / "words.jsonl").write_text("\n".join(asked), encoding="utf-8")
    model = make_tiny_lm(folder / "model")
    root = folder / "project"
    options = ["--policy", str(model), "--rubric", str(folder / "short.toml")]
    options += ["--prompts", str(folder / "words.jsonl")]
    CliRunner().invoke(main, ["init", str(root), *options], catch_exceptions=False)
    settings = (root / "rlaif.toml").read_text(encoding="utf-8")
    for key, value in SMALL.items():
        settings = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", settings)
    (root / "rlaif.toml").write_text(settings, encoding="utf-8")
    result = CliRunner().invoke(main, ["--project", str(root), "run"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return load_project(root), result.stdout, result.stderr


@pytest.fixture
def run_project(ran: tuple[Project, str, str], tmp_path: Path) -> Project:
    shutil.copytree(ran[0].root, tmp_path / "project", symlinks=True)
    return load_project(tmp_path / "project")


def test_one_line_tells_a_cycles_result(ran: tuple[Project, str, str]) -> None:
    _, out, _ = ran
    assert re.fullmatch(
        r"cycle 1: (promote|hold); win rate \d+% \[\d+, \d+\] against the incumbent, \d+% "
        r"against base; reward model [\d%-]+ right; KL -?\d\.\d\d nats to the reference; .+ s\n",
        out,
    )


def test_progress_goes_to_standard_error_stage_by_stage(ran: tuple[Project, str, str]) -> None:
    _, _, err = ran
    began = [line.removeprefix("cycle 1/1 ") for line in err.splitlines() if ":" not in line]
    assert began == [
        *("sampling", "generation", "judging", "preferences"),
        *("reward_model", "ppo", "evaluation", "promotion"),
    ]
    assert "cycle 1/1 ppo: 1/1 updates" in err


def test_what_is_finished_is_not_run_again(
    run_project: Project, rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(rlaif_cycle, "run_cycles")
    with LedgerReader.open(run_project.ledger_path) as reader:
        before = reader.digest()
    result = rlaif("--project", run_project.root, "run", "--until-cycle", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1 cycles are finished already: nothing to do\n"
    with LedgerReader.open(run_project.ledger_path) as reader:
        assert reader.digest() == before


def test_the_next_cycle_is_reported_as_json(run_project: Project, rlaif: Rlaif) -> None:
    result = rlaif("--project", run_project.root, "run", "--cycles", 1, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    (figures,) = found["finished"]
    assert found["parked"] is None
    report = json.loads(rlaif("--project", run_project.root, "report", "--json").stdout)
    assert [c["cycle"] for c in report["cycles"]] == [1, 2]
    assert report["cycles"][1] == figures
    assert figures["prompts"] == SMALL["prompts_per_cycle"]
    assert figures["completions"] >= 6 * 3 + 2 * 4
    assert len(report["samples"]) == SMALL["eval_prompts"]


def test_only_one_process_runs_a_project(run_project: Project, rlaif: Rlaif) -> None:
    with ProjectLock(run_project.lock_path, command="rlaif run elsewhere"):
        result = rlaif("--project", run_project.root, "run")
    assert result.exit_code == 75
    assert "rlaif run elsewhere" in result.stderr
    assert finished_cycles(run_project) == [1]


@pytest.mark.parametrize("frees", [None, datetime(2026, 11, 30, tzinfo=UTC)])
def test_a_parked_cycle_is_told_from_a_finished_one(
    run_project: Project,
    rlaif: Rlaif,
    monkeypatch: pytest.MonkeyPatch,
    frees: datetime | None,
) -> None:
    def park(*_: object, **__: object) -> list[int]:
        raise BudgetSpentError("budget.day_money", 1.25, 2.0, frees)

    monkeypatch.setattr(rlaif_cycle, "run_cycles", park)
    result = rlaif("--project", run_project.root, "run", "--json")
    assert result.exit_code == 75
    assert result.stderr.startswith("Parked: budget.day_money is spent: 1.25 of 2")
    assert json.loads(result.stdout) == {
        "finished": [],
        "parked": {
            "limit": "budget.day_money",
            "spent": 1.25,
            "most": 2.0,
            "frees": frees and "2026-11-30T00:00:00+00:00",
        },
    }
    told = rlaif("--project", run_project.root, "run")
    assert (told.exit_code, told.stdout) == (75, "")


def test_cycles_before_a_parked_one_are_told(
    run_project: Project, rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    def park(_: Project, *, until: int, **__: object) -> list[int]:
        if until == 3:
            raise BudgetSpentError("budget.cycle_calls", 7, 7, None)
        return [1]  # its figures are there

    monkeypatch.setattr(rlaif_cycle, "run_cycles", park)
    result = rlaif("--project", run_project.root, "run", "--until-cycle", 4, "--json")
    assert result.exit_code == 75
    found = json.loads(result.stdout)
    assert [figures["cycle"] for figures in found["finished"]] == [1]
    assert found["parked"]["limit"] == "budget.cycle_calls"


def test_an_interrupted_run_is_130(
    run_project: Project, rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> list[int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(rlaif_cycle, "run_cycles", interrupt)
    result = rlaif("--project", run_project.root, "run")
    assert result.exit_code == 130
    assert "interrupted: what was committed is kept" in result.stderr


def test_a_failed_stage_is_told_and_is_1(
    run_project: Project, rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> list[int]:
        raise TrainingError("the loss is nan at update 3", "a finite loss", "lower the rate")

    monkeypatch.setattr(rlaif_cycle, "run_cycles", fail)
    result = rlaif("--project", run_project.root, "run")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: the loss is nan at update 3\n  expected: a finite loss\n  to do: lower the rate\n"
    )


def test_cycles_are_asked_for_one_by_one_up_to_the_target(
    here: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note(*_: object, until: int, watcher: object, lock: object) -> list[int]:
        assert watcher is not None
        assert lock is not None
        asked.append(until)
        return []

    monkeypatch.setattr(rlaif_cycle, "run_cycles", note)
    assert here("run", "--cycles", 2).exit_code == 0
    assert asked == [3, 4]
    asked.clear()
    assert here("run", "--until-cycle", 3).exit_code == 0
    assert asked == [3]


def test_a_run_holds_the_project_from_before_its_first_cycle_until_after_its_last(
    here: Rlaif, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, bool]] = []

    def note(step: str) -> None:
        told.append((step, lock_holder(project.lock_path) is not None))

    def cycle(*_: object, **__: object) -> list[int]:
        note("cycle")
        return []

    monkeypatch.setattr(RUN, "_read_inputs", lambda _: note("inputs"))
    monkeypatch.setattr(RUN, "measure", lambda _: note("oracle"))
    monkeypatch.setattr(rlaif_cycle, "run_cycles", cycle)
    assert here("run", "--cycles", 2).exit_code == 0
    held = [("inputs", True), *[("cycle", True), ("oracle", True)] * 2]
    assert told == [("oracle", False), *held]
    assert lock_holder(project.lock_path) is None


def test_a_ledger_that_was_cut_off_at_its_birth_is_no_hindrance(project: Project) -> None:
    for path in project.ledger_path.parent.glob("ledger.db*"):
        path.unlink()
    assert finished_cycles(project) == []
    project.ledger_path.write_bytes(b"")
    assert finished_cycles(project) == []


def test_the_oracle_measures_finished_cycles_that_it_has_not(project: Project) -> None:
    measure(project)
    with LedgerReader.open(project.ledger_path) as reader:
        reports = [reader.oracle_report(n) for n in (1, 2, 3)]
    assert reports[0] is not None
    assert reports[0]["base"] == 0.25
    assert reports[1] is not None
    assert reports[1]["prompts"] == 2
    assert reports[2] is None


def test_without_an_oracle_nothing_is_measured(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_ORACLE__GRADER", "")
    measure(load_project(project.root))
    with LedgerReader.open(project.ledger_path) as reader:
        assert reader.oracle_report(2) is None


def test_a_finished_demo_prints_its_report_and_does_nothing_else(
    project: Project, rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(rlaif_cycle, "run_cycles")
    monkeypatch.setenv("COLUMNS", "140")
    result = rlaif("demo", "--dir", project.root, "--cycles", 2)
    assert result.exit_code == 0
    assert "Oracle (exact" in result.stdout
    assert "Hi there! Tell me the opposite of push." in result.stdout
    assert re.search(r"\nelapsed .+ s, peak memory \d+\.\d\d GiB\n", result.stdout)
    assert f"rlaif --project {project.root} critiques" in result.stdout


def test_the_demo_makes_its_project_where_it_is_missing(
    rlaif: Rlaif, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(project: Project, **_: object) -> list[int]:
        assert project.root == tmp_path / "demo"
        raise KeyboardInterrupt

    monkeypatch.setattr(rlaif_cycle, "run_cycles", stop)
    result = rlaif("demo", "--dir", tmp_path / "demo")
    assert result.exit_code == 130
    assert load_project(tmp_path / "demo").config.oracle.grader == "bundled"


def test_peak_memory_is_that_of_a_python_process() -> None:
    assert 2**24 < peak_memory() < 2**37
