"""The public list, what the package imports, and that shapes are checked here."""

import ast
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

from rlaif import rl

FOLDER = Path(rl.__file__).parent
PUBLIC = """
AdaptiveKL Advantages Batch FixedKL HeadLogprobs KLController KLEstimator PolicyLoss Rollout
ValueLoss bradley_terry_loss chunked_logprobs entropy exact_kl explained_variance gae k1 k2 k3
listwise_loss masked_mean masked_sum masked_var micro_batches pad pairwise_hinge_loss place_scores
policy_loss sequence_kl token_kl token_logprobs value_loss whiten
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


def test_shapes_are_checked_while_these_tests_run() -> None:
    row, mask = torch.zeros(1, 2), torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(jaxtyping.TypeCheckError):
        rl.gae(row, row, mask)
    with pytest.raises(jaxtyping.TypeCheckError):
        rl.masked_mean(row, torch.ones(1, 2))
