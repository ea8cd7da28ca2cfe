"""The float baseline: reproducible, and marked as outside the exact guarantee."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from holdfast.errors import ParameterError
from holdfast.noise import ContinuousGaussian, continuous
from holdfast.noise.philox import philox4x32
from holdfast.records import Address, Purpose

ADDRESS = Address(bytes(32), bytes(range(32)), Purpose.SELECT)


def test_it_is_the_documented_function_of_the_words() -> None:
    key, start = ADDRESS.philox_key(), 2**32 - 1
    found = ContinuousGaussian("30.6").sample(ADDRESS, start, 2, 6)
    assert (found.dtype, found.shape) == (np.float32, (2, 6))
    for row, sample in enumerate((start, start + 1)):
        words = [w for b in (0, 1) for w in philox4x32((b, 0, sample & 0xFFFFFFFF, sample >> 32), key)]
        expected = (ndtri((np.array(words, dtype=np.uint64) + 0.5) * 2.0**-32) * 30.6).astype(np.float32)
        assert np.array_equal(found[row], expected[:6])


def test_every_word_gives_a_finite_number_and_the_law_is_symmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = np.array([[0], [2**32 - 1], [2**31 - 1], [2**31]], dtype=np.uint64)
    monkeypatch.setattr(continuous, "word_lanes", lambda *_: [(0, extremes)])
    least, largest, below, above = ContinuousGaussian("1").sample(ADDRESS, 0, 1, 4)[0].tolist()
    assert -6.4 < least == -largest
    assert below == -above < 0


def test_division_into_calls_changes_nothing() -> None:
    noise = ContinuousGaussian("30.6")
    whole = noise.sample(ADDRESS, 0, 100, 257)
    assert np.array_equal(
        np.concatenate([noise.sample(ADDRESS, 0, 33, 257), noise.sample(ADDRESS, 33, 67, 257)]), whole
    )
    assert noise.sample(ADDRESS, 0, 0, 257).shape == (0, 257)


def test_nothing_is_proved_so_nothing_is_charged() -> None:
    noise = ContinuousGaussian("30.6")
    assert noise.total_variation == 0
    assert noise.name == "continuous"
    assert noise.digest == ContinuousGaussian("30.60").digest != ContinuousGaussian("30.7").digest
    assert len(bytes.fromhex(noise.digest)) == 32


@pytest.mark.parametrize(("start", "count", "dimension"), [(-1, 2, 4), (0, -1, 4), (2**63, 1, 4), (0, 1, 0)])
def test_ranges_outside_the_address_space_are_refused(start: int, count: int, dimension: int) -> None:
    with pytest.raises(ParameterError, match="no samples"):
        ContinuousGaussian("30.6").sample(ADDRESS, start, count, dimension)


@pytest.mark.parametrize("sigma_px", [30.6, "0", "-1", "2401", "inf"])
def test_scales_that_are_not_exact_or_out_of_range_are_refused(sigma_px: str) -> None:
    with pytest.raises(ParameterError, match="sigma"):
        ContinuousGaussian(sigma_px)
