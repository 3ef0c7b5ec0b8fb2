"""Optimizers survive a trip through files bit by bit."""

from pathlib import Path

import torch

from rlaif.models.training_state import (
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
