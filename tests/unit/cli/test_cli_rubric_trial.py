"""Rubrics on trial from the command line: preview on stored pairs, test on humans' labels."""

import json
import shutil
from pathlib import Path

import pytest

from cli.conftest import Rlaif
from cli.filled import RUBRIC
from cli.judged_pairs import DRAFT, WITHOUT_VERDICT, compare_pairs, takes_the_bench, tells
from rlaif.crew import Crew
from rlaif.ledger.reader import LedgerReader
from rlaif.project import Project
from rlaif.testing import ScriptedJudge

CHINESE = "\u6cd5\u56fd\u7684\u9996\u90fd\u662f\u54ea\u91cc\uff1f \U0001f642"
MUTE = "Mute\u202e \u05d0e\u0301?"
LINES = [
    {"prompt": "Capital of France?", "first": "Paris.", "second": "Rome.", "better": "first"},
    {"prompt": "Capital of Italy?", "first": "Paris.", "second": "Rome.", "better": "second"},
    {"prompt": "2 + 3?", "first": "Four.", "second": "Five.", "better": "second"},
    {"prompt": CHINESE, "chosen": "\u5df4\u9ece\u3002", "rejected": "\u4e0d\u77e5\u9053\u3002"},
    {"prompt": "Say \x1b[31mred", "answer": "Paris.", "rating": 5, "scale": [1, 5]},
    {"prompt": "Right?", "answer": "Rome.", "rating": 0.0, "criterion": "correct"},
    {"prompt": MUTE, "answer": WITHOUT_VERDICT, "rating": 1.0, "note": "why?"},
]


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedJudge:
    judge = ScriptedJudge(tells)
    monkeypatch.setattr(Crew, "_juror", takes_the_bench(judge))
    return judge


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "draft.toml"
    path.write_text(DRAFT, encoding="utf-8")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "human.jsonl", LINES)


def write_lines(path: Path, lines: list[dict[str, object]]) -> Path:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def digest(project: Project) -> str:
    with LedgerReader.open(project.ledger_path) as reader:
        return reader.digest()


def test_a_preview_shows_flips_costs_and_criteria(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project, p_first=0.25)
    before = digest(project)
    done = here("rubric", "preview", draft)
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("note: judging 2 pairs by draft, with tiny-judge\n")
    told = done.stdout
    assert "draft   draft, version 7, " in told
    assert f"current helpdesk, version 1, {RUBRIC[:12]}: what cycle 3 said of the same" in told
    assert "flips: 2 of the 2 pairs that both decide" in told
    assert "only in the current rubric: courteous" in told
    assert "only in the draft rubric: brief" in told
    assert "\nflips: What is the capital of France?\n" in told
    assert "  - -> better  It is Paris.\n" in told
    assert "  P(first is better) 0.25 -> 0.99\n" in told
    assert "\x1b" not in told
    assert digest(project) == before


def test_a_preview_as_json(here: Rlaif, project: Project, draft: Path) -> None:
    compare_pairs(project, p_first=0.25)
    found = json.loads(here("rubric", "preview", draft, "--json").stdout)
    assert found["draft"]["name"] == "draft"
    assert found["draft"]["path"] == str(draft)
    assert found["current"] == {"name": "helpdesk", "version": "1", "rubric_hash": RUBRIC}
    assert (found["cycles"], found["pairs"]) == ([3], 2)
    assert {(c["prompt_id"], c["flipped"]) for c in found["changes"]} == {
        ("capital", True),
        ("sum", True),
    }
    assert found["same_winner"]["rate"] == 0.0
    assert found["scores"]["answers"] == 4
    (correct,) = found["criteria"]
    assert (correct["name"], correct["same_side"]["rate"]) == ("correct", 0.0)
    assert (found["only_current"], found["only_draft"]) == (["courteous"], ["brief"])
    assert found["cost"]["current"]["calls"] == 8 + 4
    assert found["cost"]["current"]["money"] == 1.0
    assert found["cost"]["draft"]["calls"] == 4 + 4
    assert found["cost"]["draft"]["money"] is None


def test_what_pairs_took_that_were_ranked_is_what_their_lists_took(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project, ranked=True)
    for count, rated, ranked in ((2, 8, 4), (1, 4, 2)):
        found = json.loads(here("rubric", "preview", draft, "--n", count, "--json").stdout)
        cost = found["cost"]["current"]
        assert (cost["calls"], cost["money"]) == (rated + ranked, 0.25 * ranked)


def test_a_preview_of_fewer_pairs_is_drawn_by_the_seed(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project)
    drawn = [here("rubric", "preview", draft, "--n", 1, "--json").stdout for _ in range(2)]
    found = [json.loads(text) for text in drawn]
    assert found[0]["pairs"] == 1
    for one in found:
        one["cost"]["draft"].pop("seconds")
        one["cost"]["cycle"].pop("seconds")
    assert found[0] == found[1]


def test_newer_pairs_go_first_and_older_ones_fill_up(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project, cycle=1)
    compare_pairs(project, cycle=3)
    for count, cycles in ((2, [3]), (3, [1, 3]), (9, [1, 3])):
        found = json.loads(here("rubric", "preview", draft, "--n", count, "--json").stdout)
        assert found["cycles"] == cycles
        assert found["pairs"] == min(count, 4)


def test_pairs_of_another_rubric_do_not_fill_up(here: Rlaif, project: Project, draft: Path) -> None:
    compare_pairs(project, cycle=1)
    compare_pairs(project, cycle=3, rubric="n" * 64)
    found = json.loads(here("rubric", "preview", draft, "--n", 9, "--json").stdout)
    assert (found["cycles"], found["pairs"]) == ([3], 2)
    assert found["current"] == {"name": "newer", "version": "2", "rubric_hash": "n" * 64}


def test_what_else_may_be_behind_a_difference_is_said(
    here: Rlaif, project: Project, draft: Path
) -> None:
    compare_pairs(project)
    notes = json.loads(here("rubric", "preview", draft, "--json").stdout)["notes"]
    assert [note.partition(":")[0] for note in notes] == [
        "prompts/rubrics/helpdesk.toml is not what the pairs were judged by",
        "the pairs were judged by another judge",
    ]
    told = here("rubric", "preview", draft).stdout
    assert "note: the pairs were judged by another judge" in told


def test_without_pairs_it_says_what_to_do(here: Rlaif, project: Project, draft: Path) -> None:
    done = here("rubric", "preview", draft)
    assert done.exit_code == 2
    assert "no cycle of " in done.stderr
    assert "rlaif run" in done.stderr
    assert "rlaif rubric test" in done.stderr
    shutil.rmtree(project.root / "state")
    assert here("rubric", "preview", draft).stderr == done.stderr


def test_a_rubric_is_found_by_name_and_a_broken_one_costs_nothing(
    here: Rlaif, project: Project, draft: Path, scripted: ScriptedJudge
) -> None:
    compare_pairs(project)
    own = project.root / "prompts" / "rubrics" / "ours.toml"
    own.write_text(DRAFT, encoding="utf-8")
    found = json.loads(here("rubric", "preview", "ours", "--json").stdout)
    assert found["draft"]["path"] == str(own)
    asked = len(scripted.requests)
    draft.write_text(DRAFT.replace("weight = 1.0", "weight = -1"), encoding="utf-8")
    assert here("rubric", "preview", draft).exit_code == 78
    assert here("rubric", "preview", "nobodys").exit_code == 2
    assert len(scripted.requests) == asked


def test_a_test_shows_agreement_order_failures_and_attacks(
    here: Rlaif, project: Project, draft: Path, labels: Path
) -> None:
    before = digest(project)
    done = here("rubric", "test", draft, "--labels", labels)
    assert done.exit_code == 0, done.output
    said = "note: judging 11 answers and 4 pairs by draft, with tiny-judge\n"
    assert done.stderr.startswith(said)
    told = done.stdout
    assert f"against 7 labels of {labels}: 7 prompts, 11 answers, 4 pairs" in " ".join(told.split())
    rows = {tuple(line.split()[:3]): " ".join(line.split()[3:]) for line in told.splitlines()}
    assert rows["(whole)", "4", "pairs"].startswith("75% [30%, 95%] 0.50 [")
    assert rows["(whole)", "1", "of"].startswith("2 ratings 100%")
    assert rows["correct", "1", "ratings"].startswith("100%")
    assert "no verdict under correct: " in told
    assert "attacked in each of 5 ways: 10 answers" in told
    assert "P(first is better): human 1.00, judge 0.01" in told
    assert "rating: human 1.00, judge no verdict" in told
    assert "  asked  Mute\\u202e \u05d0e\u0301?\n" in told
    assert "\x1b" not in told
    assert digest(project) == before


def test_a_test_as_json(here: Rlaif, draft: Path, labels: Path) -> None:
    found = json.loads(
        here("rubric", "test", draft, "--labels", labels, "--probes", 2, "--json").stdout
    )
    assert found["rubric"]["name"] == "draft"
    assert found["labels_file"] == str(labels)
    assert (found["labels"], found["answers"], found["pairs"], found["attacked"]) == (7, 11, 4, 2)
    whole, correct, brief = found["parts"]
    pairs = next(a for a in whole["agreements"] if a["kind"] == "pairs")
    assert pairs["accuracy"]["rate"] == 0.75
    assert pairs["kappa"]["kappa"]["value"] == 0.5
    assert whole["order"]["same_position"]["rate"] == 0.0
    assert whole["failures"]["count"] == 11 + 8
    assert whole["failures"]["rate"] == pytest.approx(1 / 19)
    assert correct["failures"] == whole["failures"]
    assert brief["order"] is None
    figures = {f["name"]: f for f in whole["probes"]}
    assert (
        figures["injection by comparison"]["count"] + figures["injection by comparison"]["unscored"]
        == 6
    )
    texts = {(m["prompt"], m["first"]) for m in found["misses"]}
    assert (MUTE, WITHOUT_VERDICT) in texts
    assert len(texts) == 2


def test_a_test_without_attacks_asks_the_labelled_answers_alone(
    here: Rlaif, draft: Path, labels: Path, scripted: ScriptedJudge
) -> None:
    done = here("rubric", "test", draft, "--labels", labels, "--probes", 0)
    assert "that worked" not in done.stdout
    assert len(scripted.requests) == 11 + 4 * 2


def test_a_test_needs_no_ledger_unless_a_label_names_its_rows(
    here: Rlaif, project: Project, draft: Path, labels: Path, tmp_path: Path
) -> None:
    named = write_lines(
        tmp_path / "named.jsonl",
        [
            {
                "first_id": "completion-capital-0-3",
                "second_id": "completion-capital-1-3",
                "better": "first",
            },
            {"prompt_id": "sum", "answer": "Five.", "rating": 1.0},
        ],
    )
    found = json.loads(here("rubric", "test", draft, "--labels", named, "--json").stdout)
    assert (found["labels"], found["prompts"], found["answers"]) == (2, 2, 3)
    assert found["misses"] == []
    shutil.rmtree(project.root / "state")
    assert here("rubric", "test", draft, "--labels", labels).exit_code == 0
    refused = here("rubric", "test", draft, "--labels", named)
    assert refused.exit_code == 78
    assert f"{named}:1: there is no answer 'completion-capital-0-3' in the ledger" in refused.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"prompt": "a", "first": "b", "second": "c", "better": "both"}, "better"),
        ({"prompt": "a", "answer": "b", "rating": 6, "scale": [1, 5]}, "not within [1, 5]"),
        ({"prompt": "a", "answer": "b"}, "its feedback is none of"),
        ({"prompt": "a", "answer": "b", "rating": 1, "colour": "red"}, "'colour' is not known"),
        ({"prompt": "a", "answer": "b", "rating": 1, "criterion": "warm"}, "'warm' is not in the"),
    ],
)
def test_a_label_that_is_wrong_is_named_by_file_line_and_field(
    here: Rlaif,
    draft: Path,
    labels: Path,
    scripted: ScriptedJudge,
    line: dict[str, object],
    said: str,
) -> None:
    write_lines(labels, [LINES[0], line])
    done = here("rubric", "test", draft, "--labels", labels)
    assert done.exit_code == 78
    assert f"{labels}:2: " in done.stderr
    assert said in done.stderr
    assert scripted.requests == []


def test_a_test_wants_labels(here: Rlaif, draft: Path, tmp_path: Path) -> None:
    assert here("rubric", "test", draft).exit_code == 2
    missing = here("rubric", "test", draft, "--labels", tmp_path / "none.jsonl")
    assert missing.exit_code == 78
    assert "cannot be read" in missing.stderr
