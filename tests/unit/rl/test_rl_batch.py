"""Rollouts and batches: where each token lands, and that no cut of them changes a row."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rl_strategies import quick
from torch import Tensor

from rlaif.rl import Batch, Rollout, micro_batches, pad

EOS = 2
tokens = st.lists(st.integers(0, 5), min_size=1, max_size=6)
pairs = st.lists(st.tuples(tokens, tokens), min_size=1, max_size=5)
Pairs = list[tuple[list[int], list[int]]]


def rollout_of(data: Pairs, pad_id: int = EOS, **widths: int) -> Rollout:
    queries, responses = zip(*data, strict=True)
    return Rollout.from_lists(queries, responses, pad_id, **widths)


def batch_of(rollout: Rollout) -> Batch:
    """A batch whose numbers tell from which row and column they come."""
    rows, columns = rollout.response_mask.shape
    cells = torch.arange(rows * columns, dtype=torch.float32).reshape(rows, columns)
    return Batch(rollout, cells, cells + 0.1, cells + 0.2, cells + 0.3, cells + 0.4)


def unpadded(rollout: Rollout) -> Pairs:
    """Read the lists back by the masks."""
    width = rollout.query_width
    found = []
    for ids, real in zip(rollout.input_ids, rollout.token_mask, strict=True):
        query, response = ids[:width][real[:width]], ids[width:][real[width:]]
        found.append((query.tolist(), response.tolist()))
    return found


def real_cells(batch: Batch) -> list[Tensor]:
    mask = batch.response_mask
    return [batch.old_logprobs[mask], batch.advantages[mask], batch.returns[mask]]


def test_by_hand() -> None:
    rollout = rollout_of([([5, 6, 7], [8, EOS]), ([9], [4, 3, EOS])])
    assert rollout.input_ids.tolist() == [[5, 6, 7, 8, 2, 2], [2, 2, 9, 4, 3, 2]]
    assert rollout.token_mask.int().tolist() == [[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    assert rollout.position_ids.tolist() == [[0, 1, 2, 3, 4, 4], [0, 0, 0, 1, 2, 3]]
    assert rollout.response_ids.tolist() == [[8, 2, 2], [4, 3, 2]]
    assert rollout.response_mask.int().tolist() == [[1, 1, 0], [1, 1, 1]]
    assert rollout.response_lengths.tolist() == [2, 3]
    assert (rollout.query_width, rollout.size) == (3, 2)


@quick
@given(data=pairs, pad_id=st.integers(0, 5))
def test_lists_survive_whatever_the_padding_id(data: Pairs, pad_id: int) -> None:
    rollout = rollout_of(data, pad_id)
    assert unpadded(rollout) == data
    assert set(rollout.input_ids[~rollout.token_mask].tolist()) <= {pad_id}
    assert rollout.response_lengths.tolist() == [len(response) for _, response in data]


@quick
@given(data=pairs)
def test_positions_count_real_tokens_from_0(data: Pairs) -> None:
    rollout = rollout_of(data, query_width=9, response_width=8)
    for row, (query, response) in enumerate(data):
        positions = rollout.position_ids[row]
        real = positions[rollout.token_mask[row]].tolist()
        assert real == list(range(len(query) + len(response)))
        assert positions.max().item() == real[-1], "padding stays within the context"


@quick
@given(data=pairs)
def test_the_column_before_a_token_predicts_it(data: Pairs) -> None:
    rollout = rollout_of(data)
    following = rollout.input_ids.roll(-1, dims=1)
    assert following[:, rollout.predicting].equal(rollout.response_ids)


@quick
@given(data=pairs, wide=st.integers(0, 3))
def test_trim_keeps_every_real_token(data: Pairs, wide: int) -> None:
    rollout = rollout_of(data, query_width=6 + wide, response_width=6 + wide)
    batch = batch_of(rollout)
    narrow = batch.trim()
    assert unpadded(narrow.rollout) == data
    assert narrow.rollout.query_width == max(len(query) for query, _ in data)
    assert narrow.response_mask.shape[1] == max(len(response) for _, response in data)
    for before, after in zip(real_cells(batch), real_cells(narrow), strict=True):
        assert before.equal(after)


@quick
@given(data=pairs, seed=st.integers(0, 99))
def test_select_takes_rows_with_all_that_is_theirs(data: Pairs, seed: int) -> None:
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    batch = batch_of(rollout_of(data))
    chosen = batch.select(order)
    assert unpadded(chosen.rollout) == [data[row] for row in order.tolist()]
    for name in ("old_logprobs", "ref_logprobs", "old_values", "advantages", "returns"):
        assert getattr(chosen, name).equal(getattr(batch, name)[order])


@quick
@given(data=pairs, size=st.integers(1, 6))
def test_micro_batches_hold_each_row_once_in_order(data: Pairs, size: int) -> None:
    batch = batch_of(rollout_of(data))
    parts = list(micro_batches(batch, size))
    assert all(part.size == size for part in parts[:-1])
    assert 1 <= parts[-1].size <= size
    assert [row for part in parts for row in unpadded(part.rollout)] == data
    assert torch.cat([part.returns for part in parts]).equal(batch.returns)
    sizes = [part.size for part in micro_batches(batch.rollout, size)]
    assert sizes == [part.size for part in parts]


def test_pad_fills_the_side_asked_for() -> None:
    ids, mask = pad([[1, 2], [3]], 0, "left", 3)
    assert ids.tolist() == [[0, 1, 2], [0, 0, 3]]
    assert mask.int().tolist() == [[0, 1, 1], [0, 0, 1]]
    ids, mask = pad([[1, 2], []], 7, "right")
    assert ids.tolist() == [[1, 2], [7, 7]]
    assert mask.int().tolist() == [[1, 1], [0, 0]]
    assert pad([], 0, "left")[0].shape == (0, 0)


def test_a_batch_without_rows_can_be_trimmed() -> None:
    empty = rollout_of([([1], [2])]).select(slice(0, 0))
    assert empty.trim().size == 0


def test_to_moves_every_tensor() -> None:
    batch = batch_of(rollout_of([([1], [2])])).to("meta")
    tensors = [batch.rollout.input_ids, batch.rollout.token_mask, batch.old_logprobs, batch.returns]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_lists_that_make_no_rollout_are_refused() -> None:
    with pytest.raises(ValueError, match="1 queries but 2 responses"):
        Rollout.from_lists([[1]], [[1], [2]], 0)
    with pytest.raises(ValueError, match="query 1 is empty"):
        Rollout.from_lists([[1], []], [[1], [2]], 0)
    with pytest.raises(ValueError, match="response 0 has no token"):
        Rollout.from_lists([[1]], [[]], 0)
    with pytest.raises(ValueError, match="3 tokens does not fit a width of 2"):
        Rollout.from_lists([[1, 2, 3]], [[1]], 0, query_width=2)


def test_tensors_that_do_not_lie_over_the_response_are_refused() -> None:
    rollout = rollout_of([([1], [2, 3])])
    whole = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="old_logprobs has shape"):
        Batch(rollout, whole, whole, whole, whole, whole)


def test_a_micro_batch_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="micro-batch size is 0"):
        list(micro_batches(rollout_of([([1], [2])]), 0))


@quick
@given(data=pairs)
def test_flushed_rows_begin_in_column_0_and_know_where_states_are(data: Pairs) -> None:
    rollout = rollout_of(data)
    ids, places = rollout.flush()
    predicted = ids.flatten()[places + 1]
    assert predicted.tolist() == [token for _, response in data for token in response]
    for row, (query, response) in enumerate(data):
        assert ids[row, : len(query) + len(response)].tolist() == query + response


@quick
@given(data=pairs)
def test_places_and_counts_are_those_of_the_mask(data: Pairs) -> None:
    rollout = rollout_of(data)
    mask = rollout.response_mask
    assert rollout.response_tokens == int(mask.sum())
    assert torch.equal(rollout.host_lengths, rollout.response_lengths)
    flat = rollout.response_ids.flatten()[rollout.response_places]
    assert torch.equal(flat, rollout.response_ids[mask])


@quick
@given(data=pairs)
def test_a_batch_elsewhere_is_cut_without_asking_that_device(data: Pairs) -> None:
    """The meta device holds no numbers: whatever asked it for one would fail."""
    here = batch_of(rollout_of(data))
    order = here.rollout.host_lengths.argsort(descending=True)[:2]
    near = here.select(order).trim()
    far = here.to("meta").select(order).trim()
    assert far.rollout.input_ids.shape == near.rollout.input_ids.shape
    assert far.rollout.query_width == near.rollout.query_width
    assert far.rollout.host_mask is not None
    assert torch.equal(far.rollout.host_mask, near.rollout.token_mask)
    assert far.rollout.response_tokens == near.rollout.response_tokens
    assert far.rollout.response_places.shape == near.rollout.response_places.shape
    assert far.rollout.flush().ids.shape == near.rollout.flush().ids.shape
    assert [part.size for part in micro_batches(far, 1)] == [1] * far.size
