"""The reward model's network: a policy's trunk, and numbers read off it at the last real token.

Its folder is the trunk in Hugging Face format (``AutoModel`` reads it as it is), or an adapter on
the policy's base in PEFT's, with the heads beside it in ``reward_head.safetensors``. What the heads
of one trunk, or several such networks, say together is the business of
``rlaif.models.reward_ensemble``.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from rlaif.errors import ModelError
from rlaif.models.identity import is_adapter
from rlaif.models.lean.layout import Layout
from rlaif.models.lean.trunk import LeanTrunk
from rlaif.models.lean.weights import is_supported
from rlaif.models.loading import LOADING_FAULTS, LanguageModel, load_adapted, load_language_model
from rlaif.seeds import torch_generator

HEAD_FILE = "reward_head.safetensors"


class RewardModel(nn.Module):
    """Gives a conversation with its answer one raw number a head.

    Raw numbers are linear in the trunk's last hidden state at the last real token, which is
    known from the mask, never from token ids, so padding with the end token is harmless. Weights
    are float32 whatever they were stored in.

    Attributes:
        trunk: The policy's network without its language-model head.
        adapted: The base under the adapter that makes this trunk of it, where one does.
        head: From hidden state to raw numbers, one for each member of an ensemble.
        gain: Scale of the rewards, ``gain * raw + bias`` [].
        bias: Shift of each head's rewards [heads].
        config: The trunk's configuration, as one that has a single label.
    """

    accepts_loss_kwargs: ClassVar[bool] = False
    _keys_to_ignore_on_save: ClassVar[None] = (
        None  # asked for where a checkpoint leaves weights out
    )
    gain: Tensor
    bias: Tensor

    def __init__(
        self, trunk: PreTrainedModel, heads: int = 1, adapted: LanguageModel | None = None
    ) -> None:
        super().__init__()
        self.trunk = trunk.eval()
        self.adapted = adapted
        self._lean: LeanTrunk | None = None if adapted is None else adapted.lean
        self.config: PreTrainedConfig = copy.deepcopy(trunk.config)
        self.config.num_labels = 1
        width = int(trunk.config.get_text_config().hidden_size)
        self.head = nn.Linear(width, heads, bias=False)
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("bias", torch.zeros(heads))
        embeddings = trunk.get_input_embeddings()
        if isinstance(embeddings, nn.Embedding):
            # Where padding is the end token, torch would never train the end token's row.
            embeddings.padding_idx = None

    @classmethod
    def from_trunk(cls, trunk: PreTrainedModel, seed: int, heads: int = 1) -> Self:
        """Put new heads on a trunk, which becomes the reward model's own.

        Each starts at standard deviation 1 / sqrt(h + 1), h being the width of the hidden state
        (Stiennon et al. 2020, appendix B.1), and no two alike.
        """
        return cls(trunk.float(), heads)._with_new_heads(seed).to(trunk.device)

    @classmethod
    def from_adapter(cls, adapted: LanguageModel, seed: int, heads: int = 1) -> Self:
        """Put new heads on the trunk of a base under an adapter, as `from_trunk` does."""
        model = cls(trunk_of(adapted.model), heads, adapted)
        return model._with_new_heads(seed).to(adapted.device)

    @classmethod
    def from_policy(cls, path: str, seed: int, heads: int = 1) -> Self:
        """Start from a policy's weights, its language-model head left out, on the CPU.

        Raises:
            ModelError: The policy cannot be loaded.
        """
        policy = load_language_model(path, torch.device("cpu"), trainable=True)
        return cls.from_trunk(trunk_of(policy.model), seed, heads)

    @classmethod
    def load(
        cls,
        folder: Path,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        beside: LanguageModel | None = None,
    ) -> Self:
        """Read a folder that :meth:`save` wrote, frozen and ready to score.

        Args:
            folder: The folder.
            device: Where to put it; the CPU if not said.
            dtype: Type of the trunk's weights and products.
            beside: A policy whose base an adapter may share.

        Raises:
            ModelError: The folder holds no readable reward model.
        """
        transformers_logging.disable_progress_bar()
        device = device or torch.device("cpu")
        try:
            head = load_file(folder / HEAD_FILE)
            heads = len(head["weight"])
            if is_adapter(str(folder)):
                adapted = load_adapted(folder, device, dtype, beside)
                model = cls(trunk_of(adapted.model), heads, adapted)
            else:
                trunk = AutoModel.from_pretrained(
                    folder, dtype=dtype, local_files_only=True, trust_remote_code=False
                )
                model = cls(trunk.requires_grad_(False), heads)
            model.head.load_state_dict({"weight": head["weight"]})
            model.gain.copy_(head["gain"])
            model.bias.copy_(head["bias"].reshape(-1))
        except LOADING_FAULTS as exc:
            raise ModelError(
                f"{folder} holds no readable reward model: {exc}",
                f"a trunk or an adapter, and {HEAD_FILE} beside it",
                "run the reward model's stage again",
            ) from exc
        model.head.requires_grad_(False)
        return model.to(device)

    def save(self, folder: Path) -> None:
        """Write the trunk in Hugging Face format, or its adapter in PEFT's, and the heads.

        The bias of a single head is written as a number without dimension.
        """
        if self.adapted is None:
            self.trunk.save_pretrained(folder)
        else:
            folder.mkdir(exist_ok=True)
            self.adapted.save_weights(folder)
        bias = self.bias.squeeze(0) if self.heads == 1 else self.bias
        head = {"weight": self.head.weight.detach(), "gain": self.gain, "bias": bias}
        save_file({name: x.cpu().contiguous() for name, x in head.items()}, folder / HEAD_FILE)

    def train(self, mode: bool = True) -> Self:
        """Set the heads' mode; the trunk stays in evaluation, so nothing drops out."""
        self.training = mode
        self.head.train(mode)
        return self

    @property
    def heads(self) -> int:
        """How many numbers an answer gets."""
        return self.head.out_features

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the raw numbers of each row, with gradient.

        Rows are run in micro-batches of like length, so that short ones pay for no padding.

        Args:
            input_ids: Token ids [batch, tokens], padded on any side.
            attention_mask: True (or 1) = a real token [batch, tokens]; at least one a row.

        Returns:
            float32 [batch, heads].
        """
        real = attention_mask.bool()
        if input_ids.device.type == "cpu" and is_supported(self.trunk):
            return self._run_lean(input_ids, real)
        to_the_left = (~real).int().argsort(dim=1, stable=True)
        ids = input_ids.gather(1, to_the_left)
        lengths = real.sum(dim=1)
        order = lengths.argsort(stable=True)
        size = 16 if ids.device.type == "cpu" else 64
        parts = [self._run(ids[rows], lengths[rows]) for rows in order.split(size)]
        return torch.cat(parts)[order.argsort()]

    def add_model_tags(self, tags: Sequence[str] | str) -> None:
        """Take no tags: TRL adds its own to every model, for cards on a hub."""

    def _with_new_heads(self, seed: int) -> Self:
        with torch.no_grad():
            std = (self.head.in_features + 1) ** -0.5
            self.head.weight.normal_(std=std, generator=torch_generator(seed))
        return self

    def _run_lean(self, ids: Tensor, real: Tensor) -> Tensor:
        """Score rows on the lean trunk, whose last block runs for last tokens only."""
        trunk = self._lean or LeanTrunk(self.trunk, self.trunk.dtype)
        self._lean = trunk
        trunk.outdate()  # it may be in training, by an optimiser that does not say so
        rows = [row[mask].tolist() for row, mask in zip(ids, real, strict=True)]
        layout = Layout.of(rows, 0)
        states = trunk.states(layout, layout.starts + real.sum(dim=1) - 1)
        raw: Tensor = self.head(states.float())
        return raw

    def _run(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Score rows that begin in column 0.

        The trunk is causal, so no real token sees the filler on its right and no mask is needed.
        """
        half = ids.device.type == "cuda" and torch.cuda.is_bf16_supported()
        if self.adapted is not None and self.adapted.worn is not None:
            self.adapted.worn.put_on()
        with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=half):
            states = self.trunk(input_ids=ids[:, : int(lengths.max())], use_cache=False)
        rows = torch.arange(len(ids), device=ids.device)
        last = states.last_hidden_state[rows, lengths - 1]
        raw: Tensor = self.head(last.float())
        return raw


def trunk_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return a language model's network without its head, sharing the weights.

    Raises:
        ModelError: The architecture keeps no trunk apart from its head.
    """
    trunk = model.base_model
    if trunk is model or not isinstance(trunk, PreTrainedModel):
        raise ModelError(
            f"{type(model).__name__} keeps no trunk apart from its language-model head",
            "an architecture with a base model, as Llama, GPT-2 or Qwen have",
            "take another policy",
        )
    return trunk
