"""What all records have in common: frozen, strict, and named by digests of what they hold."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value in canonical form: sorted keys, no spaces; equal values, equal text."""
    return _CANONICAL.encode(value)


def digest_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, UTF-8, no spaces)."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def make_id(kind: str, *names: str | int) -> str:
    """Return a stable identifier such as ``completion-3f9a0c21be77d04c5a16``.

    Its 80 bits keep ten million rows of a kind apart but for one chance in 10^10.
    """
    return f"{kind}-{digest_of([kind, *names])[:20]}"
