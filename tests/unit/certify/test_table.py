"""The radius table and its cache."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.certify import certified_count, radius_table, table
from holdfast.errors import ParameterError
from holdfast.noise import DiscreteGaussian, noise_charge

PERMILLE = Fraction(1, 1000)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tables"
    monkeypatch.setenv("HOLDFAST_CACHE", str(folder))
    return folder


def test_the_published_numbers() -> None:
    found = radius_table(sigma="0.12", n=1000, alpha="0.001")
    assert (found.dtype, found.shape) == (np.int64, (1001,))
    counts = [0, 500, 549, 550, 600, 700, 900, 990, 999, 1000]
    assert [int(found[k]) for k in counts] == [-1, -1, -1, 0, 15, 145, 1163, 3663, 5204, 5681]


@pytest.mark.parametrize("noise", ["discrete", "rounded"])
def test_every_entry_is_that_of_its_count(noise: str) -> None:
    found = radius_table("0.5", 200, "0.01", noise)
    charge = noise_charge(DiscreteGaussian("127.5").total_variation)
    expected = [certified_count(k, 200, Fraction("0.01"), Fraction("127.5"), charge)[1] for k in range(201)]
    assert found.tolist() == expected == sorted(expected)


def test_the_charge_for_the_noise_table_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one is too small to be seen in a double."""
    monkeypatch.setattr(table, "noise_charge", lambda _: Fraction(1, 100))
    found = radius_table("0.12", 60, "0.01")
    assert found.tolist() == [
        certified_count(k, 60, Fraction("0.01"), Fraction("30.6"), Fraction(1, 100))[1] for k in range(61)
    ]


@pytest.mark.parametrize(("n", "alpha"), [(1, "0.49"), (2, "0.49"), (9, "0.001"), (10, "0.001"), (30, "0.3")])
def test_small_tables(n: int, alpha: str) -> None:
    """Only abstentions where even unanimity proves nothing."""
    found = radius_table("0.12", n, alpha).tolist()
    assert found == sorted(found)
    assert (found[-1] >= 0) == (Fraction(alpha) * 2**n > 1)


def test_equal_scales_share_one_table_that_nobody_can_change(cache: Path) -> None:
    first = radius_table("0.120", 50, "0.0010")
    assert np.array_equal(radius_table(Fraction(3, 25), 50, PERMILLE), first)
    assert len(list(cache.iterdir())) == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 7


def test_every_parameter_has_its_own_table(cache: Path) -> None:
    radius_table("0.12", 50, "0.001")
    radius_table("0.13", 50, "0.001")
    radius_table("0.12", 51, "0.001")
    radius_table("0.12", 50, "0.002")
    radius_table("0.12", 50, "0.001", "rounded")
    assert len(list(cache.iterdir())) == 5


def test_a_kept_table_is_read_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = radius_table("0.12", 50, "0.001")
    monkeypatch.setattr(table, "certified_count", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(radius_table("0.12", 50, "0.001"), first)


def damage_one_bit(body: bytes) -> bytes:
    return body[:100] + bytes([body[100] ^ 1]) + body[101:]


@pytest.mark.parametrize(
    "damage",
    [
        damage_one_bit,
        lambda b: b[:-1],
        lambda b: b + b"\0",
        lambda _: b"",
        lambda b: b[8:],
        lambda b: b[:-32] + bytes(32),
        lambda b: b[:80] + hashlib.sha256(b[:80]).digest(),
    ],
)
def test_a_damaged_file_is_computed_again_and_replaced(damage: Any, cache: Path) -> None:
    first = radius_table("0.12", 50, "0.001")
    (path,) = cache.iterdir()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert np.array_equal(radius_table("0.12", 50, "0.001"), first)
    assert path.read_bytes() == good
    assert list(cache.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_costs_time_only(cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    assert (
        int(radius_table("0.12", 50, "0.001")[50])
        == certified_count(50, 50, PERMILLE, Fraction("30.6"), Fraction(0))[1]
    )
    assert cache.read_text() == "a file where a folder should be"


def test_a_full_disk_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, _: Path) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", fail)
    assert radius_table("0.12", 50, "0.001").max() > 0
    assert list(cache.iterdir()) == []


def test_where_tables_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOLDFAST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    radius_table("0.12", 20, "0.001")
    assert len(list((tmp_path / "xdg" / "holdfast" / "radius-tables").iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    radius_table("0.12", 20, "0.001")
    assert len(list((tmp_path / "home" / ".cache" / "holdfast" / "radius-tables").iterdir())) == 1


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    radius_table("0.12", 2000, "0.001", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 1000), (500, 1000)]
    seen.clear()
    radius_table("0.12", 2000, "0.001", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0.12}, "sigma must be a decimal string"),
        ({"sigma": "0"}, "sigma must be positive"),
        ({"sigma": "9.5"}, "sigma must be positive and at most"),
        ({"sigma": "nan"}, "sigma must be a decimal number"),
        ({"alpha": 0.001}, "alpha must be a decimal string"),
        ({"alpha": "0.5"}, "alpha must lie between"),
        ({"alpha": "0"}, "alpha must lie between"),
        ({"noise": "continuous"}, "no exact radius table"),
        ({"noise": "laplace"}, "unknown noise"),
        ({"n": 0}, "n must lie between 1 and ten million"),
        ({"n": 10_000_001}, "n must lie between 1 and ten million"),
    ],
)
def test_what_has_no_table_is_refused(arguments: dict[str, Any], message: str, cache: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        radius_table(**{"sigma": "0.12", "n": 100, "alpha": "0.001"} | arguments)
    assert not cache.exists()
