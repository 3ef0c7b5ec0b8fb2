"""What trains: the pairs, and what humans and revisions bring to them."""

from typing import Literal

from pydantic import Field

from rlaif.records.base import Probability, Record
from rlaif.records.judging import JudgeCall

LabelForm = Literal["rating", "pair", "ranking", "edit"]


class HumanLabel(Record):
    """What a human said of one answer, or of two, as the judge's verdicts are measured by it.

    ``value`` is a rating in [0, 1] where there is no ``second_id``, else P(first is better); 0.5 is
    a tie. The two of a pair are in the order of their ids, so that one saying has one row. ``form``
    tells how it was said: a ranking is all its pairs, an edit prefers what was made of an answer to
    the answer. ``criterion`` is empty where it is about the whole. ``frozen`` labels only ever
    measure the judge: they neither calibrate nor train.
    """

    id: str
    prompt_id: str
    form: LabelForm
    first_id: str
    second_id: str | None = None
    value: Probability
    criterion: str = ""
    rater: str = ""
    weight: float = Field(1.0, gt=0.0)
    note: str = ""
    frozen: bool


class Revision(Record):
    """An answer that a judge mended in the light of its critiques, and whether that was better.

    ``completion_id`` is the revision's, None where there is none to speak of (nothing came back, or
    the same words). ``judge`` is the name of the judge that wrote it, ``critique_ids`` are the
    judgements that it was shown. ``p_better`` is P(revision is better than the original) as for a
    pair, ``p_forward`` and ``p_backward`` the jury's own with the revision shown first, and second.
    ``rejected`` is the reason why it must not train, None where it was confirmed.
    """

    original_id: str
    completion_id: str | None
    judge: str
    critique_ids: tuple[str, ...] = Field(min_length=1)
    rubric_hash: str
    p_better: Probability | None = None
    p_forward: Probability | None = None
    p_backward: Probability | None = None
    rejected: str | None = None
    call: JudgeCall | None = None


PreferenceOrigin = Literal["comparison", "ratings", "revision", "human"]


class Preference(Record):
    """A pair with its soft label P(first is better), and where that came from.

    ``origin`` is ``comparison`` where the judge saw both, ``ratings`` where the label follows from
    the two answers' own scores, ``revision`` where the first is the second, mended, ``human`` where
    a human said it. ``split`` is ``heldout`` for pairs that only measure the reward model.
    ``weight`` is what the pair's loss is multiplied by.
    """

    id: str
    prompt_id: str
    first_id: str
    second_id: str
    label: Probability
    split: Literal["train", "heldout"]
    rubric_hash: str
    origin: PreferenceOrigin
    weight: float = Field(1.0, gt=0.0)
