"""Cached labels: packed and unpacked, hostile blobs refused, and the labels of unfinished inputs."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from holdfast.errors import LedgerError
from holdfast.ledger import Ledger, canonical_export, ledger_problems
from holdfast.ledger.labels import MOST_LABELS, labels_digest, pack_labels, unpack_checked, unpack_labels
from holdfast.records import Purpose

SMALL = st.lists(st.integers(0, 255), max_size=300)
WIDE = st.lists(st.integers(0, 65535), max_size=300)


def array(values: list[int]) -> NDArray[np.uint16]:
    return np.array(values, dtype=np.uint16)


@given(SMALL | WIDE)
def test_labels_come_back_as_they_were(values: list[int]) -> None:
    labels = array(values)
    body, digest = pack_labels(labels), labels_digest(labels)
    for back in (unpack_labels(body, len(labels)), unpack_checked(body, digest, len(labels))):
        assert back is not None
        assert back.dtype == np.uint16
        assert np.array_equal(back, labels)
    again = unpack_checked(body, digest)
    assert again is not None
    assert np.array_equal(again, labels), "the digest tells one byte a label from two"


def test_the_digest_is_of_the_labels_not_of_their_memory() -> None:
    labels = array([1, 2, 300])
    assert labels_digest(labels) == labels_digest(labels.astype(">u2").astype(np.uint16))
    assert labels_digest(labels) == labels_digest(np.repeat(labels, 2)[::2])
    assert labels_digest(labels) != labels_digest(labels[::-1])


def test_a_hundred_thousand_labels_are_small() -> None:
    labels = np.random.default_rng(0).choice(10, 100_000, p=[0.9, *[0.1 / 9] * 9]).astype(np.uint16)
    assert len(pack_labels(labels)) < 20_000


@given(SMALL | WIDE, st.integers(1, 5))
def test_another_number_of_labels_is_refused(values: list[int], more: int) -> None:
    body = pack_labels(array(values))
    stored = len(values) * (2 if max(values, default=0) > 255 else 1)
    for count in {len(values) + more, max(0, len(values) - more)} - {len(values)}:
        if stored in (count, 2 * count):
            continue  # as many bytes as so many labels of one or two bytes: only the digest can tell, and does
        with pytest.raises(LedgerError, match=f"does not hold the {count} labels"):
            unpack_labels(body, count)


@given(SMALL | WIDE, st.data())
def test_a_changed_blob_never_gives_other_labels_unnoticed(values: list[int], data: st.DataObject) -> None:
    labels = array(values)
    body = bytearray(pack_labels(labels))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack_checked(bytes(body), labels_digest(labels), len(labels))
    except LedgerError:
        return
    assert found is None or np.array_equal(found, labels)


@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_a_blob_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(LedgerError, match="does not hold"):
        unpack_labels(pack_labels(array(list(range(100))))[:cut], 100)


@pytest.mark.parametrize("body", [b"", b"\0", b"labels", b"PK\3\4" * 9])
def test_what_is_no_blob_is_refused(body: bytes) -> None:
    with pytest.raises(LedgerError, match=r"damaged|does not hold"):
        unpack_labels(body, 3)


@pytest.mark.parametrize("count", [10, None])
def test_a_bomb_is_not_blown_up(count: int | None) -> None:
    """64 MiB of zeros in 64 kB: no more is unpacked than the number of labels needs."""
    bomb = zlib.compress(bytes(1 << 26), 9)
    allowed = 1 << 20 if count else 5 * MOST_LABELS
    tracemalloc.start()
    try:
        with pytest.raises(LedgerError, match="does not hold"):
            unpack_labels(bomb, count)
        assert tracemalloc.get_traced_memory()[1] < allowed
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [-1, MOST_LABELS + 1, 10**20])
def test_counts_that_no_run_has_are_refused(count: int) -> None:
    with pytest.raises(LedgerError, match="cannot be read"):
        unpack_labels(pack_labels(array([1])), count)


# Labels of unfinished inputs


@pytest.fixture
def ledger(tmp_path: Path, evidence: Any) -> Any:
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        ledger.add_run(evidence.run())
        yield ledger


def keep(ledger: Ledger, evidence: Any, *parts: tuple[int, int], shift: int = 0) -> NDArray[np.uint16]:
    """Keep ranges of made-up labels; returns all labels."""
    labels = (np.arange(1000) % 7 + shift).astype(np.uint16)
    for start, stop in parts:
        ledger.keep_partial(evidence.run(), 3, Purpose.ESTIMATE, start, labels[start:stop])
    return labels


def kept(ledger: Ledger, evidence: Any) -> NDArray[np.uint16]:
    return ledger.partial(evidence.run(), 3, Purpose.ESTIMATE)


@pytest.mark.parametrize(
    ("parts", "length"),
    [
        ([], 0),
        ([(0, 100)], 100),
        ([(0, 100), (100, 250), (250, 251)], 251),
        ([(100, 200), (0, 100)], 200),
        ([(0, 100), (150, 200)], 100),
        ([(50, 100)], 0),
        ([(0, 100), (60, 80), (80, 160)], 100),
        ([(0, 100), (60, 80), (80, 160), (100, 120)], 120),
        ([(0, 100), (100, 300), (100, 200), (200, 400)], 400),
    ],
    ids=str,
)
@pytest.mark.parametrize("shift", [0, 300])
def test_labels_count_from_the_first_to_the_first_gap(
    parts: list[tuple[int, int]], length: int, shift: int, ledger: Ledger, evidence: Any
) -> None:
    """Also where two processes kept overlapping ranges (one is used), and where labels need two bytes."""
    labels = keep(ledger, evidence, *parts, shift=shift)
    assert np.array_equal(kept(ledger, evidence), labels[:length])
    assert len(ledger.partial(evidence.run(), 3, Purpose.SELECT)) == 0
    assert len(ledger.partial(evidence.run(), 4, Purpose.ESTIMATE)) == 0


@pytest.mark.parametrize(
    "change",
    ["body=zeroblob(9)", "body=x''", "sha256='0'", "start=start+1", "body=substr(body, 1, length(body) - 3)"],
)
def test_damage_costs_the_damaged_labels_and_no_more(
    change: str, ledger: Ledger, evidence: Any, edit: Callable[..., int]
) -> None:
    """They are computed again; kept again, they replace what was damaged."""
    labels = keep(ledger, evidence, (0, 100), (100, 200), (200, 300))
    assert edit(ledger.path, f"UPDATE partial SET {change} WHERE start=100") == 1
    assert np.array_equal(kept(ledger, evidence), labels[:100])
    keep(ledger, evidence, (100, 200))
    assert np.array_equal(kept(ledger, evidence), labels[:300])


def test_a_certificate_ends_the_unfinished_labels_and_they_are_no_evidence(ledger: Ledger, evidence: Any) -> None:
    run = evidence.run()
    before = canonical_export(ledger)
    keep(ledger, evidence, (0, 100))
    ledger.keep_partial(run, 8, Purpose.SELECT, 0, np.zeros(5, dtype=np.uint16))
    assert canonical_export(ledger) == before
    evidence.record(ledger, run, [3])
    assert len(kept(ledger, evidence)) == 0
    assert len(ledger.partial(run, 8, Purpose.SELECT)) == 5
    assert list(ledger_problems(ledger)) == []
