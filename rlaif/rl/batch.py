"""Token batches for the update: queries padded on the left, responses on the right.

So every query ends, and every response begins, in the same column of a batch. Which cells hold
real tokens follows from the lengths of the lists that the batch was built from, never from token
ids, so a tokenizer whose padding id is its end-of-sequence id needs no special case.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def pad(
    sequences: Sequence[Sequence[int]],
    pad_id: int,
    side: Literal["left", "right"],
    width: int | None = None,
) -> tuple[Int[Tensor, "batch width"], Bool[Tensor, "batch width"]]:
    """Lay token lists of different lengths into one rectangle.

    Args:
        sequences: Token ids, one list per row.
        pad_id: The id that fills the other cells; it may also occur as a real token.
        side: The side on which the filling goes.
        width: Columns of the rectangle, or None for the longest list's length.

    Returns:
        The ids, and a mask that is True where a cell holds a real token.

    Raises:
        ValueError: A list is longer than `width`.
    """
    longest = max((len(sequence) for sequence in sequences), default=0)
    width = longest if width is None else width
    if longest > width:
        raise ValueError(f"a list of {longest} tokens does not fit a width of {width}: widen it")
    ids, mask = [], []
    for sequence in sequences:
        filling = width - len(sequence)
        left, right = (filling, 0) if side == "left" else (0, filling)
        ids.append([pad_id] * left + list(sequence) + [pad_id] * right)
        mask.append([False] * left + [True] * len(sequence) + [False] * right)
    shape = (len(sequences), width)
    return (
        torch.tensor(ids, dtype=torch.long).reshape(shape),
        torch.tensor(mask, dtype=torch.bool).reshape(shape),
    )


def _check_lists(queries: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> None:
    if len(queries) != len(responses):
        raise ValueError(f"{len(queries)} queries but {len(responses)} responses: one each, please")
    for row, (query, response) in enumerate(zip(queries, responses, strict=True)):
        if not query:
            raise ValueError(
                f"query {row} is empty, but a response's first token needs a token before it: "
                "begin the query with a beginning-of-sequence token"
            )
        if not response:
            raise ValueError(f"response {row} has no token: keep its EOS, or drop the row")


def sent(x: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, without waiting for the work that the device has before it."""
    if device.type != "cuda" or x.device.type != "cpu":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


class Flush(NamedTuple):
    """Rows that begin in column 0, as a causal model needs no mask for.

    Attributes:
        ids: Tokens; what follows a row's end means nothing.
        places: Where the states that predict the response tokens lie, once the model's output
            [batch, longest, width] is flattened to [batch * longest, width]; row by row.
    """

    ids: Int[Tensor, "batch longest"]
    places: Int[Tensor, " tokens"]


@dataclass(frozen=True)
class Rollout:
    """Queries with their sampled responses, as one rectangle of tokens.

    Real tokens form one unbroken run in each row: the end of the query part and the beginning of
    the response part, the response's EOS (where it was sampled) included.

    Attributes:
        input_ids: Padded queries followed by padded responses.
        token_mask: True = a real token of the query or the response; the model's attention mask.
        query_width: Columns of the query part.
        host_mask: `token_mask` on the CPU, where that is elsewhere: shapes and places follow from
            it, so that nothing has to wait for the device.
    """

    input_ids: Int[Tensor, "batch total"]
    token_mask: Bool[Tensor, "batch total"]
    query_width: int
    host_mask: Bool[Tensor, "batch total"] | None = None

    @classmethod
    def from_lists(
        cls,
        queries: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        pad_id: int,
        query_width: int | None = None,
        response_width: int | None = None,
    ) -> "Rollout":
        """Build from token lists, real tokens known by length.

        Args:
            queries: Token ids of each query, at least one token each.
            responses: Token ids of each response, at least one each, EOS included if sampled.
            pad_id: The id for padding cells; it may equal the EOS id.
            query_width: Columns for queries, or None for the longest.
            response_width: Columns for responses, or None for the longest.

        Raises:
            ValueError: The lists differ in number, one of them is empty, or one is too long.
        """
        _check_lists(queries, responses)
        query_ids, query_mask = pad(queries, pad_id, "left", query_width)
        response_ids, response_mask = pad(responses, pad_id, "right", response_width)
        return cls(
            input_ids=torch.cat([query_ids, response_ids], dim=1),
            token_mask=torch.cat([query_mask, response_mask], dim=1),
            query_width=query_ids.shape[1],
        )

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.input_ids.shape[0]

    @property
    def response_ids(self) -> Int[Tensor, "batch response"]:
        """Tokens of the responses; padding cells hold the padding id."""
        return self.input_ids[:, self.query_width :]

    @property
    def response_mask(self) -> Bool[Tensor, "batch response"]:
        """True = a real response token, the EOS included."""
        return self.token_mask[:, self.query_width :]

    @property
    def response_lengths(self) -> Int[Tensor, " batch"]:
        """Real tokens of each response."""
        return self.response_mask.sum(dim=1)

    @property
    def _known(self) -> Bool[Tensor, "batch total"]:
        return self.token_mask.cpu() if self.host_mask is None else self.host_mask

    @property
    def host_lengths(self) -> Int[Tensor, " batch"]:
        """Real tokens of each response, on the CPU."""
        return self._known[:, self.query_width :].sum(dim=1)

    @property
    def response_tokens(self) -> int:
        """Real response tokens of all rows."""
        return int(self.host_lengths.sum())

    @property
    def response_places(self) -> Int[Tensor, " tokens"]:
        """Where the response part, flattened, holds real tokens; row by row."""
        cells = self._known[:, self.query_width :].flatten()
        return sent(cells.nonzero().squeeze(1), self.input_ids.device)

    def flush(self) -> Flush:
        """Move every row to column 0."""
        known = self._known
        starts = known.int().argmax(dim=1)
        longest = int(known.sum(dim=1).max())
        columns = (starts.unsqueeze(1) + torch.arange(longest)).clamp(max=known.shape[1] - 1)
        rows, response_columns = known[:, self.query_width :].nonzero(as_tuple=True)
        places = rows * longest + self.query_width - 1 - starts[rows] + response_columns
        device = self.input_ids.device
        return Flush(self.input_ids.gather(1, sent(columns, device)), sent(places, device))

    @property
    def position_ids(self) -> Int[Tensor, "batch total"]:
        """Each real token's place in its own sequence, from 0.

        Padding on the left has position 0, padding on the right its row's last position, so no
        position passes the row's real length.
        """
        return (self.token_mask.cumsum(dim=1) - 1).clamp(min=0)

    @property
    def predicting(self) -> slice:
        """The columns whose logits (or hidden states) predict the response's tokens.

        A model's output in column t is about the token in column t + 1, so this is the response
        part moved left by one.
        """
        return slice(self.query_width - 1, self.input_ids.shape[1] - 1)

    def rows(self, *, drop_last: bool = False) -> list[list[int]]:
        """Each row's real tokens.

        Args:
            drop_last: Leave out each row's last token, which predicts nothing.
        """
        starts = self.token_mask.int().argmax(dim=1)
        ends = starts + self.token_mask.sum(dim=1) - int(drop_last)
        spans = zip(self.input_ids.tolist(), starts.tolist(), ends.tolist(), strict=True)
        return [ids[start:end] for ids, start, end in spans]

    def select(self, rows: Int[Tensor, " rows"] | slice) -> "Rollout":
        """The given rows, in the given order, at unchanged width."""
        host = self.host_mask
        there = rows if isinstance(rows, slice) else sent(rows, self.input_ids.device)
        if host is not None:
            host = host[rows if isinstance(rows, slice) else rows.cpu()]
        return replace(
            self,
            input_ids=self.input_ids[there],
            token_mask=self.token_mask[there],
            host_mask=host,
        )

    def trim(self) -> "Rollout":
        """Drop the outer columns in which every row is padding."""
        real = self._known.any(dim=0).nonzero().flatten().tolist()
        if not real:
            return self
        keep = slice(real[0], real[-1] + 1)
        return replace(
            self,
            input_ids=self.input_ids[:, keep],
            token_mask=self.token_mask[:, keep],
            query_width=self.query_width - real[0],
            host_mask=None if self.host_mask is None else self.host_mask[:, keep],
        )

    def to(self, device: torch.device | str) -> "Rollout":
        """A copy whose tensors are on `device`."""
        place = torch.device(device)
        return replace(
            self,
            input_ids=sent(self.input_ids, place),
            token_mask=sent(self.token_mask, place),
            host_mask=None if place.type == "cpu" else self._known,
        )


@dataclass(frozen=True)
class Batch:
    """A rollout with all that a PPO update needs of each response token.

    Everything here is fixed before the first inner epoch and carries no gradient.

    Attributes:
        rollout: The tokens.
        old_logprobs: Log-probability under the policy that sampled, at the sampling temperature.
        ref_logprobs: The same under the reference policy.
        old_values: Value estimates at the time of sampling.
        advantages: Advantages, whitened or not.
        returns: Targets of the value function.
    """

    rollout: Rollout
    old_logprobs: Float[Tensor, "batch response"]
    ref_logprobs: Float[Tensor, "batch response"]
    old_values: Float[Tensor, "batch response"]
    advantages: Float[Tensor, "batch response"]
    returns: Float[Tensor, "batch response"]

    def __post_init__(self) -> None:
        """Refuse tensors that do not lie over the rollout's response part.

        Raises:
            ValueError: A tensor's shape differs from the response mask's.
        """
        expected = self.rollout.response_mask.shape
        for name, values in self._per_token().items():
            if values.shape != expected:
                raise ValueError(
                    f"{name} has shape {tuple(values.shape)}, expected {tuple(expected)}: "
                    "one number for each column of the response part"
                )

    def _per_token(self) -> dict[str, Tensor]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rollout"}

    def _with(self, rollout: Rollout, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed: dict[str, Any] = {name: change(x) for name, x in self._per_token().items()}
        return replace(self, rollout=rollout, **changed)

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.rollout.size

    @property
    def response_mask(self) -> Bool[Tensor, "batch response"]:
        """True = a real response token, the EOS included."""
        return self.rollout.response_mask

    def select(self, rows: Int[Tensor, " rows"] | slice) -> "Batch":
        """The given rows, in the given order, at unchanged width."""
        there = rows if isinstance(rows, slice) else sent(rows, self.old_logprobs.device)
        return self._with(self.rollout.select(rows), lambda x: x[there])

    def trim(self) -> "Batch":
        """Drop the outer columns in which every row is padding."""
        rollout = self.rollout.trim()
        width = rollout.response_mask.shape[1]
        return self._with(rollout, lambda x: x[:, :width])

    def to(self, device: torch.device | str) -> "Batch":
        """A copy whose tensors are on `device`."""
        return self._with(self.rollout.to(device), lambda x: x.to(device))


Rows = TypeVar("Rows", Rollout, Batch)


def micro_batches(data: Rows, size: int) -> Iterator[Rows]:
    """Cut a rollout or a batch into runs of at most `size` rows, in order, at unchanged width.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"micro-batch size is {size}, expected at least 1")
    for start in range(0, data.size, size):
        yield data.select(slice(start, start + size))
