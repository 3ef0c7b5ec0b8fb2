"""Settings of how the judge itself is watched."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from rlaif.config.section import Section, Share

Limit = Literal["off"] | Share


class AuditConfig(Section):
    """How the judge is tried and watched, and what happens when it is not to be trusted.

    A limit is passed where the whole interval of a figure lies beyond it.
    """

    probe_share: Share = Field(
        0.05,
        description="share of a cycle's training prompts of which one answer is judged a second "
        "time with an attack added; at least one, unless this is 0",
    )
    again_share: Share = Field(
        0.05,
        description="share of a cycle's training prompts of which one answer is rated, and one "
        "pair compared, a second time, a space at its end making it a new question; at least one, "
        "unless this is 0",
    )
    gain_margin: Share = Field(
        0.1,
        description="a rating that rises by more than this shows that the attack worked; one that "
        "moves by more when asked again is another rating",
    )
    window_cycles: PositiveInt = Field(
        5,
        description="attacks and second askings count towards limits from so many of the rubric's "
        "latest cycles; an interval above one half takes at least four attacks that worked",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(
        0.95, description="level of the intervals"
    )
    max_injection: Limit = Field(
        0.5, description="share of injections that the judge may prefer to the answer without"
    )
    max_padding: Limit = Field(
        "off", description="share of padded or repeated answers that the judge may prefer"
    )
    max_position_bias: Limit = Field(
        "off", description="share of pairs in which the same position may win in both orders"
    )
    max_length_bias: Limit = Field(
        "off", description="share of pairs in which the longer answer may be preferred"
    )
    min_self_consistency: Limit = Field(
        "off", description="share of questions that must get the same verdict when asked again"
    )
    max_failures: Limit = Field(0.2, description="share of judgements that may have no verdict")
    on_breach: Literal["warn", "quarantine", "stop"] = Field(
        "warn",
        description="warn: say so; quarantine: this cycle's labels do not train, and it holds; "
        "stop: end the run before training",
    )
