import dataclasses
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlaif.judges.cached_batch import (
    MIN_SHARED,
    CachedBatch,
    group_by_beginning,
    read_together,
    shared_length,
)
from rlaif.models.loading import LanguageModel

A, B, C = [10, 11, 12, 13, 14, 15], [10, 11, 12, 13, 20], [30, 31]


@torch.no_grad()
def alone(lm: LanguageModel, ids: list[int]) -> torch.Tensor:
    return lm.model(input_ids=torch.tensor([ids])).logits[0, -1]


def assert_after(lm: LanguageModel, logits: torch.Tensor, rows: list[list[int]]) -> None:
    for row, ids in zip(logits, rows, strict=True):
        torch.testing.assert_close(row, alone(lm, ids), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        ([[1, 2, 3]], 2),
        ([[1, 2, 3], [1, 2, 3]], 2),
        ([[1, 2, 3], [1, 2]], 1),
        ([[1, 2, 3], [1, 9, 3]], 1),
        ([[1, 2], [3, 2]], 0),
        ([[1], [1]], 0),
        ([[], [1, 2]], 0),
        ([[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 9, 4]], 2),
    ],
)
def test_what_rows_share_leaves_each_a_token(rows: list[list[int]], length: int) -> None:
    assert shared_length(rows) == length


def test_rows_that_begin_alike_are_grouped() -> None:
    long = list(range(20))
    rows = [[*long, 1], [*long, 2], [*long, 3, 4], [*long[:8], 5], C]
    assert group_by_beginning(rows) == [[0, 1, 2], [3], [4]]
    assert group_by_beginning([]) == []


@pytest.mark.parametrize(("alone", "groups"), [(11, [[0, 1, 2]]), (16, [[0], [1], [2]])])
def test_a_beginning_of_two_fifths_is_worth_sharing(alone: int, groups: list[list[int]]) -> None:
    rows = [[*range(10), *range(start, start + alone)] for start in (20, 40, 60)]
    assert group_by_beginning(rows) == groups


ROWS = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), max_size=8)


@given(ROWS)
def test_groups_keep_the_order_and_share_most_of_each_row(rows: list[list[int]]) -> None:
    groups = group_by_beginning(rows)
    assert [place for group in groups for place in group] == list(range(len(rows)))
    for group in groups:
        if len(group) > 1:
            members = [rows[i] for i in group]
            assert shared_length(members) >= MIN_SHARED * max(map(len, members))


def test_pieces_of_unlike_length_are_as_if_read_alone(tiny_lm: LanguageModel) -> None:
    batch = CachedBatch(tiny_lm, 3)
    assert_after(tiny_lm, batch.extend([A, B, C]), [A, B, C])
    logits = batch.extend([[40], [41, 42, 43], [44, 45]])
    assert_after(tiny_lm, logits, [[*A, 40], [*B, 41, 42, 43], [*C, 44, 45]])


def test_a_row_may_wait_while_others_go_on(tiny_lm: LanguageModel) -> None:
    batch = CachedBatch(tiny_lm, 2)
    batch.extend([A, B])
    assert_after(tiny_lm, batch.extend([[], [50, 51]])[1:], [[*B, 50, 51]])
    assert_after(tiny_lm, batch.extend([[52], []])[:1], [[*A, 52]])
    both = batch.extend([[53], [54]])
    assert_after(tiny_lm, both, [[*A, 52, 53], [*B, 50, 51, 54]])


def test_forgotten_tokens_leave_no_trace(tiny_lm: LanguageModel) -> None:
    batch = CachedBatch(tiny_lm, 2)
    batch.extend([A, B])
    batch.extend([[60, 61], [62]])
    batch.forget([len(A) + 1, 2])
    assert_after(tiny_lm, batch.extend([[70], [71, 72]]), [[*A, 60, 70], [*B[:2], 71, 72]])


def test_rows_can_be_taken_several_times(tiny_lm: LanguageModel) -> None:
    batch = CachedBatch(tiny_lm, 2)
    batch.extend([A, B])
    batch.select([1, 0, 1])
    logits = batch.extend([[80], [81, 82], [83]])
    assert_after(tiny_lm, logits, [[*B, 80], [*A, 81, 82], [*B, 83]])


@pytest.mark.parametrize("kind", ["lean", "library"])
def test_a_common_beginning_is_read_once(
    tiny_lm: LanguageModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm if kind == "lean" else dataclasses.replace(tiny_lm, lean=None)
    stem = list(range(20, 40))
    rows = [[*stem, 1], [*stem, 2, 3], [*stem, 4], [7, 8], [*stem[:3], 9]]
    seen: list[int] = []
    extend = CachedBatch.extend

    def counted(self: CachedBatch, pieces: Sequence[Sequence[int]]) -> torch.Tensor:
        seen.append(len(pieces))
        return extend(self, pieces)

    monkeypatch.setattr(CachedBatch, "extend", counted)
    _, logits = read_together(lm, rows)
    assert seen == [3, 5]
    assert_after(tiny_lm, logits, rows)
