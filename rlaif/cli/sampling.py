"""Letting a policy of a project answer prompts; this module computes, so it loads torch."""

from dataclasses import dataclass
from typing import Any

from rlaif.cli.policy import BASE, CURRENT, find_policy, serving_path
from rlaif.config import hide_model_hub_noise
from rlaif.errors import UsageError
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.reads import LedgerReads
from rlaif.project import Project
from rlaif.records import Message
from rlaif.seeds import torch_generator

Conversation = tuple[Message, ...]


@dataclass(frozen=True)
class Wish:
    """What is to be sampled; None takes the project's setting.

    Attributes:
        prompt: What to answer; None for held-out prompts.
        count: Answers to the prompt, or held-out prompts.
        temperature: 0 decodes greedily.
        seed: Seed of the sampling.
    """

    prompt: str | None
    count: int
    temperature: float | None
    seed: int | None


def sample(project: Project, version: str, wish: Wish) -> list[dict[str, Any]]:
    """Sample answers of a policy.

    Args:
        project: The project.
        version: The policy's version, ``base`` or ``current``.
        wish: What to sample.

    Returns:
        Objects with ``prompt``, ``answer``, ``tokens`` and ``ended``.

    Raises:
        UsageError: There is no such policy, or no held-out prompt.
        ArtifactError: The policy's folder is missing or changed.
        ModelError: It cannot be loaded, or a prompt does not fit.
    """
    path, conversations = _policy_and_prompts(project, version, wish)
    hide_model_hub_noise()
    from rlaif.models.decoding import DecodeSettings, decode
    from rlaif.models.encoding import encode_conversation
    from rlaif.models.loading import load_language_model, pick_device

    lm = load_language_model(path, pick_device(project.config.run.device))
    setting = project.config.generation
    heat = setting.temperature if wish.temperature is None else wish.temperature
    seed = project.config.run.seed if wish.seed is None else wish.seed
    found = decode(
        lm,
        [encode_conversation(lm, turns) for turns in conversations],
        DecodeSettings(max_tokens=setting.max_tokens, temperature=heat),
        torch_generator(seed, lm.device.type),
    )
    return [
        {
            "prompt": turns[-1].content,
            "answer": answer.text,
            "tokens": len(answer.token_ids),
            "ended": answer.ended,
        }
        for turns, answer in zip(conversations, found, strict=True)
    ]


def _policy_and_prompts(
    project: Project, version: str, wish: Wish
) -> tuple[str, list[Conversation]]:
    if not project.ledger_path.is_file():
        if version not in (BASE, CURRENT) or wish.prompt is None:
            raise UsageError(
                f"no cycle was run yet, so there is neither policy {version!r} nor a held-out draw",
                "'base' and a prompt",
                'write: rlaif policy sample base "PROMPT"',
            )
        return project.resolve(project.config.policy.path), _asked(wish.prompt, wish.count)
    with LedgerReader.open(project.ledger_path) as reader:
        row = find_policy(reader, version)
        conversations = (
            _held_out(reader, wish.count)
            if wish.prompt is None
            else _asked(wish.prompt, wish.count)
        )
    return serving_path(project, row), conversations


def _asked(prompt: str, count: int) -> list[Conversation]:
    return [(Message(role="user", content=prompt),)] * count


def _held_out(reads: LedgerReads, count: int) -> list[Conversation]:
    for cycle in reversed(reads.cycles()):
        drawn = reads.cycle_prompts(cycle.number, "eval")
        if drawn:
            return [prompt.messages for prompt in drawn[:count]]
    raise UsageError(
        "no cycle has drawn held-out prompts yet",
        "a cycle that has sampled its prompts",
        'name a prompt: rlaif policy sample V "PROMPT"',
    )
