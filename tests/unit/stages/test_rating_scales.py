"""A rating outside of its scale: the message says how a line states another scale."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlaif.errors import FeedbackFileError
from rlaif.stages.feedback_files import read_feedback

RATED = {"prompt": "p", "answer": "a", "rating": 7}


def _refusal(folder: Path, line: dict[str, Any]) -> str:
    path = folder / "f.jsonl"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(FeedbackFileError) as caught:
        read_feedback(path)
    return str(caught.value)


def test_a_rating_without_a_scale_is_told_how_to_state_one(tmp_path: Path) -> None:
    told = _refusal(tmp_path, RATED)
    assert "'rating' = 7.0 is not within [0, 1]" in told
    assert '"scale": [1, 5]' in told


def test_a_rating_outside_of_the_scale_of_its_line_is_not(tmp_path: Path) -> None:
    told = _refusal(tmp_path, {**RATED, "scale": [1, 6]})
    assert "'rating' = 7.0 is not within [1, 6]" in told
    assert '"scale": [1, 5]' not in told
