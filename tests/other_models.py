"""Model folders that are not the project's own tiny Llama, and adapters that were changed."""

import json
from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM

from rlaif.models.identity import ADAPTER_CONFIG
from rlaif.seeds import seed_everything
from rlaif.testing import make_tiny_lm

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 1024,
    "vocab_size": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def make_other_lm(folder: Path, family: str, *, seed: int = 0, **settings: object) -> Path:
    """Write a small random model of a family, with the tiny Llama's tokenizer.

    Args:
        folder: Where to write; made if missing.
        family: Its ``model_type``.
        seed: Seed of the weights.
        settings: Of its configuration, over `SIZES`.
    """
    make_tiny_lm(folder)
    config = AutoConfig.for_model(family, **{**SIZES, **settings})
    seed_everything(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def reconfigured(folder: Path, changes: dict[str, object]) -> Path:
    """Change what an adapter's folder says of itself."""
    path = folder / ADAPTER_CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | changes), encoding="utf-8")
    return folder
