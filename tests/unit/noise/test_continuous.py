"""The float baseline: reproducible, and marked as outside the exact guarantee."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from holdfast.errors import ParameterError
from holdfast.noise import ContinuousGaussian
from holdfast.records import Address, Purpose

ADDRESS = Address(bytes(32), bytes(range(32)), Purpose.SELECT)


def test_it_is_the_documented_stream() -> None:
    low, high = ADDRESS.philox_key()
    start = 2**63 - 2
    found = ContinuousGaussian("30.6").sample(ADDRESS, start, 2, 6)
    assert (found.dtype, found.shape) == (np.float32, (2, 6))
    for row, sample in enumerate((start, start + 1)):
        words = np.random.Philox(key=[low + (high << 32), 0], counter=[0, 0, sample, 0])
        expected = np.random.Generator(words).standard_normal(6, dtype=np.float32) * np.float32(30.6)
        assert np.array_equal(found[row], expected)


def test_samples_of_the_largest_images_share_no_words() -> None:
    """A sample uses the lower half of the counter, 2^128 blocks: one image has at most 2^24 coordinates."""
    noise = ContinuousGaussian("1")
    first, second = noise.sample(ADDRESS, 0, 2, 4096)
    assert not set(first.tolist()).issuperset(second[:16].tolist())


def test_its_distribution_is_normal_with_the_asked_scale() -> None:
    """A fixed address: this is one outcome, not a test that could fail by chance. The Kolmogorov distance of 2^18 draws
    exceeds 0.0035 with probability 2 exp(-2 n 0.0035^2) = 0.0032."""
    draws = np.sort(ContinuousGaussian("30.6").sample(ADDRESS, 0, 64, 4096).reshape(-1) / 30.6)
    steps = np.arange(len(draws) + 1) / len(draws)
    exact = ndtr(draws)
    assert max(np.abs(exact - steps[:-1]).max(), np.abs(exact - steps[1:]).max()) < 0.0035


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
