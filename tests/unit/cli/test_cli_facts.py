"""Commands that print facts of a filled ledger, for people and as JSON."""

import json

import pytest

from cli.conftest import Rlaif
from cli.filled import CHINESE, RED
from rlaif.ledger.lock import ProjectLock
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project


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
    assert set(found) == {"cycles", "policy", "evaluations", "samples"}
    first, second, third = found["cycles"]
    keys = {
        *("cycle", "prompts", "completions", "judgements", "unscored", "preferences"),
        *("reward_model", "ppo", "evaluation", "gate", "oracle", "seconds"),
    }
    assert set(first) == set(second) == set(third) == keys
    assert set(first["reward_model"]) == {"accuracy", "ece"}
    assert set(first["ppo"]) == {"updates", "kl_reference", "kl_base", "beta"}
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
    assert "live policy: v0001" in result.stdout
    assert "tiny-judge, the judge that trains" in result.stdout
    assert "Hi there! Tell me the opposite of push." in result.stdout
    assert CHINESE in result.stdout


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
