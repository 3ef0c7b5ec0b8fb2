"""Padding, the order of rows and the cut into micro-batches never change a result."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from rl_strategies import Rows, assert_close, quick, rows
from torch import Tensor
from torch.nn.functional import pad

from rlaif.rl import (
    explained_variance,
    gae,
    listwise_loss,
    masked_mean,
    masked_sum,
    masked_var,
    place_scores,
    policy_loss,
    sequence_kl,
    value_loss,
    whiten,
)

COUNT = 100
PerToken = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

CELLS: dict[str, PerToken] = {
    "advantages": lambda x, y, _, mask: gae(x, y, mask).advantages,
    "returns": lambda x, y, _, mask: gae(x, y, mask, 0.9, 0.8).returns,
    "whitened": lambda x, _, __, mask: whiten(x, mask),
    "scaled": lambda x, _, __, mask: whiten(x, mask, shift_mean=False),
    "rewards": lambda x, _, __, mask: place_scores(x, x[:, 0], mask),
}
PER_ROW: dict[str, PerToken] = {
    "sequence KL": lambda x, _, __, mask: sequence_kl(x, mask),
    "means of rows": lambda x, _, __, mask: masked_mean(x, mask, dim=1),
}
SCALARS: dict[str, PerToken] = {
    "sum": lambda x, _, __, mask: masked_sum(x, mask),
    "mean": lambda x, _, __, mask: masked_mean(x, mask),
    "variance": lambda x, _, __, mask: masked_var(x, mask),
    "policy loss": lambda x, y, z, mask: policy_loss(x, y, z, mask, COUNT).loss,
    "dual-clipped loss": lambda x, y, z, mask: policy_loss(x, y, z, mask, COUNT, 0.2, 3.0).loss,
    "ratios clipped": lambda x, y, z, mask: policy_loss(x, y, z, mask, COUNT).clip_fraction,
    "approximate KL": lambda x, y, z, mask: policy_loss(x, y, z, mask, COUNT).approx_kl,
    "value loss": lambda x, y, z, mask: value_loss(x, y, z, mask, COUNT).loss,
    "values clipped": lambda x, y, z, mask: value_loss(x, y, z, mask, COUNT).clip_fraction,
    "explained variance": lambda x, y, _, mask: explained_variance(x, y, mask),
    "listwise loss": lambda x, _, __, mask: listwise_loss(x, mask),
}
SUMS_OVER_ROWS = {name: SCALARS[name] for name in SCALARS if "loss" in name or "clipped" in name}
SUMS_OVER_ROWS["approximate KL"] = SCALARS["approximate KL"]
del SUMS_OVER_ROWS["listwise loss"]
EVERYTHING = CELLS | PER_ROW | SCALARS


def inputs(data: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return data.numbers(), data.numbers(), data.numbers(), data.mask


@pytest.mark.parametrize("name", EVERYTHING)
@quick
@given(data=rows(min_rows=2))
def test_what_padding_holds_does_not_matter(name: str, data: Rows) -> None:
    x, y, z, mask = inputs(data)
    expected = EVERYTHING[name](x, y, z, mask)
    for junk in (1e6, float("nan")):
        dirty = (t.masked_fill(~mask, junk) for t in (x, y, z))
        assert_close(EVERYTHING[name](*dirty, mask), expected)


@pytest.mark.parametrize("name", EVERYTHING)
@quick
@given(data=rows(min_rows=2))
def test_more_padding_does_not_matter(name: str, data: Rows) -> None:
    x, y, z, mask = inputs(data)
    expected = EVERYTHING[name](x, y, z, mask)
    wider = (pad(t, (0, 2), value=5.0) for t in (x, y, z))
    found = EVERYTHING[name](*wider, pad(mask, (0, 2), value=False))
    if name in CELLS:
        assert_close(found[:, -2:], 0.0)
        found = found[:, :-2]
    assert_close(found, expected)


@pytest.mark.parametrize("name", CELLS)
@quick
@given(data=rows())
def test_cells_of_padding_are_zero(name: str, data: Rows) -> None:
    found = CELLS[name](*inputs(data))
    assert_close(found[~data.mask], 0.0)


@pytest.mark.parametrize("name", EVERYTHING)
@quick
@given(data=rows(min_rows=2))
def test_the_order_of_rows_does_not_matter(name: str, data: Rows) -> None:
    arrays = inputs(data)
    order = torch.from_numpy(data.rng.permutation(len(data.lengths)))
    expected = EVERYTHING[name](*arrays)
    found = EVERYTHING[name](*(t[order] for t in arrays))
    assert_close(found, expected if name in SCALARS else expected[order])


@pytest.mark.parametrize("name", SUMS_OVER_ROWS)
@quick
@given(data=rows(min_rows=2))
def test_micro_batches_add_up_to_the_step(name: str, data: Rows) -> None:
    arrays = inputs(data)
    parts = [SUMS_OVER_ROWS[name](*(t[cut] for t in arrays)) for cut in (slice(1), slice(1, None))]
    assert_close(parts[0] + parts[1], SUMS_OVER_ROWS[name](*arrays), atol=1e-7)


@pytest.mark.parametrize("name", ["policy loss", "dual-clipped loss", "value loss"])
@quick
@given(data=rows())
def test_padding_gets_no_gradient(name: str, data: Rows) -> None:
    x, y, z, mask = inputs(data)
    x = x.masked_fill(~mask, float("nan")).requires_grad_()
    SCALARS[name](x, y, z, mask).backward()
    assert x.grad is not None
    assert_close(x.grad[~mask], 0.0)
    assert x.grad.isfinite().all()


def test_only_what_is_trained_gets_a_gradient() -> None:
    x, y, z = (torch.ones(1, 1, requires_grad=True) for _ in range(3))
    mask = torch.ones(1, 1, dtype=torch.bool)
    losses = policy_loss(x, y, z, mask, 1), value_loss(x, y, z, mask, 1)
    (losses[0].loss + losses[1].loss).backward()
    assert x.grad is not None
    assert (y.grad, z.grad) == (None, None), "old values, returns and advantages are data"
    assert not losses[0].approx_kl.requires_grad
    assert not losses[0].clip_fraction.requires_grad
    assert not losses[1].clip_fraction.requires_grad
