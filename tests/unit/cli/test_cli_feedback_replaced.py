"""``rlaif feedback`` says what a rater's later word replaced."""

import json
from pathlib import Path

from cli.conftest import Rlaif

GOOD = {"prompt": "q", "chosen": "a", "rejected": "b", "rater": "ana"}
BAD = {**GOOD, "chosen": "b", "rejected": "a"}


def write(path: Path, *lines: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_an_import_says_how_many_earlier_labels_it_replaces(here: Rlaif, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.jsonl", GOOD), write(tmp_path / "new.jsonl", BAD)
    assert "replaced" not in here("feedback", "import", old).output
    for more in (("--dry-run",), ()):
        told = here("feedback", "import", new, *more).output
        assert "1 new, 0 known, 1 earlier label replaced;" in told
    assert (
        json.loads(here("feedback", "import", old, "--dry-run", "--json").output)["replaced"] == 1
    )
    assert "replaced" not in here("feedback", "import", new).output


def test_the_list_marks_what_was_replaced(here: Rlaif, tmp_path: Path) -> None:
    here("feedback", "import", write(tmp_path / "both.jsonl", GOOD, BAD))
    labels = json.loads(here("feedback", "list", "--json").output)["labels"]
    assert [label["replaced"] for label in labels] == [True, False]
    assert here("feedback", "list").output.count("replaced") == 1
    (last,) = json.loads(here("feedback", "list", "--limit", "1", "--json").output)["labels"]
    assert not last["replaced"]


def test_a_list_of_the_last_words_alone_marks_none(here: Rlaif, tmp_path: Path) -> None:
    here("feedback", "import", write(tmp_path / "both.jsonl", GOOD, BAD))
    assert "replaced" not in here("feedback", "list", "--limit", "1").output
