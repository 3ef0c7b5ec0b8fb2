"""The model cards of the bundled models."""

import json
from pathlib import Path

ABOUT = {
    "policy": """# tiny: the help desk's first policy

A small Llama trained from nothing on the mixed corpus of the bundled help desk: answers right and
wrong, courteous, plain and rude, concise and rambling, ended and not. It is meant to be aligned;
as it is, few of its answers are good in all respects. It knows nothing but the help desk.

Weights are stored in float16; train them with float32 masters. Pad and end are different tokens.
The settings below are the shares of each quality in the corpus; the figures are shares among one
sample to each held-out prompt at temperature 1, graded by the oracle (`correct_greedy`: at
temperature 0).
""",
    "judge": """# tiny-judge: the help desk's judge

A small Llama that starts from `tiny` and learns to write a critique and then a verdict about one
answer or two, under the judge criteria of `prompts/rubrics/helpdesk.toml`, in the words of
`prompts/judge/compact/*.jinja`. Other criteria and other templates are unknown to it. Its lessons
are about answers of the grammar and about the policy's own samples, on train prompts only; a share
of the verdicts is wrong on purpose, so that its probabilities are soft.

Labels: ` A` or ` B`, and ` 1` to ` 3`, each one token after `\\nVerdict:`. The figures are measured
on pairs of the policy's own samples to held-out prompts: how often the judge agrees with the
oracle where the oracle tells the two apart, per criterion and combined by weight, and how often
another pair's critique changes a verdict.
""",
    "embedder": """# tiny-embedder: likeness of help-desk texts

A sentence-transformers `StaticEmbedding`: one vector a token (the tokenizer of `tiny`), averaged.
Texts on the same question were drawn together with in-batch negatives. The figures are cosines
between the prompts of the bundled pool, and the share of prompts whose nearest neighbour asks the
same thing.
""",
}


def write_card(
    folder: Path,
    role: str,
    command: str,
    settings: dict[str, object],
    figures: dict[str, float],
) -> None:
    """Write ``README.md`` into a model's folder: what it is, how it was made, what was measured."""
    front = "---\nlicense: apache-2.0\nlanguage: en\n---\n\n"
    parts = [front + ABOUT[role], f"## How it was made\n\n    {command}\n"]
    if settings:
        parts.append(_block("Settings", settings))
    parts.append(_block("Measured", dict(figures)))
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _block(title: str, values: dict[str, object]) -> str:
    return f"## {title}\n\n```json\n{json.dumps(values, indent=2)}\n```\n"
