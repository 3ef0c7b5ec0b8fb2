"""The models, tokenizer and prompts of the speed comparison: random weights, made on the spot.

One number of the residual stream is the same for every token, and the end token's row of the tied
embedding reads it: so the chance that an answer ends is set (none in `tiny` and `small`, about one
in 48 tokens in `natural`) while everything else is random.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rlaif.models.reward import RewardModel
from rlaif.seeds import seed_everything, torch_generator

PAD, END = 0, 1
CARRIED = 0.2


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
        shared_heads: Attention heads of keys and values; None: as many as of queries.
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
    shared_heads: int | None = None


TINY = Shape("tiny", 4, 256, 4, 688, 2048, 64)
SHAPES = {
    "tiny": TINY,
    "small": Shape("small", 12, 576, 9, 1536, 49152, 16),
    "natural": replace(TINY, name="natural", response=192, mean_length=48.0),
}


def make_world(shape: Shape, folder: Path, updates: int, seed: int = 0) -> None:
    """Write policy, reward model, tokenizer and prompts of a shape into a folder."""
    generator = torch_generator(seed)
    seed_everything(seed)
    model = _policy(shape, generator)
    tokenizer = _tokenizer(shape)
    model.save_pretrained(folder / "policy")
    tokenizer.save_pretrained(folder / "policy")
    reward = RewardModel.from_policy(str(folder / "policy"), seed)
    reward.save(folder / "reward")
    tokenizer.save_pretrained(folder / "reward")
    count = (shape.batch * updates, shape.prompt)
    prompts = torch.randint(2, shape.vocab, count, generator=generator)
    (folder / "prompts.json").write_text(json.dumps(prompts.tolist()), encoding="utf-8")
    (folder / "shape.json").write_text(json.dumps(asdict(shape)), encoding="utf-8")


def read_shape(folder: Path) -> Shape:
    """Read the shape of a world."""
    return Shape(**json.loads((folder / "shape.json").read_text(encoding="utf-8")))


def flops_of_update(shape: Shape, mean_length: float) -> float:
    """Return the operations that an update needs, of which both sides do at least as many.

    Two for each weight and token of: sampling, the reference's log-probs, the reward, and three
    times as much (forward, and backward twice) for each epoch. The head counts for response tokens
    only; products of attention, a few percent at these lengths, are left out.
    """
    trunk, head = flops_of_pass(shape, mean_length)
    return (2 + 3 * shape.epochs) * (trunk + head) + trunk


def flops_of_pass(shape: Shape, mean_length: float) -> tuple[float, float]:
    """Return the operations of a batch's forward pass, of the trunk and of the head."""
    width = shape.width
    shared = width * (shape.shared_heads or shape.heads) // shape.heads
    block = 2 * width * (width + shared) + 3 * width * shape.inner
    tokens = shape.batch * (shape.prompt + mean_length)
    trunk = 2 * shape.layers * block * tokens
    head = 2 * shape.vocab * width * shape.batch * mean_length
    return trunk, head


def _config(shape: Shape) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.shared_heads or shape.heads,
        max_position_embeddings=max(512, shape.prompt + shape.response),
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=END,
    )


def _policy(shape: Shape, generator: torch.Generator) -> LlamaForCausalLM:
    """Return a policy whose residual stream carries one number that no block changes."""
    model = LlamaForCausalLM(_config(shape)).requires_grad_(requires_grad=False)
    model.get_input_embeddings().weight[:, 0] = CARRIED
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0.0
        layer.mlp.down_proj.weight[0] = 0.0
    _set_ending(model, shape, generator)
    return model.requires_grad_(requires_grad=True)


def _set_ending(model: LlamaForCausalLM, shape: Shape, generator: torch.Generator) -> None:
    """Set by bisection how strongly the end token reads the carried number."""
    embedding = model.get_input_embeddings().weight
    embedding[PAD, 0] = -100.0  # never drawn: TRL takes filler for the end of an answer
    if shape.mean_length is None:
        embedding[END, 0] = -100.0
        return
    probe = torch.randint(2, shape.vocab, (16, 64), generator=generator)
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        embedding[END, 0] = middle
        chance = model(probe).logits.softmax(-1)[..., END].mean()
        low, high = (low, middle) if chance > 1 / shape.mean_length else (middle, high)


def _tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    filler, end = "<pad>", "<end>"
    words = {filler: PAD, end: END} | {f"w{i}": i for i in range(2, shape.vocab)}
    tokenizer = Tokenizer(WordLevel(words, unk_token=filler))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=filler, eos_token=end)
