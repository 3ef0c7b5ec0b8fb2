"""``rlaif feedback``: files come in whole, and what is in can be read."""

import json
from pathlib import Path

import pytest

from cli.calibrated import measured
from cli.conftest import Rlaif
from cli.filled import CHINESE
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.project import Project

RED = "\x1b[31mred\x1b[0m"
LINES = [
    {"prompt": "What is the capital of France?", "chosen": "It is Paris.", "rejected": CHINESE},
    {"prompt_id": "sum", "answer_id": "completion-sum-0-1", "rating": 1, "scale": [1, 5]},
    {"prompt": f"New {RED}?", "answers": ["a", "b", "c"], "ranking": [2, 1, 0], "rater": "ben"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES), encoding="utf-8"
    )
    return path


def test_a_file_comes_in_and_says_what_was_new(here: Rlaif, project: Project, file: Path) -> None:
    dry = here("feedback", "import", file, "--dry-run")
    assert dry.output.startswith("nothing was taken (--dry-run); 3 lines, 5 labels: 5 new, 0 known")
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.human_labels() == []
        before = reads.digest()
    told = json.loads(here("feedback", "import", file, "--rater", "ana", "--json").output)
    assert told == {
        "lines": 3,
        "labels": 5,
        "new": 5,
        "frozen": told["frozen"],
        "repeated": 0,
        "replaced": 0,
        "new_prompts": 1,
        "new_answers": 4,
        "dry_run": False,
        "unchecked": [],
    }
    with LedgerReader.open(project.ledger_path) as reads:
        labels = reads.human_labels()
        assert [x.rater for x in labels] == ["ana", "ana", "ben", "ben", "ben"]
        assert sum(x.frozen for x in labels) == told["frozen"]
        assert labels[1].value == 0.0
        after = reads.digest()
        assert after != before
    again = here("feedback", "import", file, "--rater", "ana")
    assert "5 labels: 0 new, 5 known" in again.output
    assert (
        "0 new, 5 known" in here("feedback", "import", file, "--rater", "ana", "--dry-run").output
    )
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.digest() == after


def test_a_project_that_has_not_run_takes_labels_too(rlaif: Rlaif, tmp_path: Path) -> None:
    root, path = tmp_path / "fresh", tmp_path / "labels.csv"
    assert rlaif("init", root).exit_code == 0
    path.write_text("prompt,answer,rating\nWhy?,Because.,1\nWhy?,Because.,1\n", encoding="utf-8")
    dry = rlaif("--project", root, "feedback", "import", path, "--dry-run")
    assert "2 lines, 1 labels, 1 said twice: 1 new" in dry.output
    assert not (root / "state" / "ledger.db").exists()
    assert "1 new, 0 known" in rlaif("--project", root, "feedback", "import", path).output


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_broken_line_takes_nothing(
    here: Rlaif, project: Project, file: Path, dry: tuple[str, ...]
) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "p", "answer": "", "rating": 1}\n')
    done = here("feedback", "import", file, *dry)
    assert done.exit_code == 78
    assert f"{file}:4: answer = '': it must not be empty" in done.output
    assert "to do: mend the line and give the file again: nothing of it was taken" in done.output
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.human_labels() == []


BROKEN_RUBRIC = ("prompts/rubrics/helpdesk.toml", "weight = 0.49", 'weight = "much"')
BROKEN_POOL = ("prompts/pools/helpdesk.jsonl", '"prompt": ', '"promt": ')


def break_file(project: Project, name: str, old: str, new: str) -> None:
    path = project.root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (BROKEN_RUBRIC, "not checked: whether the criteria are the rubric's, for "),
        (BROKEN_POOL, "not checked: which prompts the pools have, for "),
    ],
)
def test_a_dry_run_checks_what_it_can(
    here: Rlaif, project: Project, file: Path, broken: tuple[str, str, str], told: str
) -> None:
    break_file(project, *broken)
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "p", "answer": "a", "rating": 1}\n')
    dry = here("feedback", "import", file, "--dry-run")
    assert dry.exit_code == 0
    first, second = dry.output.splitlines()
    assert first.startswith("nothing was taken (--dry-run); 4 lines, 6 labels")
    assert second.startswith(f"{told}{project.root / broken[0]}:")
    (named,) = json.loads(here("feedback", "import", file, "--dry-run", "--json").output)[
        "unchecked"
    ]
    assert second == f"not checked: {named}"
    taken = here("feedback", "import", file)
    assert taken.exit_code == 78
    assert broken[0] in taken.output
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.human_labels() == []


def test_a_dry_run_without_a_rubric_still_refuses_a_broken_line(
    here: Rlaif, project: Project, file: Path
) -> None:
    break_file(project, *BROKEN_RUBRIC)
    with file.open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "p", "answer": "a", "rating": 1, "criterion": "any"}\n')
        stream.write('{"prompt_id": "none", "answer": "a", "rating": 1}\n')
    done = here("feedback", "import", file, "--dry-run")
    assert done.exit_code == 78
    assert f"{file}:5: prompt_id = 'none' is not in the ledger" in done.output


def test_a_criterion_must_be_one_of_the_rubric(here: Rlaif, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("prompt,answer,rating,criterion\np,a,1,loud\n", encoding="utf-8")
    done = here("feedback", "import", path)
    assert done.exit_code == 78
    assert "criterion = 'loud' is not in the rubric" in done.output
    assert "one of: correct" in done.output


def test_the_list_shows_the_last_and_obeys_nobody(here: Rlaif, file: Path) -> None:
    assert "no human has said anything yet" in here("feedback", "list").output
    here("feedback", "import", file)
    shown = here("feedback", "list", "--limit", "3").output
    assert "ranking" in shown
    assert "rating" not in shown
    assert "\x1b[31m" not in shown
    everything = json.loads(here("feedback", "list", "--json").output)["labels"]
    assert [x["form"] for x in everything] == ["pair", "rating", "ranking", "ranking", "ranking"]
    whole = " ".join(here("feedback", "list").output.split())
    assert "0.00 of 1" in whole


def test_a_pair_is_listed_by_the_words_that_were_preferred(here: Rlaif, tmp_path: Path) -> None:
    """Whatever their ids' order: nobody has seen which of the two is the first."""
    path = tmp_path / "pairs.jsonl"
    lines = [
        {"prompt": f"Question {i}?", "first": f"\u597d {i}", "second": f"bad {i}", "better": better}
        for i, better in enumerate(["first"] * 6 + ["tie", 0.75])
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    here("feedback", "import", path)
    shown = " ".join(here("feedback", "list").output.split())
    for i in range(6):
        assert f'"\u597d {i}" over "bad {i}"' in shown
    assert "as good as" in shown
    assert '"\u597d 7" over "bad 7" with' in shown
    assert "75%" in shown


def test_the_report_tells_what_the_judge_is_worth(here: Rlaif, project: Project) -> None:
    assert "no cycle has been measured yet" in here("feedback", "report").output
    with Ledger.open(project.ledger_path) as ledger:
        measured(ledger, 3)
    shown = here("feedback", "report").output
    assert "Agreement of judge and humans, cycle 3" in shown
    assert "75% [60%, 86%]" in shown
    assert "the same side in both orders: 100%" in shown
    assert "labels from comparisons: temperature 2.17" in shown  # ln 9 / ln (22 / 8)
    assert "fitted on 28 pairs; cross-fitted, log-loss" in " ".join(shown.split())
    assert (
        "labels from ratings: none applied: the judge calls every labelled pair even"
        in " ".join(shown.split())
    )
    assert "75% [47%, 91%]" in shown
    assert "first time" in " ".join(shown.split())
    (cycle,) = json.loads(here("feedback", "report", "--json").output)["cycles"]
    assert (cycle["cycle"], cycle["labels"], cycle["frozen"]["labels"]) == (3, 40, 12)
    assert cycle["comparison"]["calibration"]["method"] == "temperature"


def test_the_projects_report_shows_the_judge_where_it_was_measured(
    here: Rlaif, project: Project
) -> None:
    assert "Judge and humans" not in here("report").output
    with Ledger.open(project.ledger_path) as ledger:
        measured(ledger, 3)
    assert "Judge and humans" in here("report").output
    cycles = json.loads(here("report", "--json").output)["cycles"]
    assert [cycle["judge"] for cycle in cycles[:2]] == [None, None]
    assert cycles[2]["judge"]["agreement"] == 0.75
    assert cycles[2]["judge"]["drift_found"] is False
