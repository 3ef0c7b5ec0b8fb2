"""Seeds: the same on every machine, different in every place."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.seeds import derive_seed, numpy_generator, seed_everything, torch_generator

SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)
names = st.lists(st.one_of(st.text(max_size=6), st.integers(-5, 50)), max_size=4)
places = st.tuples(st.integers(0, 3), names)


def test_a_seed_is_the_top_63_bits_of_a_hash_of_its_place() -> None:
    text = "7\x1fint:2\x1fstr:generation\x1fstr:u0001"
    top = int(hashlib.sha256(text.encode("utf-8")).hexdigest()[:16], 16) >> 1
    assert derive_seed(7, 2, "generation", "u0001") == top


@pytest.mark.parametrize(
    ("seed", "place", "expected"),
    [(1, (2, "generation", "u"), 4424441462919188150), (7, ("a", "b"), 5609650787447061153)],
)
def test_seeds_never_change_between_releases(
    seed: int, place: tuple[str | int, ...], expected: int
) -> None:
    assert derive_seed(seed, *place) == expected


@SETTINGS
@given(places, places)
def test_different_places_have_different_seeds(
    one: tuple[int, list[str | int]], other: tuple[int, list[str | int]]
) -> None:
    same = one == other
    assert (derive_seed(one[0], *one[1]) == derive_seed(other[0], *other[1])) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("1",), (1,)),
        (("a\x1fstr:b",), ("a", "b")),
        (("a\x1f", "b"), ("a", "\x1fb")),
        (("ab",), ("a", "b")),
        ((), ("",)),
    ],
)
def test_no_two_lists_of_names_read_the_same(
    one: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assert derive_seed(0, *one) != derive_seed(0, *other)


def test_an_integer_of_numpy_is_an_integer() -> None:
    assert derive_seed(0, int(np.int64(5))) == derive_seed(0, np.int64(5))  # type: ignore[arg-type]


@SETTINGS
@given(places)
def test_a_seed_fits_every_generator(place: tuple[int, list[str | int]]) -> None:
    seed = derive_seed(place[0], *place[1])
    assert 0 <= seed < 2**63
    numpy_generator(seed)
    torch_generator(seed)


def test_generators_repeat_themselves_and_leave_the_global_ones_alone() -> None:
    seed_everything(3)
    before = (np.random.get_state()[1].copy(), torch.get_rng_state())  # noqa: NPY002 - the legacy state
    assert numpy_generator(5).random() == numpy_generator(5).random()
    one, other = (torch.rand(3, generator=torch_generator(5)) for _ in range(2))
    assert torch.equal(one, other)
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002 - the legacy state
    assert torch.equal(before[1], torch.get_rng_state())


def test_seeding_everything_reaches_all_three_global_generators() -> None:
    import random  # noqa: TID251 - the state that seed_everything sets

    def draw() -> tuple[float, float, float]:
        seed_everything(2**62 + 1)
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002, S311 - the legacy states

    first = draw()
    assert draw() == first
    seed_everything(4)
    assert (random.random(), np.random.rand()) != first[:2]  # noqa: NPY002, S311 - the legacy states


def test_deriving_a_seed_needs_no_torch() -> None:
    code = "import rlaif.seeds, sys; rlaif.seeds.derive_seed(1, 2); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
