"""``python benchmarks/small_judge.py FILE FOLDER``: a GGUF file as a folder that rlaif loads.

Weights are taken out of their quantised form. Run by ``make small-judge`` on SmolLM2-135M-Instruct
(Allal et al. 2025; Apache 2.0), a chat model that is small enough for a package index to hold.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(file: Path, folder: Path) -> None:
    """Write a model and its tokenizer as Safetensors and JSON."""
    where, name = str(file.parent), file.name
    read = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # no longer true, and a reason not to write the model
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
