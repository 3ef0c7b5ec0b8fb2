"""Our side of the comparison: the PPO trainer that the service runs, stepped by the parent."""

import argparse
import json
from pathlib import Path

from rlaif.config import GenerationConfig, PpoConfig, hide_model_hub_noise

hide_model_hub_noise()  # before torch is imported: it also says how torch takes memory

from side import RATE, Side  # noqa: E402
from worlds import Shape, read_shape  # noqa: E402

from rlaif.records import Message  # noqa: E402
from rlaif.stages.ppo import PpoJob  # noqa: E402
from rlaif.stages.ppo.trainer import PpoTrainer  # noqa: E402

NEVER = 1e9
BETA = 0.05


def main() -> None:
    """Load the world that is named, then make an update for each line that comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--critic", choices=["shared", "branch", "separate"], required=True)
    given = parser.parse_args()
    side = Side()
    job = job_of(given.world, given.updates, given.precision, critic=given.critic)
    trainer = PpoTrainer(job)
    side.ready()
    while side.wait():
        trainer.update()
        figures = {m.name: m.value for m in trainer.metrics}
        side.done(length=figures["length"])


def job_of(
    world: Path, updates: int, precision: str, device: str = "cpu", **settings: object
) -> PpoJob:
    """Return the job of a world.

    Args:
        world: Its folder.
        updates: How many there will be.
        precision: Of matrix products.
        device: Where to run.
        settings: Of PPO, in place of those that TRL's side has too.
    """
    shape = read_shape(world)
    prompts = json.loads((world / "prompts.json").read_text(encoding="utf-8"))
    policy = str(world / "policy")
    return PpoJob(
        policy=policy,
        reference=policy,
        reward_model=world / "reward",
        conversations=tuple((_message(ids),) for ids in prompts),
        generation=GenerationConfig(max_tokens=shape.response),
        ppo=_settings(shape, updates, precision).model_copy(update=settings),
        seed=1,
        device=device,
        missing_eos_score=None,
        beta=BETA,
        output=world / "challenger",
        work=world / "work",
    )


def _settings(shape: Shape, updates: int, precision: str) -> PpoConfig:
    """TRL's own way: one optimiser step an epoch, no gradient clipping, no early stop."""
    return PpoConfig(
        updates=updates,
        rollout_batch=shape.batch,
        minibatch=shape.batch,
        micro_batch=shape.batch,
        epochs=shape.epochs,
        learning_rate=RATE,
        value_learning_rate=RATE,
        precision=precision,
        kl_control="fixed",
        kl_beta=BETA,
        kl_early_stop="off",
        max_grad_norm=NEVER,
    )


def _message(ids: list[int]) -> Message:
    return Message(role="user", content=" ".join(f"w{i}" for i in ids))


if __name__ == "__main__":
    main()
