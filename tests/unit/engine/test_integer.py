"""The executor for integer networks: a label is a function of the network's digest, the noise and the address alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.certify import certify, new_run
from holdfast.digest import array_digest
from holdfast.engine.integer import LARGEST_SIGMA_PX, IntegerClassifier, noisy_copies
from holdfast.errors import ParameterError
from holdfast.intnet import Flatten, Input, IntegerNetwork, Linear, Requantise
from holdfast.noise import noise_law
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Purpose

SHAPE = (1, 2, 3)
GIVEN = np.array([[[0, 10, 120], [200, 250, 255]]], np.uint8)
ADDRESS = Address(bytes(32), array_digest(GIVEN), Purpose.ESTIMATE)
LAWS = ["discrete", "rounded", "continuous"]


@dataclass(frozen=True)
class Fixed:
    """A law of which every sample is known: sample ``i`` of coordinate ``j`` is ``values[i][j]``."""

    values: NDArray[Any]
    name: str = "fixed"
    sigma_px: Fraction = Fraction(20)
    total_variation: Fraction = Fraction(0)
    digest: str = "00" * 32

    def sample(self, address: Address, start: int, count: int, dimension: int) -> NDArray[Any]:
        assert dimension == self.values.shape[1]
        return self.values[start : start + count]


def network(name: str = "fc", bias: int = 0) -> IntegerNetwork:
    """Three classes by a random matrix over the six pixels, which are halved."""
    half = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
    weight = np.random.default_rng(3).integers(-127, 128, (3, 6)).astype(np.int8)
    start = Input("input", SHAPE, np.array([128], np.int32), half)
    return IntegerNetwork([start, Flatten("flat", 0), Linear(name, 1, weight, np.full(3, bias, np.int32), None)])


def classifier(law: str = "discrete", sigma_px: str = "40", **settings: Any) -> IntegerClassifier:
    return IntegerClassifier(network(), noise_law(law, sigma_px), **settings)


def test_it_is_a_noisy_classifier() -> None:
    found = classifier()
    assert isinstance(found, NoisyClassifier)
    assert (found.num_classes, found.shape) == (3, SHAPE)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_labels_are_the_documented_function(law: str, clip: bool) -> None:
    """Noise added, rounded half up if it is float, clipped if wanted, and the first of the largest logits: by hand."""
    found = classifier(law, clip=clip)
    drawn = found.noise.sample(ADDRESS, 0, 300, 6)
    kind = np.float32 if law == "continuous" else np.int64
    copies = np.floor((drawn.astype(kind) + GIVEN.reshape(-1).astype(kind)).astype(np.float64) + 0.5)
    if law == "continuous":
        copies = np.floor(drawn + GIVEN.reshape(-1).astype(np.float32) + np.float32(0.5))
    if clip:
        copies = copies.clip(0, 255)
    expected = network().logits(copies.astype(np.int16).reshape(-1, *SHAPE)).argmax(axis=1)
    labels = found.labels(GIVEN, ADDRESS, 0, 300)
    assert labels.dtype == np.uint16
    assert labels.tolist() == expected.tolist()
    assert len(set(labels.tolist())) > 1


def test_ties_go_to_the_lowest_label() -> None:
    weight = np.ones((4, 6), np.int8)
    tied = IntegerNetwork([*network().operations[:2], Linear("fc", 1, weight, np.array([0, 5, 5, 1], np.int32), None)])
    assert IntegerClassifier(tied, noise_law("discrete", "40")).labels(GIVEN, ADDRESS, 0, 50).tolist() == [1] * 50


@pytest.mark.parametrize("law", LAWS)
def test_any_range_gives_the_same_labels(law: str) -> None:
    found = classifier(law)
    whole = found.labels(GIVEN, ADDRESS, 0, 1024)
    for start, count in ((0, 1), (255, 2), (100, 777), (256, 256), (300, 0), (1023, 1), (511, 513)):
        assert np.array_equal(found.labels(GIVEN, ADDRESS, start, count), whole[start : start + count])
    far = 2**40 + 17
    assert np.array_equal(found.labels(GIVEN, ADDRESS, far, 9), found.labels(GIVEN, ADDRESS, far - 5, 20)[5:14])


@pytest.mark.parametrize("batch", [100, 256, 777])
def test_certificates_do_not_depend_on_the_batch_size(batch: int) -> None:
    found = classifier()
    run = new_run(found, data="one", data_digest="00" * 32, n0=50, n=1500, alpha="0.01", nonce="07" * 32)
    assert certify(found, GIVEN, run, batch=batch) == certify(found, GIVEN, run, batch=1024)


# Noisy copies


def copies(values: Any, dtype: Any, **settings: bool) -> NDArray[np.int16]:
    noise = Fixed(np.array(values, dtype).reshape(-1, 6))
    return noisy_copies(GIVEN, noise, ADDRESS, 0, len(noise.values), **settings)


@pytest.mark.parametrize("law", LAWS)
def test_copies_are_int16_of_the_image_s_shape(law: str) -> None:
    found = noisy_copies(GIVEN, noise_law(law, "500"), ADDRESS, 7, 11)
    assert (found.dtype, found.shape) == (np.int16, (11, *SHAPE))
    assert int(found.max()) > 255
    assert int(found.min()) < 0


def test_float_noise_is_rounded_half_up_after_it_was_added() -> None:
    values = [-0.5, 0.5, 1.5, -1.5, 0.49999, -0.50001]
    expected = [floor(Fraction(v) + int(p) + Fraction(1, 2)) for v, p in zip(values, GIVEN.flat, strict=True)]
    assert copies(values, np.float32).flatten().tolist() == expected


def test_integer_noise_is_added_exactly_also_at_the_ends() -> None:
    values = [-32768, 32767, -32768, 32767 - 200, 32767, 32767]
    expected = [max(-32768, min(32767, v + int(p))) for v, p in zip(values, GIVEN.flat, strict=True)]
    assert copies(values, np.int16).flatten().tolist() == expected


def test_float_noise_beyond_int16_saturates() -> None:
    assert copies([-1e9, 1e9, 40_000, -40_000, 0, 0], np.float32).flatten().tolist() == [
        -32768, 32767, 32767, -32768, 250, 255,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_clipping_keeps_what_is_a_byte_and_cuts_the_rest(dtype: Any) -> None:
    found = copies([-1, 5, 200, -30, 10, 0], dtype, clip=True)
    assert found.flatten().tolist() == [0, 15, 255, 170, 255, 255]


@pytest.mark.parametrize("law", ["discrete", "rounded"])
def test_the_largest_noise_fits_int16(law: str) -> None:
    """The most extreme value that a law can draw, on the darkest and the brightest pixel."""
    table: Any = noise_law(law, str(LARGEST_SIGMA_PX))
    assert table.table.low >= -(1 << 15)
    assert -table.table.low + 255 < 1 << 15


# What a classifier says of itself


def test_the_fingerprint_is_the_network_s_digest() -> None:
    """So certificates name the file's content; names of layers and metadata do not matter, a bias does."""
    noise = noise_law("discrete", "40")
    assert classifier().fingerprint == network().digest
    assert IntegerClassifier(network("other name"), noise).fingerprint == network().digest
    assert IntegerClassifier(IntegerNetwork(network().operations, {"a": 1}), noise).fingerprint == network().digest
    assert IntegerClassifier(network(bias=1), noise).fingerprint != network().digest


def test_clipping_is_another_classifier() -> None:
    clipped, plain = classifier(clip=True), classifier()
    assert clipped.fingerprint != plain.fingerprint
    assert (clipped.description["clip"], plain.description["clip"]) == (True, False)


def test_the_description_says_nothing_about_the_machine() -> None:
    assert classifier().description == {
        "evaluation": "integer",
        "law": 1,
        "network": network().digest,
        "clip": False,
        "weights": 18,
        "macs": 18,
    }


@pytest.mark.parametrize("law", ["discrete", "rounded"])
def test_a_sigma_that_int16_could_not_hold_is_refused(law: str) -> None:
    make: Callable[..., Any] = noise_law
    with pytest.raises(ParameterError, match="2400"):
        IntegerClassifier(network(), make(law, "2400.01"))


def test_a_law_of_one_s_own_is_held_to_the_same_limit() -> None:
    wide = Fixed(np.zeros((1, 6), np.int16), sigma_px=Fraction(2401))
    with pytest.raises(ParameterError, match="sigma_px 2401 is above 2400: noisy pixels would not fit int16"):
        IntegerClassifier(network(), wide)
