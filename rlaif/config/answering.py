"""Settings of a run, its policy, its prompts and their answers."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from rlaif.config.section import Section, Share
from rlaif.records import Optimizer

Device = Literal["auto", "cpu", "cuda", "mps"]


class RunConfig(Section):
    """What belongs to the whole run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        20261122, description="every random number of the run is derived from it"
    )
    device: Device = Field(
        "auto", description="where models run; auto takes cuda, then mps, then cpu"
    )


class PolicyConfig(Section):
    """The language model that is being aligned."""

    path: str = Field(
        "bundled:tiny", description="base policy: a folder, a hub id, or bundled:tiny"
    )
    optimizer: Optimizer = Field(
        "ppo",
        description="how a challenger is trained; of the others' sections nothing is read but "
        "ppo.reference and ppo.missing_eos_score",
    )


class SamplingConfig(Section):
    """Which prompts a cycle works on."""

    pools: str = Field("prompts/pools/*.jsonl", description="glob of the prompt files")
    prompts_per_cycle: PositiveInt = Field(208, description="training prompts drawn per cycle")
    strategy: Literal["uniform", "coverage", "hard"] = Field(
        "uniform",
        description="uniform; coverage: spread over embedding space; hard: low margin or low "
        "reward last time first",
    )
    duplicate_similarity: Share = Field(
        0.995, description="cosine above which two prompts of one split count as one"
    )
    eval_share: Share = Field(
        0.2, description="share of prompts without a split that is held out, by stable hash"
    )
    eval_prompts: PositiveInt = Field(300, description="held-out prompts that an evaluation uses")


class GenerationConfig(Section):
    """How policies answer."""

    completions_per_prompt: Annotated[int, Field(ge=2)] = Field(
        4, description="answers sampled per prompt"
    )
    temperature: PositiveFloat = Field(1.0, description="sampling temperature")
    max_tokens: PositiveInt = Field(48, description="tokens that an answer may take")
    batch_size: PositiveInt = Field(192, description="answers decoded together: one unit")
    duplicate_similarity: Share = Field(
        0.999,
        description="cosine above which a completion is marked as a duplicate and not judged twice",
    )
