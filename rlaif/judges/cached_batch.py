"""Rows of tokens in one key-value cache: they begin together, grow by pieces, and can forget.

Judging asks many questions about the same words, and reads a verdict after words that the model has
just written. With a cache that rows can share and step back in, no token is read twice.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rlaif.models.loading import LanguageModel
from rlaif.models.padding import left_pad
from rlaif.models.stepping import stepper

MIN_SHARED = 0.4  # where fewest tokens are read under the templates tried: compact, brief, detailed


class CachedBatch:
    """Rows in a cache; which columns a row sees is a mask, so holes do no harm.

    Args:
        lm: The model.
        rows: How many rows, all empty.
    """

    def __init__(self, lm: LanguageModel, rows: int) -> None:
        self._lm = lm
        self._stepper = stepper(lm, rows)
        self._seen_mask = torch.zeros(rows, 0, dtype=torch.bool, device=lm.device)

    @torch.no_grad()
    def extend(self, pieces: Sequence[Sequence[int]]) -> Tensor:
        """Append a piece of tokens to each row.

        Args:
            pieces: One per row; a row with an empty piece stays as it is.

        Returns:
            Logits [rows, vocabulary] after each row's last token; meaningless where a piece is
            empty.
        """
        ids, real_mask = left_pad(pieces, self._lm.pad_id, self._lm.device)
        before = self._seen_mask.sum(-1, keepdim=True)
        positions = (before + real_mask.long().cumsum(-1) - 1).clamp(min=0)
        self._seen_mask = torch.cat([self._seen_mask, real_mask], dim=1)
        return self._stepper.read(ids, self._seen_mask, positions).logits

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be taken several times."""
        index = torch.tensor(list(rows), device=self._lm.device)
        self._stepper.select(index)
        self._seen_mask = self._seen_mask[index]

    def forget(self, keep: Sequence[int]) -> None:
        """Forget all but the first ``keep`` tokens of each row."""
        limits = torch.tensor(list(keep), device=self._lm.device).unsqueeze(-1)
        self._seen_mask = self._seen_mask & (self._seen_mask.long().cumsum(-1) <= limits)


def read_together(lm: LanguageModel, rows: Sequence[Sequence[int]]) -> tuple[CachedBatch, Tensor]:
    """Read rows into a cache, each run of rows with a long common beginning reading that once.

    Args:
        lm: The model.
        rows: Token ids, at least two in each; rows that begin alike should be neighbours.

    Returns:
        The batch, and the logits [rows, vocabulary] after each row.
    """
    groups = group_by_beginning(rows)
    shared = [shared_length([rows[i] for i in group]) for group in groups]
    batch = CachedBatch(lm, len(groups))
    batch.extend([rows[group[0]][:end] for group, end in zip(groups, shared, strict=True)])
    batch.select([number for number, group in enumerate(groups) for _ in group])
    ends = [end for group, end in zip(groups, shared, strict=True) for _ in group]
    return batch, batch.extend([row[end:] for row, end in zip(rows, ends, strict=True)])


def group_by_beginning(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Cut a list of rows into runs whose common beginning is a good part of every row."""
    groups: list[list[int]] = []
    shared = longest = 0
    for place, row in enumerate(rows):
        joint = min(shared, shared_length([rows[groups[-1][0]], row])) if groups else 0
        if groups and joint >= MIN_SHARED * max(longest, len(row)):
            groups[-1].append(place)
            shared, longest = joint, max(longest, len(row))
        else:
            groups.append([place])
            shared, longest = len(row) - 1, len(row)
    return groups


def shared_length(rows: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all rows begin with alike, at most all but one of the shortest."""
    most = max(min(map(len, rows)) - 1, 0)
    lowest, highest = min(map(list, rows)), max(map(list, rows))  # others lie between, alike so far
    columns = zip(range(most), lowest, highest, strict=False)
    return next((i for i, one, other in columns if one != other), most)
