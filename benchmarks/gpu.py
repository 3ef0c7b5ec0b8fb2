"""PPO's speed and memory on one GPU: ``make bench-gpu``.

Models of Llama's kind with random weights, made on the spot; 64 prompts of 32 tokens, answers of
512, four epochs; bfloat16 products. Trained are all weights (float32 masters, AdamW), or adapters
of rank 16, with the reference and the reward model on the same frozen base. The first update of
each is left out; figures are medians. A share of peak is that of the operations that the work
needs (products with weights only) in what this GPU was measured to do.

Without a GPU it says so and exits with 1. ``--device cpu --shapes smoke`` runs the same path on a
tiny shape. ``--sync-check`` counts where the host waits for the GPU, in one more update.
"""

import argparse
import collections
import gc
import json
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "ppo"))

from our_side import job_of  # noqa: E402  # before torch: it says how torch takes memory
from peak import matmul_peak, settle  # noqa: E402
from worlds import Shape, flops_of_pass, flops_of_update, make_world  # noqa: E402

import torch  # noqa: E402  # isort: skip

from rlaif.models.portions import OutOfMemoryError  # noqa: E402
from rlaif.models.reward import RewardModel  # noqa: E402
from rlaif.models.shared_base import SharedBase  # noqa: E402
from rlaif.stages.ppo.trainer import PpoTrainer  # noqa: E402

VOCABULARY = 151_936
SHAPES = {
    "0.5b": Shape("0.5b", 24, 896, 14, 4864, VOCABULARY, 64, response=512, shared_heads=2),
    "1.5b": Shape("1.5b", 28, 1536, 12, 8960, VOCABULARY, 64, response=512, shared_heads=2),
    "smoke": Shape("smoke", 2, 32, 4, 64, 512, 4, 8, 12, epochs=1, shared_heads=2),
}
RANK = 16
MODES: dict[str, dict[str, object]] = {"full": {}, "lora": {"lora_rank": RANK}}
BACKWARD = {"full": 2, "lora": 1}  # passes' worth: frozen weights need no gradients of their own
MICRO_BATCH = 16
SYNC = "called a synchronizing"
Result = TypeVar("Result")


class Watch:
    """Seconds of each phase of each update, and where the host waited in it.

    Args:
        device: "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self.seconds: dict[str, list[float]] = {}
        self.waits: dict[str, collections.Counter[str]] | None = None

    def over(self, phase: str, work: Callable[..., Result]) -> Callable[..., Result]:
        """Return the same work, timed."""

        def timed(*args: object) -> Result:
            settle(self._device)
            start = time.perf_counter()
            found = work(*args) if self.waits is None else self._counted(phase, work, args)
            settle(self._device)
            self.seconds.setdefault(phase, []).append(time.perf_counter() - start)
            return found

        return timed

    def median(self, phase: str) -> float:
        """Return the median of a phase's seconds, the first update left out."""
        return statistics.median(self.seconds[phase][1:])

    def _counted(self, phase: str, work: Callable[..., Result], args: tuple[object, ...]) -> Result:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = work(*args)
        places = [f"{Path(w.filename).name}:{w.lineno}" for w in said if SYNC in str(w.message)]
        self.waits = {**(self.waits or {}), phase: collections.Counter(places)}
        return found


def measure(
    shape: Shape, mode: str, device: str, updates: int, world: Path, *, sync_check: bool
) -> dict[str, Any]:
    """Return the figures of a mode on a world."""
    job = job_of(
        world, updates + 2, "bfloat16", device, micro_batch=MICRO_BATCH, **MODES[mode]
    ).model_copy(update={"work": world / f"work-{mode}", "reward_model": _reward(world, mode)})
    _forget_peak(device)
    watch = Watch(device)
    trainer = PpoTrainer(job)
    trainer._roller._sample = watch.over("sampling", trainer._roller._sample)  # type: ignore[method-assign]
    trainer._epochs.run = watch.over("learning", trainer._epochs.run)  # type: ignore[method-assign]
    update = watch.over("update", trainer.update)
    for _ in range(updates + 1):
        update()
    figures = {m.name: m.value for m in trainer.metrics}
    found = {
        "trained_parameters": sum(p.numel() for p in trainer.learner.parameters),
        **_speeds(shape, mode, watch, figures["length"], matmul_peak(torch.bfloat16, device)),
        "peak_memory_gb": round(_peak_gb(device), 2),
        "micro_batch": int(figures["micro_batch"]),
        "out_of_memory": int(figures["out_of_memory"]),
    }
    return found | ({"host_waits": _waits(update, watch, device)} if sync_check else {})


def _reward(world: Path, mode: str) -> Path:
    """Return the folder of a mode's reward model: an adapter on the policy where adapters learn."""
    if mode == "full":
        return world / "reward"
    base = SharedBase.open(str(world / "policy"), torch.device("cpu"), "bfloat16")
    folder = world / "reward-adapter"
    folder.mkdir()
    RewardModel.from_adapter(base.fresh("reward", RANK, 2 * RANK, seed=0), seed=0).save(folder)
    return folder


def _speeds(
    shape: Shape, mode: str, watch: Watch, length: float, peak: float
) -> dict[str, float | dict[str, float]]:
    """Return seconds, tokens per second, and shares of the peak, given in GFLOP/s."""
    trunk, head = flops_of_pass(shape, length)
    learning = shape.epochs * (1 + BACKWARD[mode]) * (trunk + head)
    needed = {
        "sampling": trunk + head,
        "learning": learning,
        "update": flops_of_update(shape, length) - 3 * shape.epochs * (trunk + head) + learning,
    }
    seconds = {phase: watch.median(phase) for phase in needed}
    learned = shape.epochs * shape.batch * (shape.prompt + length)
    return {
        "seconds_per_update": round(seconds["update"], 3),
        "sampled_tokens_per_second": round(shape.batch * length / seconds["sampling"], 1),
        "learned_tokens_per_second": round(learned / seconds["learning"], 1),
        "matmul_peak_gflops": round(peak, 1),
        "share_of_peak": {
            phase: round(flops / seconds[phase] / 1e9 / peak, 4) for phase, flops in needed.items()
        },
    }


def _waits(update: Callable[[], None], watch: Watch, device: str) -> dict[str, dict[str, int]]:
    """Make one more update and return how often, and where, the host waited in it.

    What is counted under "update" is neither sampling nor learning.
    """
    watch.waits = {}
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("warn")
    update()
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("default")
    return {phase: dict(places.most_common()) for phase, places in watch.waits.items()}


def _forget_peak(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_gb(device: str) -> float:
    """Return the most memory in use at once: of the GPU, or of the process so far on a CPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def attempt(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a measurement, or that memory did not suffice for it."""
    try:
        return work()
    except (OutOfMemoryError, torch.OutOfMemoryError) as exc:
        return {"does_not_fit": str(exc).splitlines()[0]}


def main() -> int:
    """Measure, and print JSON; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["0.5b", "1.5b"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--updates", type=int, default=2, help="measured updates of each mode")
    parser.add_argument("--sync-check", action="store_true", help="count where the host waits")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        reason = f"torch {torch.__version__} finds no CUDA device here: nothing was measured"
        print(json.dumps({"device": None, "reason": reason}, indent=2))
        return 1
    name = torch.cuda.get_device_name() if given.device == "cuda" else "cpu"
    found: dict[str, Any] = {"device": name, "torch": torch.__version__}
    for shape in (SHAPES[name] for name in given.shapes):
        with tempfile.TemporaryDirectory() as place:
            world = Path(place)
            make_world(shape, world, given.updates + 2)
            for mode in given.modes:
                figures = attempt(
                    lambda mode=mode, shape=shape, world=world: measure(
                        shape,
                        mode,
                        given.device,
                        given.updates,
                        world,
                        sync_check=given.sync_check,
                    )
                )
                found.setdefault(shape.name, {})[mode] = figures
                said = json.dumps(figures)
                print(f"{shape.name} {mode}: {said}", file=sys.stderr, flush=True)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
