"""Causal language models from a folder or a hub id, checked before they serve."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from rlaif.errors import ModelError
from rlaif.models.identity import is_adapter, model_digest, refuse_missing_folder
from rlaif.models.lean.trunk import LeanTrunk
from rlaif.text import shortened

if TYPE_CHECKING:
    from rlaif.models.shared_base import Worn

# What the libraries raise where a folder's files are missing, cut short or contradict each other.
LOADING_FAULTS = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)
ALIGNMENT = 64  # bytes: where torch's allocator lets a tensor begin on the CPU
_NAMED = 3
_SAID = 300


@dataclass(frozen=True)
class LanguageModel:
    """A model with its tokenizer and the facts that decoding needs.

    Attributes:
        model: The network, in evaluation mode (no dropout).
        tokenizer: Its tokenizer.
        device: Where the network is.
        eos_ids: Tokens that end an answer.
        end_id: The one of them that the tokenizer itself names, put after answers given as text.
        pad_id: Filler for batches; may equal an EOS, since real tokens are known by length.
        context: The longest sequence it takes, in tokens.
        name: What it was loaded from.
        digest: Digest of its folder; of its name and revision for a hub id.
        stored: The type of its weights.
        dtype: The type in which matrix products run; weights may be wider.
        lean: Its trunk computed lean, on the CPU and where its architecture is known; else None.
        worn: Where several models share one base: which adapter this one is.
        checkpointing: Whether the library's own blocks keep their inputs only for the backward
            pass; a lean trunk has a setting of its own.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    eos_ids: frozenset[int]
    end_id: int
    pad_id: int
    context: int
    name: str
    digest: str
    stored: torch.dtype = torch.float32
    dtype: torch.dtype = torch.float32
    lean: LeanTrunk | None = None
    worn: "Worn | None" = None
    checkpointing: bool = False

    def computing(self) -> AbstractContextManager[None]:
        """Return the context in which the library's own model is this one and computes in `dtype`.

        On a shared base another adapter may be put on as soon as the pass is done: its graph holds
        what it computed with, and what `checkpointed` runs again puts its own on. Adapters are
        float32, so their products are cast even where the base's need not be.
        """
        if self.worn is not None:
            self.worn.put_on()
        if self.dtype == self.stored and (self.worn is None or self.dtype == torch.float32):
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def weights_may_have_moved(self) -> None:
        """Let the lean trunk read trained weights anew: not every optimiser says it moved them."""
        if self.lean is not None and self.trained:
            self.lean.outdate()

    @property
    def own(self) -> list[torch.nn.Parameter]:
        """Its parameters: those of its adapter alone, where it shares its base."""
        return list(self.model.parameters()) if self.worn is None else self.worn.parameters

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """Its parameters that may be trained."""
        return [p for p in self.own if p.requires_grad]

    def save(self, folder: Path) -> None:
        """Write its weights and tokenizer into a folder that is there: an adapter as one."""
        self.save_weights(folder)
        self.tokenizer.save_pretrained(str(folder))

    def save_weights(self, folder: Path) -> None:
        """Write its weights alone into a folder that is there: an adapter as one."""
        if self.worn is None:
            self.model.save_pretrained(str(folder))
        else:
            self.worn.save(folder)

    def in_precision(self, dtype: torch.dtype, *, checkpointing: bool = False) -> "LanguageModel":
        """Return the same model with its matrix products in another type.

        Args:
            dtype: float32 or bfloat16.
            checkpointing: Trade time for memory in the backward pass: keep each block's input only.
        """
        lean = None
        if self.device.type == "cpu":
            lean = LeanTrunk.of(self.model, dtype, checkpointing=checkpointing)
        return replace(self, dtype=dtype, lean=lean, checkpointing=checkpointing)


def pick_device(setting: str) -> torch.device:
    """Return the device for a setting; ``auto`` takes cuda, then mps, then cpu.

    Raises:
        ModelError: This machine, or this build of torch, has no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if setting == "auto":
        return torch.device(next(name for name, usable in there.items() if usable))
    if not there[setting]:
        raise ModelError(
            f"run.device = {setting!r}, and torch {torch.__version__} finds no such device here",
            f"auto, or one of: {', '.join(name for name, usable in there.items() if usable)}",
            "correct [run] device, or install a build of torch for it",
        )
    return torch.device(setting)


def load_language_model(
    path: str,
    device: torch.device,
    *,
    trainable: bool = False,
    stored: torch.dtype | None = None,
) -> LanguageModel:
    """Load a causal language model and its tokenizer.

    An adapter's folder becomes the whole model that it stands for. Weights become float32 on the
    CPU and where they are to be trained (16-bit checkpoints get float32 masters), bfloat16 for
    frozen models on a GPU.

    Args:
        path: A folder in Hugging Face format, or a hub id.
        device: Where to put it.
        trainable: Whether its weights will be updated.
        stored: Type of a frozen model's weights, instead.

    Raises:
        ModelError: It cannot be loaded, lacks weights, has no tokenizer or no end-of-sequence
            token.
    """
    transformers_logging.disable_progress_bar()
    refuse_missing_folder(path)
    tokenizer = _tokenizer_of(path)
    on_cpu = device.type == "cpu"
    usual = torch.float32 if trainable or on_cpu else torch.bfloat16
    dtype = stored or usual
    model = (_load_merged if is_adapter(path) else _load_whole)(path, dtype)
    model.eval().to(device)
    _align(model)
    model.requires_grad_(trainable)
    embedding: Any = model.get_input_embeddings()
    embedding.padding_idx = None  # filler is masked; where it is the end token, that one learns
    eos_ids = _eos_ids(model, tokenizer, path)
    pad_id, own_end = tokenizer.pad_token_id, tokenizer.eos_token_id
    return LanguageModel(
        model=model,
        tokenizer=tokenizer,
        device=device,
        eos_ids=eos_ids,
        end_id=min(eos_ids) if own_end is None else int(own_end),
        pad_id=min(eos_ids) if pad_id is None else int(pad_id),
        context=int(getattr(model.config, "max_position_embeddings", None) or 2**30),
        name=path,
        digest=model_digest(path),
        stored=dtype,
        dtype=dtype,
        lean=LeanTrunk.of(model, dtype) if on_cpu else None,
    )


@torch.no_grad()
def _align(model: PreTrainedModel) -> None:
    """Copy weights that lie in a mapped file across the boundaries that torch allocates at.

    The low bits of a CPU's products depend on where an operand begins, so a job that goes on from a
    file would leave the way of one that never stopped.
    """
    for parameter in model.parameters():
        if parameter.device.type == "cpu" and parameter.data_ptr() % ALIGNMENT:
            parameter.data = parameter.data.clone()


def load_adapted(
    folder: Path, device: torch.device, dtype: torch.dtype, beside: LanguageModel | None = None
) -> LanguageModel:
    """Load an adapter as such, frozen, on the base that it shares with a model that is there.

    Args:
        folder: The adapter's.
        device: Where its base goes, if it must be loaded.
        dtype: Type of that base's weights and products.
        beside: A model whose base may be the adapter's own.

    Raises:
        ModelError: The base is not to be found, or one of them cannot be read.
    """
    # PEFT takes a second to import, which nobody should pay who has no adapter.
    from rlaif.models.shared_base import SharedBase

    shared = None if beside is None or beside.worn is None else beside.worn.shared
    if shared is None or not shared.carries(str(folder)):
        shared = SharedBase(load_language_model(_base_of(str(folder)), device, stored=dtype))
    return shared.wearing(shared.unused_name(folder.name), folder)


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer.

    Raises:
        ModelError: The folder holds none, or it cannot be read.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, trust_remote_code=False
        )
    except LOADING_FAULTS as exc:
        raise _cannot_load(path, "tokenizer", exc) from exc
    if len(tokenizer) == 0:
        raise ModelError(
            f"the tokenizer of {path} is empty",
            "tokenizer.json beside the weights",
            "save the tokenizer into the model's folder",
        )
    return tokenizer


def parameter_count(path: str) -> int:
    """Return how many weights a model has, tied ones once, without loading them.

    Raises:
        ModelError: Its configuration cannot be read.
    """
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except LOADING_FAULTS as exc:
        raise _cannot_load(path, "configuration", exc) from exc
    return sum(p.numel() for p in model.parameters())


def _tokenizer_of(path: str) -> PreTrainedTokenizerBase:
    """Load a policy's tokenizer: adapters that others made may leave it with their base."""
    own = not is_adapter(path) or (Path(path) / "tokenizer_config.json").is_file()
    return load_tokenizer(path if own else _base_of(path))


def _base_of(path: str) -> str:
    # PEFT takes a second to import, which nobody should pay who has no adapter.
    from rlaif.models.adapters import base_of

    return base_of(Path(path))


def _load_merged(path: str, dtype: torch.dtype) -> PreTrainedModel:
    """Load the model that an adapter stands for; the sum is made in float32."""
    from rlaif.models.adapters import merged

    base: Any = _load_whole(_base_of(path), torch.float32)
    try:
        whole: PreTrainedModel = merged(base, Path(path)).to(dtype)  # type: ignore[arg-type]  # ours
    except LOADING_FAULTS as exc:
        raise _cannot_load(path, "adapter", exc) from exc
    return whole


def _load_whole(path: str, dtype: torch.dtype) -> PreTrainedModel:
    """Load a model of which every weight is in its files: others would be made up at random."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except LOADING_FAULTS as exc:
        raise _cannot_load(path, "model", exc) from exc
    model: PreTrainedModel = loaded[0]
    missing = sorted(loaded[1]["missing_keys"])
    if missing:
        more = "" if len(missing) <= _NAMED else f" and {len(missing) - _NAMED} more"
        raise ModelError(
            f"{path} lacks the weights {', '.join(missing[:_NAMED])}{more}",
            "every weight that its config.json names",
            "take the config.json that was saved with the weights",
        )
    return model


def _eos_ids(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: str
) -> frozenset[int]:
    generation = getattr(model, "generation_config", None)
    found = getattr(generation, "eos_token_id", None)
    if found is None:
        found = tokenizer.eos_token_id
    if found is None:
        raise ModelError(
            f"{path} names no end-of-sequence token",
            "eos_token_id in generation_config.json, or eos_token in the tokenizer",
            "add one: without it no answer can end",
        )
    ids = {int(i) for i in (found if isinstance(found, list) else [found])}
    if tokenizer.eos_token_id is not None:
        ids.add(int(tokenizer.eos_token_id))
    return frozenset(ids)


def _cannot_load(path: str, what: str, exc: Exception) -> ModelError:
    said = shortened(" ".join(str(exc).split()) or type(exc).__name__, _SAID)
    local = Path(path).is_dir()
    expected = (
        "config.json, model.safetensors and tokenizer.json in that folder"
        if local
        else "an existing folder, or a hub id that can be reached or is cached"
    )
    action = (
        "complete the folder with save_pretrained()"
        if local
        else "check the name; without a network, download it beforehand and give the folder"
    )
    return ModelError(f"cannot load the {what} of {path}: {said}", expected, action)
