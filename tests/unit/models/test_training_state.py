"""Optimizers survive a trip through files bit by bit, and broken checkpoints are passed over."""

from pathlib import Path

import torch

from rlaif.artifacts import landing
from rlaif.models.training_state import (
    latest_checkpoint,
    load_optimizer,
    load_state,
    save_optimizer,
    save_state,
)


def trained(steps: int) -> tuple[torch.nn.Linear, torch.optim.AdamW]:
    generator = torch.Generator().manual_seed(1)
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, optimizer, steps)
    return model, optimizer


def step(model: torch.nn.Linear, optimizer: torch.optim.AdamW, times: int) -> None:
    for _ in range(times):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()


def test_going_on_from_files_equals_never_stopping(tmp_path: Path) -> None:
    straight, _ = trained(7)
    model, optimizer = trained(4)
    save_optimizer(optimizer, tmp_path)
    fresh = torch.optim.AdamW(model.parameters(), lr=0.1)
    load_optimizer(fresh, tmp_path)
    step(model, fresh, 3)
    for mine, theirs in zip(model.parameters(), straight.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_state_is_plain_json(tmp_path: Path) -> None:
    save_state({"done": 3, "beta": 0.1, "名": "值"}, tmp_path)
    assert load_state(tmp_path) == {"done": 3, "beta": 0.1, "名": "值"}


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, "update-") is None
    for number in (5, 10, 15):
        with landing(tmp_path / f"update-{number:05d}") as folder:
            save_state({"done": number}, folder)
    (tmp_path / "update-00015" / "state.json").write_text("{}", encoding="utf-8")
    found = latest_checkpoint(tmp_path, "update-")
    assert found is not None
    assert load_state(found) == {"done": 10}
