"""Where a judge's servers are may change while a cycle is under way; what they say may not."""

from collections.abc import Iterator
from typing import Any

from rlaif.config.serving import TRANSPORT

Sections = dict[str, Any]


def with_transport(kept: Sections, new: Sections) -> Sections:
    """Return settings with servers' addresses, keys, limits and prices as they are now.

    A moved server or a renewed key must not cost the cycle that is under way its labels.

    Args:
        kept: The settings of a cycle under way, its judges as it began with them.
        new: The settings as they are now.
    """
    fresh = {_identity(judge): judge["server"] for judge in _served(new)}
    return _renewed(kept, fresh)


def _renewed(kept: Sections, fresh: dict[str, Sections]) -> Sections:
    found = dict(kept)
    found["judge"] = _judge(kept["judge"], fresh)
    found["jurors"] = [_judge(juror, fresh) for juror in kept["jurors"]]
    gate = kept["evaluation"].get("judge")
    if gate is not None:
        found["evaluation"] = {**kept["evaluation"], "judge": _judge(gate, fresh)}
    return found


def _judge(judge: Sections, fresh: dict[str, Sections]) -> Sections:
    server = judge.get("server")
    now = fresh.get(_identity(judge)) if server else None
    if server is None or now is None:
        return judge
    return {**judge, "server": {k: now[k] if k in TRANSPORT else v for k, v in server.items()}}


def _served(sections: Sections) -> Iterator[Sections]:
    """Yield judges on servers, those who make labels last: they go first where two are alike."""
    judges = (sections["evaluation"]["judge"], *sections["jurors"], sections["judge"])
    yield from (judge for judge in judges if judge is not None and judge["server"] is not None)


def _identity(judge: Sections) -> str:
    server = judge.get("server") or {}
    return f"{judge.get('name', '')}\n{server.get('model', '')}"
