"""What travels between the rooms."""

from __future__ import annotations

import hashlib
import json
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ParameterError
from holdfast.records import ABSTAIN, Address, Certificate, Preprocessing, Purpose, Run, Tally

KEY, DIGEST = bytes(range(32)), bytes(range(32, 64))
CERTIFICATE = Certificate(
    run="0" * 16, index=7, digest="00" * 32, label=3, radius_sq_px=13602, p_lower=0.75, p_upper=0.25,
    selection_counts=(0, 1, 2, 97), counts=(0, 0, 100, 900),
)  # fmt: skip
RUN = Run(
    fingerprint="ab" * 32, classifier={"b": 1, "a": [True, None]}, noise="discrete", noise_digest="cd" * 32,
    sigma="0.12", data="digits test", data_digest="ef" * 32, num_classes=4, shape=(1, 8, 8), n0=100, n=1000,
    alpha="0.001", alpha_split=("0.001",), bound="Clopper-Pearson", looks=(1000,), theorem="A1", epsilon="1/100",
    nonce="01" * 32, nonce_given=True,
)  # fmt: skip
OTHER: dict[str, Any] = {
    "classifier": {"b": 1, "a": [True, 0]}, "num_classes": 5, "shape": (1, 8, 9), "n0": 101, "n": 1001, "looks": (1001,),
    "alpha_split": ("0.0005", "0.0005"),
}  # fmt: skip


def test_the_philox_key_is_the_documented_hash() -> None:
    address = Address(KEY, DIGEST, Purpose.ESTIMATE, layer=258)
    head = hashlib.sha256(KEY + DIGEST + b"estimate" + b"\0" + b"\x02\x01\x00\x00").digest()
    assert address.philox_key() == (int.from_bytes(head[:4], "little"), int.from_bytes(head[4:8], "little"))
    assert Address(bytes(32), bytes(32), Purpose.SELECT).philox_key() == (0xBC2B324C, 0xC18720C3)


def test_every_part_of_an_address_changes_the_key() -> None:
    addresses = {Address(KEY, DIGEST, purpose, layer) for purpose in Purpose for layer in (0, 1, 2**32 - 1)}
    addresses |= {Address(DIGEST, DIGEST, Purpose.SELECT), Address(KEY, KEY, Purpose.SELECT)}
    assert len({a.philox_key() for a in addresses}) == len(addresses) == 17


def test_the_purposes_are_the_documented_ones() -> None:
    assert [p.value for p in Purpose] == ["select", "estimate", "pilot", "predict", "verify"]


@pytest.mark.parametrize(
    ("key", "digest", "layer"), [(31, 33, 0), (0, 32, 0), (32, 31, 0), (32, 32, -1), (32, 32, 2**32)]
)
def test_addresses_with_parts_of_another_length_are_refused(key: int, digest: int, layer: int) -> None:
    """Otherwise two addresses could hash the same text, and an empty key would be no secret."""
    with pytest.raises(ParameterError, match="32 bytes"):
        Address(bytes(key), bytes(digest), Purpose.SELECT, layer)


@given(st.lists(st.integers(0, 6), max_size=50))
def test_tallies_count(labels: list[int]) -> None:
    tally = Tally.of(np.array(labels, dtype=np.uint16), 7)
    assert tally.counts == tuple(labels.count(c) for c in range(7))
    assert tally.counts.index(max(tally.counts)) == tally.top
    assert tally.labels.tolist() == labels


def test_labels_outside_the_classes_are_refused() -> None:
    assert Tally.of(np.array([1, 2], dtype=np.uint16), 3).counts == (0, 1, 1)
    with pytest.raises(ParameterError, match="label 2 is outside the 2 classes"):
        Tally.of(np.array([1, 2], dtype=np.uint16), 2)


def test_the_run_key_is_the_documented_hash() -> None:
    parameters = {
        "fingerprint": "ab" * 32, "classifier": {"b": 1, "a": [True, None]}, "noise": "discrete",
        "noise_digest": "cd" * 32, "sigma": "0.12", "data": "digits test", "data_digest": "ef" * 32, "num_classes": 4,
        "shape": [1, 8, 8], "n0": 100, "n": 1000, "alpha": "0.001", "alpha_split": ["0.001"],
        "bound": "Clopper-Pearson", "looks": [1000], "theorem": "A1", "epsilon": "1/100",
    }  # fmt: skip
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":")).encode()
    assert RUN.parameters() == parameters
    assert RUN.run_key == hashlib.sha256(b"\x01" * 32 + text).digest()
    assert RUN.id == hashlib.sha256(b"holdfast run id\0" + RUN.run_key).hexdigest()[:16]
    assert RUN.address(DIGEST, Purpose.PILOT) == Address(RUN.run_key, DIGEST, Purpose.PILOT)


@pytest.mark.parametrize("name", [f.name for f in fields(Run) if f.name != "nonce_given"])
def test_every_parameter_changes_the_run_key_and_the_id(name: str) -> None:
    changed = replace(
        RUN, **{name: OTHER.get(name, str(getattr(RUN, name)).replace("0", "1") + "1" * (name != "nonce"))}
    )
    assert changed != RUN
    assert changed.run_key != RUN.run_key
    assert changed.id != RUN.id


def test_whether_a_nonce_was_given_is_recorded_but_changes_no_noise() -> None:
    drawn = replace(RUN, nonce_given=False)
    assert drawn != RUN
    assert drawn.run_key == RUN.run_key


def test_sigma_in_grey_levels_is_exact() -> None:
    assert RUN.sigma_px == Fraction("30.6")
    assert replace(RUN, sigma="1/3").sigma_px == 85


@pytest.mark.parametrize(("noise", "exact"), [("discrete", True), ("rounded", True), ("continuous", False)])
def test_only_integer_noise_is_exact(noise: str, exact: bool) -> None:
    assert replace(RUN, noise=noise).exact is exact


@pytest.mark.parametrize(
    "record", [RUN, CERTIFICATE, Address(KEY, DIGEST, Purpose.SELECT), Preprocessing((0.0,), (1.0,))]
)
def test_records_are_frozen(record: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(record, fields(record)[0].name, "other")


def test_a_certificate_says_what_it_proves() -> None:
    assert (CERTIFICATE.prediction, CERTIFICATE.abstained) == (3, False)
    assert (Fraction(CERTIFICATE.radius) * 255) ** 2 <= 13602
    assert str(CERTIFICATE) == "input 7: label 3, radius 0.4573"


def test_an_abstention_predicts_nothing() -> None:
    abstained = replace(CERTIFICATE, radius_sq_px=ABSTAIN)
    assert (abstained.prediction, abstained.abstained, abstained.radius) == (ABSTAIN, True, 0.0)
    assert str(abstained) == "input 7: abstained"
    assert not replace(CERTIFICATE, radius_sq_px=0).abstained


def test_preprocessing_is_two_float32_numbers_per_channel() -> None:
    scale, shift = Preprocessing((0.5, 0.25, 0.0), (0.25, 0.5, 1.0)).scale_shift()
    assert scale.dtype == shift.dtype == np.float32
    assert scale.tolist() == [np.float32(1 / (255 * s)) for s in (0.25, 0.5, 1.0)]
    assert shift.tolist() == [-2.0, -0.5, 0.0]


@pytest.mark.parametrize(
    ("mean", "std"),
    [((), ()), ((0.5,), ()), ((0.5,), (0.1, 0.2)), ((0.5,), (0.0,)), ((0.5,), (-1.0,)), ((float("nan"),), (1.0,)),
     ((float("inf"),), (1.0,)), ((0.5,), (float("nan"),)), ((0.5,), (float("inf"),))],
)  # fmt: skip
def test_preprocessing_that_is_no_map_is_refused(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="mean"):
        Preprocessing(mean, std)
