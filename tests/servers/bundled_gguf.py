"""A Llama with a byte-level BPE, as GGUF for llama.cpp.

It runs in llama.cpp's own environment, which has ``gguf`` and neither torch nor this package. The
bundled judge is such a Llama; its output head is its embedding, so the file has none of its own.
"""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

NUMPY_TYPES = {"F16": np.float16, "F32": np.float32}
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}
BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(folder: Path, file: Path) -> None:
    """Write a model's folder as one file."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(file, "llama")
    describe(writer, config)
    add_tokenizer(writer, folder, config)
    for name, tensor in tensors(folder / "model.safetensors"):
        writer.add_tensor(name_of(name), laid_out(name, tensor, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """Write down the model's shape."""
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def add_tokenizer(writer: gguf.GGUFWriter, folder: Path, config: dict[str, Any]) -> None:
    """Write down the vocabulary, its merges and the chat template."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    control = {token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_types(
        [kinds.CONTROL if i in control else kinds.NORMAL for i in range(len(vocabulary))]
    )
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


def tensors(file: Path) -> list[tuple[str, np.ndarray]]:
    """Read the tensors of a safetensors file: a header's length, the header, the bytes."""
    raw = file.read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:begin])
    header.pop("__metadata__", None)
    return [
        (
            name,
            np.frombuffer(
                raw[begin + found["data_offsets"][0] : begin + found["data_offsets"][1]],
                NUMPY_TYPES[found["dtype"]],
            ).reshape(found["shape"]),
        )
        for name, found in header.items()
    ]


def name_of(name: str) -> str:
    """Return what llama.cpp calls a tensor."""
    if name in NAMES:
        return NAMES[name]
    _, _, block, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{block}.{BLOCK_NAMES[part]}.weight"


def laid_out(name: str, tensor: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Return a tensor as llama.cpp wants it.

    Norms are float32. It turns neighbouring pairs of a query's or key's numbers by the position,
    where the file has the first numbers of all pairs and then the second ones.
    """
    if tensor.ndim == 1:
        return tensor.astype(np.float32)
    heads = {
        "q_proj": config["num_attention_heads"],
        "k_proj": config["num_key_value_heads"],
    }.get(name.split(".")[-2])
    if heads is None:
        return tensor
    rows, columns = tensor.shape
    halves = tensor.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
