"""Commands that print facts of a filled ledger, for people and as JSON."""

import json
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli.conftest import Rlaif
from cli.filled import CHINESE, RED, RUBRIC, answer, judgement
from rlaif.cli.report import cycle_line, print_report
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from rlaif.records import Rating
from rlaif.report import CycleFigures, GateFigures, Report, Sample, build_report


def test_status_names_the_live_policy_and_the_unfinished_cycle(here: Rlaif) -> None:
    result = here("status")
    assert result.exit_code == 0
    assert "v0001 (policies/v0001)" in result.stdout
    assert "finished  2 cycles" in result.stdout
    assert "cycle     3, unfinished" in result.stdout
    assert "running   nothing" in result.stdout


def test_status_as_json(here: Rlaif, project: Project) -> None:
    found = json.loads(here("status", "--json").stdout)
    assert set(found) == {"project", "policy", "cycles_finished", "cycle", "running", "events"}
    assert found["project"] == str(project.root)
    assert found["policy"]["version"] == "v0001"
    assert found["cycles_finished"] == 2
    assert [s["stage"] for s in found["cycle"]["stages"]] == ["sampling", "generation", "judging"]
    assert [s["finished_at"] is None for s in found["cycle"]["stages"]] == [False, False, True]
    assert found["running"] is None


def test_status_says_who_is_running(here: Rlaif, project: Project) -> None:
    with ProjectLock(project.lock_path, command="rlaif run\x1b[2J"):
        shown = here("status").stdout
        found = json.loads(here("status", "--json").stdout)
    assert "cycle     3, running" in shown
    assert "(rlaif run␛[2J), since" in shown
    assert found["running"]["command"] == "rlaif run\x1b[2J"


def test_report_as_json_has_the_promised_keys(here: Rlaif) -> None:
    found = json.loads(here("report", "--json").stdout)
    assert set(found) == {"cycles", "policy", "evaluations", "samples", "notes"}
    first, second, third = found["cycles"]
    keys = {
        *("cycle", "prompts", "completions", "judgements", "unscored", "preferences"),
        *("reward_model", "ppo", "evaluation", "gate", "oracle", "judge", "seconds"),
    }
    assert set(first) == set(second) == set(third) == keys
    assert set(first["reward_model"]) == {"accuracy", "ece"}
    assert set(first["ppo"]) == {
        "optimizer",
        "updates",
        "kl_reference",
        "kl_base",
        "kl_base_error",
        "beta",
    }
    assert set(first["evaluation"]) == {"win_rate_vs_incumbent", "ci", "win_rate_vs_base"}
    assert set(first["gate"]) == {"decision", "reasons"}
    assert set(first["oracle"]) == {
        *("base", "incumbent", "challenger", "correct_base", "correct_challenger"),
        *("win_rate_vs_base", "judge_agreement"),
    }
    assert second["oracle"] is None
    assert third["gate"] is None


def test_report_for_people(here: Rlaif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    result = here("report")
    assert result.exit_code == 0
    assert "75% [62, 88]" in result.stdout
    assert "cycle 2: hold: KL to base 61.00 is not at most 60.00" in result.stdout
    assert "note: cycle 2: PPO stopped after 7 updates: KL rose" in result.stdout
    assert "live policy: v0001" in result.stdout
    assert "tiny-judge, the judge that trains" in result.stdout
    assert "Hi there! Tell me the opposite of push." in result.stdout
    assert CHINESE in result.stdout


def test_a_report_fits_a_terminal_of_80_columns(project: Project) -> None:
    target = Console(file=StringIO(), width=80, markup=False)
    with LedgerReader.open(project.ledger_path) as reader:
        print_report(build_report(reader), target)
    assert isinstance(target.file, StringIO)
    printed = target.file.getvalue()
    assert max(map(cell_len, printed.splitlines())) <= 80
    assert "cycle     incumbent    length  vs base  gate" in printed
    assert "75% [62, 88]       75%      81%  promote" in printed
    assert "…" not in printed


def test_what_a_model_wrote_is_neither_markup_nor_obeyed() -> None:
    evil = "[red]bold[/red] \x1b[2J [link=file:///x]here[/link] :smile:"
    plain = {"markup": False, "highlight": False, "emoji": False}
    target = Console(file=StringIO(), width=200, force_terminal=True, **plain)
    sample = Sample(prompt=evil, base=evil, current=evil)
    print_report(Report(cycles=(), policy=None, evaluations=(), samples=(sample,)), target)
    assert isinstance(target.file, StringIO)
    assert target.file.getvalue().startswith("No cycle was begun yet")
    with_cycle = cycle_of(GateFigures(decision="hold", reasons=(evil, "line\nline")))
    print_report(
        Report(cycles=(with_cycle,), policy="v0000", evaluations=(), samples=(sample,)), target
    )
    printed = target.file.getvalue()
    assert printed.count("[red]bold[/red] ␛[2J [link=file:///x]here[/link] :smile:") == 4
    assert "\x1b[2J" not in printed
    assert "hold: [red]" in printed
    assert "; line line" in printed


def cycle_of(gate: GateFigures) -> CycleFigures:
    counts = dict.fromkeys(("prompts", "completions", "judgements", "unscored", "preferences"), 1)
    missing = dict.fromkeys(("reward_model", "ppo", "evaluation", "oracle"))
    return CycleFigures.model_validate(
        {"cycle": 1, "gate": gate, "seconds": {"ppo": 61.0}, **counts, **missing}
    )


def test_a_cycle_in_one_line_tells_only_what_is_known() -> None:
    figures = cycle_of(GateFigures(decision="hold", reasons=("no challenger",)))
    assert cycle_line(figures) == "cycle 1: hold; no challenger; 1 min 01 s"
    odd = cycle_of(GateFigures(decision="hold", reasons=("so\nit \x1b[2J is",)))
    assert cycle_line(odd) == "cycle 1: hold; so it \u241b[2J is; 1 min 01 s"
    unfinished = figures.model_copy(update={"gate": None})
    assert cycle_line(unfinished) == "cycle 1: not finished; 1 min 01 s"


def test_an_answer_cannot_pretend_to_be_another_critique(here: Rlaif, project: Project) -> None:
    lines = ["It is Paris.", "cycle 1  judging  ends  pairwise  critique-forged"]
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "x") as unit:
        forged = answer("forged", 3, "\n".join(lines), "capital", "p0")
        unit.add_completions("train", [forged])
        unit.add_judgements(
            RUBRIC, [judgement("forged", "ends", [forged.id], "fine", Rating(score=1.0))]
        )
    shown = here("critiques", forged.id).stdout.splitlines()
    assert [line.split()[-1] for line in shown if line.startswith("cycle")] == ["critique-forged"]
    assert f"{'':12}{lines[1]}  ({forged.id})" in shown


def test_critiques_come_newest_first_and_are_harmless(here: Rlaif) -> None:
    shown = here("critiques").stdout
    order = [shown.index(f"critique-{name}") for name in "cba"]
    assert order == sorted(order)
    assert CHINESE in shown
    assert "\x1b" not in shown
    assert "␛[31mred␛[0m" in shown


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--criterion", "correct"], ["critique-a"]),
        (["--unscored"], ["critique-b"]),
        (["--limit", "1"], ["critique-c"]),
        (["--search", "full stop"], ["critique-c"]),
        (["--search", CHINESE[:4]], ["critique-a"]),
        (["--cycle", "2"], []),
        (["critique-a"], ["critique-a"]),
        (["completion-capital-1-1"], ["critique-c", "critique-b"]),
        (["What is the capital of France?", "--criterion", "ends"], ["critique-c"]),
        (["no such prompt"], []),
    ],
)
def test_critiques_can_be_narrowed(here: Rlaif, options: list[str], expected: list[str]) -> None:
    result = here("critiques", *options, "--json")
    assert result.exit_code == 0
    assert [view["id"] for view in json.loads(result.stdout)["critiques"]] == expected


def test_critiques_as_json_keep_the_text_and_escape_controls(here: Rlaif) -> None:
    printed = here("critiques", "critique-b", "--json").stdout
    assert "\x1b" not in printed
    (view,) = json.loads(printed)["critiques"]
    assert view["critique"] == f"It is rude: {RED}"
    assert view["verdict"] == {"type": "unscored", "reason": "no label"}


def test_critiques_say_when_none_matches(here: Rlaif) -> None:
    assert here("critiques", "--criterion", "nope").stdout == "no critique matches\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("critique-a", "0.88 of 1"),
        ("critique-b", "unscored: no label"),
        ("critique-c", "first is better with 94%"),
    ],
)
def test_each_kind_of_verdict_is_told_in_words(here: Rlaif, name: str, words: str) -> None:
    assert words in here("critiques", name).stdout


def test_ledger_digest(here: Rlaif, project: Project) -> None:
    with LedgerReader.open(project.ledger_path) as reader:
        expected = reader.digest()
    assert here("ledger", "digest").stdout == f"{expected}\n"
    assert json.loads(here("ledger", "digest", "--json").stdout) == {"digest": expected}


def test_a_project_that_never_ran_says_what_to_do(rlaif: Rlaif, tmp_path: object) -> None:
    rlaif("init", f"{tmp_path}/new")
    status = rlaif("--project", f"{tmp_path}/new", "status")
    assert status.exit_code == 0
    assert status.stdout.endswith("next      rlaif run\n")
    report = rlaif("--project", f"{tmp_path}/new", "report")
    assert report.exit_code == 1
    assert "run a cycle first (rlaif run)" in report.stderr
    assert report.stdout == ""
