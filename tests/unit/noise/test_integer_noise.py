"""What the integer laws share: addresses, ranges, samplers, proofs of floors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from holdfast.errors import ParameterError, ProofFailed
from holdfast.noise import LAWS, DiscreteGaussian, RoundedGaussian, native, noise_charge, noise_law
from holdfast.noise.integer_noise import IntegerNoise, proved_floors
from holdfast.noise.tables import MAX_DIMENSION
from holdfast.protocols import Noise
from holdfast.records import Address, Purpose

INTEGER_LAWS = [DiscreteGaussian, RoundedGaussian]
ADDRESS = Address(bytes(32), bytes(range(32)), Purpose.SELECT)


@pytest.mark.parametrize("law", INTEGER_LAWS)
@pytest.mark.parametrize("native_wanted", ["0", "1"])
def test_samples_are_a_pure_function_of_the_address(
    law: type[IntegerNoise], native_wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the range is divided, and with either sampler."""
    monkeypatch.setenv("HOLDFAST_NATIVE", native_wanted)
    noise = law("30.6")
    whole = noise.sample(ADDRESS, 5, 300, 13)
    assert (whole.dtype, whole.shape) == (np.int16, (300, 13))
    parts = [noise.sample(ADDRESS, 5 + a, b - a, 13) for a, b in ((0, 1), (1, 257), (257, 257), (257, 300))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(noise.sample(ADDRESS, 5, 300, 9), whole[:, :9])
    other = Address(ADDRESS.run_key, ADDRESS.input_digest, Purpose.ESTIMATE)
    assert not np.array_equal(noise.sample(other, 5, 300, 13), whole)


@pytest.mark.parametrize("law", INTEGER_LAWS)
def test_native_and_numpy_agree_through_the_switch(law: type[IntegerNoise], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for wanted in ("0", "1"):
        monkeypatch.setenv("HOLDFAST_NATIVE", wanted)
        found.append(law("63.75").sample(ADDRESS, 2**40, 50, 3072))
    assert np.array_equal(*found)


def test_the_switch_turns_native_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_NATIVE", "0")
    assert not native.available()
    monkeypatch.setattr(native, "sample_table", lambda *_: pytest.fail("the native sampler was called"))
    assert DiscreteGaussian("1").sample(ADDRESS, 0, 2, 2).shape == (2, 2)


@pytest.mark.parametrize("law", INTEGER_LAWS)
@pytest.mark.parametrize(
    ("start", "count", "dimension"), [(-1, 2, 4), (0, -1, 4), (2**63, 1, 4), (0, 1, 0), (0, 1, MAX_DIMENSION + 1)]
)
def test_ranges_outside_the_address_space_are_refused(
    law: type[IntegerNoise], start: int, count: int, dimension: int
) -> None:
    with pytest.raises(ParameterError, match="no samples"):
        law("30.6").sample(ADDRESS, start, count, dimension)


@pytest.mark.parametrize("law", INTEGER_LAWS)
def test_no_samples_and_the_last_sample(law: type[IntegerNoise]) -> None:
    assert law("30.6").sample(ADDRESS, 0, 0, 7).shape == (0, 7)
    assert law("30.6").sample(ADDRESS, 2**63 - 1, 1, 7).shape == (1, 7)


@pytest.mark.parametrize("law", INTEGER_LAWS)
@pytest.mark.parametrize("sigma_px", [30.6, float("nan"), "0", "-1", "2400.001", "nan", "a", None, True, "1e99"])
def test_scales_that_are_not_exact_or_out_of_range_are_refused(law: type[IntegerNoise], sigma_px: Any) -> None:
    with pytest.raises(ParameterError, match="sigma"):
        law(sigma_px)


def test_laws_are_equal_when_name_and_scale_are() -> None:
    assert DiscreteGaussian("30.6") == DiscreteGaussian(Fraction(153, 5))
    assert len({DiscreteGaussian("30.60"), DiscreteGaussian("30.6"), DiscreteGaussian(1), RoundedGaussian("30.6")}) == 3
    assert DiscreteGaussian("30.6") != RoundedGaussian("30.6")
    assert DiscreteGaussian("30.6") != "30.6"
    assert repr(RoundedGaussian("63.75")) == "RoundedGaussian(sigma_px=255/4)"


def test_laws_are_found_by_name() -> None:
    assert set(LAWS) == {"discrete", "rounded", "continuous"}
    for name, law in LAWS.items():
        noise = noise_law(name, "30.6")
        assert type(noise) is law
        assert isinstance(noise, Noise)
        assert noise.name == name
    with pytest.raises(ParameterError, match="unknown noise 'laplace'; known: discrete, rounded, continuous"):
        noise_law("laplace", "1")


def test_the_charge_is_twice_the_distance_on_the_largest_image() -> None:
    assert noise_charge(Fraction(3, 1 << 128)) == Fraction(3 * 2 * 2**24, 1 << 128)
    assert noise_charge(Fraction(0)) == 0


def test_floors_are_proved_at_the_first_precision_that_can() -> None:
    tried = []

    def probabilities() -> list[Any]:
        """1/3, and a number 2^-500 above an integer multiple of 2^-128: 256 bits leave its floor in doubt."""
        tried.append(ctx.prec)
        return [arb(1) / 3, arb(7) / 2**128 + arb(1) / 3 / arb(2) ** 500, arb(0, 2.0**-200)]

    assert proved_floors(probabilities) == [2**128 // 3, 7, 0]
    assert tried == [256, 512]


@pytest.mark.parametrize("ball", [arb(7, 0.5) / 2**128, arb("nan")])
def test_a_floor_that_stays_in_doubt_is_an_error(ball: Any) -> None:
    with pytest.raises(ProofFailed, match="1024 bits"):
        proved_floors(lambda: [ball])
