"""``rlaif rubric diff``: what has changed, and whether labels are kept apart."""

import json
from pathlib import Path

from cli.conftest import Rlaif
from cli.rubric_samples import WHOLE, changed, write


def test_diff_goes_criterion_by_criterion(rlaif: Rlaif, tmp_path: Path) -> None:
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(
        tmp_path,
        changed(
            ("weight = 0.6", "weight = 0.5"),
            ('"half right"', '"nearly right"'),
            ("threshold = 0.25", "threshold = 0.4"),
            ('name = "near"', 'name = "close"'),
        ),
        "new.toml",
    )
    result = rlaif("rubric", "diff", old, new)
    assert result.exit_code == 0
    assert result.stdout == (
        f"- {old}\n"
        f"+ {new}\n"
        "- near  embedding, weight 0.2\n"
        "+ close  embedding, weight 0.2\n"
        "~ right\n"
        "  weight -      0.6\n"
        "  weight +      0.5\n"
        "  threshold -   0.25\n"
        "  threshold +   0.4\n"
        "  choices -     wrong\n"
        "                half right\n"
        "                right\n"
        "  choices +     wrong\n"
        "                nearly right\n"
        "                right\n"
        "labels: kept apart, the content differs\n"
    )


def test_diff_as_json(rlaif: Rlaif, tmp_path: Path) -> None:
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(
        tmp_path,
        changed(("threshold = 0.25\n", ""), ("veto = true\n", ""), ("0.6", "0.5")),
        "new.toml",
    )
    found = json.loads(rlaif("rubric", "diff", old, new, "--json").stdout)
    assert found["changed"] == {
        "right": {
            "weight": {"before": 0.6, "after": 0.5},
            "veto": {"before": True, "after": False},
            "threshold": {"before": 0.25, "after": None},
        }
    }
    assert (found["added"], found["removed"], found["reordered"]) == ([], [], False)
    assert found["labels_separated"] is True
    assert found["before"]["content_hash"] != found["after"]["content_hash"]


def test_notes_and_versions_do_not_separate_labels(rlaif: Rlaif, tmp_path: Path) -> None:
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(
        tmp_path, changed(("For people.", "For all."), ('version = "3"', 'version = "4"')), "n.toml"
    )
    shown = rlaif("rubric", "diff", old, new).stdout.splitlines()
    assert shown[2:] == ["labels: shared, as far as the rubric decides: the content is the same"]
    assert not json.loads(rlaif("rubric", "diff", old, new, "--json").stdout)["labels_separated"]


def test_another_order_is_a_difference(rlaif: Rlaif, tmp_path: Path) -> None:
    head, one, two, three = WHOLE.split("[[criteria]]")
    old = write(tmp_path, WHOLE, "old.toml")
    new = write(tmp_path, "[[criteria]]".join([head, two, one, three]), "new.toml")
    shown = rlaif("rubric", "diff", old, new).stdout
    assert "~ the order of the criteria\nlabels: kept apart" in shown


def test_references_are_compared_and_shown(rlaif: Rlaif, tmp_path: Path) -> None:
    reference = '\n[[references]]\nprompt = "2 + 2?"\nanswer = "{}"\n'
    old = write(tmp_path, WHOLE + reference.format("4"), "old.toml")
    new = write(tmp_path, WHOLE + reference.format("four"), "new.toml")
    assert rlaif("rubric", "diff", old, new).stdout.splitlines()[2:] == [
        "~ reference answer to 2 + 2?",
        "  answer -      4",
        "  answer +      four",
        "labels: kept apart, the content differs",
    ]
    assert "  prompt    2 + 2?\n  answer    4\n" in rlaif("rubric", "show", old).stdout
