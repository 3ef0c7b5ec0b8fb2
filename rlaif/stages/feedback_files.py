"""Files of human feedback, JSON lines or CSV, read strictly: what is not understood is refused."""

import csv
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rlaif.errors import FeedbackFileError
from rlaif.records import LabelForm, Message
from rlaif.regular_file import check_regular
from rlaif.stages.json_lines import check_length, one_value, what_is_wrong
from rlaif.text import quoted

EXAMPLE = '{"prompt": "...", "chosen": "...", "rejected": "..."}'
FORMS: dict[tuple[str, ...], LabelForm] = {
    ("answer", "rating"): "rating",
    ("chosen", "rejected"): "pair",
    ("first", "second", "better"): "pair",
    ("answers", "ranking"): "ranking",
    ("answer", "edited"): "edit",
}
BY_ID = {
    "answer_id": "answer",
    "chosen_id": "chosen",
    "rejected_id": "rejected",
    "first_id": "first",
    "second_id": "second",
    "answer_ids": "answers",
}
MEND = "mend the line and give the file again: nothing of it was taken"
SIDES = {"first": 1.0, "second": 0.0, "tie": 0.5}
_ASKED = ("prompt", "messages", "prompt_id")
_JSON_CELLS = frozenset({"messages", "scale", "answers", "answer_ids", "ranking"})
LIGHTEST, HEAVIEST = 0.001, 1000.0  # a million to one: beyond, one label would be all there is
_NUMBER_CELLS = frozenset({"rating", "weight", "better"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARK = b"\xef\xbb\xbf"


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be empty")
    return text


def _a_side(better: str | float) -> str | float:
    number = isinstance(better, float | int) and not isinstance(better, bool)
    if (isinstance(better, str) and better in SIDES) or (number and 0.0 <= float(better) <= 1.0):
        return better
    raise ValueError('it is "first", "second", "tie" or P(first is better) in [0, 1]')


Words = Annotated[str, AfterValidator(_not_empty)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Answer(NamedTuple):
    """An answer by its text, or by the id that the ledger knows it by."""

    text: str | None
    id: str | None


class Statement(NamedTuple):
    """A rating of one of a line's answers, or P(first is better) of two; by their places."""

    first: int
    second: int | None
    value: float


class FeedbackLine(BaseModel):
    """One line: what was asked, what was answered, and what a human said of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: Words | None = None
    messages: list[Message] | None = None
    prompt_id: Words | None = None
    answer: Words | None = None
    answer_id: Words | None = None
    rating: Number | None = None
    scale: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None
    edited: Words | None = None
    chosen: Words | None = None
    chosen_id: Words | None = None
    rejected: Words | None = None
    rejected_id: Words | None = None
    first: Words | None = None
    first_id: Words | None = None
    second: Words | None = None
    second_id: Words | None = None
    better: Annotated[Any, AfterValidator(_a_side)] = None
    answers: Annotated[list[Words], Field(min_length=2)] | None = None
    answer_ids: Annotated[list[Words], Field(min_length=2)] | None = None
    ranking: list[int | list[int]] | None = None
    criterion: Words | None = None
    rater: Words | None = None
    weight: Annotated[float, Field(ge=LIGHTEST, le=HEAVIEST, allow_inf_nan=False)] = 1.0
    note: str = ""

    @model_validator(mode="after")
    def _understood(self) -> "FeedbackLine":
        self._check_asked()
        answers = self.shown
        if len(set(answers)) < len(answers):
            raise ValueError("two of its answers are the same")
        if self.form == "rating":
            self._check_rating()
        elif self.form == "ranking":
            self._check_ranking()
        return self

    @property
    def form(self) -> LabelForm:
        """How it was said.

        Raises:
            ValueError: By no form, or by more than one.
        """
        keys_of_forms = {*BY_ID, *(key for keys in FORMS for key in keys), "scale"}
        given = {key for key in keys_of_forms if getattr(self, key) is not None}
        twice = [key for key in sorted(given & BY_ID.keys()) if BY_ID[key] in given]
        if twice:
            raise ValueError(f"it has both {BY_ID[twice[0]]!r} and {twice[0]!r}")
        plain = {BY_ID.get(key, key) for key in given}
        for keys, form in FORMS.items():
            if plain - ({"scale"} if form == "rating" else set()) == set(keys):
                return form
        ways = "; ".join(" + ".join(keys) for keys in FORMS)
        raise ValueError(f"its feedback is none of: {ways}; it has {sorted(given) or 'none'}")

    @property
    def turns(self) -> tuple[Message, ...]:
        """What was asked, where the line has its words."""
        if self.messages is not None:
            return tuple(self.messages)
        return () if self.prompt is None else (Message(role="user", content=self.prompt),)

    @property
    def shown(self) -> tuple[Answer, ...]:
        """The answers that it is about; of an edit, the edited one comes first."""
        if self.answers is not None:
            return tuple(Answer(text, None) for text in self.answers)
        if self.answer_ids is not None:
            return tuple(Answer(None, name) for name in self.answer_ids)
        edited = () if self.edited is None else (Answer(self.edited, None),)
        pairs = (
            Answer(getattr(self, key), getattr(self, f"{key}_id"))
            for key in ("answer", "chosen", "rejected", "first", "second")
        )
        return (*edited, *(answer for answer in pairs if answer != (None, None)))

    def statements(self) -> list[Statement]:
        """Return what it says: a rating, or every pair's P(first is better)."""
        if self.rating is not None:
            low, high = self.scale or (0.0, 1.0)
            return [Statement(0, None, (self.rating - low) / (high - low))]
        if self.ranking is not None:
            places = _places(self.ranking)
            return [
                Statement(i, j, _ahead(places[i], places[j]))
                for i, j in combinations(range(len(places)), 2)
            ]
        better: str | float = 1.0 if self.better is None else self.better
        return [Statement(0, 1, SIDES[better] if isinstance(better, str) else float(better))]

    def _check_asked(self) -> None:
        asked = [key for key in _ASKED if getattr(self, key) is not None]
        if len(asked) > 1 or (not asked and any(answer.id is None for answer in self.shown)):
            raise ValueError(
                "it has one of 'prompt', 'messages' and 'prompt_id', unless all of its "
                "answers are ids"
            )
        if self.messages is not None:
            last = self.messages[-1] if self.messages else None
            if last is None or last.role != "user" or not last.content.strip():
                raise ValueError("'messages' must end with a user's, and not an empty one")

    def _check_rating(self) -> None:
        low, high = self.scale or (0.0, 1.0)
        if not low < high or not math.isfinite(high - low):
            raise ValueError(f"'scale' is [lowest, highest], not [{low:g}, {high:g}]")
        if self.rating is None or not low <= self.rating <= high:
            mend = "" if self.scale else '; on another scale, a line says so: "scale": [1, 5]'
            raise ValueError(f"'rating' = {self.rating} is not within [{low:g}, {high:g}]{mend}")

    def _check_ranking(self) -> None:
        flat = [i for group in self.ranking or () for i in _group(group)]
        if sorted(flat) != list(range(len(self.shown))):
            raise ValueError(
                f"'ranking' holds each of 0 to {len(self.shown) - 1} once, best first, and those "
                f"that are even in a list; it holds {flat}"
            )


def read_feedback(path: Path) -> list[tuple[int, FeedbackLine]]:
    """Read a file: CSV where its name ends with ``.csv``, else JSON lines.

    Args:
        path: The file, UTF-8 with or without a byte-order mark. A line of JSON, or a row of CSV,
            has ``LONGEST_LINE`` characters at most.

    Returns:
        Each line with its number, from 1.

    Raises:
        FeedbackFileError: The file cannot be read, a line cannot be taken, or there is none.
    """
    text = _text(path)
    rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text)
    found = []
    for line, value in rows:
        try:
            found.append((line, FeedbackLine.model_validate(value)))
        except ValueError as exc:
            raise _refused(path, line, exc, quoted(value)) from exc
    if not found:
        raise FeedbackFileError("no line", "one line or more", f"add some: {EXAMPLE}", path=path)
    return found


def _text(path: Path) -> str:
    try:
        check_regular(path, FeedbackFileError)
        data = path.read_bytes().removeprefix(_MARK)
    except OSError as exc:
        raise FeedbackFileError(
            f"cannot be read: {exc.strerror}", "a readable file", "check the name", path=path
        ) from exc
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        seen = f"byte 0x{data[exc.start]:02x} is not UTF-8: {exc.reason}"
        raise FeedbackFileError(seen, "UTF-8", "save it as UTF-8", path=path, line=line) from exc


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Yield the values of lines; only a line feed ends one."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            check_length(len(line), MEND, FeedbackFileError, path, number)
            try:
                yield number, one_value(line.rstrip("\r"), strict=True)
            except ValueError as exc:
                raise _refused(path, number, exc, line) from exc


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows by column, cells that are empty left out, with the line where each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in _any_length(reader, len(text)):
            check_length(sum(map(len, cells)), MEND, FeedbackFileError, path, line)
            if not header:
                header = _header(path, cells)
            elif cells:
                yield line, _csv_row(header, cells)
            line = reader.line_num + 1
    except csv.Error as exc:
        raise _unread(path, line, f"not CSV: {exc}") from exc
    except ValueError as exc:
        raise _unread(path, line, str(exc)) from exc


def _any_length(reader: Iterator[list[str]], most: int) -> Iterator[list[str]]:
    """Yield rows with cells of any length: the module's own limit is one for the whole process."""
    while True:
        with _cells_of(most):
            cells = next(reader, None)
        if cells is None:
            return
        yield cells


@contextmanager
def _cells_of(most: int) -> Iterator[None]:
    before = csv.field_size_limit(most)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _header(path: Path, cells: list[str]) -> list[str]:
    unknown = [cell for cell in cells if cell not in FeedbackLine.model_fields]
    if not cells or unknown or len(set(cells)) < len(cells):
        raise FeedbackFileError(
            f"columns {', '.join(map(quoted, unknown or cells)) or 'missing'}"
            f"{' are unknown' if unknown else ' stand there twice'}",
            f"each once, some of: {', '.join(FeedbackLine.model_fields)}",
            "mend the first line, which names the columns",
            path=path,
            line=1,
        )
    return cells


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells under {len(header)} columns")
    return {key: _cell(key, cell) for key, cell in zip(header, cells, strict=True) if cell}


def _cell(key: str, cell: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a cell: lists as JSON, numbers as numbers, all else as the words that stand there."""
    if key in _JSON_CELLS:
        try:
            return one_value(cell, strict=True)
        except ValueError as exc:
            raise ValueError(f"{key} = {quoted(cell)} is not JSON: {exc}") from exc
    return float(cell) if key in _NUMBER_CELLS and _NUMBER.fullmatch(cell) else cell


def _refused(path: Path, line: int, exc: ValueError, said: str) -> FeedbackFileError:
    seen, expected = what_is_wrong(exc, said, EXAMPLE, FeedbackLine)
    return FeedbackFileError(seen, expected, MEND, path=path, line=line)


def _unread(path: Path, line: int, seen: str) -> FeedbackFileError:
    expected = "as many cells as columns, and quotes around a cell that holds commas or quotes"
    return FeedbackFileError(seen, expected, MEND, path=path, line=line)


def _group(group: int | list[int]) -> list[int]:
    return [group] if isinstance(group, int) else group


def _places(ranking: list[int | list[int]]) -> dict[int, int]:
    return {i: place for place, group in enumerate(ranking) for i in _group(group)}


def _ahead(mine: int, other: int) -> float:
    return 0.5 if mine == other else float(mine < other)
