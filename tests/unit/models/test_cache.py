"""The roomy cache holds what the library's own holds, whatever is done to it."""

import pytest
import torch
from transformers import DynamicCache, LlamaConfig

from rlaif.models.cache import ROOM, RoomyLayer, growing_cache
from rlaif.seeds import torch_generator

CONFIG = LlamaConfig(num_hidden_layers=2, hidden_size=8, num_attention_heads=2)


def states(tokens: int, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch_generator(seed)
    shape = (rows, 2, tokens, 4)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@pytest.mark.parametrize("layer", [0, 1])
def test_it_equals_the_librarys_cache_through_growth_and_selection(layer: int) -> None:
    mine, theirs = growing_cache(CONFIG), DynamicCache(config=CONFIG)
    rows = 3
    for step, tokens in enumerate([5, 1, 1, ROOM, 1, 2 * ROOM, 1]):
        new = states(tokens, rows, step)
        for cache in (mine, theirs):
            cache.update(*new, layer)
        if step in (2, 4):
            chosen = torch.tensor([2, 0, 0, 1] if step == 2 else [3, 1])
            rows = len(chosen)
            for cache in (mine, theirs):
                cache.batch_select_indices(chosen)
        assert torch.equal(mine.layers[layer].keys, theirs.layers[layer].keys)
        assert torch.equal(mine.layers[layer].values, theirs.layers[layer].values)
        assert mine.get_seq_length(layer) == theirs.get_seq_length(layer)


def test_a_step_copies_no_history() -> None:
    layer = RoomyLayer()
    layer.update(*states(4, 2, 0))
    place = layer.keys.data_ptr()
    for step in range(ROOM):
        layer.update(*states(1, 2, step))
        assert layer.keys.data_ptr() == place
    layer.update(*states(1, 2, 99))
    assert layer.keys.data_ptr() != place
    assert layer.keys.shape[-2] == 4 + ROOM + 1
