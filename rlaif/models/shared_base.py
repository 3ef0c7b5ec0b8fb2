"""One frozen base under several adapters: policy, reference and reward model in one memory.

Importing this module imports PEFT, which takes a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

from rlaif.models.actor_critic import check_plain_head
from rlaif.models.adapters import (
    base_of,
    lora_config,
    put_in,
    read_adapter,
    read_adapter_config,
    start,
    write_adapter,
)
from rlaif.models.identity import is_adapter, model_digest
from rlaif.models.loading import LanguageModel, load_language_model, parameter_count
from rlaif.models.precision import Precision, product_dtype

UNKNOWN = ""


class SharedBase:
    """A base that is never trained, its weights in memory once, in the type that computes.

    Args:
        lm: The base, loaded frozen with its weights in the type of its products. It is taken over.

    Attributes:
        path: Folder or hub id of the base.
        digest: The base's.
    """

    def __init__(self, lm: LanguageModel) -> None:
        check_plain_head(lm)
        if lm.lean is not None:
            lm.lean.take_over(lm.model)
        self.path = lm.name
        self.digest = lm.digest
        self._lm = lm
        self._active: str | None = UNKNOWN
        self._configs: dict[str, LoraConfig] = {}

    @classmethod
    def open(cls, path: str, device: torch.device, precision: Precision) -> "SharedBase":
        """Load the base of a policy: the one that its adapter belongs on, or the policy itself.

        Args:
            path: Folder or hub id of the policy.
            device: Where to put it.
            precision: The setting.

        Raises:
            ModelError: It cannot be loaded, or is not what the adapter was trained on.
        """
        base = base_of(Path(path)) if is_adapter(path) else path
        dtype = product_dtype(precision, device, parameter_count(base))
        return cls(load_language_model(base, device, stored=dtype))

    def carries(self, path: str) -> bool:
        """Whether a policy is this base, or an adapter on it."""
        base = base_of(Path(path)) if is_adapter(path) else path
        return model_digest(base) == self.digest

    def bare(self) -> LanguageModel:
        """Return the base itself."""
        return replace(self._lm, worn=Worn(self, None))

    def fresh(
        self, name: str, rank: int, alpha: float, seed: int, *, checkpointing: bool = False
    ) -> LanguageModel:
        """Return the base under a new adapter, which changes nothing yet and may be trained.

        Args:
            name: What it is called among this base's adapters.
            rank: r.
            alpha: Its share is multiplied by alpha / r.
            seed: Where its weights are drawn from.
            checkpointing: As for `LanguageModel.in_precision`.
        """
        config = lora_config(rank, alpha)
        parameters = put_in(self._lm.model, name, config)
        start(parameters, seed)
        return self._wearing(name, config, parameters, trainable=True, checkpointing=checkpointing)

    def wearing(
        self, name: str, folder: Path, *, trainable: bool = False, checkpointing: bool = False
    ) -> LanguageModel:
        """Return the base under an adapter from a folder.

        Args:
            name: What it is called among this base's adapters.
            folder: Where its weights lie.
            trainable: Whether they will be updated.
            checkpointing: As for `LanguageModel.in_precision`.

        Raises:
            ModelError: It cannot be read, or is more than plain LoRA.
        """
        config = read_adapter_config(folder, self._lm.model)
        parameters = put_in(self._lm.model, name, config)
        read_adapter(self._lm.model, name, folder)
        found = self._wearing(
            name, config, parameters, trainable=trainable, checkpointing=checkpointing
        )
        return replace(found, name=str(folder), digest=model_digest(str(folder)))

    @torch.no_grad()
    def copied(
        self, of: str, name: str, *, trainable: bool = False, checkpointing: bool = False
    ) -> LanguageModel:
        """Return the base under a copy of one of its adapters.

        Args:
            of: The adapter.
            name: What the copy is called.
            trainable: Whether its weights will be updated.
            checkpointing: As for `LanguageModel.in_precision`.
        """
        config = self._configs[of]
        parameters = put_in(self._lm.model, name, config)
        own = dict(self._lm.model.named_parameters())
        for key, parameter in parameters.items():
            parameter.copy_(own[key.replace(f".{name}.", f".{of}.")])
        return self._wearing(
            name, config, parameters, trainable=trainable, checkpointing=checkpointing
        )

    def put_on(self, name: str | None) -> None:
        """Let the library's own forward pass compute with one adapter, or with none."""
        if name == self._active or not self._configs:
            return
        with self._keeping_gradients():
            for module in self._lm.model.modules():
                if isinstance(module, BaseTunerLayer):
                    module.enable_adapters(name is not None)
                    if name is not None:
                        module.set_adapter(name)
        self._active = name

    def save(self, name: str, folder: Path) -> None:
        """Write an adapter into a folder that is there."""
        write_adapter(self._lm.model, name, self._configs[name], self.path, folder)

    def unused_name(self, wish: str) -> str:
        """Return a name that no adapter here has yet: PEFT takes no dot in it."""
        plain = wish.replace(".", "-")
        taken = sum(name.startswith(plain) for name in self._configs)
        return f"{plain}-{taken}" if taken else plain

    def resident_bytes(self) -> int:
        """Return the bytes of all weights in memory: the base's, its adapters', working copies."""
        held: dict[int, int] = {}
        lean = self._lm.lean
        copies = [] if lean is None else [x for layer in lean.layers for x in layer.weights]
        for tensor in (*self._lm.model.parameters(), *(x for x in copies if x is not None)):
            storage = tensor.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
        return sum(held.values())

    def _wearing(
        self,
        name: str,
        config: LoraConfig,
        parameters: dict[str, Tensor],
        *,
        trainable: bool,
        checkpointing: bool,
    ) -> LanguageModel:
        for parameter in parameters.values():
            parameter.requires_grad_(trainable)
        self._configs[name] = config
        self._active = UNKNOWN  # putting one in may put it on, or not
        lm = self._lm
        lean = None
        if lm.lean is not None:
            lean = lm.lean.wearing(lm.model, name, checkpointing=checkpointing)
        return replace(lm, lean=lean, worn=Worn(self, name), checkpointing=checkpointing)

    @contextmanager
    def _keeping_gradients(self) -> Iterator[None]:
        """Undo what PEFT does to who may be trained when adapters are changed."""
        before = [(p, p.requires_grad) for p in self._lm.model.parameters()]
        yield
        for parameter, trainable in before:
            parameter.requires_grad_(trainable)


class Worn:
    """Which adapter of a shared base a language model is: one of them, or none.

    Attributes:
        shared: The base.
    """

    def __init__(self, shared: SharedBase, name: str | None) -> None:
        self.shared = shared
        self._name = name

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The adapter's own."""
        model = self.shared._lm.model
        return [p for n, p in model.named_parameters() if f".{self._name}." in n]

    def like(
        self, name: str, *, trainable: bool = False, checkpointing: bool = False
    ) -> LanguageModel:
        """Return the base under another adapter, whose weights are this one's now.

        Args:
            name: What it is called.
            trainable: Whether its weights will be updated.
            checkpointing: As for `LanguageModel.in_precision`.

        Raises:
            ValueError: This is the bare base.
        """
        if self._name is None:
            raise ValueError("the bare base has no adapter to copy")
        return self.shared.copied(
            self._name, name, trainable=trainable, checkpointing=checkpointing
        )

    @torch.no_grad()
    def unmoved(self, name: str) -> LanguageModel:
        """Return the base under another adapter with this one's A, and B zero: it changes nothing.

        Args:
            name: What it is called.

        Raises:
            ValueError: This is the bare base.
        """
        found = self.like(name)
        for key, parameter in found.model.named_parameters():
            if f".lora_B.{name}." in key:
                parameter.zero_()
        return found

    def put_on(self) -> None:
        """Let the library's own forward pass compute with it."""
        self.shared.put_on(self._name)

    def save(self, folder: Path) -> None:
        """Write the adapter into a folder that is there.

        Raises:
            ValueError: This is the bare base.
        """
        if self._name is None:
            raise ValueError("the bare base has no adapter to write")
        self.shared.save(self._name, folder)
