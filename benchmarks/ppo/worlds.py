"""The models, tokenizer and prompts of the speed comparison: random weights, made on the spot.

One number of the residual stream is the same for every token, and the end token's row of the tied
embedding reads it: so the chance that an answer ends is set (none in `tiny` and `small`, about one
in 48 tokens in `natural`) while everything else is random.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PAD, END = 0, 1
CARRIER = 0.02


@dataclass(frozen=True)
class Shape:
    """One line of the comparison.

    Attributes:
        name: As the issue and the table call it.
        layers: Transformer blocks.
        width: Hidden width.
        heads: Attention heads.
        inner: Width inside the feed-forward part.
        vocab: Tokens, embeddings tied.
        batch: Rollouts per update, one optimiser step per epoch.
        prompt: Tokens of each prompt.
        response: Limit of new tokens.
        epochs: Passes over each rollout.
        mean_length: Wanted mean length of answers that end by themselves; None: none ends.
    """

    name: str
    layers: int
    width: int
    heads: int
    inner: int
    vocab: int
    batch: int
    prompt: int = 32
    response: int = 48
    epochs: int = 4
    mean_length: float | None = None


TINY = Shape("tiny", 4, 256, 4, 688, 2048, 64)
SHAPES = {
    "tiny": TINY,
    "small": Shape("small", 12, 576, 9, 1536, 49152, 16),
    "natural": replace(TINY, name="natural", response=192, mean_length=48.0),
}


def make_world(shape: Shape, folder: Path, updates: int, seed: int = 0) -> None:
    """Write policy, reward model's head, tokenizer and prompts of a shape into a folder."""
    generator = torch.Generator().manual_seed(seed)
    model = _policy(shape, generator)
    tokenizer = _tokenizer(shape)
    model.save_pretrained(folder / "policy")
    tokenizer.save_pretrained(folder / "policy")
    head = torch.randn(1, shape.width, generator=generator) / (shape.width + 1) ** 0.5
    save_file({"weight": head}, folder / "reward_head.safetensors")
    prompts = torch.randint(
        2, shape.vocab, (shape.batch * updates, shape.prompt), generator=generator
    )
    (folder / "prompts.json").write_text(json.dumps(prompts.tolist()), encoding="utf-8")
    (folder / "shape.json").write_text(json.dumps(asdict(shape)), encoding="utf-8")


def read_shape(folder: Path) -> Shape:
    """Read the shape of a world."""
    return Shape(**json.loads((folder / "shape.json").read_text(encoding="utf-8")))


def _config(shape: Shape) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=END,
    )


def _policy(shape: Shape, generator: torch.Generator) -> LlamaForCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(
            int(torch.randint(2**31, (), generator=generator))
        )
        model = LlamaForCausalLM(_config(shape))
    model.requires_grad_(requires_grad=False)
    embedding = model.get_input_embeddings().weight
    embedding[:, 0] = CARRIER * 10
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0.0
        layer.mlp.down_proj.weight[0] = 0.0
    _set_ending(model, shape, generator)
    return model.requires_grad_(requires_grad=True)


def _set_ending(model: LlamaForCausalLM, shape: Shape, generator: torch.Generator) -> None:
    """Set the end token's reading of the carrier so that answers end at the wanted rate."""
    embedding = model.get_input_embeddings().weight
    probe = torch.randint(2, shape.vocab, (16, 64), generator=generator)
    if shape.mean_length is None:
        embedding[END, 0] = -100.0
        return
    low, high = -20.0, 20.0
    for _ in range(40):
        embedding[END, 0] = (low + high) / 2
        chance = model(probe).logits.softmax(-1)[..., END].mean()
        low, high = (
            (low, embedding[END, 0].item())
            if chance > 1 / shape.mean_length
            else (embedding[END, 0].item(), high)
        )


def _tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    words = {"<pad>": PAD, "<end>": END} | {f"w{i}": i for i in range(2, shape.vocab)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<end>",  # noqa: S106
    )
