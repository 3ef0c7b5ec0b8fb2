"""What four models on one base weigh: policy, reference, reward model and critic as adapters.

Builds a model of the speed comparison's shape, puts a trainer's four adapters and its value head on
it, and prints as JSON the bytes of all weights that are in memory against those of the bare model.
"""

import argparse
import json
import tempfile
from pathlib import Path

from rlaif.config import GenerationConfig, PpoConfig, hide_model_hub_noise

hide_model_hub_noise()  # before torch is imported: it also says how torch takes memory

import torch  # noqa: E402
from ppo.worlds import SHAPES, Shape, make_world  # noqa: E402

from rlaif.models.loading import load_language_model  # noqa: E402
from rlaif.models.reward import RewardModel  # noqa: E402
from rlaif.models.shared_base import SharedBase  # noqa: E402
from rlaif.records import Message  # noqa: E402
from rlaif.stages.ppo import PpoJob  # noqa: E402
from rlaif.stages.ppo.trainer import PpoTrainer  # noqa: E402

CPU = torch.device("cpu")


def measure(shape: Shape, rank: int, precision: str, world: Path) -> dict[str, float]:
    """Return the weights of a trainer with adapters, in bytes and against the bare model's."""
    policy = str(world / "policy")
    shared = SharedBase.open(policy, CPU, "float32")
    adapter = shared.fresh("reward-0", rank, 32.0, seed=1)
    RewardModel.from_adapter(adapter, seed=2).save(world / f"adapted-{rank}-{precision}")
    job = PpoJob(
        policy=policy,
        reference=policy,
        reward_model=world / f"adapted-{rank}-{precision}",
        conversations=((Message(role="user", content="w2 w3"),),),
        generation=GenerationConfig(max_tokens=shape.response),
        ppo=PpoConfig(lora_rank=rank, precision=precision, reference="ema", critic="separate"),
        seed=1,
        device="cpu",
        missing_eos_score=None,
        beta=0.1,
        output=world / "out",
        work=world / "work",
    )
    trainer = PpoTrainer(job)
    worn = trainer.learner.policy.worn
    if worn is None:
        raise RuntimeError("the trainer has no adapters")
    head = sum(p.numel() * p.element_size() for p in trainer.learner.critic.head.parameters())
    bare = load_language_model(policy, CPU, stored=trainer.learner.policy.dtype).model
    alone = sum(p.numel() * p.element_size() for p in bare.parameters())
    resident = worn.shared.resident_bytes() + head
    one = sum(p.numel() * p.element_size() for p in worn.parameters)
    return {
        "bare_model_mb": round(alone / 1e6, 1),
        "adapter_mb": round(one / 1e6, 2),
        "resident_mb": round(resident / 1e6, 1),
        "ratio": round(resident / alone, 3),
        "four_models_would_be": 4.0,
    }


def main() -> None:
    """Measure every shape, rank and precision that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["tiny", "small"])
    parser.add_argument("--ranks", nargs="+", type=int, default=[4, 8, 16])
    given = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in given.shapes:
        with tempfile.TemporaryDirectory() as place:
            make_world(SHAPES[name], Path(place), 1)
            for precision in ("float32", "bfloat16"):
                for rank in given.ranks:
                    key = f"rank {rank}, {precision}"
                    found.setdefault(name, {})[key] = measure(
                        SHAPES[name], rank, precision, Path(place)
                    )
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
