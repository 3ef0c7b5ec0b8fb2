from pathlib import Path

import pytest
from broken_rubrics import BASES, EVERY_KIND, KEYS, VALUES, broken_rubrics, read_or_refuse
from hypothesis import HealthCheck, given, settings

from rlaif.errors import RubricError
from rlaif.judges import Rubric


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken") / "rubric.toml"


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=broken_rubrics())
def test_a_broken_file_is_a_rubric_or_an_error_that_helps(path: Path, data: bytes) -> None:
    assert isinstance(read_or_refuse(data, path), Rubric | RubricError)


def test_what_is_broken_was_whole(path: Path) -> None:
    found = [read_or_refuse(base.encode("utf-8"), path) for base in BASES]
    assert all(isinstance(rubric, Rubric) for rubric in found)
    assert len(found) >= 4


LINES = EVERY_KIND.splitlines()
VALUE_LINES = [n for n, line in enumerate(LINES) if " = " in line and '"""' not in line]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("number", VALUE_LINES, ids=lambda n: f"{n + 1}")
def test_no_line_takes_odd_keys_and_values(path: Path, number: int) -> None:
    key, value = LINES[number].split(" = ", 1)
    every = [f"{key} = {other}" for other in VALUES] + [f"{other} = {value}" for other in KEYS]
    odd = every[number % 3 :: 3]
    found = [
        read_or_refuse("\n".join([*LINES[:number], line, *LINES[number + 1 :]]).encode(), path)
        for line in odd
    ]
    refused = [what for what in found if isinstance(what, RubricError)]
    free = number > LINES.index("[criteria.options]")  # where any key and JSON value is right
    assert len(refused) >= (5 if free else len(odd) // 2)
    assert all(exc.path == path for exc in refused)
