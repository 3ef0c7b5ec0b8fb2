"""Who takes part in PPO: the policy with its value head and optimiser, and the frozen ones.

With adapters one frozen base carries them all: what is trained, what KL is measured against and
what gives the rewards differ in thin matrices alone.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

from rlaif.config import PpoConfig
from rlaif.models.actor_critic import check_plain_head
from rlaif.models.branch import branch_of, branch_under
from rlaif.models.identity import is_adapter
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.precision import product_dtype
from rlaif.models.rates import auto_adapter_rate, auto_learning_rate
from rlaif.models.training_state import load_optimizer, save_optimizer
from rlaif.seeds import derive_seed
from rlaif.stages.ppo.critic import BRANCH, HEAD, OWN, Critic
from rlaif.stages.ppo.job import PpoJob

ADAM_EPS = 1e-5
SLOWER = 0.5
RATE_SCALE = 0.7  # 5e-4 for the bundled policy: at 7e-4 its spelling began to suffer
VALUE_RATE_FACTORS = {"shared": 3.0, "branch": 10.0, "separate": 1.0}
ADAPTED_BRANCH = 3.0  # an adapter's rate is ten times that of all weights already
POLICY = "policy"
REFERENCE = "reference"


class Learner:
    """The policy that is trained, with its critic and their optimiser.

    Args:
        policy: The policy, what is trained in float32.
        settings: PPO's settings.
        own: What is the critic's own below its head; None where it shares the policy's trunk.

    Attributes:
        policy: The policy; products in the settings' precision.
        critic: Gives the values.
        optimizer: AdamW without decay; the first group is the policy's, the second the critic's.
        resting: Whether the critic alone learns.
    """

    def __init__(
        self, policy: LanguageModel, settings: PpoConfig, own: LanguageModel | None = None
    ) -> None:
        self.policy = policy
        blocks = settings.critic_blocks if settings.critic == "branch" else None
        self.critic = Critic(policy, own, blocks)
        self._settings = settings
        self.resting = False
        self._rates = _rates(settings, sum(p.numel() for p in policy.model.parameters()))
        self.optimizer = torch.optim.AdamW(
            [
                {"params": policy.trained, "lr": self._rates[0]},
                {"params": self.critic.parameters, "lr": self._rates[1]},
            ],
            eps=ADAM_EPS,
            weight_decay=0.0,
            fused=True,
        )
        self.optimizer.register_step_post_hook(lambda *_: self._weights_moved())

    @classmethod
    def start(cls, job: PpoJob, device: torch.device) -> "Learner":
        """Begin with the incumbent."""
        policy = _trained(job, device, None)
        return cls(policy, job.ppo, _own_of_critic(job, policy, None))

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """All that is trained: the policy's weights, then the critic's."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _weights_moved(self) -> None:
        for model in (self.policy, self.critic.own):
            if model is not None and model.lean is not None:
                model.lean.outdate()

    def set_rates(self, done: int, spikes: int) -> None:
        """Set the rates of an update: they fall linearly, and halve with each spike.

        Args:
            done: Updates done before it; in the first ``ppo.critic_warmup`` the policy rests.
            spikes: How often it was thrown far off.
        """
        left = (1.0 - done / self._settings.updates) * SLOWER**spikes
        self.resting = done < self._settings.critic_warmup
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * left

    def rest(self) -> None:
        """Drop the policy's gradients while it rests, before anything has seen them.

        At a rate of 0 Adam would gather them, and move the policy by them when it begins.
        """
        if self.resting:
            for parameter in self.policy.trained:
                parameter.grad = None

    def save_policy(self, folder: Path) -> None:
        """Write the policy in Hugging Face format."""
        self.policy.save(folder)

    def save(self, folder: Path) -> None:
        """Write policy, critic and optimiser into a checkpoint's folder."""
        (folder / POLICY).mkdir()
        self.save_policy(folder / POLICY)
        self.critic.save(folder)
        save_optimizer(self.optimizer, folder)

    @classmethod
    def restored(cls, folder: Path, job: PpoJob, device: torch.device) -> "Learner":
        """Read what `save` wrote."""
        policy = _trained(job, device, folder / POLICY)
        learner = cls(policy, job.ppo, _own_of_critic(job, policy, folder / OWN))
        learner.critic.head.load_state_dict(load_file(str(folder / HEAD)))
        load_optimizer(learner.optimizer, folder)
        return learner


def _trained(job: PpoJob, device: torch.device, checkpoint: Path | None) -> LanguageModel:
    """Load the policy: the checkpoint's, or the incumbent where there is none."""
    make = _adapted if job.ppo.lora_rank else _whole
    return make(job, device, checkpoint)


def _own_of_critic(
    job: PpoJob, policy: LanguageModel, checkpoint: Path | None
) -> LanguageModel | None:
    """Load what is the critic's own below its head, or nothing where it shares the policy's."""
    if job.ppo.critic == "shared":
        return None
    if policy.worn is None:
        make = _branch if job.ppo.critic == "branch" else _beside
        return make(job, policy, checkpoint)
    learns = {"trainable": True, "checkpointing": job.ppo.gradient_checkpointing}
    if checkpoint is None:
        worn = policy.worn.like(OWN, **learns)
    else:
        worn = policy.worn.shared.wearing(OWN, checkpoint, **learns)
    return branch_under(worn, job.ppo.critic_blocks) if job.ppo.critic == "branch" else worn


def _beside(job: PpoJob, policy: LanguageModel, checkpoint: Path | None) -> LanguageModel:
    return _whole(job, policy.device, checkpoint)


def _branch(job: PpoJob, policy: LanguageModel, checkpoint: Path | None) -> LanguageModel:
    branch = branch_of(policy, job.ppo.critic_blocks)
    if checkpoint is not None:
        branch.model.load_state_dict(load_file(str(checkpoint / BRANCH)))
        branch.weights_may_have_moved()
    return branch


def _whole(job: PpoJob, device: torch.device, checkpoint: Path | None) -> LanguageModel:
    """Load the policy with all its weights to be trained."""
    path = job.policy if checkpoint is None else str(checkpoint)
    loaded = load_language_model(path, device, trainable=True)
    check_plain_head(loaded)
    parameters = sum(p.numel() for p in loaded.model.parameters())
    dtype = product_dtype(job.ppo.precision, device, parameters)
    return loaded.in_precision(dtype, checkpointing=job.ppo.gradient_checkpointing)


def _adapted(job: PpoJob, device: torch.device, checkpoint: Path | None) -> LanguageModel:
    """Put an adapter on the incumbent's base: the checkpoint's, the incumbent's own, a new one."""
    # PEFT takes a second to import, which nobody should pay who trains all weights.
    from rlaif.models.shared_base import SharedBase

    settings = job.ppo
    checkpointing = settings.gradient_checkpointing
    shared = SharedBase.open(job.policy, device, settings.precision)
    folder = Path(job.policy) if checkpoint is None and is_adapter(job.policy) else checkpoint
    if folder is None:
        seed = derive_seed(job.seed, "adapter")
        rank, alpha = settings.lora_rank, settings.lora_alpha
        return shared.fresh(POLICY, rank, alpha, seed, checkpointing=checkpointing)
    return shared.wearing(POLICY, folder, trainable=True, checkpointing=checkpointing)


def frozen_policy(path: str, beside: LanguageModel, *, follows: bool = False) -> LanguageModel:
    """Load a policy that only scores, in the precision of the trained one.

    Args:
        path: Folder or hub id.
        beside: The trained policy, whose base it shares where it can.
        follows: Whether its weights will move: they are float32 then.
    """
    shared = None if beside.worn is None else beside.worn.shared
    if shared is None or not shared.carries(path):
        stored = torch.float32 if follows else beside.dtype
        return load_language_model(path, beside.device, stored=stored).in_precision(beside.dtype)
    if is_adapter(path):
        return shared.wearing(REFERENCE, Path(path))
    return beside.worn.unmoved(REFERENCE) if follows and beside.worn is not None else shared.bare()


def _rates(settings: PpoConfig, parameters: int) -> tuple[float, float]:
    rule = auto_adapter_rate if settings.lora_rank else auto_learning_rate
    automatic = rule(parameters, RATE_SCALE)
    rate = automatic if settings.learning_rate == "auto" else settings.learning_rate
    own = settings.value_learning_rate
    factor = VALUE_RATE_FACTORS[settings.critic]
    if settings.critic == "branch" and settings.lora_rank:
        factor = ADAPTED_BRANCH
    return rate, rate * factor if own == "auto" else own
