"""Judges behind servers; the SDK is imported only when ``OpenAIJudge`` is first asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlaif.judges.remote.judge import OpenAIJudge

__all__ = ["OpenAIJudge"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any attribute, or none
    if name == "OpenAIJudge":
        from rlaif.judges.remote.judge import OpenAIJudge

        return OpenAIJudge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
