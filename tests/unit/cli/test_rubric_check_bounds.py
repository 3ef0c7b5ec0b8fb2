"""Checking a rubric takes time in proportion to the file, however it repeats itself."""

from pathlib import Path

import pytest

from cli.rubric_samples import write
from rlaif import toml_source
from rlaif.cli import rubric_check
from rlaif.cli.place import Place
from rlaif.cli.rubric_check import Report, check_rubric, find_errors
from rlaif.errors import RubricError
from rlaif.judges.rubric import MAX_CRITERIA, load_rubric
from rlaif.toml_source import LONGEST_FILE, TomlFile

HEAD = 'name = "desk"\nversion = "1"\nlanguage = "en"\n'


def criterion(name: str, text: str = "The answer is right.", weight: str = "1.0") -> str:
    return (
        f'[[criteria]]\nname = "{name}"\nkind = "judge"\nweight = {weight}\n'
        f'text = "{text}"\nchoices = ["no", "yes"]\n'
    )


def check(path: Path) -> Report:
    return check_rubric(Place(path.parent), path)


def counted(monkeypatch: pytest.MonkeyPatch, place: object, name: str) -> list[object]:
    """Count the calls of a function that still does its work."""
    calls: list[object] = []
    real = getattr(place, name)

    def counting(*args: object) -> object:
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(place, name, counting)
    return calls


def test_a_files_lines_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, toml_source, "_marks")
    path = write(tmp_path, HEAD + "".join(criterion(f"n{i}", weight="-1") for i in range(20)))
    assert len(find_errors(path)) == 20
    assert len(calls) == 1


def test_broken_criteria_are_not_read_anew_for_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, rubric_check, "read_toml")
    find_errors(write(tmp_path, HEAD + "".join(criterion("n", weight="-1") for _ in range(20))))
    assert len(calls) == 1


def test_no_line_is_asked_for_where_nothing_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, TomlFile, "line_of")
    path = write(tmp_path, HEAD + "".join(criterion(f"n{i}", f"Is it {i}?") for i in range(20)))
    assert check(path).warnings == ()
    assert calls == []


def test_criteria_that_ask_the_same_are_one_warning_and_normalised_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, rubric_check, "normalised")
    (warned,) = check(
        write(tmp_path, HEAD + "".join(criterion(f"n{i}") for i in range(20)))
    ).warnings
    assert warned.seen == "'n0', 'n1', 'n2' and 17 more ask the judge the same"
    assert warned.line == 14
    assert len(calls) == 20 * 4  # a name, a text and two choices each


def test_names_that_are_alike_are_one_warning(tmp_path: Path) -> None:
    names = ["kind", "Kind!", "KIND", "(kind)"]
    parts = [criterion(name, f"Is it {i}?") for i, name in enumerate(names)]
    (warned,) = check(write(tmp_path, HEAD + "".join(parts))).warnings
    assert warned.seen == ("the names 'kind', 'Kind!', 'KIND' and '(kind)' are hard to tell apart")


def test_hidden_characters_of_a_text_are_one_warning(tmp_path: Path) -> None:
    hidden = "".join(map(chr, range(0xE000, 0xE064)))
    (warned,) = check(write(tmp_path, HEAD + criterion("n", f"Is it{hidden}?"))).warnings
    assert "U+E002 (without a name) and 97 more in 'criteria.0.text'" in warned.seen
    assert warned.seen.endswith("a judge reads them, and people do not see them")


def test_every_broken_reference_and_name_is_told_once(tmp_path: Path) -> None:
    good = '[[references]]\nprompt = "p"\nanswer = "a"\n'
    text = HEAD + criterion("n") * 3 + good * 3 + good.replace("answer", "anwser")
    assert [error.line for error in find_errors(write(tmp_path, text))] == [33, 26, 29, 11, 17]


def test_the_most_criteria_are_taken_and_one_more_is_refused(tmp_path: Path) -> None:
    most = HEAD + "".join(criterion(f"n{i}", f"Is it {i}?") for i in range(MAX_CRITERIA))
    assert len(load_rubric(write(tmp_path, most)).criteria) == MAX_CRITERIA
    path = write(tmp_path, most + criterion("more"))
    with pytest.raises(RubricError) as caught:
        load_rubric(path)
    assert (caught.value.seen, caught.value.expected) == (
        f"{path}:{4 + 6 * MAX_CRITERIA}: 201 criteria",
        "at most 200",
    )
    assert [str(error) for error in find_errors(path)] == [str(caught.value)]


def test_the_longest_file_is_taken_and_a_longer_one_is_refused(tmp_path: Path) -> None:
    text = HEAD + criterion("n") + "# "
    path = write(tmp_path, text.ljust(LONGEST_FILE, "."))
    assert load_rubric(path).name == "desk"
    path = write(tmp_path, text.ljust(LONGEST_FILE + 1, "."))
    (error,) = find_errors(path)
    assert error.seen == f"{path}: a file of 1,000,001 bytes"
    assert error.expected == "at most 1,000,000 characters"


@pytest.mark.parametrize("line", [f"[{' ' * 20_000}1,", f"[[{' ' * 20_000}1,"])
def test_a_line_of_blanks_is_passed_over(line: str) -> None:
    found = TomlFile(
        Path("x.toml"), f"a = [\n{line}\n]{']' * line.count('[')}\nb = 2\n", RubricError
    )
    assert found.line_of(("b",)) == 4
