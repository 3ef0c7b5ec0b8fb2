"""The GPU benchmark: its whole path on a CPU, its arithmetic, and what it says without a GPU."""

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OURS = ("gpu", "our_side", "peak", "side", "worlds")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu

    yield gpu
    for name in OURS:
        sys.modules.pop(name, None)


def run(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *options])
    code: int = gpu.main()
    return code


def test_a_tiny_shape_goes_the_whole_way(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "matmul_peak", lambda *_: 100.0)
    options = ("--device", "cpu", "--shapes", "smoke", "--updates", "1", "--sync-check")
    assert run(gpu, monkeypatch, *options) == 0
    found = json.loads(capsys.readouterr().out)["smoke"]
    assert set(found) == {"full", "lora"}
    for figures in found.values():
        assert figures["sampled_tokens_per_second"] > 0
        assert figures["learned_tokens_per_second"] > 0
        assert 0 < figures["share_of_peak"]["learning"] < 1
        assert figures["peak_memory_gb"] > 0
        assert (figures["micro_batch"], figures["out_of_memory"]) == (16, 0)
        assert figures["host_waits"] == {"sampling": {}, "learning": {}, "update": {}}
    assert found["lora"]["trained_parameters"] < found["full"]["trained_parameters"]


def test_without_a_gpu_it_says_so(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run(gpu, monkeypatch) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["device"] is None
    assert "no CUDA device" in found["reason"]


def test_a_mode_that_does_not_fit_is_told_as_such(gpu: ModuleType) -> None:
    def too_large() -> dict[str, object]:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    assert gpu.attempt(too_large) == {"does_not_fit": "CUDA out of memory."}


def test_shapes_have_the_sizes_that_they_are_called_by(gpu: ModuleType) -> None:
    from worlds import flops_of_pass

    for name, weights in (("0.5b", 0.494e9), ("1.5b", 1.544e9)):
        shape = gpu.SHAPES[name]
        trunk, head = flops_of_pass(shape, shape.response)
        rows = shape.batch * (shape.prompt + shape.response)
        in_trunk = trunk / 2 / rows
        in_head = head / 2 / (shape.batch * shape.response)
        assert in_trunk + in_head == pytest.approx(weights, rel=0.01)


def test_waits_are_counted_by_place(gpu: ModuleType) -> None:
    def waiting() -> int:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
        return 7

    watch = gpu.Watch("cpu")
    watch.waits = {}
    assert watch.over("learning", waiting)() == 7
    (place,) = watch.waits["learning"]
    assert place.startswith("test_bench_gpu.py:")
    assert watch.waits["learning"][place] == 3


def test_shares_count_no_gradients_of_frozen_weights(gpu: ModuleType) -> None:
    shape = gpu.SHAPES["smoke"]
    watch = gpu.Watch("cpu")
    watch.seconds = {phase: [9.0, 2.0, 2.0] for phase in ("sampling", "learning", "update")}
    full, lora = (gpu._speeds(shape, mode, watch, 12.0, 1e-4) for mode in ("full", "lora"))
    assert full["sampled_tokens_per_second"] == 4 * 12 / 2
    assert full["learned_tokens_per_second"] == 4 * 20 / 2
    shares = [x["share_of_peak"] for x in (full, lora)]
    assert shares[1]["learning"] == pytest.approx(shares[0]["learning"] * 2 / 3, rel=1e-3)
    assert shares[0]["sampling"] == shares[1]["sampling"] > 0
    assert shares[1]["update"] < shares[0]["update"]
