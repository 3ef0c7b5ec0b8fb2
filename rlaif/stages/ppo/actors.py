"""Who takes part in PPO: the policy with its value head and optimiser, and the frozen ones."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rlaif.config import PpoConfig
from rlaif.models.actor_critic import ValueHead, check_plain_head
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.precision import product_dtype
from rlaif.models.rates import auto_learning_rate
from rlaif.models.training_state import load_optimizer, save_optimizer

ADAM_EPS = 1e-5
RATE_SCALE = 0.7  # 5e-4 for the bundled policy: at 7e-4 its spelling began to suffer
VALUE_RATE_FACTOR = 3.0
VALUE_HEAD = "value_head.safetensors"
POLICY = "policy"


class Learner:
    """The policy that is trained, with the value head on its trunk and their optimiser.

    Args:
        path: Folder or hub id of the policy.
        device: Where it runs.
        settings: PPO's settings.

    Attributes:
        policy: The policy; products in the settings' precision, weights in float32.
        value_head: From hidden states to values.
        optimizer: AdamW without decay; the first group is the policy's, the second the head's.
    """

    def __init__(self, path: str, device: torch.device, settings: PpoConfig) -> None:
        loaded = load_language_model(path, device, trainable=True)
        check_plain_head(loaded)
        model = loaded.model
        parameters = sum(p.numel() for p in model.parameters())
        dtype = product_dtype(settings.precision, device, parameters)
        self.policy = loaded.in_precision(dtype, checkpointing=settings.gradient_checkpointing)
        self.value_head = ValueHead(model.config.get_text_config().hidden_size).to(device)
        self._settings = settings
        self._rates = _rates(settings, parameters)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(model.parameters()), "lr": self._rates[0]},
                {"params": list(self.value_head.parameters()), "lr": self._rates[1]},
            ],
            eps=ADAM_EPS,
            weight_decay=0.0,
            fused=True,
        )
        self.optimizer.register_step_post_hook(lambda *_: self._weights_moved())

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """All that is trained: the policy's weights, then the head's."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _weights_moved(self) -> None:
        if self.policy.lean is not None:
            self.policy.lean.outdate()

    def set_rates(self, done: int) -> None:
        """Set the rates of an update: they fall linearly; in the warm-up the policy rests.

        Args:
            done: Updates done before it.
        """
        left = 1.0 - done / self._settings.updates
        resting = done < self._settings.critic_warmup
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * left
        if resting:
            self.optimizer.param_groups[0]["lr"] = 0.0

    def save_policy(self, folder: Path) -> None:
        """Write the policy in Hugging Face format."""
        self.policy.model.save_pretrained(str(folder))
        self.policy.tokenizer.save_pretrained(str(folder))

    def save(self, folder: Path) -> None:
        """Write policy, value head and optimiser into a checkpoint's folder."""
        self.save_policy(folder / POLICY)
        save_file(self.value_head.state_dict(), str(folder / VALUE_HEAD))
        save_optimizer(self.optimizer, folder)

    @classmethod
    def restored(cls, folder: Path, device: torch.device, settings: PpoConfig) -> "Learner":
        """Read what `save` wrote."""
        learner = cls(str(folder / POLICY), device, settings)
        learner.value_head.load_state_dict(load_file(str(folder / VALUE_HEAD)))
        load_optimizer(learner.optimizer, folder)
        return learner


def frozen_policy(
    path: str, device: torch.device, dtype: torch.dtype, *, wide: bool
) -> LanguageModel:
    """Load a policy that only scores.

    Args:
        path: Folder or hub id.
        device: Where it runs.
        dtype: The type of its products: the trained policy's.
        wide: Whether its weights are kept in float32, because they will move.
    """
    stored = torch.float32 if wide else dtype
    return load_language_model(path, device, stored=stored).in_precision(dtype)


def _rates(settings: PpoConfig, parameters: int) -> tuple[float, float]:
    automatic = auto_learning_rate(parameters, RATE_SCALE)
    rate = automatic if settings.learning_rate == "auto" else settings.learning_rate
    own = settings.value_learning_rate
    return rate, rate * VALUE_RATE_FACTOR if own == "auto" else own
