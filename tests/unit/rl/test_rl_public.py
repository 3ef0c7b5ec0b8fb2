"""The public list, what the package imports, and that shapes are checked."""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from jaxtyping import TypeCheckError, install_import_hook

import rlaif
from rlaif import rl

FOLDER = Path(rl.__file__).parent
PUBLIC = """
AdaptiveKL Advantages Anchor Batch FixedKL HeadLogprobs HeadLoss KLController KLEstimator
LagrangianKL
MeanKL PolicyLoss Rollout RunningScale Said ValueLoss bradley_terry_loss chunked_exact_kl
chunked_logprobs clip_scores
ema_update ensemble_score entropy exact_kl explained_variance gae head_loss k1 k2 k3 kl_loss
length_penalty listwise_loss masked_mean masked_sum masked_var mean_and_error micro_batches pad
pairwise_hinge_loss place_scores policy_loss sequence_kl token_kl token_logprobs value_loss whiten
"""


def test_the_public_list_is_this_one() -> None:
    assert sorted(rl.__all__) == sorted(PUBLIC.split())
    assert all(getattr(rl, name).__doc__ for name in rl.__all__ if name != "KLEstimator")


def imported_packages(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_only_torch_jaxtyping_and_the_standard_library_are_imported() -> None:
    found = set()
    for path in FOLDER.glob("*.py"):
        found |= imported_packages(path.read_text(encoding="utf-8"))
    outside = {name.split(".")[0] for name in found} - set(sys.stdlib_module_names)
    assert outside == {"torch", "jaxtyping", "rlaif"}
    assert all(name.startswith("rlaif.rl.") for name in found if name.startswith("rlaif"))


@pytest.fixture
def checked_rl(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package imported anew under shape checks, whoever imported it before."""
    monkeypatch.setattr(rlaif, "rl", rl)
    for name in [name for name in sys.modules if f"{name}.".startswith("rlaif.rl.")]:
        monkeypatch.delitem(sys.modules, name)
    with install_import_hook("rlaif.rl", "beartype.beartype"):
        yield importlib.import_module("rlaif.rl")


def test_shapes_and_types_are_as_annotated(checked_rl: ModuleType) -> None:
    row, mask = torch.zeros(1, 2), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(TypeCheckError):
        checked_rl.gae(row, row, mask)
    with pytest.raises(TypeCheckError):
        checked_rl.masked_mean(row, torch.ones(1, 2))
    assert checked_rl.gae(row, row, mask[:, :2]).advantages.tolist() == [[0.0, 0.0]]
