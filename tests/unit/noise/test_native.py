"""The native sampler: equal to the NumPy one, optional, and strict about its arguments."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from holdfast.noise import DiscreteGaussian, native
from holdfast.noise.sampler import sample_table
from holdfast.noise.tables import NoiseTable
from holdfast.records import Address, Purpose

KEY = (0xDEADBEEF, 0x01234567)


@pytest.mark.parametrize("dimension", [1, 3, 4, 255, 256, 257, 3072, 3073])
@pytest.mark.parametrize("start", [0, 2**32 - 3, 2**63 - 7])
def test_equal_to_numpy_at_the_edges_of_its_lanes(
    dimension: int, start: int, native_sample_table: Callable[..., Any]
) -> None:
    """The native sampler works in groups of 256 coordinates."""
    for sigma_px in ("0.01", "0.3", "30.6", "2400"):
        table = DiscreteGaussian(sigma_px).table
        expected = sample_table(table, KEY, start, 7, dimension)
        assert np.array_equal(native_sample_table(table, KEY, start, 7, dimension), expected)


def test_equal_to_numpy_on_a_large_image(native_sample_table: Callable[..., Any]) -> None:
    table, dimension = DiscreteGaussian("255").table, 3 * 224 * 224
    expected = sample_table(table, KEY, 2**40, 3, dimension)
    assert np.array_equal(native_sample_table(table, KEY, 2**40, 3, dimension), expected)


@pytest.fixture
def without_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as it is installed where there is no compiler."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "holdfast._native", None)
        importlib.reload(native)
        yield
    importlib.reload(native)


@pytest.mark.usefixtures("without_native")
def test_without_it_the_numpy_sampler_serves() -> None:
    assert not native.available()
    noise = DiscreteGaussian("30.6").sample(Address(bytes(32), bytes(32), Purpose.ESTIMATE), 0, 1, 5)
    assert noise.tolist() == [[-25, -9, -19, -13, 2]]


def test_arguments_are_never_cast_in_silence(native_sample_table: Callable[..., Any]) -> None:
    """nanobind would by default take 300 for 44 in an array of bytes; here every array must be what it says."""
    sampler_type = native._native.Sampler
    limbs = DiscreteGaussian("1").table.limbs
    for bad in (limbs.astype(np.int64), limbs.astype(np.float32), limbs[:, :3], limbs.T, limbs.tolist()):
        with pytest.raises(TypeError):
            sampler_type(-3, bad)
    sampler = sampler_type(-len(limbs) // 2, limbs)
    for out in (np.empty((2, 4), np.int32), np.empty(8, np.int16), np.empty((4, 8), np.int16)[:, ::2]):
        with pytest.raises(TypeError):
            sampler.fill(1, 2, 0, out)
    for k0, start in ((-1, 0), (2**32, 0), (0, -1), (0, 2**64)):
        with pytest.raises(TypeError):
            sampler.fill(k0, 0, start, np.empty((2, 4), np.int16))


@pytest.mark.usefixtures("native_sample_table")
@pytest.mark.parametrize(
    ("low", "last_words", "message"),
    [(-32768, [], "int16"), (0, list(range(32768)), "int16"), (-1, [1, 0], "ascending")],
)
def test_tables_that_cannot_be_sampled_are_refused(low: int, last_words: list[int], message: str) -> None:
    limbs = np.zeros((len(last_words), 4), dtype=np.uint32)
    limbs[:, 3] = last_words
    with pytest.raises(ValueError, match=message):
        native._native.Sampler(low, limbs)


def test_the_sampler_of_no_thresholds(native_sample_table: Callable[..., Any]) -> None:
    assert not native_sample_table(NoiseTable(0, ()), KEY, 0, 3, 5).any()
