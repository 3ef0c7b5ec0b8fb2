"""What a rubric needs of the models that serve it."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rlaif.judges.protocol import JudgeReply, JudgeRequest, WriteReply, WriteRequest


class Judge(Protocol):
    """A model that critiques and decides.

    Attributes:
        name: What people call it.
        digest: Identity of all that decides its replies: weights and settings.
        special_tokens: Strings that its tokenizer would read as control tokens; candidate text
            is rendered without them.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above

    @property
    def digest(self) -> str: ...  # noqa: D102 - described above

    @property
    def special_tokens(self) -> Sequence[str]: ...  # noqa: D102 - described above

    def judge(self, requests: Sequence[JudgeRequest]) -> list[JudgeReply]:
        """Answer requests, one reply for each, in their order.

        A request that fails gets a reply with the reason; it never costs the others theirs. The
        same requests in the same order get the same replies.
        """
        ...


@runtime_checkable
class Writer(Protocol):
    """What a judge may be beside: one that writes free text."""

    def write(self, requests: Sequence[WriteRequest]) -> list[WriteReply]:
        """Write to requests, one reply for each, in their order, as :meth:`Judge.judge` does.

        A reply that had not ended at its limit fails with ``protocol.cut_off``; it is never passed
        off as whole.
        """
        ...


@runtime_checkable
class LabelReader(Protocol):
    """What a judge may be beside: one that reads verdicts off tokens, and may lack some labels'."""

    def require_labels(self, labels: Sequence[str]) -> None:
        """Refuse labels that it cannot tell apart, before it is asked for them.

        Raises:
            ModelError: It cannot.
        """
        ...


class SentenceEncoder(Protocol):
    """An embedder: texts -> unit rows [texts, dimensions], with the digest of its weights."""

    digest: str

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.floating[Any]]: ...  # noqa: D102
